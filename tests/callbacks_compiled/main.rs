//! The tests of `tests/callbacks` once more, with machine code for every function.
#![cfg(feature = "cranelift")]
#[path = "../callbacks/data.rs"]
mod data;
#[path = "../callbacks/embedding.rs"]
mod embedding;
#[path = "../callbacks/hostile.rs"]
mod hostile;
mod hot;
#[path = "../callbacks/kept.rs"]
mod kept;
#[path = "../callbacks/library.rs"]
mod library;
#[path = "../callbacks/pointers.rs"]
mod pointers;
#[path = "../callbacks/random.rs"]
mod random;
#[path = "../callbacks/reentry.rs"]
mod reentry;
#[path = "../callbacks/values.rs"]
mod values;

#[path = "../support/native.rs"]
mod native;
#[path = "../support/rng.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod rng;

/// The tier that calls use where they can.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Cranelift;
