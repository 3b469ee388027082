//! What the tests share.
use crate::mock;
use portcullis::host::{Bridge, LinkError, Natives};
use portcullis::interfaces;
use portcullis::plan::CallError;
use wasmtime::{Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

/// The ten-line guest.
pub const COS: &str = r#"(module
    (import "libm.so.6" "double cos(double)" (func $cos (param f64) (result f64)))
    (func (export "cos_of") (param f64) (result f64) (call $cos (local.get 0))))"#;

/// What an embedder keeps in its store.
#[derive(Debug, Default)]
pub struct State {
    pub natives: Natives,
}

pub fn natives(state: &mut State) -> &mut Natives {
    &mut state.natives
}

/// A bridge that grants libm.
pub fn libm() -> Bridge {
    let engine = Engine::default();
    let builder = Bridge::builder(&engine).max_tier(crate::MOST);
    builder.grant(interfaces::libm()).unwrap().build().unwrap()
}

/// A bridge that grants the whole mock library.
pub fn mock() -> Bridge {
    mock::granted(&Engine::default(), mock::INTERFACE).build().unwrap()
}

/// An instance in a store of its own.
#[derive(Debug)]
pub struct Guest {
    pub store: Store<State>,
    pub instance: Instance,
}

impl Guest {
    pub fn new(bridge: &Bridge, text: &str) -> wasmtime::Result<Guest> {
        let module = Module::new(bridge.engine(), text)?;
        let mut store = Store::new(bridge.engine(), State::default());
        let linker = Linker::new(bridge.engine());
        let instance = bridge.instantiate(&mut store, &linker, &module, natives)?;
        Ok(Guest { store, instance })
    }

    /// Another instance in the same store.
    pub fn add(&mut self, bridge: &Bridge, text: &str) -> wasmtime::Result<Instance> {
        let module = Module::new(bridge.engine(), text)?;
        let linker = Linker::new(bridge.engine());
        bridge.instantiate(&mut self.store, &linker, &module, natives)
    }

    pub fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        let instance = self.instance;
        self.call_in(&instance, name, params)
    }

    pub fn call_in<P: WasmParams, R: WasmResults>(
        &mut self,
        instance: &Instance,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        instance.get_typed_func::<P, R>(&mut self.store, name)?.call(&mut self.store, params)
    }
}

/// The error of a guest that cannot be linked.
#[track_caller]
pub fn refused(bridge: &Bridge, text: &str) -> LinkError {
    let error = Guest::new(bridge, text).expect_err("this guest must not be linked");
    error.downcast::<LinkError>().unwrap_or_else(|error| panic!("no link error: {error:?}"))
}

/// The error of a call that must fail.
#[track_caller]
pub fn trapped<R>(result: wasmtime::Result<R>) -> CallError {
    let Err(error) = result else { panic!("this call must fail") };
    error.downcast::<CallError>().unwrap_or_else(|error| panic!("no call error: {error:?}"))
}
