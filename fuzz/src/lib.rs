//! The generators and checks of `tests/fuzzing`, where the targets find them.
pub use portcullis::{plan, signature};

#[path = "../../tests/fuzzing/mod.rs"]
pub mod fuzzing;
