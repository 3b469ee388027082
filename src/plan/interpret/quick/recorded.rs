//! The short way of calls that are recorded for a profile: as it is otherwise, with a look at the clock around
//! native code if the call is timed, and with its bytes weighed.
use super::super::weigh::Scale;
use super::{Halt, Memory, Quick, Space};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::Guest;
use crate::plan::recorder::{Bytes, Recorder};

/// What is done around the native call of a quick plan.
pub(super) trait Around {
    /// Makes the call of a plan that has no frame.
    fn straight<R>(&mut self, native: impl FnOnce() -> R) -> R;

    /// Makes the call.
    ///
    /// # Safety
    /// All ops before the call have run in the frame, with the copies in `memory`.
    unsafe fn native<R>(
        &mut self,
        space: &Space<'_>,
        memory: &Memory,
        native: impl FnOnce() -> R,
    ) -> R;
}

/// Nothing.
pub(super) struct Plainly;

impl Around for Plainly {
    #[inline(always)]
    fn straight<R>(&mut self, native: impl FnOnce() -> R) -> R {
        native()
    }

    #[inline(always)]
    unsafe fn native<R>(&mut self, _: &Space<'_>, _: &Memory, native: impl FnOnce() -> R) -> R {
        native()
    }
}

/// What is recorded of a call.
#[derive(Debug)]
pub struct Record<'r> {
    /// Of its plan.
    pub scale: &'r Scale,
    /// If it is timed.
    pub clock: Option<&'r Recorder>,
    /// What native code was given and has given.
    pub bytes: Bytes,
}

impl Around for Record<'_> {
    #[inline(always)]
    fn straight<R>(&mut self, native: impl FnOnce() -> R) -> R {
        match self.clock {
            None => native(),
            Some(recorder) => recorder.native(native),
        }
    }

    #[inline(always)]
    unsafe fn native<R>(
        &mut self,
        space: &Space<'_>,
        memory: &Memory,
        native: impl FnOnce() -> R,
    ) -> R {
        // SAFETY: the caller's promise.
        unsafe { self.scale.before(space, memory.0.as_deref(), &mut self.bytes) };
        // Data is read, not called.
        let result = match self.clock {
            Some(recorder) if space.plan.prototype.data.is_none() => recorder.native(native),
            _ => native(),
        };
        // SAFETY: the caller's promise, and native code has returned.
        unsafe { self.scale.after(space, memory.0.as_deref(), &mut self.bytes) };
        result
    }
}

impl Quick {
    /// As [`Quick::run`], and records the call.
    ///
    /// # Errors
    /// As there. The bytes of calls that stop before native code are not recorded.
    ///
    /// # Safety
    /// As there; the scale is that of the plan.
    pub unsafe fn run_recorded(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        record: &mut Record<'_>,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe { self.run_with(plan, binding, slots, record) }
    }

    /// As [`Quick::run_held`], and records the call.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As there; the scale is that of the plan.
    pub unsafe fn run_held_recorded(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        guest: &mut dyn Guest,
        record: &mut Record<'_>,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe { self.run_held_with(plan, binding, slots, guest, record) }
    }
}
