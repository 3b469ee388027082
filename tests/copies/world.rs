//! The library, and guests that call it.
#![expect(unsafe_code, reason = "the library is called, its interface is vouched for")]
use crate::native;
use libloading::Library;
use portcullis::host::{Bridge, LinkError, Natives};
use portcullis::plan::{CallError, Limits};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

const INTERFACE: &str = include_str!("library.h");

struct Native {
    path: PathBuf,
    library: Library,
    _folder: tempfile::TempDir,
}

fn library() -> &'static Native {
    static NATIVE: OnceLock<Native> = OnceLock::new();
    NATIVE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = include_str!("library.c");
        let path = native::compile(folder.path(), "libcopies.so", source, &["-O1"]);
        // SAFETY: it has no constructors.
        let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{error}"));
        Native { path, library, _folder: folder }
    })
}

/// What the library has freed on this thread: people, and a thousand for each box.
pub fn freed() -> i64 {
    // SAFETY: it is `long f(void)`.
    let function = unsafe { library().library.get::<extern "C" fn() -> i64>("copies_freed") };
    function.expect("it is there")()
}

/// The imports: name, parameters, result; `p` is as wide as a pointer or a `long`.
const IMPORTS: &[(&str, &str, &str)] = &[
    ("pair_static", "i64", "p"),
    ("people_new", "i32", "p"),
    ("people_out", "i32 p", "i32"),
    ("people_free", "p", ""),
    ("box_people", "p i32", "p"),
    ("ring", "i32", "p"),
    ("endless", "", "p"),
    ("table_of", "i32", "p"),
    ("names", "", "p"),
    ("pairs", "i32", "p"),
    ("vec_sum", "p i32", "p"),
    ("list_sum", "p", "p"),
    ("arguments", "p", "p"),
    ("options", "p", "p"),
    ("sample_sum", "p", "f64"),
    ("setting_sum", "p", "i32"),
    ("setting_make", "p i32 i32", "i32"),
    ("drain", "p i32", "i32"),
    ("under_two_types", "p", "p"),
    ("hidden_value", "p i32", "i32"),
    ("zone_turn", "p", "i32"),
    ("box_new", "i32", "p"),
    ("box_get", "p", "i32"),
    ("box_free", "p", ""),
    ("boxes_new", "p i32 i32", "i32"),
    ("boxes_sum", "p i32", "i32"),
    ("held_swap", "p i64", "i32"),
    ("long_out", "p i64", "p"),
    ("nothing_out", "p", ""),
    ("tails_ended_first", "p p i32", "p"),
    ("tails_counted_first", "p p i32", "p"),
    ("pairs_move", "p p i32 i32", "i32"),
    ("pairs_sum", "p p i32 i32", "p"),
    ("twigs", "p", "i32"),
    ("twigs_read", "p", "i32"),
    ("pairs_fill", "p p", "i32"),
    ("many_sum", "p", "p"),
    ("square_sum", "p", "p"),
    ("nones", "p p", "i32"),
    ("nones_out", "p p", "i32"),
    ("hollows", "p", "i32"),
    ("flat_steady", "p p i32", "i32"),
    ("flat_copy", "p p", "i32"),
    ("word_steady", "p p", "i32"),
    ("flat_only", "p", "i32"),
    ("box_show", "p p", ""),
];

/// A guest that exports a function for each import, which calls it, and an allocator that never uses
/// memory again and counts.
pub fn guest(module: &str, declared: &[(&str, &str, &str)], wide: bool) -> String {
    let word = if wide { "i64" } else { "i32" };
    let mut imports = String::new();
    let mut functions = String::new();
    for (name, params, result) in declared {
        let params = params.replace('p', word);
        let count = params.split_whitespace().count();
        let arguments: String = (0..count).map(|at| format!(" (local.get {at})")).collect();
        let result = result.replace('p', word);
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let ty = format!("(param {params}) {result}");
        writeln!(imports, "(import \"{module}\" \"{name}\" (func ${name} {ty}))")
            .expect("a string");
        writeln!(functions, "(func (export \"{name}\") {ty} (call ${name}{arguments}))")
            .expect("a string");
    }
    let memory = if wide { "i64 400 400" } else { "400 400" };
    format!(
        r#"(module {imports}
        (memory (export "memory") {memory})
        (global $end (mut {word}) ({word}.const 65536))
        (global $allocated (mut i32) (i32.const 0))
        (global $given_back (mut i32) (i32.const 0))
        (func (export "allocated") (result i32) (global.get $allocated))
        (func (export "given_back") (result i32) (global.get $given_back))
        (func (export "malloc") (param $size {word}) (result {word})
            (global.set $allocated (i32.add (global.get $allocated) (i32.const 1)))
            (global.get $end)
            (global.set $end ({word}.and ({word}.const -16)
                ({word}.add (global.get $end) ({word}.add (local.get $size) ({word}.const 31))))))
        (func (export "free") (param {word})
            (global.set $given_back (i32.add (global.get $given_back) (i32.const 1))))
        {functions})"#
    )
}

