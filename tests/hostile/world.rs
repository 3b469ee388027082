//! The mock library, and a guest that calls every function of it.
use crate::native;
use libloading::Library;
use portcullis::host::{Bridge, BridgeBuilder, LinkError, Natives, Tier};
use portcullis::plan::{CallError, Limits};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

pub const INTERFACE: &str = include_str!("mock.h");
/// Size of a world's memory.
pub const MEMORY: i32 = 65536;
/// Every tier must refuse the same.
pub const TIERS: [Tier; 4] = [Tier::Interpreter, Tier::Template, Tier::Cranelift, Tier::Direct];

/// The library, compiled once; it is in the folder as long as the process runs.
struct Mock {
    path: PathBuf,
    library: Library,
    _folder: tempfile::TempDir,
}

fn mock() -> &'static Mock {
    static MOCK: OnceLock<Mock> = OnceLock::new();
    MOCK.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = include_str!("mock.c");
        let path = native::compile(folder.path(), "libmock.so", source, &["-O1"]);
        // SAFETY: it has no constructors.
        let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{error}"));
        Mock { path, library, _folder: folder }
    })
}

/// Where the library is.
pub fn mock_path() -> &'static Path {
    &mock().path
}

fn counter(name: &str) -> i64 {
    // SAFETY: both counters are `long f(void)`.
    unsafe { mock().library.get::<extern "C" fn() -> i64>(name).expect("it is defined")() }
}

/// How many functions of the library have been called on this thread.
pub fn calls() -> i64 {
    counter("mock_calls")
}

/// How many objects have been freed on this thread.
pub fn freed() -> i64 {
    counter("mock_freed")
}

/// A builder that grants the mock library.
pub fn granted(engine: &Engine, interface: &str) -> BridgeBuilder {
    let builder = Bridge::builder(engine);
    let builder = builder.library("libmock.so", mock_path()).expect("an absolute path");
    // SAFETY: the interfaces of these tests are true of the library.
    let builder = unsafe { builder.grant_interface("mock.h", interface) };
    builder.unwrap_or_else(|error| panic!("{error}"))
}

/// The imports that worlds have: name, parameters, result.
const IMPORTS: [(&str, &str, &str); 52] = [
    ("sum", "i32 i32", "i32"),
    ("sum64", "i32 i64", "i64"),
    ("mean", "i32 i32", "f64"),
    ("fill", "i32 i32", ""),
    ("strict", "i32 i32", "i32"),
    ("quotient", "i32 i32 i32", "i32"),
    ("remainder_of", "i32 i32 i32", "i32"),
    ("product", "i32 i64 i64", "i32"),
    ("shifted", "i32 i32", "i32"),
    ("pixels", "i32 i32 i32", "i32"),
    ("cell", "i32 i32", "i32"),
    ("length", "i32", "i32"),
    ("optional", "i32", "i32"),
    ("wide_length", "i32", "i32"),
    ("joined", "i32 i32", "i32"),
    ("labelled", "i32", "i32"),
    ("repeat", "i32 i32 i32", "i32"),
    ("load", "i32", "i64"),
    ("sort", "i32 i32", "i32"),
    ("limited", "i32", "i32"),
    ("ordered", "i32 i32", "i32"),
    ("leading", "i32 i32", "i32"),
    ("behind", "i32 i32", "i32"),
    ("share", "i32 i32 i32", "i32"),
    ("sized", "i32 i64 i32", "i32"),
    ("big_size", "i64", "i32"),
    ("big_long", "i64", "i32"),
    ("out_size", "i32 i64", "i32"),
    ("in_out_long", "i32 i64", "i32"),
    ("two_out", "i32 i32 i64", "i32"),
    ("inside", "i32 i64", "i32"),
    ("end_of", "i32 i32 i64", "i32"),
    ("box_and_size", "i32 i64", "i32"),
    ("box_free_size", "i32 i64", "i32"),
    ("negative_extent", "i32", "i32"),
    ("box_new", "i32", "i32"),
    ("box_open", "i32 i32", "i32"),
    ("box_child", "i32 i32", "i32"),
    ("box_same", "i32", "i32"),
    ("box_get", "i32", "i32"),
    ("box_optional", "i32", "i32"),
    ("box_free", "i32", ""),
    ("box_try_free", "i32 i32", "i32"),
    ("box_swallow", "i32 i32", "i32"),
    ("box_swallow_both", "i32 i32", "i32"),
    ("box_name", "i32", "i32"),
    ("box_label", "i32", "i32"),
    ("box_next", "i32", "i32"),
    ("box_first", "i32 i32", "i32"),
    ("box_step", "i32", ""),
    ("other_new", "", "i32"),
    ("other_free", "i32", ""),
];

/// A guest that exports a function for each import, which calls it, a memory of one page, and an
/// allocator that never uses memory again and counts what it is given back.
fn guest() -> String {
    use std::fmt::Write as _;
    let mut imports = String::new();
    let mut functions = String::new();
    for (name, params, result) in IMPORTS {
        let count = params.split_whitespace().count();
        let arguments: String = (0..count).map(|at| format!(" (local.get {at})")).collect();
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let ty = format!("(param {params}) {result}");
        writeln!(imports, "(import \"mock\" \"{name}\" (func ${name} {ty}))").expect("a string");
        writeln!(functions, "(func (export \"{name}\") {ty} (call ${name}{arguments}))")
            .expect("a string");
    }
    format!(
        r#"(module {imports}
        (memory (export "memory") 1 4)
        (global $free_memory (mut i32) (i32.const 32768))
        (global $given_back (export "given_back") (mut i32) (i32.const 0))
        (func (export "malloc") (param $size i32) (result i32)
            (global.get $free_memory)
            (global.set $free_memory (i32.add (global.get $free_memory) (i32.const 64))))
        (func (export "free") (param i32)
            (global.set $given_back (i32.add (global.get $given_back) (i32.const 1))))
        {functions})"#
    )
}

