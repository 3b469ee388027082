//! The ops of what outlives a call.
use super::Failure;
use super::copies::CallMemory;
use super::space::Space;
use crate::plan::cookie;
use crate::plan::handles::{
    Block, HandleError, HandleTable, HandleType, descriptor_value, keep_for_ever, kept_for_ever,
};
use crate::plan::op::{At, Fate, Holder, Keeper, LifeOp, Null, Op, Operand, Width};
use crate::plan::problem::Problem;
use std::ffi::c_void;
use std::ptr;

/// What a call has noted on a handle, until it is over.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// That it uses it, and what becomes of it.
    Used(Fate),
    /// That nobody else may.
    Exclusive,
}

impl Mark {
    pub(super) fn take_back(self, handles: &mut HandleTable, handle: u32) {
        match self {
            Mark::Used(fate) => {
                if fate == Fate::Consumed {
                    handles.doom(handle, false);
                }
                handles.leave(handle);
            }
            Mark::Exclusive => handles.give_up(handle),
        }
    }
}

/// What an op marks, and the slot of the handle.
pub(super) fn mark_of(op: &Op) -> Option<(u16, Mark)> {
    match *op {
        Op::Handle { slot, fate, .. } => Some((slot, Mark::Used(fate))),
        Op::Life(op) => mark(op),
        _ => None,
    }
}

/// The slot of the handle that an op marks.
fn mark(op: LifeOp) -> Option<(u16, Mark)> {
    match op {
        LifeOp::Descriptor { slot, fate, .. } => Some((slot, Mark::Used(fate))),
        LifeOp::Exclusive { slot, .. } => Some((slot, Mark::Exclusive)),
        LifeOp::Cookie { .. }
        | LifeOp::DescriptorCell { .. }
        | LifeOp::HandleCell { .. }
        | LifeOp::ConsumeHeld { .. }
        | LifeOp::Emptied { .. }
        | LifeOp::Recall { .. }
        | LifeOp::Capturable { .. }
        | LifeOp::Keep { .. }
        | LifeOp::Retain { .. }
        | LifeOp::Capture { .. }
        | LifeOp::HandOver { .. }
        | LifeOp::FromCookie { .. }
        | LifeOp::AdoptDescriptor { .. }
        | LifeOp::Remember { .. } => None,
    }
}

/// What a handle stands for, if it is one of that type and fit for `fate`. With `marks` it is noted
/// that a running call uses it.
pub(crate) fn enter(
    handles: &mut HandleTable,
    handle: u32,
    kind: HandleType,
    fate: Fate,
    marks: bool,
) -> Result<*mut c_void, HandleError> {
    match fate {
        Fate::Kept => {}
        Fate::Invalidated => handles.check_invalidatable(handle, kind)?,
        Fate::Consumed => handles.check_consumable(handle, kind)?,
    }
    let pointer = handles.get(handle, kind)?.pointer;
    handles.check_free(handle)?;
    if marks {
        handles.enter(handle, kind)?;
        if fate == Fate::Consumed {
            handles.doom(handle, true);
        }
    }
    Ok(pointer)
}

