//! Compiled calls on plain C values: what the `ffi` API enters instead of the interpreter.
use super::code_memory::Code;
use super::compile::compiler;
use super::lower::Way;
use super::{Listing, Unsupported, print};
use crate::plan::{Kind, Plan};
use std::ffi::c_void;
use std::mem::transmute;

/// The code of a plan of the kind [`Call`](Kind::Call).
#[derive(Debug)]
pub struct Plain {
    code: Code,
}

// SAFETY: code is the same on every thread.
unsafe impl Send for Plain {}
// SAFETY: likewise; nothing of it changes.
unsafe impl Sync for Plain {}

/// What such code is: a function, the addresses of its arguments, and of its result's memory.
pub type Call = unsafe extern "C" fn(*const c_void, *const *const c_void, *mut c_void);

impl Plain {
    /// The code of a plan.
    ///
    /// # Errors
    /// Why it has none.
    pub fn compile(plan: &Plan) -> Result<Plain, Unsupported> {
        if plan.kind != Kind::Call {
            return Err(Unsupported::Misplaced { op: 0 });
        }
        let (made, _) = compiler()?.compile(plan, Way::Plain)?;
        Ok(Plain { code: made.place(&plan.handle_kinds)? })
    }

    /// What makes calls as [`native::call`](crate::plan::interpret::native::call) does, as long as this lives.
    #[must_use]
    pub fn call(&self) -> Call {
        // SAFETY: the code is a function of this type: `lower::native::signature`.
        unsafe { transmute::<*const u8, Call>(self.code.start()) }
    }
}

/// What such a plan becomes.
///
/// # Errors
/// Why it has no code.
pub fn plain_listing(plan: &Plan) -> Result<Listing, Unsupported> {
    print::listing_of(plan, Way::Plain)
}
