//! The tests of `tests/lifetimes` once more, with machine code for every function.
#![cfg(feature = "cranelift")]
#![expect(unsafe_code, reason = "grants an interface and reads the journal of a C library")]
#![expect(clippy::cast_possible_truncation, reason = "guest values are 32 bits of 64")]

#[path = "../lifetimes/boxed.rs"]
mod boxed;
#[path = "../lifetimes/captures.rs"]
mod captures;
#[path = "../lifetimes/cells.rs"]
mod cells;
#[path = "../lifetimes/cookies.rs"]
mod cookies;
#[path = "../lifetimes/copies.rs"]
mod copies;
#[path = "../lifetimes/descriptors.rs"]
mod descriptors;
#[path = "../lifetimes/exclusive.rs"]
mod exclusive;
#[path = "../support/native.rs"]
mod native;
#[path = "../lifetimes/nested.rs"]
mod nested;
#[path = "../lifetimes/remembered.rs"]
mod remembered;
#[path = "../lifetimes/teardown.rs"]
mod teardown;
#[path = "../lifetimes/world.rs"]
mod world;

/// The tier that calls use where they can.
const MOST: portcullis::host::Tier = portcullis::host::Tier::Cranelift;
