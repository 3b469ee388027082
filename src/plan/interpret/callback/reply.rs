//! What C gets of what a guest function returns.
use super::call::Call;
use super::closure::Kept;
use crate::plan::cookie;
use crate::plan::expression::evaluate;
use crate::plan::frame::{FrameHead, FrameLayout, GuestSlot};
use crate::plan::handles::descriptor_value;
use crate::plan::interpret::copies::CallMemory;
use crate::plan::interpret::deep::copy;
use crate::plan::interpret::upcall::{LOAD_WHOLE, loads};
use crate::plan::interpret::{Both, Failure, FrameEnvironment, text_length};
use crate::plan::moves::{Move, MoveKind, load};
use crate::plan::op::{At, CallbackOp, Fetch, Null, REMOTE, Width};
use crate::plan::problem::Problem;
use std::ffi::c_void;
use std::ptr;

fn integer(integer: u64) -> Both {
    Both { integer, vector: 0.0 }
}

/// A scalar from slot 0.
///
/// # Safety
/// The guest's function has returned one.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "C's conversion: higher bits are ignored"
)]
pub(super) unsafe fn scalar(fetch: Fetch, slots: *const GuestSlot) -> Both {
    // SAFETY: the caller's promise; of an `i32` only the low half is read.
    let (low32, low64) = unsafe { (slots.cast::<u32>().read(), || slots.cast::<u64>().read()) };
    let signed = |value: i64| integer(value.cast_unsigned());
    match fetch {
        Fetch::Integer(Width::I8) => signed(i64::from(low32 as i8)),
        Fetch::Integer(Width::U8) => integer(u64::from(low32 as u8)),
        Fetch::Integer(Width::I16) => signed(i64::from(low32 as i16)),
        Fetch::Integer(Width::U16) => integer(u64::from(low32 as u16)),
        Fetch::Integer(Width::I32) => signed(i64::from(low32 as i32)),
        Fetch::Integer(Width::U32) => integer(low32.into()),
        Fetch::Integer(Width::U64 | Width::I64 | Width::I128) | Fetch::Whole => integer(low64()),
        Fetch::Bool => integer(u64::from(low32 != 0)),
        Fetch::Float32 => Both { integer: 0, vector: f64::from_bits(low32.into()) },
        Fetch::Float64 => Both { integer: 0, vector: f64::from_bits(low64()) },
    }
}

/// No result, where the entry loads it from the record. `moves`: those of the result; a vector without.
///
/// # Safety
/// `frame` is what the closure's entry has filled.
pub(super) unsafe fn nothing(moves: Option<&[Move]>, frame: *mut FrameHead) -> Both {
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*frame).record.integers).write([0; 2]);
        (&raw mut (*frame).record.vectors).write([[0; 2]; 2]);
        (&raw mut (*frame).record.x87).write([0; 4]);
    }
    integer(moves.map_or(LOAD_WHOLE, loads).into())
}

/// No result, where C has passed an address for it: zeros.
///
/// # Safety
/// `frame` is what the closure's entry has filled; memory for a value with those moves is where the
/// pointer at `hidden` points.
pub(super) unsafe fn nothing_behind(moves: &[Move], frame: *mut FrameHead, hidden: At) -> Both {
    // SAFETY: the caller's promise; the moves write only the value.
    unsafe {
        let to = frame.cast::<u8>().add(hidden.offset()).cast::<*mut u8>().read();
        for one in moves {
            let at = to.wrapping_sub(REMOTE).wrapping_add(one.frame.offset());
            match one.kind {
                MoveKind::Bits(mask) => at.write(at.read() & !mask),
                kind => at.write_bytes(0, kind.frame_bytes() as usize),
            }
        }
        integer(to.expose_provenance() as u64)
    }
}

