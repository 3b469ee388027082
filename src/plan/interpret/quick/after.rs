//! The *after* section of quick plans: one pass that writes nothing of its own before the last check has
//! passed, and asks nothing of the guest. What it cannot do so it leaves to the long way, which begins the
//! section anew.
use super::super::Failure;
use super::super::outgoing::{fits, fits_object, store_cell, store_object};
use super::super::result::decode;
use super::super::space::{FrameEnvironment, Space};
use crate::plan::expression::evaluate;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::after::native_text_length;
use crate::plan::op::{At, Op, Ownership, Returns, TakeExtent};
use crate::plan::recorder::Bytes as Weighed;
use std::ptr;

/// Ops that look at values or write them to the guest's memory.
pub(super) fn is_plain(op: &Op) -> bool {
    matches!(
        op,
        Op::Fits { .. }
            | Op::FitsObject { .. }
            | Op::StoreCell { .. }
            | Op::StoreObject { .. }
            | Op::Return { .. }
    )
}

/// Ops that end or begin loans of the handle in `slot`. A copy is given behind all checks.
pub(super) fn is_of_loans(op: &Op, slot: u16) -> bool {
    match *op {
        Op::Measure { .. } => true,
        Op::EndLoans { slot: of } => of == slot,
        Op::Take { take, unless, .. } => take == 0 && unless.is_none(),
        Op::Give { take, owner, unless, .. } => {
            let lent = Ownership::Handle { slot, back: false };
            take == 0 && unless.is_none() && owner == lent
        }
        _ => false,
    }
}

/// Runs the section; the result, which goes over an argument and so is written last of all.
///
/// # Safety
/// As [`Quick::run`](super::Quick::run); the call record is complete.
pub(super) unsafe fn run(ops: &[Op], space: &Space<'_>) -> Result<Option<GuestSlot>, Failure> {
    let mut result = None;
    let mut taken = None;
    for op in ops {
        // SAFETY: the plan was verified, and the ops before this one have run.
        unsafe {
            match *op {
                Op::Fits { from, width, param: _ } => fits(space, from, width)?,
                Op::FitsObject { moves } => fits_object(space, moves)?,
                Op::StoreCell { slot, from, width } => store_cell(space, slot, from, width)?,
                Op::StoreObject { slot, moves } => store_object(space, slot, moves)?,
                Op::Return { from, returns: Returns::Vector } => {
                    let [low, high] = space.read::<[u64; 2]>(from);
                    result = Some(GuestSlot { low, high });
                }
                Op::Return { from, returns } => {
                    let raw = space.read::<u64>(from);
                    result = decode(returns, raw, raw)?.map(|low| GuestSlot { low, high: 0 });
                }
                Op::EndLoans { slot } => {
                    let handle = space.slot32(slot);
                    let ended = space.store().with_handles(|table| table.end_quietly(handle));
                    if !ended {
                        return Err(Failure::Check);
                    }
                }
                Op::Measure { expr, to } => {
                    let expression = &space.plan.expressions[usize::from(expr)];
                    let value = evaluate(expression, &mut FrameEnvironment(*space));
                    space.write::<i128>(to, value.map_err(|_| Failure::Check)?);
                }
                Op::Take { from, extent, .. } => taken = take(space, from, extent)?,
                Op::Give { to, owner: Ownership::Handle { slot, .. }, .. } => {
                    let address = match taken {
                        Some(bytes) => give(space, slot, bytes).ok_or(Failure::Check)?,
                        None => 0,
                    };
                    space.write::<u64>(to, address);
                }
                // Quick plans have no others.
                Op::Give { .. }
                | Op::Int8 { .. }
                | Op::UInt8 { .. }
                | Op::Int16 { .. }
                | Op::UInt16 { .. }
                | Op::Bool { .. }
                | Op::Int32 { .. }
                | Op::Int64 { .. }
                | Op::Long32 { .. }
                | Op::ULong32 { .. }
                | Op::Float32 { .. }
                | Op::Float64 { .. }
                | Op::Pair { .. }
                | Op::Extended { .. }
                | Op::Vector { .. }
                | Op::Range { .. }
                | Op::Evaluate { .. }
                | Op::Require { .. }
                | Op::Value { .. }
                | Op::Buffer { .. }
                | Op::Text { .. }
                | Op::Object { .. }
                | Op::Address { .. }
                | Op::Room { .. }
                | Op::Format { .. }
                | Op::Cell { .. }
                | Op::PointerCell { .. }
                | Op::TextCell { .. }
                | Op::Handle { .. }
                | Op::Apart { .. }
                | Op::Reserve { .. }
                | Op::Call { .. }
                | Op::Consume { .. }
                | Op::Inside { .. }
                | Op::InsideOr { .. }
                | Op::FreeNative { .. }
                | Op::Adopt { .. }
                | Op::Native(_)
                | Op::Upcall(_)
                | Op::Deep(_)
                | Op::Callback(_)
                | Op::Life(_) => {}
            }
        }
    }
    Ok(result)
}

/// Native bytes that the guest gets.
type Bytes = (*const u8, usize);

/// What is at the native pointer at `from`; `None` when that is NULL.
///
/// # Safety
/// As [`run`].
unsafe fn take(space: &Space<'_>, from: At, extent: TakeExtent) -> Result<Option<Bytes>, Failure> {
    // SAFETY: the caller's promise: the prototype says what is there.
    unsafe {
        let native = space.read::<*const u8>(from);
        if native.is_null() {
            return Ok(None);
        }
        let len = match extent {
            TakeExtent::Text(unit) => native_text_length(native, unit) as u64,
            TakeExtent::Object(bytes) => bytes.into(),
            TakeExtent::Counted { count, size } => {
                let count = space.count(count).ok_or(Failure::Check)?;
                count.checked_mul(size.into()).ok_or(Failure::Check)?
            }
        };
        let len = usize::try_from(len).map_err(|_| Failure::Check)?;
        Ok(Some((native, len)))
    }
}

/// Copies them to where the handle's last copy was: no guest code runs, so that nothing can end what
/// native code has lent meanwhile. `None` when there is no room, or a limit is reached.
///
/// # Safety
/// As [`run`]; so many bytes are there.
unsafe fn give(space: &Space<'_>, slot: u16, (native, len): Bytes) -> Option<u64> {
    let store = space.store();
    let size = len as u64;
    if size > store.limits.copied_bytes {
        return None;
    }
    let instance = space.binding.instance;
    // SAFETY: the caller's promise: the op that entered the handle has found it alive.
    let handle = unsafe { space.slot32(slot) };
    let loan = store.with_handles(|table| {
        let inside = |address| space.inside(address, size).is_some();
        if table.lent() < store.limits.loans {
            table.lend_again(handle, instance, size, inside)
        } else {
            None
        }
    })?;
    let to = space.inside(loan.address, size)?;
    // SAFETY: the range is inside the guest's memory; native bytes may be there too, as far as anybody
    // knows.
    unsafe { ptr::copy(native, to, len) };
    if let Some(recorder) = &store.recorder {
        recorder.bytes(Weighed { copied: size, ..Weighed::default() });
    }
    Some(loan.address)
}
