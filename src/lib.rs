//! Calls native C libraries from WebAssembly, by signature.
pub mod signature;
