//! Code for plans: in both ways of entering it, and of those of callbacks.
use super::Unsupported;
use super::compile::compiler;
use super::jump::{Jump, jump};
use super::lower::{Lowered, Way};
use super::machine::{Machine, MadeCallback, MadeDirect};
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

/// What native code enters when it calls closures whose calls that plan describes.
///
/// # Errors
/// Why the interpreter makes all of them.
pub(super) fn callback(plan: &Plan) -> Result<MadeCallback, Unsupported> {
    let compiler = compiler()?;
    let Lowered { function, notes, signature, .. } = compiler.lower(plan, Way::Array)?;
    let machine = compiler.finish(function, &notes.outside)?;
    Ok(MadeCallback { machine, integers: signature.integers.saturating_sub(1) })
}

/// What code may need of the processor, as Cranelift calls it.
///
/// # Errors
/// When there is no compiler for this machine.
pub(super) fn features() -> Result<Vec<Box<str>>, Unsupported> {
    Ok(compiler()?.features())
}
