//! What a guest's native calls cost it, and whether a faster way to make them would help.
//!
//! ```text
//! Calibration::measure   what a call costs that does nothing, what the clock costs
//! host::Recording        what calls were made, and when            (plan::recorder)
//! Profile::new           both together: times net of the profile's own cost, sums that add up
//! text, folded           something to read; `Profile` itself is serializable
//! ```
//!
//! ```
//! use portcullis::host::{Bridge, Natives, Recording, Tier};
//! use portcullis::interfaces;
//! use portcullis::profile::{Calibration, Profile};
//! use wasmtime::{Engine, Linker, Module, Store};
//!
//! #[derive(Default)]
//! struct State { natives: Natives }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let calibration = Calibration::measure(Tier::Direct)?;
//! let recording = Recording::new(calibration.clock, calibration.sampling());
//! recording.phase("start-up");
//! let engine = Engine::default();
//! let bridge = Bridge::builder(&engine).grant(interfaces::libm())?.record(&recording).build()?;
//! let module = Module::new(&engine, r#"(module
//!     (import "libm" "cos" (func $cos (param f64) (result f64)))
//!     (func (export "cos_of") (param f64) (result f64) (call $cos (local.get 0))))"#)?;
//! let mut store = Store::new(&engine, State::default());
//! let linker = Linker::new(&engine);
//! let instance =
//!     bridge.instantiate(&mut store, &linker, &module, |state: &mut State| &mut state.natives)?;
//! let cos_of = instance.get_typed_func::<f64, f64>(&mut store, "cos_of")?;
//! recording.phase("the guest");
//! for x in 0..1000 {
//!     cos_of.call(&mut store, f64::from(x))?;
//! }
//! let profile = Profile::new(&recording.recorded(), &calibration);
//! assert_eq!(profile.imports[0].calls, 1000);
//! println!("{}", portcullis::profile::text::report(&profile));
//! # Ok(())
//! # }
//! ```
mod calibrate;
pub mod folded;
mod model;
mod net;
pub mod text;
mod verdict;

pub use calibrate::{Calibration, Probe};
pub use model::{Costs, Import, Part, Profile, Running, SCHEMA, Ways};
