//! The signature language: text in, types with spans out, and back.
//!
//! Pure: this module knows nothing of layouts, ABIs, wasm or native libraries.
mod interface;
mod types;

pub use interface::*;
pub use types::*;
