//! Objects that a guest's structs mirror (`__boxed`), on their way to native code.
//!
//! The mirror is copied as all pointed-to data is, once, and looked through ([`super::deep`]). Its
//! object lies in memory that its handle owns, and is written only when all checks have passed.
//!
//! Not here: the way back (`after::boxed`).
#![expect(unsafe_code, reason = "copies and objects are reached through raw pointers")]
use super::Failure;
use super::copies::{BoxUse, CallMemory};
use super::space::Space;
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::handles::{Block, HandleError};
use crate::plan::op::{At, Boxing, DeepOp, Direction, Fate};
use crate::plan::problem::Problem;
use crate::plan::shape::{Carry, Shape};
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
    let DeepOp::Box { slot, to, root: _, kind, field, boxing, alone, param: _ } = op else {
        return Err(Failure::Check);
    };
    let memory = memory.as_mut().ok_or(Failure::Check)?;
    // SAFETY: the caller's promise: `Copy` has put the address there, for the slot's pointer.
    let (mirror, guest) = unsafe { (space.read::<u64>(to), space.pointer(slot)) };
    let own = |block: &super::copies::Block| block.host.expose_provenance() as u64 == mirror;
    let number = memory.blocks.iter().position(own).ok_or(Failure::Check)?;
    let block = u32::try_from(number).map_err(|_| Failure::Check)?;
    let mut one = BoxUse {
        block,
        object: ptr::null_mut(),
        owned: None,
        handle: 0,
        kind,
        field,
        boxing,
        alone,
        ended: false,
        links: Vec::new(),
    };
    let beside = |other: &BoxUse| other.is_shared() && boxing == Boxing::Used && !alone;
    // What makes or ends an object has its mirror alone.
    let known = memory.boxes.iter().find(|other| other.block == block);
    let object = match known {
        Some(other) if beside(other) => other.object,
        Some(_) => {
            let error = HandleError::Busy;
            return Err(problem(space, Fault::Handle { value: guest, kind, error }, None).into());
        }
        None => {
            if boxing == Boxing::Made {
                make(space, memory, &mut one)?;
            } else {
                // SAFETY: the caller's promise.
                unsafe { find(space, memory, &mut one, guest)? };
            }
            let object = one.object;
            memory.boxes.push(one);
            object
        }
    };
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(to, object.expose_provenance() as u64) };
    Ok(())
}

/// The object of the mirror at a guest address, by the handle in it.
///
/// # Safety
/// As [`super::before::step`]; the mirror was copied.
unsafe fn find(
    space: &Space<'_>,
    memory: &mut CallMemory,
    one: &mut BoxUse,
    mirror: u64,
) -> Result<(), Failure> {
    let BoxUse { field, kind, block, .. } = *one;
    let at = mirror.checked_add(field.at.into()).ok_or(Failure::Check)?;
    let at = space.inside(at, field.bytes.into()).ok_or(Failure::Check)?;
    // SAFETY: so many bytes lie inside the guest's memory.
    let value = unsafe {
        match field.bytes {
            4 => u64::from(at.cast::<u32>().read_unaligned()),
            _ => at.cast::<u64>().read_unaligned(),
        }
    };
    let wrong = |error| Failure::from(problem(space, Fault::Handle { value, kind, error }, None));
    one.handle = u32::try_from(value).map_err(|_| wrong(HandleError::Forged))?;
    // Two mirrors are one object's when nothing in them goes in: which would count?
    let shape = &space.plan.shapes[usize::from(memory.blocks[block as usize].shape)];
    let outward = shape.moves.iter().all(|one| one.direction == Direction::Out);
    let same = |other: &&BoxUse| {
        let shared = other.is_shared() && one.is_shared() && outward && shape.links.is_empty();
        shared && other.handle == one.handle && other.kind == kind
    };
    match memory.boxes.iter().find(same) {
        Some(other) => one.object = other.object,
        None => {
            one.object = enter(space, one).map_err(wrong)?;
            memory.mark(one.handle);
        }
    }
    Ok(())
}

/// Memory for an object that native code is to make, and room for its handle.
fn make(space: &Space<'_>, memory: &mut CallMemory, one: &mut BoxUse) -> Result<(), Failure> {
    let size = memory.blocks[one.block as usize].host_size;
    let limit = space.store().limits.captured_bytes;
    let pending: u64 =
        memory.boxes.iter().filter_map(|one| one.owned.as_ref()).map(Block::len).sum();
    let known = space.store().with_handles(|handles| handles.captured_bytes());
    if known.saturating_add(pending).saturating_add(size) > limit {
        return Err(Problem::Limit { limit: "captured_bytes", value: limit }.into());
    }
    if space.store().with_handles(|handles| handles.reserve(1)).is_err() {
        return Err(problem(space, Fault::Handles, None).into());
    }
    memory.reserve(1);
    let mut owned = Block::zeroed(usize::try_from(size).map_err(|_| Failure::Check)?);
    one.object = owned.start();
    one.owned = Some(owned);
    Ok(())
}

/// The object of a handle, which the call has to itself from now on.
fn enter(space: &Space<'_>, one: &BoxUse) -> Result<*mut u8, HandleError> {
    let (handle, id) = (one.handle, space.plan.handle_kinds[usize::from(one.kind)].id);
    let fate = match one.boxing {
        Boxing::Made | Boxing::Used => Fate::Kept,
        Boxing::Ended | Boxing::EndedIf => Fate::Consumed,
    };
    space.store().with_handles(|handles| {
        let pointer = super::life::enter(handles, handle, id, fate, true)?;
        let held = handles.hold(handle, id, true, std::iter::once(handle));
        if let Err(error) = held {
            super::life::Mark::Used(fate).take_back(handles, handle);
            return Err(error);
        }
        Ok(pointer.cast())
    })
}

/// Runs [`DeepOp::Recall`].
///
/// # Safety
/// As [`super::before::step`].
pub unsafe fn recall(
    space: &Space<'_>,
    memory: &Option<Box<CallMemory>>,
    of: At,
    name: u16,
    to: At,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise: `place` has put the object's address there.
    let object = unsafe { space.read::<u64>(of) };
    let handle = handle_of(memory, object).ok_or(Failure::Check)?;
    let name = &space.plan.names[usize::from(name)];
    let value = space.store().with_handles(|handles| handles.recall(handle, name));
    let unset = || Problem::Unset { handle: handle.into(), name: name.to_string() };
    // SAFETY: likewise.
    unsafe { space.write::<i128>(to, value.ok_or_else(unset)?) };
    Ok(())
}

/// The handle of the object of that address.
pub fn handle_of(memory: &Option<Box<CallMemory>>, object: u64) -> Option<u32> {
    let one = |one: &&BoxUse| one.object.expose_provenance() as u64 == object;
    memory.as_ref()?.boxes.iter().find(one).map(|one| one.handle)
}

/// Copies members and pointers of an object to another one of that shape, but for those that do not go
/// this way.
///
/// # Safety
/// Both have the shape's size.
pub unsafe fn transfer(shape: &Shape, from: *const u8, to: *mut u8, way: Direction) {
    // SAFETY: the verifier has shown that moves and links lie inside of objects.
    unsafe {
        let goes = |one: &&Carry| one.direction == Direction::InOut || one.direction == way;
        for one in shape.moves.iter().filter(goes) {
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
            unsafe { transfer(shape, block.host, one.object, Direction::In) };
        }
    }
}

impl BoxUse {
    /// Whether other arguments may be this object.
    fn is_shared(&self) -> bool {
        self.boxing == Boxing::Used && !self.alone
    }

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
