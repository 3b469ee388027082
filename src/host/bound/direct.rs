//! What direct calls ask of an import: see [`direct`](crate::host::direct).
#![expect(unsafe_code, reason = "does the work after a call")]
use super::{Bound, Origin, binding, no_memory, runs_alone};
use crate::host::call::{Host, position};
use crate::host::direct::{Straight, can_choose};
use crate::host::hot::Hot;
use crate::host::link::Overload;
use crate::host::overload::Given;
use crate::host::tier::Runner;
use crate::plan::binding::Gate;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret;
use crate::plan::{Binding, Lowering, Plan, StoreBlock};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use wasmtime::{AsContextMut, Caller, Extern, Memory};

/// Where the memories of an instance were found that has just started: most often its imports share one.
#[derive(Default)]
pub(in crate::host) struct SeenMemory {
    /// By the name that the interface has for it.
    by_name: Option<(Option<Arc<str>>, Memory, *mut u8, u64)>,
}

impl Bound {
    /// Where guests enter the direct trampoline, and whether it may want to be resumed; `None` without one.
    pub(in crate::host) fn direct(&self) -> Option<(*const c_void, bool)> {
        if self.needs_memory && self.memory.may_move {
            return None;
        }
        if !self.other_bindings.is_empty() {
            let any = (0..self.overloads()).any(|position| self.may_have_code(position));
            // Where guests enter it is known when there is something to enter.
            return (any && can_choose(self.lowering())).then_some((ptr::null(), false));
        }
        if !runs_alone(&self.plan) {
            return None;
        }
        let resumes = self.overload.straight.as_ref().map(Straight::resumes);
        match &self.overload.choice.runner {
            Runner::Direct(code) => Some((code.start(), code.resumes())),
            // Guests enter the interpreter: `enters_straight`.
            Runner::Interpreter | Runner::Template(_) => Some((ptr::null(), resumes?)),
            Runner::Hot(hot) if hot.may_be_direct() => match hot.direct() {
                Some(code) => Some((code.start(), code.resumes())),
                // What code needs is made when there is some.
                None => Some((hot.stub()?, resumes.unwrap_or(false))),
            },
            Runner::Hot(_) | Runner::Compiled(_) => None,
        }
    }

    /// Whether there are calls that must be asked for.
    #[inline]
    pub(in crate::host) fn has_terms(&self) -> bool {
        self.link.has_terms
    }

    /// How many overloads there are.
    pub(in crate::host) fn overloads(&self) -> usize {
        self.link.overloads.len()
    }

    /// The type of the import.
    pub(in crate::host) fn lowering(&self) -> &Lowering {
        &self.link.lowering
    }

    #[inline]
    fn one(&self, position: usize) -> &Overload {
        // The first is found sooner.
        if position == 0 { &self.overload } else { &self.link.overloads[position] }
    }

    /// Which overload suits arguments.
    #[inline]
    pub(in crate::host) fn position_for(&self, arguments: &impl Given) -> Option<usize> {
        position(&self.link, arguments)
    }

