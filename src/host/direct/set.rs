//! Overloads that guests call directly: the arguments choose which of them.
//!
//! ```text
//! guest ──> choosing_entry ──> choose: ranges, in the order of the grants ──> context of that overload ──> its trampoline
//!               │  registers laid down       │ none suits, gate closed
//!               └────────── redo <───────────┘
//! ```
//!
//! Each overload has a context of its own, with a frame and a door behind the call. What is in front of them is no code
//! that was made for the set but the arithmetic of the ordinary way (`overload`), which reads the arguments where the
//! entry has laid them down. Overloads without a trampoline, or not yet with one, go to *redo*, where the choice is made
//! again.
#![expect(unsafe_code, reason = "reads the guest's registers, and wasmtime's structures")]
use super::{Import, Place};
use crate::cranelift_backend::direct::{
    Context, Halted, Interpreted, Registers, choosing_entry, places_of, stack_limit, store_context,
};
use crate::host::overload::Given;
use crate::plan::abi::Location;
use crate::plan::{Lowering, WasmType};
use std::ffi::c_void;

/// The overloads of an import.
pub(super) struct Set {
    /// Of each, in order.
    pub(super) members: Box<[Place]>,
    /// Where the entry lays each argument down.
    at: Box<[u16]>,
    integers: bool,
}

/// Whether the overloads of functions of that type can be chosen between where their arguments have been laid down.
pub(in crate::host) fn can_choose(lowering: &Lowering) -> bool {
    let plain =
        |ty: &WasmType| matches!(ty, WasmType::I32 | WasmType::I64 | WasmType::F32 | WasmType::F64);
    lowering.params.iter().chain(&lowering.results).all(plain) && places(lowering).is_some()
}

/// Where arguments are laid down.
fn places(lowering: &Lowering) -> Option<(Box<[u16]>, bool)> {
    let places = places_of(&lowering.params).ok()?;
    let at: Option<_> = places.iter().map(|place| Registers::offset(*place)).collect();
    Some((at?, !places.iter().any(|place| matches!(place, Location::Vector(_)))))
}

impl Set {
    /// `None` if [`can_choose`] has said so.
    pub(super) fn new(lowering: &Lowering, members: Box<[Place]>) -> Option<Set> {
        let (at, integers) = places(lowering)?;
        Some(Set { members, at, integers })
    }

    /// Has calls of a context choose. The context is that of `import`, which has this.
    pub(super) fn prepare(&self, context: &Context, import: *const Import) -> *const c_void {
        context.interpret.set(Some(choose));
        context.import.set(import.cast());
        choosing_entry(self.integers)
    }
}

/// Arguments that were laid down.
struct Laid<'a> {
    registers: *const Registers,
    at: &'a [u16],
}

impl Given for Laid<'_> {
    #[inline]
    fn low(&self, slot: u16) -> Option<u64> {
        let at = *self.at.get(usize::from(slot))?;
        // SAFETY: the entry has laid it down there, or the guest, in a slot of eight bytes on its stack.
        Some(unsafe { self.registers.byte_add(at.into()).cast::<u64>().read() })
    }
}

/// See [`Interpret`](crate::cranelift_backend::direct::Interpret): where the call goes on.
///
/// # Safety
/// A guest has just called the import of `context`, which [`Set::prepare`] has prepared.
unsafe extern "sysv64" fn choose(
    context: *const Context,
    caller: *const u8,
    registers: *mut Registers,
) -> Interpreted {
    // SAFETY: the caller's promise.
    let found = unsafe { chosen(&*context, caller, registers) };
    // Its own context goes to *redo*.
    let found = found.unwrap_or(context);
    Interpreted { halted: Halted::Never, result: found.expose_provenance() as u64 }
}

/// # Safety
/// As [`choose`].
#[inline(always)]
unsafe fn chosen(
    context: &Context,
    caller: *const u8,
    registers: *const Registers,
) -> Option<*const Context> {
    // SAFETY: the caller's promise. The guest's context leads to the store's, as the trial has shown, and the gate
    // lives as long as the store. The import owns its context.
    let (import, open) = unsafe {
        let store = caller.add(store_context()).cast::<*const u8>().read();
        let limit = store.add(stack_limit()).cast::<usize>().read();
        (&*context.import.get().cast::<Import>(), (*context.gate.get()).lets_pass(limit))
    };
    let set = import.set.as_ref().filter(|_| open)?;
    let position = import.bound.position_for(&Laid { registers, at: &set.at })?;
    Some(set.members.get(position)?.start.as_ptr().cast_const())
}
