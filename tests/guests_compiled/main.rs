//! The tests of `tests/guests.rs` once more, with machine code for every function.
#![cfg(all(feature = "cranelift", feature = "cli"))]
#[path = "../guests.rs"]
mod guests;
