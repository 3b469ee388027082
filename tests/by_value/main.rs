//! Differential test: values of every C type by value, from a guest's memory and wasm values to
//! callees compiled by gcc, and back.
//!
//! Each signature is random. For each value of it the test makes the bytes that a guest has and
//! those that the callee must see, member by member (`values`). The callee copies what it receives
//! and returns what it is told to; both are compared but for padding, which on the guest's side must
//! not have been touched. `PORTCULLIS_SEED` chooses other signatures.
#![expect(unsafe_code, reason = "the interfaces are granted, the library is called")]
#[path = "../abi/c_types.rs"]
mod c_types;
#[path = "../abi/hollow.rs"]
mod hollow;
#[path = "../support/native.rs"]
mod native;
#[cfg(feature = "cranelift")]
#[path = "../support/places.rs"]
mod places;
mod values;

use c_types::{Generator, Menu, declare};
use hollow::Hollow;
use libloading::Library;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{CompileError, Target, compile};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::{HandleTypes, Plan, WasmType};
use portcullis::signature::{Function, Prototype, Record, Scope, Span, TypeKind, Variadic};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use values::{Value, value};
use wasmtime::{Engine, Linker, Module, Store, V128, Val};

const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: true,
    attributes: true,
    atomics: false,
    wide: true,
    fields: 5,
    hollow: true,
    pointers: false,
};
const BATCHES: u64 = 100;
const SIGNATURES: usize = 500;
/// A place of the guest's memory for every value.
const ROOM: usize = 4096;

struct NoTypes;
impl HandleTypes for NoTypes {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(0)
    }
}

/// A signature, and its plan.
struct Case {
    name: String,
    function: Function,
    plan: Plan,
}

/// What the cases have met.
#[derive(Debug, Default)]
struct Coverage {
    refused: BTreeMap<String, usize>,
    cases: usize,
    params: usize,
    objects: usize,
    hidden: usize,
    whole: usize,
    spilled: usize,
    variadic: usize,
    converted: usize,
    hollow: Hollow,
    /// Cases that ran as compiled code too.
    compiled: usize,
    /// Cases that did not, by the reason.
    declined: BTreeMap<String, usize>,
}

impl Coverage {
    fn count(&mut self, case: &Case) {
        let plan = &case.plan;
        self.cases += 1;
        self.params += plan.slots.len();
        let named =
            |name: &str| plan.ops.iter().filter(|op| format!("{op:?}").starts_with(name)).count();
        self.objects += named("Object");
        self.hidden += named("StoreObject");
        self.whole += usize::from(format!("{:?}", plan.ops).contains("Whole"));
        self.spilled += usize::from(plan.frame.stack > 0);
        self.variadic += usize::from(case.function.variadic != Variadic::No);
        c_types::types(&case.function).into_iter().for_each(|of| self.hollow.count(of));
        self.hollow.count(&case.function.result);
        let moves = format!("{:?}", plan.moves);
        self.converted += usize::from(moves.contains("32") || moves.contains("Extended"));
    }
}

impl Coverage {
    /// Which functions run as compiled code, and why the others do not.
    fn count_tiers(&mut self, bridge: &Bridge, module: &Module) {
        for import in bridge.describe(module) {
            let ImportStatus::Native(functions) = import.status else { panic!("{}", import.name) };
            if functions[0].tier == Tier::Cranelift {
                self.compiled += 1;
                continue;
            }
            let why = functions[0].why_no_faster.clone().unwrap_or_default();
            *self.declined.entry(why).or_default() += 1;
        }
    }
}

