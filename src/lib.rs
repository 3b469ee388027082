//! Calls native C libraries from WebAssembly, by signature.
pub mod plan;
pub mod signature;
