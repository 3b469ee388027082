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

const FUNCTIONS: usize = 80;
const CALLS: usize = 120;
const PAGE: i64 = 65536;

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of that C type and that wasm type.
    Scalar(&'static str, &'static str),
    /// Elements of that type and size: as many as the parameter of that number says, or always so many.
    Buffer {
        of: &'static str,
        size: i64,
        count: Count,
        writable: bool,
    },
    Handle {
        null: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Of(usize),
    Always(i64),
}

#[derive(Clone, Debug)]
struct Function {
    name: String,
    params: Vec<Kind>,
    result: &'static str,
}

const SCALARS: [(&str, &str); 13] = [
    ("signed char", "i32"),
    ("unsigned char", "i32"),
    ("short", "i32"),
    ("unsigned short", "i32"),
    ("int", "i32"),
    ("unsigned", "i32"),
    ("long", "i32"),
    ("size_t", "i32"),
    ("long long", "i64"),
    ("uint64_t", "i64"),
    ("float", "f32"),
    ("double", "f64"),
    ("int32_t", "i32"),
];
const ELEMENTS: [(&str, i64); 7] = [
    ("uint8_t", 1),
    ("int16_t", 2),
    ("int", 4),
    ("float", 4),
    ("int64_t", 8),
    ("double", 8),
    ("struct three", 12),
];
const COUNTS: [&str; 4] = ["unsigned", "size_t", "int", "int32_t"];
const RESULTS: [(&str, &str); 7] = [
    ("void", ""),
    ("int", "i32"),
    ("unsigned", "i32"),
    ("long long", "i64"),
    ("uint64_t", "i64"),
    ("float", "f32"),
    ("double", "f64"),
];

impl Function {
    fn random(rng: &mut Rng, number: usize) -> Function {
        let mut params: Vec<Kind> = Vec::new();
        let handle = rng.chance(1, 3);
        if handle {
            params.push(Kind::Handle { null: rng.chance(1, 3) });
        }
        for _ in 0..rng.below(3) {
            let (of, size) = *rng.pick(&ELEMENTS);
            let writable = rng.chance(1, 4);
            let counted = params
                .iter()
                .position(|kind| matches!(kind, Kind::Scalar(ty, "i32") if COUNTS.contains(ty)));
            let count = match counted {
                Some(at) if rng.chance(1, 2) => Count::Of(at),
                _ if rng.chance(1, 4) => Count::Always(1 + rng.below(20) as i64),
                _ => {
                    let ty: &&'static str = rng.pick(&COUNTS);
                    params.push(Kind::Scalar(ty, "i32"));
                    Count::Of(params.len() - 1)
                }
            };
            params.push(Kind::Buffer { of, size, count, writable });
        }
        // Counts may stand behind what they count.
        if rng.chance(1, 2) && !params.is_empty() {
            let last = params.len() - 1;
            params.swap(0, last);
            for kind in &mut params {
                if let Kind::Buffer { count: Count::Of(at), .. } = kind {
                    *at = if *at == 0 {
                        last
                    } else if *at == last {
                        0
                    } else {
                        *at
                    };
                }
            }
        }
        let more = if handle { rng.below(4) } else { rng.below(9) };
        for _ in 0..more {
            let (c, wasm) = *rng.pick(&SCALARS);
            params.push(Kind::Scalar(c, wasm));
        }
        Function { name: format!("f{number}"), params, result: rng.pick(&RESULTS).0 }
    }

