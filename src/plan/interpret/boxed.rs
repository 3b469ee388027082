//! Objects that a guest's structs mirror (`__boxed`), on their way to native code.
//!
//! The mirror is copied as all pointed-to data is, once, and looked through ([`super::deep`]). Its
//! object lies in memory that its handle owns, and is written only when all checks have passed.
//!
//! Not here: the way back (`after::boxed`).
#![expect(unsafe_code, reason = "copies and objects are reached through raw pointers")]
use super::Failure;
use super::copies::{BoxUse, CallMemory};
use super::deep::read_pointer;
use super::space::Space;
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::handles::{Block, HandleError};
use crate::plan::op::{Boxing, DeepOp, Fate};
use crate::plan::problem::Problem;
use crate::plan::shape::Shape;
use std::ptr;

/// Runs [`DeepOp::Box`].
///
/// # Safety
/// As [`super::before::step`].
#[inline(never)]
pub unsafe fn place(
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
    op: DeepOp,
) -> Result<(), Failure> {
    let DeepOp::Box { slot, to, root: _, kind, field, boxing, param: _ } = op else {
        return Err(Failure::Check);
    };
    let memory = memory.as_mut().ok_or(Failure::Check)?;
    let fail = |fault| Failure::from(problem(space, fault, None));
    // SAFETY: the caller's promise: `Copy` has put the address there, for the slot's pointer.
    let (mirror, guest) = unsafe { (space.read::<u64>(to), space.pointer(slot)) };
    let own = |block: &super::copies::Block| block.host.expose_provenance() as u64 == mirror;
    let number = memory.blocks.iter().position(own).ok_or(Failure::Check)?;
    let block = u32::try_from(number).map_err(|_| Failure::Check)?;
    // One struct mirrors one object.
    if memory.boxes.iter().any(|other| other.block == block) {
        let error = HandleError::Busy;
        return Err(fail(Fault::Handle { value: guest, kind, error }));
    }
    let size = memory.blocks[number].host_size;
    let (object, owned, handle) = if boxing == Boxing::Made {
        let limit = space.store().limits.captured_bytes;
        let pending: u64 =
            memory.boxes.iter().filter_map(|one| one.owned.as_ref()).map(Block::len).sum();
        let known = space.store().with_handles(|handles| handles.captured_bytes());
        if known.saturating_add(pending).saturating_add(size) > limit {
            return Err(Problem::Limit { limit: "captured_bytes", value: limit }.into());
        }
        if space.store().with_handles(|handles| handles.reserve(1)).is_err() {
            return Err(fail(Fault::Handles));
        }
        memory.reserve(1);
        let mut owned = Block::zeroed(usize::try_from(size).map_err(|_| Failure::Check)?);
        (owned.start(), Some(owned), 0)
    } else {
        // SAFETY: the whole struct lies in the guest's memory, or it could not have been copied; the
        // verifier has shown that the field lies in it.
        let value = unsafe {
            let at = guest.checked_add(field.into()).ok_or(Failure::Check)?;
            let at = space.inside(at, space.pointer_size()).ok_or(Failure::Check)?;
            read_pointer(space, at)
        };
        let wrong = |error| fail(Fault::Handle { value, kind, error });
        let handle = u32::try_from(value).map_err(|_| wrong(HandleError::Forged))?;
        let id = space.plan.handle_kinds[usize::from(kind)].id;
        let fate = if boxing == Boxing::Ended { Fate::Consumed } else { Fate::Kept };
        let entered = space.store().with_handles(|handles| {
            let pointer = super::life::enter(handles, handle, id, fate, true)?;
            let held = handles.hold(handle, id, true, std::iter::once(handle));
            if let Err(error) = held {
                super::life::Mark::Used(fate).take_back(handles, handle);
                return Err(error);
            }
            Ok(pointer)
        });
        let pointer = entered.map_err(wrong)?;
        memory.mark(handle);
        (pointer.cast(), None, handle)
    };
    memory.boxes.push(BoxUse {
        block,
        object,
        owned,
        handle,
        kind,
        field,
        boxing,
        links: Vec::new(),
    });
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(to, object.expose_provenance() as u64) };
    Ok(())
}

/// Copies members and pointers of an object to another one of that shape.
///
/// # Safety
/// Both have the shape's size.
pub unsafe fn transfer(shape: &Shape, from: *const u8, to: *mut u8) {
    // SAFETY: the verifier has shown that moves and links lie inside of objects.
    unsafe {
        for one in &shape.moves {
            let at = one.host as usize;
            from.add(at).copy_to_nonoverlapping(to.add(at), one.kind.frame_bytes() as usize);
        }
        for link in &shape.links {
            let at = link.host as usize;
            from.add(at).copy_to_nonoverlapping(to.add(at), size_of::<u64>());
        }
    }
}

/// Runs [`DeepOp::Fill`].
pub fn fill(space: &Space<'_>, memory: &mut Option<Box<CallMemory>>) {
    let Some(memory) = memory else { return };
    let CallMemory { boxes, blocks, .. } = &mut **memory;
    for one in boxes.iter_mut() {
        let block = &blocks[one.block as usize];
        let shape = &space.plan.shapes[usize::from(block.shape)];
        one.links = shape.links.iter().map(|link| link.host).collect();
        if block.inward && one.boxing != Boxing::Made {
            // SAFETY: the mirror is one object of the shape, and its handle's type says that so is
            // what it stands for; the call has it alone.
            unsafe { transfer(shape, block.host, one.object) };
        }
    }
}

impl BoxUse {
    /// Makes the object point at nothing.
    pub fn clear(&mut self) {
        for link in self.links.drain(..) {
            // SAFETY: `fill` has noted where the object's pointers are; it is there until its handle
            // dies, which `after::boxed` lets it do only when it has been cleared.
            unsafe {
                self.object.add(link as usize).cast::<*const u8>().write_unaligned(ptr::null());
            }
        }
    }
}