/// Random signatures that have a plan, and the definitions of their types.
fn cases(seed: u64, coverage: &mut Coverage) -> (String, Vec<Case>) {
    let mut generator = Generator::new(seed, MENU);
    for _ in 0..150 {
        generator.record();
    }
    let mut cases = Vec::new();
    while cases.len() < SIGNATURES {
        let mut function = c_types::signature(&mut generator);
        if function.variadic == Variadic::Typed(Vec::new()) {
            function.variadic = Variadic::No;
        }
        let name = format!("f{}", cases.len());
        let prototype = Prototype {
            name: c_types::ident(&name),
            function: function.clone(),
            notes: Vec::new(),
            span: Span::default(),
            data: None,
        };
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: true,
            scope: &Scope::default(),
            import: None,
            handle_types: &NoTypes,
            grants: &|_| None,
        };
        match compile(&Arc::new(prototype), &target) {
            Ok(plan) => cases.push(Case { name, function, plan }),
            Err(CompileError::Prototype(errors)) => {
                *coverage.refused.entry(errors[0].message.clone()).or_default() += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (generator.definitions(), cases)
}

/// The C declaration of a case.
fn declaration(case: &Case, named: bool) -> String {
    let function = &case.function;
    let name = |index: usize| if named { format!("p{index}") } else { String::new() };
    let each = function.params.iter().enumerate();
    let mut params: Vec<String> = each.map(|(index, p)| declare(&p.ty, &name(index))).collect();
    if let Variadic::Typed(tail) = &function.variadic {
        params.push("...".to_owned());
        if !named {
            params.extend(tail.iter().map(|ty| declare(ty, "")));
        }
    }
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    declare(&function.result, &format!("{}({params})", case.name))
}

/// The callees.
fn source(definitions: &str, cases: &[Case]) -> String {
    let mut text = definitions.to_owned();
    text.push_str(
        "#include <stdarg.h>\n#include <string.h>\n\
         char received[64][4096], given[4096]; int calls;\n",
    );
    for case in cases {
        let _ = writeln!(text, "{} {{\ncalls += 1;", declaration(case, true));
        let named = case.function.params.len();
        for index in 0..named {
            let _ = writeln!(text, "memcpy(received[{index}], &p{index}, sizeof p{index});");
        }
        if let Variadic::Typed(tail) = &case.function.variadic {
            let _ = writeln!(text, "va_list list; va_start(list, p{});", named - 1);
            for (at, ty) in tail.iter().enumerate() {
                let (variable, at) = (declare(ty, "v"), at + named);
                let bare = declare(ty, "");
                let _ = writeln!(
                    text,
                    "{{ {variable} = va_arg(list, {bare}); memcpy(received[{at}], &v, sizeof v); }}"
                );
            }
            text.push_str("va_end(list);\n");
        }
        if case.function.result.kind != TypeKind::Void {
            let result = declare(&case.function.result, "r");
            let _ = writeln!(text, "{result}; memcpy(&r, given, sizeof r); return r;");
        }
        text.push_str("}\n");
    }
    text
}

/// The interface that grants them.
fn interface(definitions: &str, cases: &[Case]) -> String {
    let mut text = "#pragma portcullis library \"libvalues.so\" module \"values\"\n".to_owned();
    text.push_str(definitions);
    for case in cases {
        let _ = writeln!(text, "{};", declaration(case, false));
    }
    text
}

/// A guest that exports its imports and a memory.
fn guest(cases: &[Case]) -> String {
    let mut text = "(module\n".to_owned();
    for case in cases {
        let (name, lowering) = (&case.name, &case.plan.lowering);
        let ty = lowering.to_string();
        let ty = ty.trim_start_matches("(func").trim_end_matches(')');
        let close = if ty.is_empty() { "" } else { ")" };
        let _ = writeln!(
            text,
            "(import \"values\" \"{name}\" (func ${name}{ty}{close})) (export \"{name}\" (func ${name}))"
        );
    }
    text.push_str("(memory (export \"memory\") 8))\n");
    text
}

fn wasm(ty: WasmType, bytes: &[u8]) -> Val {
    let low32 = u32::from_le_bytes(bytes[..4].try_into().expect("four"));
    let low64 = || u64::from_le_bytes(bytes[..8].try_into().expect("eight"));
    match ty {
        WasmType::I32 => Val::I32(low32.cast_signed()),
        WasmType::I64 => Val::I64(low64().cast_signed()),
        WasmType::F32 => Val::F32(low32),
        WasmType::F64 => Val::F64(low64()),
        WasmType::V128 => {
            Val::V128(V128::from(u128::from_le_bytes(bytes[..16].try_into().expect("sixteen"))))
        }
        WasmType::FuncRef | WasmType::ExternRef => panic!("no C type"),
    }
}

fn bytes(value: &Val) -> Vec<u8> {
    match value {
        Val::I32(value) => value.to_le_bytes().to_vec(),
        Val::I64(value) => value.to_le_bytes().to_vec(),
        Val::F32(value) => value.to_le_bytes().to_vec(),
        Val::F64(value) => value.to_le_bytes().to_vec(),
        Val::V128(value) => value.as_u128().to_le_bytes().to_vec(),
        _ => panic!("no C type"),
    }
}

/// The bytes where they mean something.
fn masked(bytes: &[u8], mask: &[u8]) -> Vec<u8> {
    bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
}

/// What the guest passes of a value, from slot `first` on: itself, or where it lies.
fn arguments(plan: &Plan, index: usize, value: &Value, memory: &mut [u8], args: &mut Vec<Val>) {
    let first = usize::from(plan.slots[index]);
    let next = plan.slots.get(index + 1).map_or(plan.lowering.params.len(), |s| usize::from(*s));
    let types = &plan.lowering.params[first..next];
    let object = plan.ops.iter().any(|op| {
        let text = format!("{op:?}");
        text.starts_with(&format!("Object {{ slot: {first},")) && next > first
    });
    if object {
        let at = ROOM * (index + 2);
        memory[at..at + value.guest.len()].copy_from_slice(&value.guest);
        args.push(Val::I32(i32::try_from(at).expect("small")));
        return;
    }
    let mut padded = value.guest.clone();
    padded.resize(32, 0);
    for (number, ty) in types.iter().enumerate() {
        args.push(wasm(*ty, &padded[8 * number..]));
    }
}

struct World {
    store: Store<Natives>,
    instance: wasmtime::Instance,
    library: Library,
}

impl World {
    fn global(&self, name: &str) -> *mut u8 {
        // SAFETY: only the address is taken.
        unsafe { *self.library.get::<*mut u8>(name).expect("it is defined") }
    }

    /// Calls a function with random values; what differs from what was expected.
    fn try_case(&mut self, case: &Case, rng: &mut c_types::Rng) -> Result<(), String> {
        let plan = &case.plan;
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("a memory");
        let func = self.instance.get_func(&mut self.store, &case.name).expect("an export");
        let types = c_types::types(&case.function);
        let all: Vec<Value> = types.iter().map(|ty| value(ty, rng)).collect();
        let result = value(&case.function.result, rng);
        let fill = 0xa5;
        memory.data_mut(&mut self.store)[..ROOM * 2].fill(fill);
        let mut args = Vec::new();
        let hidden = plan.ops.iter().any(|op| format!("{op:?}").starts_with("Room"));
        if hidden {
            args.push(Val::I32(i32::try_from(ROOM).expect("small")));
        }
        for (index, one) in all.iter().enumerate() {
            arguments(plan, index, one, memory.data_mut(&mut self.store), &mut args);
        }
        let received = self.global("received");
        let given = self.global("given");
        // SAFETY: the library's arrays are as large as `source` says, and nothing runs meanwhile.
        unsafe {
            received.write_bytes(0x5a, 64 * 4096);
            given.copy_from_nonoverlapping(result.host.as_ptr(), result.host.len());
        }
        let mut results = vec![Val::I32(0); plan.lowering.results.len()];
        func.call(&mut self.store, &args, &mut results).map_err(|error| format!("{error:?}"))?;
        for (index, one) in all.iter().enumerate() {
            // SAFETY: as above.
            let seen =
                unsafe { std::slice::from_raw_parts(received.add(4096 * index), one.host.len()) };
            let (seen, sent) = (masked(seen, &one.host_mask), masked(&one.host, &one.host_mask));
            if seen != sent {
                return Err(format!("parameter {}: {seen:02x?}, not {sent:02x?}", index + 1));
            }
        }
        let mut expected = result.guest.clone();
        let found = match results.first() {
            Some(found) => {
                let mut found = bytes(found);
                found.resize(expected.len(), 0); // narrow ones are extended
                found
            }
            None => {
                // Padding and what lies around is as it was.
                let room = &memory.data(&self.store)[ROOM - 64..ROOM + ROOM];
                let mut wanted = vec![fill; 64];
                for (byte, mask) in result.guest.iter().zip(&result.guest_mask) {
                    wanted.push(byte & mask | fill & !mask);
                }
                wanted.resize(room.len(), fill);
                expected = if hidden { wanted } else { vec![fill; room.len()] };
                room.to_vec()
            }
        };
        let mut mask = result.guest_mask.clone();
        mask.resize(expected.len(), 0xff);
        let (found, expected) = if results.is_empty() {
            (found, expected)
        } else {
            (masked(&found, &mask), masked(&expected, &mask))
        };
        if found != expected {
            return Err(format!("result: {found:02x?}, not {expected:02x?}"));
        }
        Ok(())
    }
}

#[test]
fn gcc_receives_and_returns_what_the_guest_has() {
    let mut coverage = Coverage::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = 0;
    for batch in 0..BATCHES {
        let seed = c_types::seed().wrapping_mul(1000) + batch;
        let (definitions, cases) = cases(seed, &mut coverage);
        let name = format!("libvalues{batch}.so");
        let path = native::compile(
            folder.path(),
            &name,
            &source(&definitions, &cases),
            &["-O0", "-Wno-psabi"],
        );
        let engine = Engine::default();
        let module = Module::new(&engine, guest(&cases)).expect("a module");
        let interface = interface(&definitions, &cases);
        // Compiling what is called twice takes as long as all the rest: every second batch. In the others guests enter
        // the interpreter by themselves.
        let faster = if batch % 2 == 0 { Tier::Cranelift } else { Tier::Direct };
        for tier in &[Tier::Interpreter, faster] {
            // SAFETY: it has no constructors.
            let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{error}"));
            let mut builder = Bridge::builder(&engine).max_tier(*tier);
            if *tier == Tier::Direct {
                builder = builder.when_hot(u32::MAX);
            }
            let builder = builder.library("libvalues.so", &path).expect("an absolute path");
            // SAFETY: the interface is true of the library.
            let builder = unsafe { builder.grant_interface("values.h", &interface) };
            let bridge =
                builder.unwrap_or_else(|error| panic!("{error}")).build().expect("a bridge");
            let mut store = Store::new(&engine, Natives::default());
            let linker = Linker::new(&engine);
            let instance = bridge
                .instantiate(&mut store, &linker, &module, |natives| natives)
                .unwrap_or_else(|error| panic!("{error:?}"));
            if *tier == Tier::Cranelift {
                coverage.count_tiers(&bridge, &module);
            }
            let mut world = World { store, instance, library };
            // SAFETY: an `int` that only the functions write, none of which runs.
            let before = unsafe { world.global("calls").cast::<i32>().read() };
            let mut rng = c_types::Rng(seed);
            for case in &cases {
                if *tier == Tier::Interpreter {
                    coverage.count(case);
                }
                for _ in 0..2 {
                    if let Err(difference) = world.try_case(case, &mut rng) {
                        wrong += 1;
                        println!("{tier}: {}\n    {difference}", declaration(case, false));
                        for ty in c_types::types(&case.function) {
                            if let TypeKind::Record(record) = &ty.kind {
                                println!("    {}", c_types::body(record));
                            }
                        }
                        break;
                    }
                }
            }
            // SAFETY: as above.
            let calls = unsafe { world.global("calls").cast::<i32>().read() } - before;
            let all = usize::try_from(calls) == Ok(2 * cases.len());
            assert!(wrong > 0 || all, "{tier}: {calls} calls");
        }
    }
    println!("{coverage:#?}");
    assert_eq!(wrong, 0, "of {} signatures", coverage.cases);
    assert_eq!(coverage.cases, SIGNATURES * usize::try_from(BATCHES).expect("small"));
    let refused: usize = coverage.refused.values().sum();
    assert!(refused < coverage.cases, "{refused} signatures were refused");
    if cfg!(feature = "cranelift") {
        assert!(coverage.declined.is_empty(), "{:?}", coverage.declined);
        assert!(coverage.compiled >= 14_500, "{} were compiled", coverage.compiled);
    }
    assert!(coverage.objects >= 50_000 && coverage.hidden >= 15_000 && coverage.whole >= 8_000);
    assert!(
        coverage.spilled >= 20_000 && coverage.variadic >= 5_000 && coverage.converted >= 20_000
    );
    coverage.hollow.assert(5_000);
}

/// But where the interpreter's stub makes the call: x87 registers, vectors of a variadic tail, stack
/// arguments aligned to more than 16 bytes.
#[cfg(feature = "cranelift")]
#[test]
fn compiled_code_passes_every_value_where_the_abi_wants_it() {
    let mut places = places::Places::default();
    let mut coverage = Coverage::default();
    for batch in 0..BATCHES {
        let (_, cases) = cases(c_types::seed().wrapping_mul(1000) + batch, &mut coverage);
        for case in &cases {
            places.check(&case.plan, &case.function, &Scope::default());
        }
    }
    let declined: usize = places.declined.values().sum();
    println!("{} plans, {} signatures tried", places.plans, places.tried.len());
    println!("{:#?}", places.declined);
    assert!(places.tried.len() >= 1000, "{} signatures", places.tried.len());
    assert!(20 * declined <= 9 * places.plans, "{declined} of {} declined", places.plans);
    assert!(places.declined.keys().all(|why| why.contains("stub")), "{:?}", places.declined);
}
