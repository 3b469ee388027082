//! The generators and checks of `tests/fuzzing`, where the targets find them, and what these share with the suites.
#![allow(dead_code, missing_docs, reason = "they are documented where they are tested")]
pub use portcullis::{plan, signature};

#[path = "../../tests/fuzzing/mod.rs"]
pub mod fuzzing;

#[path = "../../tests/differential/case.rs"]
mod case;
#[path = "../../tests/differential/compare.rs"]
mod compare;
#[path = "../../tests/differential/generate.rs"]
mod generate;
#[path = "../../tests/differential/model.rs"]
mod model;
#[path = "../../tests/fuzzing/rng.rs"]
mod rng;
#[path = "../../tests/differential/text.rs"]
mod text;