/// A bridge that grants the library.
pub fn bridge(limits: Limits) -> Bridge {
    let engine = Engine::default();
    let builder = Bridge::builder(&engine).max_tier(crate::MOST).limits(limits);
    let builder = builder.library("libcopies.so", &library().path).expect("an absolute path");
    // SAFETY: the interface is true of the library.
    let builder = unsafe { builder.grant_interface("library.h", INTERFACE) };
    let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build();
    bridge.unwrap_or_else(|error| panic!("{error}"))
}

/// A store with a guest.
pub struct World {
    pub wide: bool,
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
}

impl World {
    pub fn new(wide: bool) -> World {
        World::with_limits(wide, Limits::default())
    }

    pub fn with_limits(wide: bool, limits: Limits) -> World {
        World::of(&bridge(limits), wide, &guest("copies", IMPORTS, wide))
    }

    pub fn of(bridge: &Bridge, wide: bool, guest: &str) -> World {
        let module = Module::new(bridge.engine(), guest);
        let module = module.unwrap_or_else(|error| panic!("{error:?}"));
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => match error.downcast::<LinkError>() {
                Ok(error) => panic!("{error}"),
                Err(error) => panic!("{error:?}"),
            },
        };
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        World { wide, store, instance, memory }
    }

    fn try_call(&mut self, name: &str, arguments: &[i64]) -> wasmtime::Result<i64> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let ty = function.ty(&self.store);
        let given: Vec<Val> = ty
            .params()
            .zip(arguments)
            .map(|(ty, value)| {
                let narrow = ty.is_i32();
                if narrow { Val::I32(*value as i32) } else { Val::I64(*value) }
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function.call(&mut self.store, &given, &mut results)?;
        Ok(match results.first() {
            Some(Val::I32(value)) => i64::from(*value),
            Some(Val::I64(value)) => *value,
            Some(Val::F64(bits)) => f64::from_bits(*bits) as i64,
            _ => 0,
        })
    }

    #[track_caller]
    pub fn call(&mut self, name: &str, arguments: &[i64]) -> i64 {
        match self.try_call(name, arguments) {
            Ok(value) => value,
            Err(error) => panic!("{name}{arguments:?}: {error:?}"),
        }
    }

    /// The error of a call that must fail, without the function's name; whether the function ran.
    #[track_caller]
    pub fn fails(&mut self, name: &str, arguments: &[i64]) -> (String, bool) {
        let error = match self.try_call(name, arguments) {
            Ok(value) => panic!("{name}{arguments:?} returned {value}"),
            Err(error) => error,
        };
        let error = error.downcast::<CallError>();
        let error = error.unwrap_or_else(|error| panic!("{name}: no call error: {error:?}"));
        let text = error.to_string();
        let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
        (text.replace("; the native function did run", ""), error.called)
    }

    /// A call that must end in a trap of the guest's own.
    #[track_caller]
    pub fn traps(&mut self, name: &str, arguments: &[i64]) {
        let error = self.try_call(name, arguments).expect_err("the guest traps");
        assert!(error.downcast_ref::<wasmtime::Trap>().is_some(), "{name}: {error:?}");
    }

    pub fn write(&mut self, at: i64, bytes: &[u8]) {
        let at = usize::try_from(at).expect("an address");
        self.memory.data_mut(&mut self.store)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn bytes(&self, at: i64, len: usize) -> Vec<u8> {
        let at = usize::try_from(at).expect("an address");
        self.memory.data(&self.store)[at..at + len].to_vec()
    }

    pub fn int(&self, at: i64) -> i64 {
        i32::from_le_bytes(self.bytes(at, 4).try_into().expect("four")).into()
    }

    /// A pointer or a `long`.
    pub fn word(&self, at: i64) -> i64 {
        if !self.wide {
            return self.int(at);
        }
        i64::from_le_bytes(self.bytes(at, 8).try_into().expect("eight"))
    }

    pub fn text(&self, at: i64) -> String {
        let bytes = self.bytes(at, 64);
        let end = bytes.iter().position(|byte| *byte == 0).expect("it ends");
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Size of a pointer.
    pub fn size(&self) -> i64 {
        if self.wide { 8 } else { 4 }
    }

    pub fn put_int(&mut self, at: i64, value: i64) {
        self.write(at, &value.to_le_bytes()[..4]);
    }

    pub fn put_word(&mut self, at: i64, value: i64) {
        let size = if self.wide { 8 } else { 4 };
        self.write(at, &value.to_le_bytes()[..size]);
    }

    /// How often the guest's `malloc` and `free` were called.
    pub fn counts(&mut self) -> (i64, i64) {
        (self.call("allocated", &[]), self.call("given_back", &[]))
    }
}

/// Runs a test in a guest of either data model.
pub fn both(test: impl Fn(&mut World)) {
    test(&mut World::new(false));
    test(&mut World::new(true));
}
