//! What is left of a call that has stopped behind the native function.
use super::super::{Guest, HeapFrame, Stop, resume};
use crate::plan::Plan;
use crate::plan::frame::FrameHead;

/// The frame of a call whose *after* section is still to be run.
#[derive(Debug)]
pub struct Left(HeapFrame);

impl Left {
    /// A copy of a frame.
    ///
    /// # Safety
    /// The frame is one of `plan`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn of(plan: &Plan, frame: *const FrameHead) -> Box<Left> {
        let size = usize::from(plan.frame.size);
        let copy = HeapFrame::of(plan);
        // SAFETY: both are that large.
        unsafe { copy.start.copy_from_nonoverlapping(frame.cast(), size) };
        Box::new(Left(copy))
    }

    /// Copies the frame to where somebody else resumes it.
    ///
    /// # Safety
    /// `to` is a frame of the plan that the call was of.
    pub unsafe fn leave_in(&self, plan: &Plan, to: *mut FrameHead) {
        let size = usize::from(plan.frame.size);
        // SAFETY: both are that large.
        unsafe { to.cast::<u8>().copy_from_nonoverlapping(self.0.start, size) };
    }

    /// Runs the *after* section.
    ///
    /// # Errors
    /// As [`Quick::run`](super::Quick::run).
    ///
    /// # Safety
    /// As [`Quick::run`](super::Quick::run), for the plan, binding and slots that [`Quick::run`](super::Quick::run) has just halted
    /// with.
    #[cold]
    pub unsafe fn resume(&self, plan: &Plan, guest: &mut dyn Guest) -> Result<(), Box<Stop>> {
        // SAFETY: the caller's promise: *before* has run in the frame that this is a copy of, and
        // nothing in a quick plan's frame points into it any more: native code has returned.
        unsafe { resume(plan, self.0.start.cast(), guest) }
    }
}
