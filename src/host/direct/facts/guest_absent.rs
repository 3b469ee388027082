//! No guest of a trial: the crate was built without the feature `cranelift`.
use wasmtime::{Engine, Module};

/// # Errors
/// Always.
pub(super) fn compiled(_: &Engine) -> wasmtime::Result<Module> {
    Err(wasmtime::Error::msg("built without a compiler (feature `cranelift`)"))
}
