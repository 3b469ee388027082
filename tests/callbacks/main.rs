//! Guest functions as C function pointers, called by the C library and by a library that gcc compiles.
mod data;
mod embedding;
mod hostile;
mod kept;
mod library;
mod pointers;
mod random;
mod reentry;
mod values;

#[path = "../support/native.rs"]
mod native;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod rng;

/// The tier that calls use where they can; `callbacks_compiled` has another.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Template;
