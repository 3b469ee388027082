//! The library whose objects keep others, and a guest that calls every function of it.
use crate::native;
use libloading::Library;
use portcullis::host::{Bridge, Natives};
use portcullis::plan::{CallError, Limits, Problem};
use portcullis::signature::{Interface, parse_interface};
use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::OnceLock;
use wasmtime::{Engine, Instance, Linker, Module, Store, Val};

const INTERFACE: &str = include_str!("keep.h");

struct Keep {
    path: PathBuf,
    library: Library,
    _folder: tempfile::TempDir,
}

fn keep() -> &'static Keep {
    static KEEP: OnceLock<Keep> = OnceLock::new();
    KEEP.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = native::compile(folder.path(), "libkeep.so", include_str!("keep.c"), &["-O1"]);
        // SAFETY: it has no constructors.
        let library = unsafe { Library::new(&path) }.unwrap_or_else(|error| panic!("{error}"));
        Keep { path, library, _folder: folder }
    })
}

/// What destructors have noted on this thread since it was asked last.
pub fn journal() -> String {
    let library = &keep().library;
    // SAFETY: the types are those of the library's functions; the text is this thread's own.
    unsafe {
        let read = library.get::<extern "C" fn() -> *const std::ffi::c_char>("keep_journal");
        let text = CStr::from_ptr(read.expect("it is defined")()).to_string_lossy().into_owned();
        library.get::<extern "C" fn()>("keep_forget").expect("it is defined")();
        text.trim_end().to_owned()
    }
}

/// A guest of all imports, each called by an export of the same name. Its `malloc` calls the import
/// whose position is in `during`, with the handle in `of`.
fn guest(interface: &Interface) -> String {
    use std::fmt::Write as _;
    let (mut imports, mut functions) = (String::new(), String::new());
    for grant in &interface.grants {
        let prototype = &grant.prototype;
        let lowering = portcullis::plan::compile::lower(
            prototype,
            &interface.scope,
            portcullis::plan::layout::DataModel::Ilp32,
            None,
        );
        let lowering = lowering.unwrap_or_else(|error| panic!("{error}"));
        let name = &prototype.name;
        let ty = lowering.to_string();
        let ty = ty.trim_start_matches("(func").trim_end_matches(')').to_owned() + ")";
        let ty = if lowering.params.is_empty() && lowering.results.is_empty() { "" } else { &ty };
        let arguments: String =
            (0..lowering.params.len()).map(|at| format!(" (local.get {at})")).collect();
        writeln!(imports, "(import \"keep\" \"{name}\" (func ${name} {ty}))").expect("a string");
        writeln!(functions, "(func (export \"{name}\") {ty} (call ${name}{arguments}))")
            .expect("a string");
    }
    format!(
        r#"(module {imports}
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 32768))
        (global $during (export "during") (mut i32) (i32.const 0))
        (global $of (export "of") (mut i32) (i32.const 0))
        (func (export "malloc") (param $size i32) (result i32)
            (local $how i32)
            (local.set $how (global.get $during))
            (global.set $during (i32.const 0))
            (if (i32.eq (local.get $how) (i32.const 1))
                (then (drop (call $node_id (global.get $of)))))
            (if (i32.eq (local.get $how) (i32.const 2))
                (then (drop (call $node_label (global.get $of)))))
            (global.set $next (i32.add (global.get $next) (i32.const 64)))
            (i32.sub (global.get $next) (i32.const 64)))
        (func (export "free") (param i32))
        {functions})"#
    )
}

/// A store with a guest.
pub struct World {
    store: Store<Natives>,
    instance: Instance,
}

impl World {
    pub fn new() -> World {
        World::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> World {
        let interface = parse_interface("keep.h", INTERFACE).unwrap_or_else(|e| panic!("{e}"));
        World::with_guest(limits, &guest(&interface))
    }

    /// With a guest of the test's own.
    pub fn of_guest(guest: &str) -> World {
        World::with_guest(Limits::default(), guest)
    }

    fn with_guest(limits: Limits, guest: &str) -> World {
        let engine = Engine::default();
        let builder = Bridge::builder(&engine).max_tier(crate::MOST).limits(limits);
        let builder = builder.library("libkeep.so", &keep().path).expect("an absolute path");
        // SAFETY: the interface is true of the library.
        let builder = unsafe { builder.grant_interface("keep.h", INTERFACE) };
        let bridge = builder.and_then(|builder| builder.build());
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let module = Module::new(&engine, guest).unwrap_or_else(|e| panic!("{e:?}\n{guest}"));
        let mut store = Store::new(&engine, Natives::default());
        let linker = Linker::new(&engine);
        let instance = bridge.instantiate(&mut store, &linker, &module, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        journal();
        World { store, instance }
    }

    /// Calls an export: integers are converted to its parameters' types.
    pub fn try_call(&mut self, name: &str, arguments: &[i64]) -> Result<i64, Box<CallError>> {
        let function = self.instance.get_func(&mut self.store, name).expect("it is exported");
        let ty = function.ty(&self.store);
        let arguments: Vec<Val> = ty
            .params()
            .zip(arguments)
            .map(|(ty, value)| match ty {
                wasmtime::ValType::I64 => Val::I64(*value),
                _ => Val::I32(*value as i32),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ok(match results.pop() {
                Some(Val::I32(value)) => value.into(),
                Some(Val::I64(value)) => value,
                _ => 0,
            }),
            Err(error) => {
                Err(Box::new(error.downcast().unwrap_or_else(|e| panic!("{name}: {e:?}"))))
            }
        }
    }

    #[track_caller]
    pub fn call(&mut self, name: &str, arguments: &[i64]) -> i64 {
        self.try_call(name, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is wrong with a call before the function runs.
    #[track_caller]
    pub fn refused(&mut self, name: &str, arguments: &[i64]) -> Problem {
        match self.try_call(name, arguments) {
            Ok(result) => panic!("{name}{arguments:?} returned {result}"),
            Err(error) => {
                assert!(!error.called, "{error}");
                error.problem
            }
        }
    }

    /// As it is told.
    #[track_caller]
    pub fn told(&mut self, name: &str, arguments: &[i64]) -> String {
        match self.try_call(name, arguments) {
            Ok(result) => panic!("{name}{arguments:?} returned {result}"),
            Err(error) => error.to_string(),
        }
    }

    pub fn set(&mut self, global: &str, value: i64) {
        let global = self.instance.get_global(&mut self.store, global).expect("it is exported");
        global.set(&mut self.store, Val::I32(value as i32)).expect("it is mutable");
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        memory.data_mut(&mut self.store)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The `i32` there.
    pub fn read(&mut self, at: usize) -> i64 {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        let bytes = &memory.data(&self.store)[at..at + 4];
        i32::from_le_bytes(bytes.try_into().expect("four")).into()
    }

    /// What destructors note when the store goes.
    pub fn end(self) -> String {
        journal();
        drop(self);
        journal()
    }
}