/// Runs an op of the *before* section.
///
/// # Safety
/// The op belongs to a verified plan; every op before it has run in this frame.
pub(super) unsafe fn before(
    op: LifeOp,
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    // SAFETY: the caller promises that the plan was verified: positions, slots and tables of its ops
    // exist, and what an op reads has been written by one before it.
    unsafe {
        match op {
            LifeOp::Cookie { slot, to, with } => {
                let cookie = u32::try_from(space.pointer(slot)).map_err(|_| Failure::Check)?;
                let without = with.is_some_and(|with| space.pointer(with.number()) == 0);
                let native =
                    if without { 0 } else { cookie::to_native(cookie).ok_or(Failure::Check)? };
                space.write::<u64>(to, native);
            }
            LifeOp::Descriptor { slot, to, kind, fate } => {
                let handle = space.slot32(slot);
                let kind = space.plan.handle_kinds[usize::from(kind)].id;
                let marks = space.plan.facts.marks;
                let entered =
                    space.store().with_handles(|handles| enter(handles, handle, kind, fate, marks));
                let pointer = entered.map_err(|_| Failure::Check)?;
                space.write::<u64>(to, descriptor_value(pointer).into());
            }
            LifeOp::DescriptorCell { slot, to, cell, null } => {
                let address = space.pointer(slot);
                // What native code leaves alone when it fails must not look like descriptor 0.
                space.write::<i64>(cell, -1);
                let native = if address == 0 {
                    if null == Null::Allowed { Some(0) } else { None }
                } else {
                    space.inside(address, 4).map(|_| space.address(cell))
                };
                space.write::<u64>(to, native.ok_or(Failure::Check)?);
            }
            LifeOp::HandleCell { .. } => super::held::enter(op, space, memory)?,
            LifeOp::Exclusive { slot, own } => {
                let handle = space.slot32(slot);
                if handle != 0 {
                    let kind = kind_of_slot(space, slot).ok_or(Failure::Check)?;
                    let held = space
                        .store()
                        .with_handles(|handles| handles.hold(handle, kind, own, entered(space)));
                    held.map_err(|_| Failure::Check)?;
                }
            }
            LifeOp::Recall { slot, name, to } => {
                let handle = space.slot32(slot);
                let name = &space.plan.names[usize::from(name)];
                let value = space.store().with_handles(|handles| handles.recall(handle, name));
                space.write::<i128>(to, value.ok_or(Failure::Check)?);
            }
            LifeOp::Capturable { slot, by } => {
                let handle = space.slot32(slot);
                if handle != 0 {
                    let kind = kind_of_slot(space, slot).ok_or(Failure::Check)?;
                    let limit = space.store().limits.captures;
                    let capturable = space.store().with_handles(|handles| {
                        handles.captures() < limit && handles.check_capturable(handle, kind).is_ok()
                    });
                    let itself = by.is_some_and(|by| space.slot32(by.number()) == handle);
                    if !capturable || itself {
                        return Err(Failure::Check);
                    }
                }
            }
            LifeOp::Keep { at, extent, shared, param: _ } => {
                keep(space, at, extent, shared, memory)?;
            }
            // The section ends before these.
            LifeOp::ConsumeHeld { .. }
            | LifeOp::Emptied { .. }
            | LifeOp::Retain { .. }
            | LifeOp::Capture { .. }
            | LifeOp::HandOver { .. }
            | LifeOp::FromCookie { .. }
            | LifeOp::AdoptDescriptor { .. }
            | LifeOp::Remember { .. } => {}
        }
    }
    Ok(())
}

/// Copies what native code keeps.
///
/// # Safety
/// As [`before`]; the bytes are in the guest's memory, where an op has just placed them.
unsafe fn keep(
    space: &Space<'_>,
    at: At,
    extent: At,
    shared: bool,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let (address, len) = unsafe { (space.read::<u64>(at), space.read::<u64>(extent)) };
    if address == 0 {
        return Ok(());
    }
    let base = space.binding.memory_base.get().expose_provenance() as u64;
    let guest = address.checked_sub(base).ok_or(Failure::Check)?;
    let memory = memory.get_or_insert_with(|| Box::new(CallMemory::new(space.store())));
    let pending: u64 = memory.kept.iter().map(|(_, block)| block.len()).sum();
    let known = space.store().with_handles(|handles| handles.captured_bytes());
    let limit = space.store().limits.captured_bytes;
    if known.saturating_add(pending).saturating_add(len) > limit {
        return Err(Problem::Limit { limit: "captured_bytes", value: limit }.into());
    }
    // SAFETY: nothing writes to guest memory meanwhile.
    let bytes = unsafe { space.guest_bytes(guest, len) }.ok_or(Failure::Check)?;
    let block = Block::copy_of(bytes);
    let native = match kept_for_ever(&block).filter(|_| shared) {
        Some(known) => known,
        None => {
            let native = block.address();
            memory.kept.push((at, block));
            native
        }
    };
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(at, native) };
    Ok(())
}

