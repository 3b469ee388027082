//! What is asked before a call of a function that hooks, fuel or a thread stand before.
#![expect(unsafe_code, reason = "reads unchecked wasm values")]
use super::Bound;
use std::mem::MaybeUninit;
use wasmtime::{Caller, ValRaw};

impl Bound {
    /// Asks whether a call may be made, if it must be asked for.
    ///
    /// # Safety
    /// As [`Bound::call`].
    pub(in crate::host) unsafe fn ask<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let slots = slots.as_mut_ptr();
        // SAFETY: the caller's promise.
        let (overload, _) = unsafe { self.choose(slots.cast())? };
        let Some(terms) = &overload.terms else { return Ok(()) };
        let memory = match self.known_memory.get() {
            Some(memory) => Some(*memory),
            None if self.needs_memory && terms.look_at_memory() => Some(self.find_memory(caller)?),
            None => None,
        };
        // SAFETY: the caller's promise.
        unsafe { terms.ask(caller, &self.link.name, overload, slots.cast(), memory) }
    }
}
