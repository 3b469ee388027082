//! The ops of the *before* section: decode, check, place. Nothing outside the frame and the call's
//! own memory changes here, handles' marks excepted, which are taken back when the call is over.
use super::space::{FrameEnvironment, Space};
use super::{CallMemory, Failure, callback, deep};
use crate::plan::expression::evaluate;
use crate::plan::extended::from_binary128;
use crate::plan::format::{self, Library};
use crate::plan::moves::load;
use crate::plan::op::{At, Count, DeepOp, Null, Op, Width};
use crate::plan::problem::Problem;

/// Runs one op that is neither a scalar nor a buffer.
///
/// # Safety
/// The op belongs to a verified plan; every op before it has run in this frame.
#[inline(never)]
pub unsafe fn step(
    op: &Op,
    space: &Space<'_>,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    // SAFETY: the caller promises that the plan was verified: every position and slot of its ops
    // lies inside the frame and the guest's slots, ranges of the frame that two ops write do not
    // overlap, and what an op reads has been written by one before it. Guest addresses are checked
    // here, by `inside`, `guest_bytes` and `buffer`, against the memory of the binding, which
    // stays as it is until guest code runs.
    unsafe {
        match *op {
            Op::Range { value, set, param: _ } => {
                let value = space.integer(value);
                let ranges = &space.plan.ranges[usize::from(set)];
                if !ranges.iter().any(|(low, high)| (*low..=*high).contains(&value)) {
                    return Err(Failure::Check);
                }
            }
            Op::Evaluate { expr, to, param: _ } => {
                let value = expression(space, expr)?;
                space.write::<i128>(to, value);
            }
            Op::Require { expr, of: _ } => {
                if expression(space, expr)? == 0 {
                    return Err(Failure::Check);
                }
            }
            Op::Value { expr, to, width, param: _ } => {
                let value = expression(space, expr)?;
                if !width.holds(value) {
                    return Err(Failure::Check);
                }
                place(space, to, low64(value));
            }
            Op::Text { slot, to, unit, null, copy, extent } => {
                let guest = space.pointer(slot);
                text(space, guest, to, unit, null, extent)?;
                if copy {
                    make_copy(space, to, extent, memory)?;
                }
            }
            Op::Cell { slot, to, cell, guest, host: _, direction, null } => {
                let address = space.pointer(slot);
                let bytes = guest.bytes() as u64;
                space.write::<u64>(cell, 0);
                if address == 0 {
                    if null != Null::Allowed {
                        return Err(Failure::Check);
                    }
                    place(space, to, 0);
                    return Ok(());
                }
                let at = space.inside(address, bytes).ok_or(Failure::Check)?;
                if direction.is_in() {
                    let value = load_integer(at, guest);
                    space.write::<u64>(cell, low64(value));
                }
                place(space, to, space.address(cell));
            }
            Op::PointerCell { slot, to, cell, null } => {
                pointer_cell(space, slot, to, cell, null)?;
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                let at = pointer_cell(space, slot, to, cell, null)?;
                space.write::<u64>(extent, 0);
                if let Some(at) = at {
                    let width = if space.plan.facts.wide { Width::U64 } else { Width::U32 };
                    let inner =
                        u64::try_from(load_integer(at, width)).map_err(|_| Failure::Check)?;
                    text(space, inner, cell, 1, Null::Allowed, extent)?;
                }
            }
            Op::Handle { slot, to, kind, null, fate } => {
                let value = space.pointer(slot);
                let value = u32::try_from(value).map_err(|_| Failure::Check)?;
                if value == 0 {
                    if null != Null::Allowed {
                        return Err(Failure::Check);
                    }
                    place(space, to, 0);
                    return Ok(());
                }
                let kind = space.plan.handle_kinds[usize::from(kind)].id;
                let marks = space.plan.facts.marks;
                let pointer = space
                    .store()
                    .with_handles(|handles| super::life::enter(handles, value, kind, fate, marks));
                let pointer = pointer.map_err(|_| Failure::Check)?;
                place(space, to, pointer.expose_provenance() as u64);
            }
            Op::Apart { text, text_extent, buffer, buffer_extent } => {
                let text_at = space.read::<u64>(text);
                let text_end = text_at + space.read::<u64>(text_extent);
                let buffer_at = space.read::<u64>(buffer);
                let buffer_end = buffer_at + space.read::<u64>(buffer_extent);
                // Both are inside one memory: neither sum can wrap. An empty range, which may lie
                // anywhere, overlaps nothing.
                if text_at.max(buffer_at) < text_end.min(buffer_end) {
                    make_copy(space, text, text_extent, memory)?;
                }
            }
            Op::Reserve { handles } => {
                let reserved =
                    space.store().with_handles(|table| table.reserve(u32::from(handles)));
                reserved.map_err(|_| Failure::Check)?;
            }
            Op::Pair { slot, to } => {
                space.write::<[u64; 2]>(to, [space.slot64(slot), space.slot64(slot + 1)]);
            }
            Op::Extended { slot, to } => {
                let (low, high) = (space.slot64(slot), space.slot64(slot + 1));
                let value = u128::from(high) << 64 | u128::from(low);
                space.write::<u128>(to, from_binary128(value));
            }
            Op::Vector { slot, to } => {
                space.write::<[u64; 2]>(to, space.slot(slot).cast::<[u64; 2]>().read());
            }
            Op::Address { of, to, zeroed } => {
                space.frame.cast::<u8>().add(of.offset()).write_bytes(0, zeroed.into());
                place(space, to, space.address(of));
            }
            Op::Room { slot, size } => {
                space.inside(space.pointer(slot), size.into()).ok_or(Failure::Check)?;
            }
            Op::Deep(op @ DeepOp::Box { .. }) => super::boxed::place(space, memory, op)?,
            Op::Deep(DeepOp::Recall { of, name, to }) => {
                super::boxed::recall(space, memory, of, name, to)?;
            }
            Op::Deep(DeepOp::Fill) => super::boxed::fill(space, memory),
            Op::Deep(DeepOp::Keep { at, root, param: _ }) => {
                super::deep::keep(space, memory, at, root)?;
            }
            Op::Deep(DeepOp::Copy { slot, to, root, param }) => {
                deep::copy(space, memory, slot, to, (root, param))?;
            }
            Op::Format { text, extent, param: _ } => {
                let format = space.format(text, extent);
                let int = |at| space.read::<i32>(at);
                format::check(format, &space.plan.passed, Library::host(), int)
                    .map_err(|_| Failure::Check)?;
            }
            Op::Life(op) => super::life::before(op, space, memory)?,
            // The loop that calls this one knows these, and the section ends before the others.
            Op::Int8 { .. }
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
            | Op::Buffer { .. }
            | Op::Object { .. }
            | Op::Call { .. }
            | Op::Consume { .. }
            | Op::Measure { .. }
            | Op::Fits { .. }
            | Op::FitsObject { .. }
            | Op::Inside { .. }
            | Op::InsideOr { .. }
            | Op::Take { .. }
            | Op::FreeNative { .. }
            | Op::Give { .. }
            | Op::Adopt { .. }
            | Op::StoreCell { .. }
            | Op::StoreObject { .. }
            | Op::Deep(
                DeepOp::Settle
                | DeepOp::Take { .. }
                | DeepOp::Commit
                | DeepOp::Fetch
                | DeepOp::KeepFunctions { .. }
                | DeepOp::End { .. },
            )
            | Op::Native(_)
            | Op::Upcall(_)
            | Op::EndLoans { .. }
            | Op::Return { .. } => {}
            Op::Callback(op) => callback::before(op, space)?,
        }
    }
    Ok(())
}

