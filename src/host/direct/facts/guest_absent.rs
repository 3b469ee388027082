//! No guest of a trial: the crate was built without the feature `cranelift`.
use wasmtime::{Engine, Module};

/// Nobody compiles guests.
pub(super) fn kind(_: &Engine) -> Option<u64> {
    None
}

/// # Errors
/// Always.
pub(super) fn compiled(_: &Engine) -> wasmtime::Result<Module> {
    Err(wasmtime::Error::msg("built without a compiler (feature `cranelift`)"))
}
