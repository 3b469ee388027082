//! Data behind pointers, copied in both directions: through a bridge, into a library that gcc
//! compiles, and into the C library.
mod functions;
mod hostile;
#[path = "../support/native.rs"]
mod native;
mod real;
mod shared;
mod taken;
mod world;

/// The tier that calls use where they can; `copies_compiled` has another.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Template;