/// Puts eight bytes into a register image or stack slot.
///
/// # Safety
/// `to` and eight bytes behind it lie inside the frame.
#[inline]
unsafe fn place(space: &Space<'_>, to: At, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(to, value) };
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "C's conversion: higher bits are ignored")]
pub fn extend8(value: u32) -> u64 {
    i64::from(value as u8 as i8).cast_unsigned()
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "C's conversion: higher bits are ignored")]
pub fn extend16(value: u32) -> u64 {
    i64::from(value as u16 as i16).cast_unsigned()
}

/// The low 64 bits, two's complement.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value was checked to fit, or is cut as C cuts it"
)]
pub fn low64(value: i128) -> u64 {
    value as u64
}

fn expression(space: &Space<'_>, expr: u16) -> Result<i128, Failure> {
    let expression = &space.plan.expressions[usize::from(expr)];
    evaluate(expression, &mut FrameEnvironment(*space)).map_err(|_| Failure::Check)
}

/// Checks a buffer and places its native address, and its length in bytes where it is wanted. Apart, so that
/// the loop over all ops stays small.
///
/// # Safety
/// As [`step`].
#[inline(never)]
pub unsafe fn buffer(op: &Op, space: &Space<'_>) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe { buffer_here(op, space) }
}

/// As [`buffer`].
///
/// # Safety
/// As [`step`].
#[inline(always)]
pub unsafe fn buffer_here(op: &Op, space: &Space<'_>) -> Result<(), Failure> {
    let Op::Buffer { slot, to, count, size, align, null, param: _, extent } = *op else {
        return Ok(()); // not called for others
    };
    // SAFETY: the caller's promise.
    let (guest, count) = unsafe {
        let count = match count {
            Count::Exactly(count) => Some(u64::from(count)),
            Count::Of(operand) => space.count(operand),
        };
        (space.pointer(slot), count.ok_or(Failure::Check)?)
    };
    let bytes = count.checked_mul(u64::from(size)).ok_or(Failure::Check)?;
    let memory = space.binding.memory_len.get();
    let address = if guest == 0 {
        if null != Null::Allowed && (bytes != 0 || null != Null::IfEmpty) {
            return Err(Failure::Check);
        }
        0
    } else {
        let base = space.binding.memory_base.get().expose_provenance() as u64;
        if bytes == 0 {
            base + guest.min(memory)
        } else if bytes > memory || guest > memory - bytes || guest & (u64::from(align) - 1) != 0 {
            return Err(Failure::Check);
        } else {
            base + guest
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        place(space, to, address);
        if let Some(extent) = extent {
            space.write::<u64>(extent, if address == 0 { 0 } else { bytes });
        }
    }
    Ok(())
}

/// Takes a value in the guest's memory apart.
///
/// # Safety
/// As [`step`].
#[inline(never)]
pub unsafe fn object(space: &Space<'_>, slot: u16, size: u32, moves: u16) -> Result<(), Failure> {
    // SAFETY: the caller's promise; the moves stay inside the frame and the value.
    unsafe {
        let at = space.inside(space.pointer(slot), size.into()).ok_or(Failure::Check)?;
        load(&space.plan.moves[usize::from(moves)], space.frame.cast(), at);
    }
    Ok(())
}

/// Finds the end of the string at guest address `guest`; its native address goes to `to`, its
/// length with the terminator to `extent`.
///
/// # Safety
/// As [`step`].
#[inline]
unsafe fn text(
    space: &Space<'_>,
    guest: u64,
    to: At,
    unit: u8,
    null: Null,
    extent: At,
) -> Result<(), Failure> {
    let (address, len) = if guest == 0 {
        if null != Null::Allowed {
            return Err(Failure::Check);
        }
        (0, 0)
    } else {
        let size = space.binding.memory_len.get();
        let left = size.checked_sub(guest).ok_or(Failure::Check)?;
        // SAFETY: nothing writes to guest memory until the slice is gone.
        let bytes = unsafe { space.guest_bytes(guest, left) }.ok_or(Failure::Check)?;
        if !guest.is_multiple_of(u64::from(unit)) {
            return Err(Failure::Check);
        }
        let len = text_length(bytes, unit).ok_or(Failure::Check)?;
        (bytes.as_ptr().expose_provenance() as u64, len as u64)
    };
    // SAFETY: the caller's promise.
    unsafe {
        place(space, to, address);
        space.write::<u64>(extent, len);
    }
    Ok(())
}

/// Length in bytes of the string at the start of `bytes`, its terminator included.
pub fn text_length(bytes: &[u8], unit: u8) -> Option<usize> {
    if unit == 1 {
        memchr::memchr(0, bytes).map(|at| at + 1)
    } else {
        let unit = usize::from(unit);
        let zero = bytes.chunks_exact(unit).position(|c| c.iter().all(|byte| *byte == 0))?;
        Some((zero + 1) * unit)
    }
}

/// Replaces the string whose native address is at `to` by a copy of the call's own.
///
/// # Safety
/// As [`step`]; the string was placed by [`text`].
#[cold]
unsafe fn make_copy(
    space: &Space<'_>,
    to: At,
    extent: At,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let (address, len) = unsafe { (space.read::<u64>(to), space.read::<u64>(extent)) };
    let base = space.binding.memory_base.get().expose_provenance() as u64;
    let Some(guest) = address.checked_sub(base).filter(|_| address != 0) else { return Ok(()) };
    // SAFETY: nothing writes to guest memory meanwhile.
    let Some(bytes) = (unsafe { space.guest_bytes(guest, len) }) else {
        return Ok(()); // a copy already
    };
    let limit = space.store().limits.copied_bytes;
    let copy = memory
        .get_or_insert_with(|| Box::new(CallMemory::new(space.store())))
        .copy(guest, bytes, limit);
    let copy = copy.ok_or(Problem::Limit { limit: "copied_bytes", value: limit })?;
    // SAFETY: the caller's promise.
    unsafe { place(space, to, copy.expose_provenance() as u64) };
    Ok(())
}

/// A cell for a pointer that native code writes; the native address of the guest's, if there is one.
///
/// # Safety
/// As [`step`].
unsafe fn pointer_cell(
    space: &Space<'_>,
    slot: u16,
    to: At,
    cell: At,
    null: Null,
) -> Result<Option<*mut u8>, Failure> {
    // SAFETY: the caller's promise.
    let address = unsafe { space.pointer(slot) };
    // SAFETY: the caller's promise.
    unsafe { space.write::<u64>(cell, 0) };
    if address == 0 {
        if null != Null::Allowed {
            return Err(Failure::Check);
        }
        // SAFETY: the caller's promise.
        unsafe { place(space, to, 0) };
        return Ok(None);
    }
    let at = space.inside(address, space.pointer_size()).ok_or(Failure::Check)?;
    // SAFETY: the caller's promise.
    unsafe { place(space, to, space.address(cell)) };
    Ok(Some(at))
}

/// An integer of the guest's memory.
///
/// # Safety
/// As many bytes as `width` has are readable at `at`.
pub unsafe fn load_integer(at: *const u8, width: Width) -> i128 {
    // SAFETY: the caller's promise; guests need not align what the host only copies.
    unsafe {
        match width {
            Width::U8 => i128::from(at.read()),
            Width::I8 => i128::from(at.cast::<i8>().read()),
            Width::U16 => i128::from(at.cast::<u16>().read_unaligned()),
            Width::I16 => i128::from(at.cast::<i16>().read_unaligned()),
            Width::U32 => i128::from(at.cast::<u32>().read_unaligned()),
            Width::I32 => i128::from(at.cast::<i32>().read_unaligned()),
            Width::U64 => i128::from(at.cast::<u64>().read_unaligned()),
            Width::I64 => i128::from(at.cast::<i64>().read_unaligned()),
            Width::I128 => at.cast::<i128>().read_unaligned(),
        }
    }
}