    /// Whether guests enter an overload's code by themselves, now or when it is hot.
    fn may_have_code(&self, position: usize) -> bool {
        let Overload { plan, choice, .. } = self.one(position);
        runs_alone(plan)
            && match &choice.runner {
                Runner::Direct(_) => true,
                Runner::Hot(hot) => hot.may_be_direct(),
                Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) => false,
            }
    }

    /// Where guests enter an overload's code that is there now, and whether it may want to be resumed.
    pub(in crate::host) fn code_of(&self, position: usize) -> Option<(*const c_void, bool)> {
        let code = match &self.one(position).choice.runner {
            Runner::Direct(code) => code,
            Runner::Hot(hot) => hot.direct()?,
            Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) => return None,
        };
        Some((code.start(), code.resumes()))
    }

    /// The interpreter's short way, for guests that enter it by themselves because there is no code, with the plan.
    #[inline]
    pub(in crate::host) fn straight(&self) -> Option<(&Straight, &Plan)> {
        Some((self.overload.straight.as_ref()?, &self.plan))
    }

    /// The same for imports of which there is no code now.
    pub(in crate::host) fn enters_straight(&self) -> Option<&Straight> {
        let has_code = self.hot(0).is_some_and(|hot| hot.direct().is_some());
        self.overload.straight.as_ref().filter(|_| !has_code && self.other_bindings.is_empty())
    }

    /// What of an overload may become hot, with what runs it until then.
    #[inline]
    pub(in crate::host) fn hot(&self, position: usize) -> Option<&Arc<Hot>> {
        match &self.one(position).choice.runner {
            Runner::Hot(hot) => Some(hot),
            Runner::Interpreter | Runner::Template(_) | Runner::Compiled(_) | Runner::Direct(_) => {
                None
            }
        }
    }

    pub(in crate::host) fn needs_memory(&self) -> bool {
        self.needs_memory
    }

    /// The store's.
    pub(in crate::host) fn block(&self) -> &StoreBlock {
        &self.instance.store.block
    }

    /// The store's gate, which lives as long as `self`.
    pub(in crate::host) fn gate(&self) -> *const Gate {
        &raw const Arc::as_ref(&self.instance.store.block.strays).gate
    }

    /// The instance's `errno`, which lives as long as `self`.
    pub(in crate::host) fn errno(&self) -> *const Cell<i32> {
        &raw const self.instance.errno
    }

    pub(in crate::host) fn frame_size(&self, position: usize) -> usize {
        self.one(position).plan.frame.size.into()
    }

    /// A binding as that of an overload's ordinary calls, whose memory is not known yet.
    pub(in crate::host) fn another_binding(&self, position: usize) -> Binding {
        binding(self.one(position), &self.instance)
    }

    /// Where the memory is, once it is known for good, and how long it was when somebody looked last.
    pub(in crate::host) fn known_memory(&self) -> Option<(*mut u8, u64)> {
        self.known_memory.get()?;
        let base = self.binding.memory_base.get();
        (!base.is_null()).then(|| (base, self.binding.memory_len.get()))
    }

    /// The instance has started: looks where its memory is, if it is needed.
    pub(in crate::host) fn look_for_memory(
        &self,
        mut store: impl AsContextMut,
        seen: &mut SeenMemory,
    ) {
        if !self.needs_memory || !self.instance.is_ready() {
            return;
        }
        let (memory, base, len) = match &seen.by_name {
            Some((name, memory, base, len)) if *name == self.link.memory => (*memory, *base, *len),
            _ => {
                let found = match &self.memory.origin {
                    Origin::None => None,
                    Origin::Known(memory) => Some(*memory),
                    Origin::Export(export) => {
                        self.instance.ready_export(&mut store, export).and_then(Extern::into_memory)
                    }
                };
                let Some(memory) = found else { return };
                let (base, len) = (memory.data_ptr(&store), memory.data_size(&store) as u64);
                seen.by_name = Some((self.link.memory.clone(), memory, base, len));
                (memory, base, len)
            }
        };
        self.known_memory.get_or_init(|| memory);
        self.binding.memory_base.set(base);
        self.binding.memory_len.set(len);
    }

    /// Does the work after a call that a direct trampoline has made.
    ///
    /// # Safety
    /// As [`Bound::call`]; the trampoline of that overload has just left a call in `left`, with these slots as
    /// arguments.
    pub(in crate::host) unsafe fn resume_at<T: 'static>(
        &self,
        position: usize,
        binding: &Binding,
        left: *const FrameHead,
        slots: *mut GuestSlot,
        caller: &mut Caller<'_, T>,
    ) -> wasmtime::Result<()> {
        let overload = self.one(position);
        let plan = &overload.plan;
        // Calls that need memory pass the gate only when it is known.
        let memory = self.known_memory.get();
        if self.needs_memory && memory.is_none() {
            return Err(no_memory(&self.link.name, "it is not known"));
        }
        let mut host = Host::new(caller, &self.link, &self.instance, memory);
        interpret::Guest::refresh(&mut host, binding);
        // Guest code may call the import again before this call is over: what is left is taken first. Nothing in
        // it is found by its address any more.
        let done = interpret::with_frame(plan, |frame| {
            let size = usize::from(plan.frame.size);
            // SAFETY: both are frames of the plan.
            unsafe {
                frame.cast::<u8>().copy_from_nonoverlapping(left.cast(), size);
                (&raw mut (*frame).guest).write(slots);
                (&raw mut (*frame).binding).write(binding);
            }
            // SAFETY: the caller's promise.
            unsafe { interpret::resume(plan, frame, &mut host) }
        });
        done.map_err(|stop| host.raise(overload, binding, *stop))?;
        if overload.keeps_errno {
            self.instance.errno.set(binding.errno.get());
        }
        Ok(())
    }
}
