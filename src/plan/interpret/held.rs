//! Handles behind a pointer that the call takes (`T **__consumes`).
#![expect(unsafe_code, reason = "the frame and guest memory are reached through raw pointers")]
use super::copies::CallMemory;
use super::deep::read_pointer;
use super::{Failure, Space};
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::handles::HandleError;
use crate::plan::op::{At, Fate, LifeOp, Null};
use std::ptr;

/// Runs [`LifeOp::HandleCell`].
///
/// # Safety
/// As [`super::life::before`].
pub(super) unsafe fn enter(
    op: LifeOp,
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    let LifeOp::HandleCell { slot, to, cell, held, kind, null, empty } = op else {
        return Err(Failure::Check);
    };
    let fail = |fault| Failure::from(problem(space, fault, None));
    // SAFETY: the caller's promise: slot and places exist; what is read lies inside the guest's memory.
    unsafe {
        space.write::<[u64; 2]>(held, [0; 2]);
        space.write::<u64>(cell, 0);
        let address = space.pointer(slot);
        if address == 0 {
            space.write::<u64>(to, 0);
            return if null == Null::Allowed { Ok(()) } else { Err(fail(Fault::Null)) };
        }
        let bytes = space.pointer_size();
        let Some(at) = space.inside(address, bytes) else {
            return Err(fail(Fault::Outside { bytes: bytes.into(), address }));
        };
        let value = read_pointer(space, at);
        space.write::<u64>(to, space.address(cell));
        if value == 0 {
            return if empty == Null::Allowed { Ok(()) } else { Err(fail(Fault::Null)) };
        }
        let wrong = |error| fail(Fault::Handle { value, kind, error });
        let handle = u32::try_from(value).map_err(|_| wrong(HandleError::Forged))?;
        let id = space.plan.handle_kinds[usize::from(kind)].id;
        let entered = space
            .store()
            .with_handles(|handles| super::life::enter(handles, handle, id, Fate::Consumed, true));
        let pointer = entered.map_err(wrong)?.expose_provenance() as u64;
        let memory = memory.get_or_insert_with(|| Box::new(CallMemory::new(space.store())));
        memory.mark(handle);
        memory.doomed.push(handle);
        space.write::<[u64; 2]>(held, [handle.into(), pointer]);
        space.write::<u64>(cell, pointer);
    }
    Ok(())
}

/// The handle that [`enter`] has kept; 0 for none.
///
/// # Safety
/// The op has run.
pub(super) unsafe fn held_at(space: &Space<'_>, held: At) -> u32 {
    // SAFETY: the caller's promise; little-endian hosts only.
    unsafe { space.read::<u32>(held) }
}

/// Runs [`LifeOp::Emptied`].
///
/// # Safety
/// As [`super::life::after`].
pub(super) unsafe fn emptied(space: &Space<'_>, cell: At, held: At, to: At) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        let (now, [handle, pointer]) = (space.read::<u64>(cell), space.read::<[u64; 2]>(held));
        if now != 0 && now != pointer {
            return Err(problem(space, Fault::Unreachable, None).into());
        }
        let alive = |handle| space.store().with_handles(|handles| handles.is_live(handle));
        let stays = now != 0 && u32::try_from(handle).is_ok_and(alive);
        space.write::<u64>(to, if stays { handle } else { 0 });
    }
    Ok(())
}

impl CallMemory {
    /// What the call was to destroy and has not is anybody's again.
    pub(super) fn spare(&self) {
        if self.doomed.is_empty() || ptr::eq(self.store, ptr::null()) {
            return;
        }
        // SAFETY: the store block outlives every call of its bindings.
        let store = unsafe { &*self.store };
        store.with_handles(|handles| {
            self.doomed.iter().for_each(|handle| handles.doom(*handle, false));
        });
    }
}
