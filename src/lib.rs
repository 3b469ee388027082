//! Calls native C libraries from WebAssembly, by signature.
pub mod ffi;
pub mod host;
pub mod interfaces;
pub mod plan;
pub mod signature;
