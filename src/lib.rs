//! Calls native C libraries from WebAssembly, by signature.
//!
//! A guest names an import by a C prototype. A [`host::Bridge`] knows which functions its embedder grants,
//! compiles each into a verified plan, and makes the calls. Nothing is callable that was not granted,
//! and every pointer is checked.
//!
//! ```
//! use portcullis::host::{Bridge, Natives};
//! use portcullis::interfaces;
//! use wasmtime::{Engine, Linker, Module, Store};
//!
//! #[derive(Default)]
//! struct State {
//!     natives: Natives,
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let engine = Engine::default();
//! let bridge = Bridge::builder(&engine).grant(interfaces::libm())?.build()?; // shared by all stores
//!
//! let module = Module::new(
//!     &engine,
//!     r#"(module
//!         (import "libm.so.6" "double hypot(double, double)"
//!             (func $hypot (param f64 f64) (result f64)))
//!         (func (export "diagonal") (param f64 f64) (result f64)
//!             (call $hypot (local.get 0) (local.get 1))))"#,
//! )?;
//! let mut store = Store::new(&engine, State::default());
//! let linker = Linker::new(&engine); // for imports that no interface knows, WASI and the like
//! let instance =
//!     bridge.instantiate(&mut store, &linker, &module, |state: &mut State| &mut state.natives)?;
//! let diagonal = instance.get_typed_func::<(f64, f64), f64>(&mut store, "diagonal")?;
//! assert_eq!(diagonal.call(&mut store, (3.0, 4.0))?, 5.0);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`host`] | the bridge to wasmtime: grants, libraries, handles, calls, errors |
//! | [`interfaces`] | the interfaces that ship |
//! | [`ffi`] | calls and closures on plain C values, without WebAssembly |
//! | [`signature`] | prototypes and interfaces: text, types, annotations, diagnostics |
//! | `cranelift_backend` | trampolines: machine code for plans (features `cranelift` and `trampolines`) |
//! | `profile` | where a guest's time goes: its own code, native code, making calls (feature `cranelift`) |
//! | [`plan`] | layouts, assignments, plans, their verifier and interpreter |
#[cfg(feature = "cli")]
#[cfg_attr(not(feature = "cranelift"), path = "bench/without_compiler.rs")]
pub mod bench;
#[cfg(feature = "trampolines")]
pub mod cranelift_backend;
pub mod ffi;
pub mod host;
pub mod interfaces;
pub mod plan;
#[cfg(feature = "cranelift")]
pub mod profile;
pub mod signature;