impl Call<'_> {
    /// Makes C's result of what the guest has returned.
    ///
    /// # Safety
    /// The op is the last one of the closure's plan, which was verified, and the guest's function has
    /// returned.
    #[cold]
    pub(super) unsafe fn reply(&mut self, op: CallbackOp) -> Result<Both, Failure> {
        self.refresh();
        let space = self.space();
        let frame = self.frame;
        // SAFETY: a verified op stays inside the frame, and inside the value where C has passed an address
        // for it; guest addresses are checked by `inside` and `guest_bytes`.
        unsafe {
            match op {
                CallbackOp::ReplyVector => {
                    let value = self.slots.cast::<[u64; 2]>().read();
                    (&raw mut (*frame).record.vectors).write([value, [0; 2]]);
                    Ok(integer(LOAD_WHOLE.into()))
                }
                CallbackOp::ReplySplit { size, moves } => {
                    let room = self.room();
                    let at = space.inside(room, size.into()).ok_or(Failure::Check)?;
                    let moves = &space.plan.moves[usize::from(moves)];
                    load(moves, frame.cast(), at);
                    Ok(integer(loads(moves).into()))
                }
                CallbackOp::ReplyBehind { size, moves, hidden } => {
                    let room = self.room();
                    let at = space.inside(room, size.into()).ok_or(Failure::Check)?;
                    let to = space.read::<*mut u8>(hidden);
                    load(&space.plan.moves[usize::from(moves)], to.wrapping_sub(REMOTE), at);
                    Ok(integer(to.expose_provenance() as u64))
                }
                CallbackOp::ReplyWithin { fetch, range } => {
                    let both = scalar(fetch, self.slots);
                    let value = match fetch {
                        Fetch::Integer(Width::I8 | Width::I16 | Width::I32 | Width::I64) => {
                            i128::from(both.integer.cast_signed())
                        }
                        _ => i128::from(both.integer),
                    };
                    let ranges = &space.plan.ranges[usize::from(range)];
                    let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&value));
                    if inside { Ok(both) } else { Err(Failure::Check) }
                }
                CallbackOp::ReplyHandle { kind, null } => {
                    let value = space.pointer(0);
                    if value == 0 {
                        return zero(null == Null::Allowed);
                    }
                    let value = u32::try_from(value).map_err(|_| Failure::Check)?;
                    let found = self.handle(value, kind)?;
                    Ok(integer(found.expose_provenance() as u64))
                }
                CallbackOp::ReplyDescriptor { kind } => {
                    let value = space.slot32(0);
                    if value.cast_signed() < 0 {
                        return Ok(integer(value.into()));
                    }
                    Ok(integer(descriptor_value(self.handle(value, kind)?).into()))
                }
                CallbackOp::ReplyCopy { root } => self.copied(root),
                CallbackOp::ReplyFunction { callback, null } => {
                    let index = space.pointer(0);
                    if index == 0 {
                        return zero(null == Null::Allowed);
                    }
                    let callback = &space.plan.callbacks[usize::from(callback)];
                    let function = self.closure.function();
                    let found =
                        self.guest().closure_for(function, index, callback, space.binding)?;
                    found.as_ref().hold(false);
                    let returned = &mut (*self.running).returned;
                    returned.get_or_insert_default().functions.push(found);
                    Ok(integer(found.as_ref().code().expose_provenance() as u64))
                }
                CallbackOp::ReplyCookie => {
                    let value = u32::try_from(space.pointer(0)).map_err(|_| Failure::Check)?;
                    cookie::to_native(value).map(integer).ok_or(Failure::Check)
                }
                CallbackOp::ReplyText { unit, null } => self.text(unit, null),
                CallbackOp::ReplyBuffer { expr, size, align, null } => {
                    let count = match expr {
                        None => 1,
                        Some(expr) => {
                            let expression = &space.plan.expressions[usize::from(expr)];
                            let count = evaluate(expression, &mut FrameEnvironment(space));
                            let count = count.ok().and_then(|count| u64::try_from(count).ok());
                            count.ok_or(Failure::Check)?
                        }
                    };
                    let bytes = count.checked_mul(size.into()).ok_or(Failure::Check)?;
                    let guest = space.pointer(0);
                    if guest == 0 {
                        let allowed =
                            null == Null::Allowed || (null == Null::IfEmpty && bytes == 0);
                        return zero(allowed);
                    }
                    if bytes != 0 && !guest.is_multiple_of(align.into()) {
                        return Err(Failure::Check);
                    }
                    let start =
                        if bytes == 0 { guest.min(space.binding.memory_len.get()) } else { guest };
                    let at = space.inside(start, bytes).ok_or(Failure::Check)?;
                    Ok(integer(at.expose_provenance() as u64))
                }
                CallbackOp::Pass { .. }
                | CallbackOp::Keep { .. }
                | CallbackOp::KeepReturned { .. }
                | CallbackOp::Scalar { .. }
                | CallbackOp::ScalarWithin { .. }
                | CallbackOp::Pair { .. }
                | CallbackOp::Vector { .. }
                | CallbackOp::Cookie { .. }
                | CallbackOp::Descriptor { .. }
                | CallbackOp::Inside { .. }
                | CallbackOp::Copy { .. }
                | CallbackOp::Handle { .. }
                | CallbackOp::Function { .. }
                | CallbackOp::Object { .. }
                | CallbackOp::Room { .. }
                | CallbackOp::Enter
                | CallbackOp::Reply { .. } => Ok(integer(0)),
            }
        }
    }

    /// The object of a live handle, for native code until the running call is over.
    fn handle(&self, handle: u32, kind: u16) -> Result<*mut c_void, Failure> {
        let kind = &self.space().plan.handle_kinds[usize::from(kind)];
        // SAFETY: the running call is one of a store that is alive, and nobody else looks at it now.
        let lent = unsafe { (*self.running).lend(handle, kind.id) };
        lent.map_err(|error| {
            let (value, expected) = (handle.into(), kind.name.to_string());
            Problem::Handle { value, expected, error }.into()
        })
    }

    /// A copy of what the pointer in slot 0 leads to, which lives as long as the running call.
    ///
    /// # Safety
    /// As [`Call::reply`].
    unsafe fn copied(&mut self, root: u16) -> Result<Both, Failure> {
        let space = self.space();
        let plan = ptr::from_ref(space.plan);
        // SAFETY: the caller's promise; the place is that of C's result, which nothing else uses yet.
        unsafe {
            let returned = (*self.running).returned.get_or_insert_default();
            let known = returned.copies.iter().position(|(known, _)| *known == plan);
            let entry = known.unwrap_or_else(|| {
                returned.copies.push((plan, None));
                returned.copies.len() - 1
            });
            let memory = &mut returned.copies[entry].1;
            if let Some(memory) = memory {
                memory.forget();
            }
            let place = FrameLayout::result_integer();
            let result = u16::try_from(space.plan.slots.len()).unwrap_or(u16::MAX);
            copy(&space, memory, 0, place, (root, result))?;
            Ok(integer(space.read::<u64>(place)))
        }
    }

    /// A copy of the string that the guest has returned.
    ///
    /// # Safety
    /// As [`Call::reply`].
    unsafe fn text(&mut self, unit: u8, null: Null) -> Result<Both, Failure> {
        let space = self.space();
        // SAFETY: the caller's promise; no guest code runs while the bytes are looked at.
        unsafe {
            let guest = space.pointer(0);
            if guest == 0 {
                return zero(null == Null::Allowed);
            }
            let left = space.binding.memory_len.get().checked_sub(guest).ok_or(Failure::Check)?;
            let bytes = space.guest_bytes(guest, left).ok_or(Failure::Check)?;
            if !guest.is_multiple_of(unit.into()) {
                return Err(Failure::Check);
            }
            let bytes = &bytes[..text_length(bytes, unit).ok_or(Failure::Check)?];
            let limit = space.store().limits.copied_bytes;
            let copy = match self.closure.keep_text(bytes, limit) {
                Kept::Closure(copy) => Some(copy),
                Kept::TooMany => None,
                Kept::Call => {
                    let memory = &mut (*self.running).memory;
                    memory
                        .get_or_insert_with(|| Box::new(CallMemory::new(space.store())))
                        .copy(guest, bytes, limit)
                }
            };
            let copy = copy.ok_or(Problem::Limit { limit: "copied_bytes", value: limit })?;
            Ok(integer(copy.expose_provenance() as u64))
        }
    }
}

fn zero(allowed: bool) -> Result<Both, Failure> {
    if allowed { Ok(integer(ptr::null::<u8>().addr() as u64)) } else { Err(Failure::Check) }
}
