//! Direct calls: what is special about them. That they do what all tiers do is tested with the cases of all
//! tiers (`tests/bridge_direct`, `tests/hostile`, `tests/differential`).
#![cfg(all(feature = "cranelift", target_arch = "x86_64"))]
mod backtraces;
mod by_hand;
mod doors;
mod hot;
mod library;
mod load;
mod memories;
mod overloads;
mod random;
mod sharing;
mod straight;
mod ways;

#[path = "../support/native.rs"]
mod native;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod rng;

use portcullis::host::{Bridge, Natives};
use wasmtime::{Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

/// What all guests import.
pub(crate) const IMPORTS: &str = r#"
    (import "direct" "here" (func $here (result i64)))
    (import "direct" "here_int" (func $here_int (param i32 i64 f64) (result i64)))
    (import "direct" "here_buffer" (func $here_buffer (param i32 i32) (result i64)))
    (import "direct" "here_text" (func $here_text (param i32) (result i64)))
    (import "direct" "here_thing" (func $here_thing (param i32) (result i64)))
    (import "direct" "caller_many" (func $caller_many (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
    (import "direct" "caller_cell" (func $caller_cell (param i32) (result i64)))
    (import "direct" "low" (func $low (param i32) (result i32)))
    (import "direct" "add" (func $add (param i32 i32) (result i32)))
    (import "direct" "twice" (func $twice (param i64) (result i32)))
    (import "direct" "sum" (func $sum (param i32 f32 i64 f64 i32 i32 i32 i64 f32 f64 f64 f64 f64 f64 f32 f64 i32 i32 i32)
        (result f64)))
    (import "direct" "fill" (func $fill (param i32 i32 i32)))
    (import "direct" "split" (func $split (param i64 i32 i32)))
    (import "direct" "fail_with" (func $fail_with (param i32) (result i32)))
    (import "portcullis" "errno" (func $errno (result i32)))
    (import "direct" "thing_open" (func $thing_open (param i32) (result i32)))
    (import "direct" "thing_id" (func $thing_id (param i32) (result i32)))
    (import "direct" "thing_close" (func $thing_close (param i32)))
    (import "direct" "by_host" (func $by_host (param i32 f64) (result i32)))
"#;

/// A guest with that in it, behind the imports.
pub(crate) fn guest(rest: &str) -> String {
    format!("(module {IMPORTS} {rest})")
}

/// An instance in a store of its own.
pub(crate) struct World {
    pub store: Store<Natives>,
    pub instance: Instance,
}

impl World {
    pub fn new(bridge: &Bridge, text: &str) -> World {
        let module = Module::new(bridge.engine(), text).unwrap_or_else(|error| panic!("{error:?}"));
        World::of(bridge, &module)
    }

    pub fn of(bridge: &Bridge, module: &Module) -> World {
        let mut store = Store::new(bridge.engine(), Natives::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, module, |natives| natives);
        World { instance: instance.unwrap_or_else(|error| panic!("{error:?}")), store }
    }

    pub fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        let f = self.instance.get_typed_func::<P, R>(&mut self.store, name);
        f.expect("it is exported").call(&mut self.store, params)
    }
}

pub(crate) fn bridge() -> Bridge {
    library::granted(&Engine::default()).build().expect("a bridge")
}
