//! Calls through trampolines that call out to the interpreter.
#![expect(unsafe_code, reason = "hands unchecked wasm values to a trampoline")]
use super::Bound;
use crate::host::call::Host;
use crate::host::trampolines::Entry;
use crate::plan::interpret::assist::run_assisted;
use crate::plan::interpret::{Fallback, Status, with_small_frame};
use std::mem::MaybeUninit;
use wasmtime::{Caller, ValRaw};

impl Bound {
    /// As [`Bound::call_compiled`], for trampolines that call out to the interpreter.
    ///
    /// # Safety
    /// As there; the memory is settled, and there is stack.
    #[inline(never)]
    pub(super) unsafe fn call_assisted<T: 'static>(
        &self,
        entry: Entry,
        mut caller: Caller<'_, T>,
        slots: &mut [MaybeUninit<ValRaw>],
    ) -> wasmtime::Result<()> {
        let memory = self.known_memory.get();
        let mut host = Host::new(&mut caller, &self.link, &self.instance, memory);
        let at = slots.as_mut_ptr().cast();
        let done = with_small_frame(|frame| {
            // SAFETY: as in `Host::run`, and the memory is known well enough: see the module. The frame is one
            // of the plan, and the overload keeps the trampoline alive.
            unsafe {
                let enter = || entry.enter(&self.binding, at, frame);
                let quick = self.overload.quick.as_ref();
                run_assisted(&self.plan, &self.binding, at, frame, &mut host, quick, enter)
            }
        });
        match done {
            Ok(Status::Redo) => {
                // SAFETY: the caller's promise; what was done has been undone.
                return unsafe { self.fall_back(Fallback::Redo, caller, slots) };
            }
            Ok(Status::Done | Status::Resume) => {}
            Err(stop) => return Err(host.raise(&self.overload, &self.binding, *stop)),
        }
        if self.keeps_errno {
            self.instance.errno.set(self.binding.errno.get());
        }
        Ok(())
    }
}
