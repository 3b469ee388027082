//! Code for plans, in both ways of entering it.
use super::Unsupported;
use super::compile::compiler;
use super::jump::{Jump, jump};
use super::lower::Way;
use super::machine::{Machine, MadeDirect};
use crate::plan::Plan;

/// What an ordinary host function enters.
///
/// # Errors
/// Why there is none.
pub(super) fn array(plan: &Plan) -> Result<Machine, Unsupported> {
    Ok(compiler()?.compile(plan, Way::Array)?.0)
}

/// What the guest's code enters.
///
/// # Errors
/// Why there is none.
pub(super) fn direct(plan: &Plan) -> Result<MadeDirect, Unsupported> {
    // Asked for first: without a compiler whose calls have been tried there is no code at all.
    let compiler = compiler()?;
    if let Some(Jump { machine, .. }) = jump(plan) {
        return Ok(MadeDirect { machine, resumes: false });
    }
    let (machine, resumes) = compiler.compile(plan, Way::Direct)?;
    Ok(MadeDirect { machine, resumes })
}

/// What code may need of the processor, as Cranelift calls it.
///
/// # Errors
/// When there is no compiler for this machine.
pub(super) fn features() -> Result<Vec<Box<str>>, Unsupported> {
    Ok(compiler()?.features())
}