/// Runs an op of the *after* section.
///
/// # Safety
/// As [`before`], and native code has run.
pub(super) unsafe fn after(
    op: LifeOp,
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    // SAFETY: as in `before`.
    unsafe {
        match op {
            LifeOp::Retain { slot } => {
                let handle = space.slot32(slot);
                let drop =
                    entry_of_slot(space, slot).map_or(ptr::null(), |kind| drop_of(space, kind));
                space.store().with_handles(|handles| handles.retain(handle, drop));
            }
            LifeOp::Capture { slot, by } => {
                let captured = space.slot32(slot);
                let captor = captor(space, by);
                space.store().with_handles(|handles| match captor {
                    Some(captor) => handles.capture(captor, captured),
                    None => handles.capture_for_ever(captured),
                });
            }
            LifeOp::HandOver { at, by } => {
                let captor = captor(space, by);
                let Some(block) = take_kept(memory, at) else { return Ok(()) };
                match captor {
                    // Nobody keeps it when there is no captor: it is freed.
                    Some(captor) => {
                        drop(space.store().with_handles(|handles| handles.keep(captor, block)));
                    }
                    None => {
                        let bytes = block.len();
                        space.store().with_handles(|handles| handles.count_for_ever(bytes));
                        keep_for_ever(block);
                    }
                }
            }
            LifeOp::FromCookie { from, to, param: _ } => {
                let native = space.read::<u64>(from);
                let guest = cookie::to_guest(native).ok_or(Failure::Check)?;
                space.write::<u64>(to, guest.into());
            }
            LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent } => {
                let Some(descriptor) = descriptor_at(space, from) else {
                    space.write::<i64>(to, space.read::<i32>(from.at).into());
                    return Ok(());
                };
                let parent = parent.map(|slot| space.slot32(slot.number()));
                let gone = |lender| !space.store().with_handles(|table| table.is_live(lender));
                if parent.is_some_and(gone) {
                    return Err(Failure::Check);
                }
                let drop = drop_of(space, kind);
                let kind = space.plan.handle_kinds[usize::from(kind)].id;
                let adopted = space.store().with_handles(|table| {
                    table.adopt_descriptor(descriptor, kind, borrowed, parent, drop)
                });
                space.write::<u64>(to, adopted.ok_or(Failure::Check)?.into());
            }
            LifeOp::Remember { value, name, of } => {
                let handle = match of {
                    Holder::Slot(slot) => space.slot32(slot),
                    Holder::Made(at) => space.read::<u32>(at),
                    Holder::Object(at) => {
                        super::boxed::handle_of(memory, space.read(at)).unwrap_or_default()
                    }
                };
                let value = space.read::<i128>(value);
                let name = &space.plan.names[usize::from(name)];
                space.store().with_handles(|handles| handles.remember(handle, name, value));
            }
            LifeOp::Emptied { cell, held, to, param: _ } => {
                super::held::emptied(space, cell, held, to)?;
            }
            // `After` knows this one: loans end.
            LifeOp::ConsumeHeld { .. }
            | LifeOp::Cookie { .. }
            | LifeOp::Descriptor { .. }
            | LifeOp::DescriptorCell { .. }
            | LifeOp::HandleCell { .. }
            | LifeOp::Exclusive { .. }
            | LifeOp::Recall { .. }
            | LifeOp::Capturable { .. }
            | LifeOp::Keep { .. } => {}
        }
    }
    Ok(())
}

/// The handle that keeps something; `None` when a library does, for ever.
///
/// # Safety
/// As [`after`].
unsafe fn captor(space: &Space<'_>, by: Keeper) -> Option<u32> {
    // SAFETY: the caller's promise; little-endian hosts only.
    unsafe {
        match by {
            Keeper::Slot(slot) => Some(space.slot32(slot)),
            Keeper::Made(at) => Some(space.read::<u32>(at)),
            Keeper::Library => None,
        }
    }
}

