//! The library that the tests call, and guests for it.
#![expect(unsafe_code, reason = "grants a C library")]
use crate::native;
use portcullis::host::{Bridge, BridgeBuilder, Natives};
use portcullis::plan::{CallError, CallbackProblem, Problem};
use std::sync::OnceLock;
use tempfile::TempDir;
use wasmtime::{Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

const SOURCE: &str = include_str!("library.c");
const INTERFACE: &str = include_str!("library.h");

/// What an embedder keeps in its store.
#[derive(Debug, Default)]
pub struct State {
    pub natives: Natives,
}

fn natives(state: &mut State) -> &mut Natives {
    &mut state.natives
}

fn file() -> &'static str {
    static FILE: OnceLock<(TempDir, String)> = OnceLock::new();
    let (_, file) = FILE.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let library = native::compile(folder.path(), "libcb.so", SOURCE, &["-O1", "-pthread"]);
        let name = library.to_str().expect("UTF-8").to_owned();
        (folder, name)
    });
    file
}

/// A builder that grants the library.
pub fn builder(engine: &Engine) -> BridgeBuilder {
    let interface = INTERFACE.replace("@LIBRARY@", file());
    // SAFETY: the interface is true of the library.
    let builder = unsafe {
        Bridge::builder(engine).max_tier(crate::MOST).grant_interface("library.h", &interface)
    };
    builder.unwrap_or_else(|error| panic!("{error}"))
}

/// A bridge that grants the library.
pub fn bridge() -> Bridge {
    builder(&Engine::default()).build().expect("it can be built")
}

/// A guest in a store of its own.
#[derive(Debug)]
pub struct Guest {
    pub store: Store<State>,
    pub instance: Instance,
}

/// What every guest of these tests has: memory, table, and an allocator that counts.
const COMMON: &str = r#"
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (global $live (export "live") (mut i32) (i32.const 0))
    (func (export "malloc") (param $n i32) (result i32)
        (global.set $live (i32.add (global.get $live) (i32.const 1)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next)
            (i32.and (i32.add (local.get $n) (i32.const 31)) (i32.const -16)))))
    (func (export "free") (param i32)
        (global.set $live (i32.sub (global.get $live) (i32.const 1))))
"#;

/// The text of a guest: imports, and functions of which some are in the table, from index 1 on.
pub fn text(imports: &[(&str, &str)], elements: &str, functions: &str) -> String {
    let mut all = String::new();
    for (name, ty) in imports {
        all += &format!("(import \"cb\" \"{name}\" (func ${name} {ty}))\n");
    }
    format!(
        "(module {all}
        (import \"portcullis\" \"release_callback\" (func $release (param i32)))
        {COMMON}
        (table (export \"__indirect_function_table\") 64 funcref)
        (elem (i32.const 1) func {elements})
        {functions})"
    )
}

impl Guest {
    pub fn new(bridge: &Bridge, text: &str) -> Guest {
        Guest::try_new(bridge, text).unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub fn try_new(bridge: &Bridge, text: &str) -> wasmtime::Result<Guest> {
        let module = Module::new(bridge.engine(), text)?;
        let mut store = Store::new(bridge.engine(), State::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, natives)?;
        Ok(Guest { store, instance })
    }

    pub fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name)?;
        function.call(&mut self.store, params)
    }

    #[track_caller]
    pub fn run<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        self.call(name, params).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// How much of the guest's memory its allocator has given and not been given back.
    pub fn live(&mut self) -> i32 {
        let live = self.instance.get_global(&mut self.store, "live").expect("it is exported");
        live.get(&mut self.store).unwrap_i32()
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        memory.write(&mut self.store, at, bytes).expect("inside");
    }

    pub fn read(&mut self, at: usize, len: usize) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        memory.data(&self.store)[at..at + len].to_vec()
    }
}

/// The error of a call that must fail.
#[track_caller]
pub fn trapped<R>(result: wasmtime::Result<R>) -> CallError {
    let Err(error) = result else { panic!("this call must fail") };
    error.downcast::<CallError>().unwrap_or_else(|error| panic!("no call error: {error:?}"))
}

/// What is wrong with a callback.
#[track_caller]
pub fn refused<R>(result: wasmtime::Result<R>) -> CallbackProblem {
    match trapped(result).problem {
        Problem::Callback(problem) => *problem,
        other => panic!("something else is wrong: {other}"),
    }
}
