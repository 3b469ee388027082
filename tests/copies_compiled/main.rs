//! The tests of `tests/copies` once more, with machine code for every function.
#![cfg(feature = "cranelift")]
#[path = "../copies/functions.rs"]
mod functions;
#[path = "../copies/hostile.rs"]
mod hostile;
#[path = "../support/native.rs"]
mod native;
#[path = "../copies/real.rs"]
mod real;
#[path = "../copies/shared.rs"]
mod shared;
#[path = "../copies/taken.rs"]
mod taken;
#[path = "../copies/world.rs"]
mod world;

/// The tier that calls use where they can.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Cranelift;