    fn declaration(&self) -> String {
        let params = self.params.iter().enumerate().map(|(at, kind)| match *kind {
            Kind::Scalar(ty, _) => format!("{ty} p{at}"),
            Kind::Buffer { of, count, writable, .. } => {
                let is = if writable { "" } else { "const " };
                let way = if writable { "_Inout_ " } else { "" };
                let count = match count {
                    Count::Of(of) => format!("p{of}"),
                    Count::Always(n) => n.to_string(),
                };
                format!("{is}{of} *{way}__counted_by({count}) p{at}")
            }
            Kind::Handle { null } => {
                format!("thing *{}p{at}", if null { "_Nullable " } else { "" })
            }
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        format!("{} {}({params}) __leaf;", self.result, self.name)
    }

    /// C that sees every bit of what it gets, and writes to all that it may write to.
    fn definition(&self) -> String {
        let mut body = String::from("    begin();\n");
        for (at, kind) in self.params.iter().enumerate() {
            let _ = match kind {
                Kind::Buffer { size, count, .. } => {
                    let count = match count {
                        Count::Of(of) => format!("(size_t)p{of}"),
                        Count::Always(n) => n.to_string(),
                    };
                    writeln!(body, "    where(p{at}); see(p{at}, {count} * {size});")
                }
                Kind::Scalar(..) | Kind::Handle { .. } => {
                    writeln!(body, "    see(&p{at}, sizeof p{at});")
                }
            };
        }
        for (at, kind) in self.params.iter().enumerate() {
            if let Kind::Buffer { size, count, writable: true, .. } = kind {
                let count = match count {
                    Count::Of(of) => format!("(size_t)p{of}"),
                    Count::Always(n) => n.to_string(),
                };
                let _ = writeln!(body, "    leave(p{at}, {count} * {size});");
            }
        }
        // Of narrow arguments, compilers rely on 32 bits.
        let params = self.params.iter().enumerate().map(|(at, kind)| match *kind {
            Kind::Scalar("signed char" | "short", _) => format!("int p{at}"),
            Kind::Scalar("unsigned char" | "unsigned short", _) => format!("unsigned p{at}"),
            Kind::Scalar(ty, _) => format!("{ty} p{at}"),
            Kind::Buffer { of, writable, .. } => {
                format!("{}{of} *p{at}", if writable { "" } else { "const " })
            }
            Kind::Handle { .. } => format!("thing *p{at}"),
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let result = match self.result {
            "void" => String::new(),
            "float" | "double" => format!("    return ({})(int)seen;\n", self.result),
            other => format!("    return ({other})seen;\n"),
        };
        format!("{} {}({params}) {{\n{body}{result}}}\n", self.result, self.name)
    }

    fn wasm(&self) -> (String, &'static str) {
        let params = self.params.iter().map(|kind| match *kind {
            Kind::Scalar(_, wasm) => wasm,
            Kind::Buffer { .. } | Kind::Handle { .. } => "i32",
        });
        let result = RESULTS.iter().find(|(c, _)| *c == self.result).map_or("", |found| found.1);
        (params.collect::<Vec<_>>().join(" "), result)
    }
}

const HEAD: &str =
    "struct three { int a, b, c; };\ntypedef struct thing thing;\ntypedef struct other other;\n";
const MAKERS: &str =
    "thing *__borrowed make_thing(int id) __leaf;\nother *__borrowed make_other(int id) __leaf;\n";
const SOURCE: &str = r"
#include <stddef.h>
#include <stdint.h>
static _Thread_local uint64_t seen; static _Thread_local unsigned calls;
static void see(const void *p, size_t n) {
    for (size_t i = 0; i < n; i++) seen = (seen ^ ((const uint8_t *)p)[i]) * 0x100000001b3;
}
/* Memories begin with a page. */
static void where(const void *p) { size_t at = p ? (size_t)p & 4095 : 4096; see(&at, sizeof at); }
static void begin(void) { calls++; seen = 0xcbf29ce484222325; }
static void leave(void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] ^= (uint8_t)(seen >> i % 8 * 8) + (uint8_t)i;
}
unsigned take_calls(void) { unsigned now = calls; calls = 0; return now; }
uint64_t take_seen(void) { uint64_t now = seen; seen = 0; return now; }
void *make_thing(int id) { return (void *)(0x1000 + (size_t)id * 16); }
void *make_other(int id) { return (void *)(0x9000 + (size_t)id * 16); }
";

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
        direct_listing(&plan).is_ok_and(|listing| listing.clif.contains("by hand"))
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

/// Numbers at which something changes.
const EDGES: [i64; 20] = [
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    -1,
    -2,
    -128,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    -0x8000_0000,
    0x4000_0001,
];

fn i32_of(value: i64) -> Val {
    Val::I32(value as u32 as i32)
}

/// Arguments, most of which are good, in a memory of that size.
fn arguments(rng: &mut Rng, function: &Function, size: i64, handles: &[i32]) -> Vec<Val> {
    let mut values: Vec<Option<i64>> = vec![None; function.params.len()];
    let mut pointers: Vec<(usize, i64)> = Vec::new();
    for (at, kind) in function.params.iter().enumerate() {
        let Kind::Buffer { size: element, count, .. } = *kind else { continue };
        let elements = match count {
            Count::Always(count) => count,
            Count::Of(of) => *values[of].get_or_insert_with(|| match rng.below(8) {
                0 => *rng.pick(&EDGES),
                1 => size / element + rng.below(3) as i64 - 1,
                // Products that wrap at 2^32.
                2 => (1 << 32) / element + rng.below(3) as i64 - 1,
                _ => rng.below(40) as i64,
            }),
        };
        let bytes = elements.wrapping_mul(element);
        let start = match rng.below(10) {
            0 => *rng.pick(&EDGES),
            1 => size - bytes + rng.below(3) as i64 - 1,
            2 => size + rng.below(3) as i64 - 1,
            3 => 0,
            4 => (size - bytes) & !15,
            5 => rng.below(65536) as i64,
            _ => 16 * rng.below(4000) as i64,
        };
        pointers.push((at, start));
    }
    for (at, start) in pointers {
        values[at] = Some(start);
    }
    let all = function.params.iter().zip(values).map(|(kind, value)| {
        let any = match value {
            Some(value) => value,
            None if rng.chance(1, 2) => *rng.pick(&EDGES),
            None => rng.next().cast_signed(),
        };
        match *kind {
            Kind::Scalar(_, "i64") => Val::I64(any),
            Kind::Scalar(_, "f32") => Val::F32(any as u32),
            Kind::Scalar(_, "f64") => Val::F64(any.cast_unsigned()),
            Kind::Scalar(..) | Kind::Buffer { .. } => i32_of(any),
            Kind::Handle { .. } => {
                let handle = *rng.pick(handles);
                Val::I32(match rng.below(8) {
                    0 => 0,
                    1 => handle ^ 1 << rng.below(32),
                    2 => any as i32,
                    _ => handle,
                })
            }
        }
    });
    all.collect()
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
