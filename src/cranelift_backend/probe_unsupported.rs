//! Where there are no trampolines nothing is tried.
use super::Unsupported;
use super::compile::Compiler;

/// Never reached: there is no compiler.
pub(super) fn try_everything(_: &Compiler) -> Result<(), Unsupported> {
    Err(Unsupported::Machine)
}

/// Never succeeds: there is nothing to try.
///
/// # Errors
/// Always.
pub fn attempt(_: &super::signature::NativeSignature) -> Result<(), Unsupported> {
    Err(Unsupported::Machine)
}
