//! Random functions of the kind whose trampolines are written by hand (`src/cranelift_backend/jump.rs`), with random
//! arguments, good ones and bad ones at every edge: guests that enter such a trampoline, one of Cranelift's, or the
//! interpreter by themselves see what the interpreter does behind a host function. That is the same result or the
//! same words, the same values in C, the same guest memory; and C is called once or not at all.
#![expect(unsafe_code, reason = "grants a C library and reads its counters")]
use crate::native;
use crate::rng::{self, Rng};
use libloading::Library;
use portcullis::cranelift_backend::direct_listing;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{Target, compile};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::{CallError, HandleTypes};
use portcullis::signature::{Record, parse_interface};
use std::fmt::Write as _;
use tempfile::TempDir;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

mod generate;
use generate::{Function, HEAD, MAKERS, SOURCE, arguments};

const FUNCTIONS: usize = 80;
const CALLS: usize = 120;
const PAGE: i64 = 65536;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(7)
    }
}

/// An interface that grants those.
fn interface(functions: &[Function]) -> String {
    let all: String = functions.iter().map(|one| one.declaration() + "\n").collect();
    format!("#pragma portcullis library \"librandom.so\" module \"random\"\n{HEAD}{MAKERS}{all}")
}

/// Random functions whose trampolines are by hand.
fn functions(rng: &mut Rng) -> Vec<Function> {
    let all: Vec<Function> =
        (0..8 * FUNCTIONS).map(|number| Function::random(rng, number)).collect();
    let text = interface(&all);
    let parsed = parse_interface("random.h", &text).unwrap_or_else(|error| panic!("{error}"));
    let is_by_hand = |function: &&Function| {
        let mut grants = parsed.grants.iter();
        let grant = grants.find(|grant| grant.prototype.name.to_string() == function.name);
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: true,
            scope: &parsed.scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        let plan = compile(&grant.expect("it is granted").prototype, &target);
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", function.declaration()));
        direct_listing(&plan).is_ok_and(|listing| listing.clif.is_none())
    };
    let found: Vec<Function> = all.iter().filter(is_by_hand).take(FUNCTIONS).cloned().collect();
    assert_eq!(found.len(), FUNCTIONS, "most of {} do not fit", all.len());
    found
}

struct World {
    name: &'static str,
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
}

/// What came of a call: its results or its error, how often C was called, what it saw.
type Outcome = (Result<String, String>, u32, u64);

impl World {
    fn new(name: &'static str, bridge: &Bridge, guest: &str) -> World {
        let module = Module::new(bridge.engine(), guest).unwrap_or_else(|e| panic!("{e:?}"));
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        World { name, store, instance, memory }
    }

    fn call(&mut self, library: &Library, name: &str, params: &[Val]) -> Outcome {
        let f = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let mut results = vec![Val::I32(0); f.ty(&self.store).results().len()];
        let said = match f.call(&mut self.store, params, &mut results) {
            Ok(()) => Ok(format!("{results:?}")),
            Err(error) => {
                let error = error.downcast::<CallError>();
                Err(error.unwrap_or_else(|error| panic!("{name}: {error:?}")).to_string())
            }
        };
        // SAFETY: the library defines them so.
        let (calls, seen) = unsafe {
            let calls = library.get::<extern "C" fn() -> u32>("take_calls").expect("defined");
            let seen = library.get::<extern "C" fn() -> u64>("take_seen").expect("defined");
            (calls(), seen())
        };
        (said, calls, seen)
    }
}