/// A store with a guest.
pub struct World {
    pub tier: Tier,
    pub store: Store<Natives>,
    pub instance: Instance,
    pub memory: Memory,
}

impl World {
    /// Of a tier. All of these share what is compiled, which takes far longer than any of the tests.
    pub fn new(tier: Tier) -> World {
        static STAGES: [OnceLock<(Bridge, Module)>; TIERS.len()] =
            [const { OnceLock::new() }; TIERS.len()];
        let at = TIERS.iter().position(|one| *one == tier).expect("one of the four");
        let (bridge, module) = STAGES[at].get_or_init(|| {
            let engine = Engine::default();
            let bridge = granted(&engine, INTERFACE).max_tier(tier).build();
            let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
            let module = Module::new(&engine, guest());
            (bridge, module.unwrap_or_else(|error| panic!("{error:?}")))
        });
        World::with_module(bridge, tier, module)
    }

    pub fn with_limits(tier: Tier, limits: Limits) -> World {
        let engine = Engine::default();
        let bridge = granted(&engine, INTERFACE).max_tier(tier).limits(limits).build();
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        World::of(&bridge, tier)
    }

    /// Another store of a bridge.
    pub fn of(bridge: &Bridge, tier: Tier) -> World {
        World::with_guest(bridge, tier, &guest())
    }

    /// A store with a guest of the test's own.
    pub fn with_guest(bridge: &Bridge, tier: Tier, guest: &str) -> World {
        let module = Module::new(bridge.engine(), guest);
        World::with_module(bridge, tier, &module.unwrap_or_else(|error| panic!("{error:?}")))
    }

    fn with_module(bridge: &Bridge, tier: Tier, module: &Module) -> World {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        World { tier, store, instance, memory }
    }

    /// Calls an export with any arguments.
    pub fn try_call(&mut self, name: &str, arguments: &[Val]) -> wasmtime::Result<Option<Val>> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, arguments, &mut results)?;
        Ok(results.pop())
    }

    /// Calls an export that must not fail; what it returns as an integer, 0 without a result.
    #[track_caller]
    pub fn call(&mut self, name: &str, arguments: &[Val]) -> i64 {
        match self.try_call(name, arguments) {
            Ok(Some(Val::I32(value))) => i64::from(value),
            Ok(Some(Val::I64(value))) => value,
            Ok(_) => 0,
            Err(error) => panic!("{name}{arguments:?}: {error:?}"),
        }
    }

    /// A call that must be refused before the function runs, with exactly this message.
    #[track_caller]
    pub fn refused(&mut self, name: &str, arguments: &[Val], message: &str) {
        let error = self.fails(name, arguments, 0);
        assert_eq!(error.to_string(), format!("mock.{name}: {message}"), "{}", self.tier);
        assert!(!error.called, "{error}");
    }

    /// A call that must fail after the function has run, once.
    #[track_caller]
    pub fn fails_after(&mut self, name: &str, arguments: &[Val], message: &str) {
        let error = self.fails(name, arguments, 1);
        let message = format!("mock.{name}: {message}; the native function did run");
        assert_eq!(error.to_string(), message, "{}", self.tier);
        assert!(error.called, "{error}");
    }

    /// A call that must fail with a call error, the function having run so many times; afterwards
    /// a good one must work.
    #[track_caller]
    fn fails(&mut self, name: &str, arguments: &[Val], runs: i64) -> CallError {
        let before = calls();
        let error = match self.try_call(name, arguments) {
            Ok(result) => panic!("{name}{arguments:?} on {}: returned {result:?}", self.tier),
            Err(error) => error,
        };
        assert_eq!(calls() - before, runs, "{name}{arguments:?} on {}: calls", self.tier);
        let error = error.downcast::<CallError>();
        let error = error.unwrap_or_else(|error| panic!("{name}: no call error: {error:?}"));
        self.works();
        error
    }

    /// The store can still be used.
    #[track_caller]
    pub fn works(&mut self) {
        let before = calls();
        assert_eq!(self.call("ordered", &[Val::I32(2), Val::I32(5)]), 3);
        assert_eq!(calls(), before + 1);
    }

    /// Writes to the guest's memory.
    pub fn write(&mut self, at: i32, bytes: &[u8]) {
        let at = usize::try_from(at).expect("an address");
        self.memory.data_mut(&mut self.store)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Reads from it.
    pub fn read<const N: usize>(&self, at: i32) -> [u8; N] {
        let at = usize::try_from(at).expect("an address");
        self.memory.data(&self.store)[at..at + N].try_into().expect("so many bytes")
    }
}

/// Runs a test on every tier.
pub fn everywhere(test: impl Fn(&mut World)) {
    for tier in TIERS {
        test(&mut World::new(tier));
    }
}

/// The error of a guest that must not be linked; nothing of the library may run.
#[track_caller]
pub fn not_linked(bridge: &Bridge, guest: &str) -> LinkError {
    let module = Module::new(bridge.engine(), guest).unwrap_or_else(|error| panic!("{error:?}"));
    let mut store = Store::new(bridge.engine(), Natives::default());
    let linker = Linker::new(bridge.engine());
    let before = calls();
    let Err(error) = bridge.instantiate(&mut store, &linker, &module, |natives| natives) else {
        panic!("this guest must not be linked:\n{guest}")
    };
    assert_eq!(calls(), before);
    error.downcast::<LinkError>().unwrap_or_else(|error| panic!("no link error: {error:?}"))
}
