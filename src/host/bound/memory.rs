//! The memory of an import's instance: where it is, when it is known for good, and when a call need not look.
use super::Bound;
use crate::host::call::no_memory;
use crate::host::export::Export;
use crate::host::link::Overload;
use crate::host::memory::{GuestMemory, Place};
use crate::plan::interpret::{Quick, Stop};
use crate::plan::{Binding, Plan};
use wasmtime::{Caller, Memory};

/// Where an import's memory comes from.
#[derive(Clone)]
pub(in crate::host) struct MemorySource {
    pub(super) origin: Origin,
    pub(super) may_move: bool,
}

#[derive(Clone)]
pub(super) enum Origin {
    /// There is none, or none is needed.
    None,
    /// The instance imports it.
    Known(Memory),
    /// The instance exports it.
    Export(Export),
}

impl MemorySource {
    /// For imports that need no memory.
    pub(in crate::host) const NONE: MemorySource =
        MemorySource { origin: Origin::None, may_move: false };

    /// For imports of a module that has its memory there. `imported` finds an imported memory.
    pub(in crate::host) fn of(
        memory: GuestMemory,
        imported: impl FnOnce(usize) -> Option<Memory>,
    ) -> MemorySource {
        let origin = match memory.place {
            Place::Export(export) => Origin::Export(export),
            Place::Import(position) => imported(position).map_or(Origin::None, Origin::Known),
        };
        MemorySource { origin, may_move: memory.may_move }
    }
}

impl Bound {
    /// The memory that a call needs, if it needs one.
    #[inline(always)]
    pub(super) fn memory_of_call<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
    ) -> wasmtime::Result<Option<Memory>> {
        match (self.needs_memory, self.known_memory.get()) {
            (false, _) => Ok(None),
            (true, Some(memory)) => Ok(Some(*memory)),
            (true, None) => self.find_memory(caller).map(Some),
        }
    }

    /// Whether a call that stopped would stop again: something has happened, or the memory is what
    /// the binding says.
    #[cold]
    pub(super) fn is_final<T: 'static>(
        &self,
        stop: &Stop,
        binding: &Binding,
        caller: &Caller<'_, T>,
    ) -> bool {
        let Stop::Error { called: false, .. } = stop else { return true };
        let Some(memory) = self.known_memory.get() else { return true };
        memory.data_size(caller) as u64 == binding.memory_len.get()
    }

    /// The memory of an instance whose exports are not known for good yet.
    #[cold]
    pub(super) fn find_memory<T: 'static>(
        &self,
        caller: &mut Caller<'_, T>,
    ) -> wasmtime::Result<Memory> {
        let found = match &self.memory.origin {
            Origin::None => None,
            Origin::Known(memory) => Some(*memory),
            Origin::Export(export) => {
                self.instance.export(caller, export).and_then(wasmtime::Extern::into_memory)
            }
        };
        let Some(memory) = found else {
            let reason = "the instance that imports this function has not started, or never did";
            return Err(no_memory(&self.link.name, reason));
        };
        if self.instance.is_ready() {
            let _ = self.known_memory.set(memory);
        }
        Ok(memory)
    }
}

/// Whether calls of an overload can be made with a memory that is not looked at, if they need one at all.
pub(super) fn runs_settled(overload: &Overload) -> bool {
    runs_alone(&overload.plan) || overload.quick.as_ref().is_some_and(Quick::is_held)
}

/// Whether its binding may lag behind the memory: see the module.
pub(super) fn may_lag(overload: &Overload) -> bool {
    runs_settled(overload) && (!overload.plan.facts.after || overload.quick.is_some())
}

/// Whether no guest code runs inside a call, nor is looked at before it.
pub(super) fn runs_alone(plan: &Plan) -> bool {
    plan.facts.leaf && plan.callbacks.is_empty()
}