fn guest(functions: &[Function]) -> String {
    let (mut imports, mut exports) = (String::new(), String::new());
    for function in functions {
        let (params, result) = function.wasm();
        let name = &function.name;
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let arguments: String =
            (0..function.params.len()).map(|at| format!("(local.get {at})")).collect();
        let _ = writeln!(
            imports,
            "(import \"random\" \"{name}\" (func ${name} (param {params}) {result}))"
        );
        let _ = writeln!(
            exports,
            "(func (export \"{name}\") (param {params}) {result} (call ${name} {arguments}))"
        );
    }
    format!(
        "(module {imports}
        (import \"random\" \"make_thing\" (func $make_thing (param i32) (result i32)))
        (import \"random\" \"make_other\" (func $make_other (param i32) (result i32)))
        (memory (export \"memory\") 1 4)
        (func (export \"make_thing\") (param i32) (result i32) (call $make_thing (local.get 0)))
        (func (export \"make_other\") (param i32) (result i32) (call $make_other (local.get 0)))
        {exports})"
    )
}

#[test]
fn random_functions_by_hand_are_called_as_by_the_interpreter() {
    let mut rng = Rng::new(rng::seed(20_261_123));
    let functions = functions(&mut rng);
    let folder = TempDir::new().expect("a temporary folder");
    let bodies: String = functions.iter().map(Function::definition).collect();
    let path = native::compile(
        folder.path(),
        "librandom.so",
        &format!("{SOURCE}{HEAD}{bodies}"),
        &["-O1"],
    );
    // SAFETY: it has no constructors.
    let library = unsafe { Library::new(&path) }.expect("it loads");
    let (interface, guest) = (interface(&functions), guest(&functions));
    let bridge = |most: Option<Tier>| {
        let builder = Bridge::builder(&Engine::default());
        // Without a tier calls begin in the interpreter, entered by the guest itself, and nothing ever becomes hot.
        let builder = match most {
            Some(most) => builder.max_tier(most),
            None => builder.when_hot(u32::MAX),
        };
        let builder = builder.library("librandom.so", &path).expect("an absolute path");
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("random.h", &interface) };
        builder.and_then(|builder| builder.build()).unwrap_or_else(|error| panic!("{error}"))
    };
    let direct = bridge(Some(Tier::Direct));
    let module = Module::new(direct.engine(), &guest).unwrap_or_else(|error| panic!("{error:?}"));
    for import in direct.describe(&module) {
        let ImportStatus::Native(all) = &import.status else { panic!("{import:?}") };
        let is_random = functions.iter().any(|function| *function.name == *import.name);
        assert!(!is_random || all[0].tier == Tier::Direct, "{import:?}");
    }
    let straight = bridge(None);
    let count = straight
        .describe(&module)
        .iter()
        .filter(|import| matches!(&import.status, ImportStatus::Native(all) if all[0].straight))
        .count();
    assert!(count >= 5, "guests enter the interpreter for {count} functions by themselves");
    let mut worlds = [
        World::new("interpreter", &bridge(Some(Tier::Interpreter)), &guest),
        World::new("entered by the guest", &straight, &guest),
        World::new("cranelift", &bridge(Some(Tier::Cranelift)), &guest),
        World::new("direct", &direct, &guest),
    ];
    let mut handles = Vec::new();
    for (number, name) in (0..12).zip(["make_thing", "make_thing", "make_other"].iter().cycle()) {
        let made = worlds.each_mut().map(|world| world.call(&library, name, &[Val::I32(number)]).0);
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
        let made = made[0].clone().expect("it is made");
        let digits = made.trim_start_matches("[I32(").trim_end_matches(")]");
        handles.push(digits.parse::<i32>().unwrap_or_else(|_| panic!("{made}")));
    }
    let fill: Vec<u8> = (0..PAGE).map(|_| rng.next() as u8).collect();
    for world in &mut worlds {
        world.memory.write(&mut world.store, 0, &fill).expect("a page");
    }
    let (mut passed, mut refused, mut size) = (0, 0, PAGE);
    for turn in 0..CALLS {
        // What a trampoline knows of the memory is older than the memory.
        if turn % 40 == 39 {
            size += PAGE;
            for world in &mut worlds {
                world.memory.grow(&mut world.store, 1).expect("it grows");
            }
        }
        for function in &functions {
            let params = arguments(&mut rng, function, size, &handles);
            let what = || format!("{} {params:?} in {size} bytes", function.declaration());
            let [first, others @ ..] = &mut worlds;
            let expected = first.call(&library, &function.name, &params);
            // Every check is one before the call: C runs if there is no error, once.
            assert_eq!(expected.1, u32::from(expected.0.is_ok()), "{}: {expected:?}", what());
            passed += expected.1;
            refused += 1 - expected.1;
            for world in others {
                let got = world.call(&library, &function.name, &params);
                assert_eq!(got, expected, "{}: {}", world.name, what());
                let same = world.memory.data(&world.store) == first.memory.data(&first.store);
                assert!(same, "{}: other memory after {}", world.name, what());
            }
        }
    }
    let all = CALLS * FUNCTIONS;
    println!("{all} calls: {passed} passed, {refused} refused");
    assert!(passed as usize > all / 4 && refused as usize > all / 10, "{passed} of {all} passed");
}
