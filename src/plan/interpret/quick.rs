//! The short way through simple plans: no errors are made here, nothing is recorded.
//!
//! When a check fails, nothing has happened yet and the whole plan is run again the long way, which
//! makes the error; a result that does not fit is handed on.
use super::enter;
use super::result::{Both, Misfit, give};
use super::{SMALL_FRAME, SmallFrame, before_call, enter_with};
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::op::Stub;
use crate::plan::{Facts, Plan};
use std::mem::MaybeUninit;
use std::ptr;

/// How the interpreter must go on where something faster has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A check failed before the call: nothing has happened.
    Redo,
    /// The result does not fit: the function has run and returned this.
    Resume {
        /// The raw integer result.
        integer: u64,
    },
}

/// Whether [`run_quickly`] takes a plan: nothing is left to do after the call but to give the
/// result, and *before* leaves nothing behind when it fails.
#[must_use]
pub fn is_quick(plan: &Plan) -> bool {
    let Facts { after, errno, marks, leaf: _, memory: _, allocates: _, wide: _ } = plan.facts;
    !after && !errno && !marks && usize::from(plan.frame.size) <= SMALL_FRAME
}

/// Makes one call of a plan that [`is_quick`]. It makes no errors, so that it can be short.
///
/// # Errors
/// How [`run`](super::run) or [`resume_with`](super::resume_with) must go on.
///
/// # Safety
/// As [`run`](super::run), and the plan is quick.
#[inline]
pub unsafe fn run_quickly(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
) -> Result<(), Fallback> {
    let mut small = SmallFrame(MaybeUninit::uninit());
    let frame = ptr::from_mut(&mut small).cast::<FrameHead>();
    let mut memory = None;
    // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
    unsafe {
        let prepared = before_call(frame, plan, binding, slots, &mut memory);
        let (stub, returns) = prepared.map_err(|_| Fallback::Redo)?;
        let both = match stub {
            Stub::Integers => enter::quick_integers(frame, binding.target),
            Stub::Registers => enter::quick_registers(frame, binding.target),
            Stub::Stack | Stub::Whole { .. } => {
                enter_with(plan, binding, frame, stub);
                Both::of(&(*frame).record)
            }
        };
        give(returns, &both, slots).map_err(|Misfit| Fallback::Resume { integer: both.integer })
    }
}
