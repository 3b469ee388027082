//! What fuzzing does: generators and checks, each a function of bytes.
//!
//! ```text
//! source      bytes to choices
//! text        choices to prototypes and interfaces
//! prototypes  reading, printing, compiling          fuzz/fuzz_targets/prototypes.rs
//! plans       compiling, tampering, verifying, running  fuzz/fuzz_targets/plans.rs
//! calls       whole calls on every tier                 fuzz/fuzz_targets/calls.rs
//! guests      programs of guests                        fuzz/fuzz_targets/guests.rs
//! meter       how much was allocated meanwhile
//! tally       what became of the inputs
//! ```
//!
//! The targets in `fuzz` are glue, and so is `tests/fuzz`, which runs the same checks on fixed seeds and
//! on the committed corpus. A check panics when something is wrong. Whoever includes this folder has the
//! names `plan` and `signature` of the library in its root, as the library itself has: code of its own
//! tests is used here, too.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each crate that includes this uses another part of it"
)]

pub mod calls;
pub mod guests;
pub mod meter;
pub mod plans;
pub mod prototypes;
pub mod source;
pub mod tally;
pub mod text;