fn take_kept(memory: &mut Option<Box<CallMemory>>, at: At) -> Option<Block> {
    let kept = &mut memory.as_mut()?.kept;
    let position = kept.iter().position(|(of, _)| *of == at)?;
    Some(kept.swap_remove(position).1)
}

/// Destroys the descriptor that an op would have made a handle of.
///
/// # Safety
/// As [`after`], and the op has had no effect.
pub(super) unsafe fn abandon(op: LifeOp, space: &Space<'_>) {
    if let LifeOp::AdoptDescriptor { from, kind, borrowed: false, .. } = op {
        // SAFETY: the caller's promise.
        let (value, close) = unsafe { (descriptor_at(space, from), drop_of(space, kind)) };
        if let Some(value) = value
            && !close.is_null()
        {
            // SAFETY: the prototype says that this function closes such descriptors; this one was
            // given to us by this call, and nobody else will get it.
            unsafe { super::after::call_with_pointer(close, value.into()) };
        }
    }
}

/// What native code was given to keep, when the call failed after it ran and before anybody was there
/// to keep it for.
pub(super) fn abandon_kept(space: &Space<'_>, memory: &mut Option<Box<CallMemory>>) {
    for (of, block) in memory.iter_mut().flat_map(|memory| memory.kept.drain(..)) {
        let destroyed = |made: At| {
            space.plan.ops.iter().any(|op| match *op {
                Op::Adopt { to, kind, borrowed: false, .. } if to == made => {
                    space.plan.handle_kinds[usize::from(kind)].drop.is_some()
                }
                _ => false,
            })
        };
        let freed = space.plan.ops.iter().any(|op| match *op {
            Op::Life(LifeOp::HandOver { at, by: Keeper::Made(made) }) => {
                at == of && destroyed(made)
            }
            _ => false,
        });
        if freed {
            drop(block);
        } else {
            space.store().with_handles(|handles| handles.abandon(block));
        }
    }
}

/// The descriptor there, if it is one.
///
/// # Safety
/// As [`after`].
unsafe fn descriptor_at(space: &Space<'_>, from: Operand) -> Option<u32> {
    // SAFETY: the caller's promise.
    let value = unsafe { space.read::<u32>(from.at) };
    let none = if from.width == Width::U32 { value == u32::MAX } else { value > i32::MAX as u32 };
    (!none).then_some(value)
}

/// The entry of the plan's table for the handle in that slot.
fn entry_of_slot(space: &Space<'_>, wanted: u16) -> Option<u16> {
    space.plan.ops[..usize::from(space.plan.call)].iter().find_map(|op| match *op {
        Op::Handle { slot, kind, .. } | Op::Life(LifeOp::Descriptor { slot, kind, .. })
            if slot == wanted =>
        {
            Some(kind)
        }
        _ => None,
    })
}

/// The handles that the call has entered.
///
/// # Safety
/// As [`before`], and all its ops that enter handles have run.
unsafe fn entered(space: &Space<'_>) -> impl Iterator<Item = u32> + Clone {
    let ops = space.plan.ops[..usize::from(space.plan.call)].iter();
    ops.filter_map(|op| match *op {
        // SAFETY: the caller's promise.
        Op::Handle { slot, .. } | Op::Life(LifeOp::Descriptor { slot, .. }) => unsafe {
            Some(space.slot32(slot))
        },
        _ => None,
    })
}

fn kind_of_slot(space: &Space<'_>, slot: u16) -> Option<HandleType> {
    Some(space.plan.handle_kinds[usize::from(entry_of_slot(space, slot)?)].id)
}

/// What destroys handles of an entry of the plan's table; null for nothing.
fn drop_of(space: &Space<'_>, kind: u16) -> *const c_void {
    let drop = space.plan.handle_kinds[usize::from(kind)].drop;
    // SAFETY: the verifier has shown that the callee exists.
    drop.map_or(ptr::null(), |callee| unsafe { space.callee(callee) }.0)
}
