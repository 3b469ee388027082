//! No code is made: the crate was built without the feature `cranelift`.
use super::Unsupported;
use super::machine::{Machine, MadeCallback, MadeDirect};
use crate::plan::Plan;

/// # Errors
/// Always.
pub(super) fn array(_: &Plan) -> Result<Machine, Unsupported> {
    Err(Unsupported::NoCompiler)
}

/// # Errors
/// Always.
pub(super) fn direct(_: &Plan) -> Result<MadeDirect, Unsupported> {
    Err(Unsupported::NoCompiler)
}

/// # Errors
/// Always.
pub(super) fn callback(_: &Plan) -> Result<MadeCallback, Unsupported> {
    Err(Unsupported::NoCompiler)
}

/// # Errors
/// Always.
pub(super) fn features() -> Result<Vec<Box<str>>, Unsupported> {
    Err(Unsupported::NoCompiler)
}
