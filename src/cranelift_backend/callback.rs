//! Compiled entries of closures: what native code calls that guests have handed out.
//!
//! ```text
//! result f(C's integers .., closure, C's floats ..)
//!
//! head     r11 becomes the closure's argument: a stub has jumped here
//! entry    each argument into its guest slot; what does not fit goes to ─> back: the interpreter makes the call
//! enter    a routine of the host's, which looks whether guest code may run here, and runs it
//! result   from the first slot: the guest's, or what C gets of a trap
//! ```
//!
//! The closure is the integer argument behind C's own, in a register that means nothing to C. Arguments on the
//! stack are left to the interpreter, and so is whatever is more than a scalar, a cookie or a pointer into the
//! guest's own memory.
//!
//! Not here: the way from a closure's stub into such code, and what `enter` looks at
//! (`plan::interpret::callback`).
use super::code_memory::{Code as CodeMemory, Near};
use super::machine::MadeCallback;
use super::{Unsupported, make};
use crate::plan::Plan;
use crate::plan::interpret::callback::{Code, MOST_INTEGERS};
use std::sync::Arc;

#[cfg(feature = "cranelift")]
pub(super) use lower::lower;

#[cfg(feature = "cranelift")]
mod lower;
#[cfg(feature = "cranelift")]
mod read;

/// Bytes before Cranelift's code.
const HEAD: usize = 16;

/// The compiled entry of closures of one type.
#[derive(Debug)]
pub struct Typed {
    code: CodeMemory,
    integers: u8,
}

// SAFETY: code is the same on every thread.
unsafe impl Send for Typed {}
// SAFETY: likewise; nothing of it changes.
unsafe impl Sync for Typed {}

impl Typed {
    /// The entry of closures whose calls that plan describes.
    ///
    /// # Errors
    /// Why the interpreter makes all of them.
    pub fn compile(plan: &Plan) -> Result<Typed, Unsupported> {
        Typed::place(&make::callback(plan)?)
    }

    /// Gives an entry a place.
    pub(super) fn place(made: &MadeCallback) -> Result<Typed, Unsupported> {
        Ok(Typed { code: place(made)?, integers: made.integers })
    }

    /// What closures of the type [install](crate::plan::interpret::callback::Closure::install).
    #[must_use]
    pub fn entry(self: &Arc<Typed>) -> Code {
        let owner = Arc::clone(self);
        Code { start: self.code.start().cast(), integers: self.integers, owner }
    }

    /// Size of its code in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.code.size()
    }
}

/// What stands in front of Cranelift's code: the closure, which is in r11, becomes the integer argument behind so many.
///
/// # Errors
/// When there are more than arguments in registers.
pub(super) fn head(integers: u8) -> Result<[u8; HEAD], Unsupported> {
    // `mov` of r11 to rdi, rsi, rdx, rcx, r8, r9.
    const MOVES: [[u8; 3]; MOST_INTEGERS as usize + 1] = [
        [0x4c, 0x89, 0xdf],
        [0x4c, 0x89, 0xde],
        [0x4c, 0x89, 0xda],
        [0x4c, 0x89, 0xd9],
        [0x4d, 0x89, 0xd8],
        [0x4d, 0x89, 0xd9],
    ];
    let to_register = MOVES.get(usize::from(integers)).ok_or(Unsupported::CallbackStack)?;
    // endbr64, and a `nop` of nine bytes behind the `mov`.
    let mut head = [0xf3, 0x0f, 0x1e, 0xfa, 0, 0, 0, 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    head[4..7].copy_from_slice(to_register);
    Ok(head)
}

/// Gives the code a place, behind the instruction that stubs jump to.
fn place(
    MadeCallback { machine: made, integers }: &MadeCallback,
) -> Result<CodeMemory, Unsupported> {
    let mut bytes = head(*integers)?.to_vec();
    if let Some(patch) = made.patches.first() {
        return Err(Unsupported::Patch { at: patch.at });
    }
    bytes.extend(&made.bytes);
    let code = CodeMemory::near(Near::Program, &bytes, made.align);
    let mut code = code.map_err(|error| Unsupported::Memory(error.to_string()))?;
    if let Some(table) = &made.table {
        code.describe(table.register(code.start().wrapping_add(HEAD)));
    }
    Ok(code)
}
