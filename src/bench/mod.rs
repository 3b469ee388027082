//! What calls cost, measured: the harness of `portcullis bench` and of the crate's own benchmarks.
//!
//! A [`Row`] is a C function with a loop around it, in C and in wasm; its [contenders](guests) make the same
//! calls in different ways. [`harness`] runs them interleaved on one [core](machine), [`statistics`] sums up,
//! [`model`] is what is kept, and [`text`] and [`html`] show it.
//!
//! It is part of the program, not of the library's promises: it is there with the feature `cli` and may change.
mod code;
pub mod document;
mod grid;
pub mod guests;
pub mod harness;
pub mod html;
mod libraries;
pub mod machine;
mod memory;
pub mod model;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "near_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "near_absent.rs")]
pub mod near;
mod objects;
mod overloads;
pub mod own;
pub mod plots;
pub mod row;
mod run;
mod scalars;
pub mod statistics;
pub mod svg;
pub mod text;

pub use row::Row;
pub use run::{FULL, Options, QUICK, run};

/// The rows that ship.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = scalars::rows();
    rows.extend(memory::rows());
    rows.extend(objects::rows());
    rows.extend(overloads::rows());
    rows.extend(libraries::rows());
    rows
}
