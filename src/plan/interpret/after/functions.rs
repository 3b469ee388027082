//! Guest functions and cookies on their way back, and functions that native code keeps.
#![expect(unsafe_code, reason = "closures are reached through raw pointers")]
use super::super::Guest;
use super::After;
use crate::plan::cookie;
use crate::plan::diagnose::deep::Fault;
use crate::plan::op::At;
use crate::plan::problem::{CallbackProblem, Problem};
use crate::plan::shape::Keep;

impl After<'_> {
    /// The guest's table index of what native code has left as a pointer to a function. Only guest
    /// functions have one.
    pub(super) fn index_of(&self, native: u64, guest: &mut dyn Guest) -> Result<u64, Fault> {
        if native == 0 {
            return Ok(0);
        }
        let known = self.memory.as_ref().and_then(|memory| memory.function_index(native));
        known
            .or_else(|| guest.function_index(native))
            .ok_or_else(|| Fault::Known(Problem::Callback(Box::new(CallbackProblem::NotTheGuests))))
    }

    /// The guest's integer of what native code has left as a cookie.
    pub(super) fn cookie_of(native: u64) -> Result<u64, Fault> {
        cookie::to_guest(native).map(u64::from).ok_or(Fault::Known(Problem::PlantedCookie))
    }

    /// Runs [`DeepOp::KeepFunctions`](crate::plan::op::DeepOp::KeepFunctions).
    ///
    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn keep_functions(&self, made: Option<At>) {
        let space = self.space;
        let Some(memory) = &self.memory else { return };
        for held in memory.functions() {
            // SAFETY: closures live as long as their store.
            let closure = unsafe { held.closure.as_ref() };
            let holder = match (held.keep, made) {
                (Keep::Library, None) => {
                    closure.escape();
                    continue;
                }
                // SAFETY: the caller's promise: the slot exists.
                (Keep::Slot(slot), None) => unsafe { space.slot32(slot) },
                // SAFETY: the caller's promise: an `Adopt` has put the handle there.
                (Keep::Result, Some(made)) => unsafe { space.read::<u32>(made) },
                (Keep::Call | Keep::Slot(_) | Keep::Result | Keep::Library, _) => continue,
            };
            space.store().with_handles(|table| table.keep_closure(holder, closure.uses()));
        }
    }
}
