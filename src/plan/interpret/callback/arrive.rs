//! What a callback gets that is not one scalar or a pointer to the guest's own memory.
//!
//! Native bytes are read first, all of them, then the guest is asked for memory: its allocator is guest
//! code, which may change what native code has lent.
use super::Kept;
use super::call::Call;
use crate::plan::cookie;
use crate::plan::expression::evaluate;
use crate::plan::extended::to_binary128;
use crate::plan::frame::GuestSlot;
use crate::plan::handles::Loan;
use crate::plan::interpret::after::{Taken, native_text_length, settle};
use crate::plan::interpret::{Failure, FrameEnvironment};
use crate::plan::moves::{load, misfit, store};
use crate::plan::op::{CallbackOp, Each, REMOTE, Reach};
use crate::plan::problem::{CallbackProblem, Problem, Subject};
use std::ptr;

/// What one call of a callback has brought to the guest, and takes back.
#[derive(Default)]
pub(super) struct Brought {
    copies: Vec<Copy>,
    /// Handles that this call has made.
    shown: Vec<u32>,
    /// Bytes of the copies.
    bytes: u64,
}

/// Guest memory for the length of a call.
struct Copy {
    slot: u16,
    bytes: Box<[u8]>,
    /// Offsets of pointers in `bytes` to other bytes of it, as offsets until it is known where it will be.
    pointers: Vec<usize>,
    /// Where it is; 0 until the guest was asked.
    address: u64,
    back: Back,
}

/// What becomes of what the guest leaves in a copy.
#[derive(Clone, Copy)]
enum Back {
    Dropped,
    /// Copied to there.
    Bytes(*mut u8),
    /// Taken apart.
    Moves(*mut u8, u16),
}

impl Call<'_> {
    fn brought(&mut self) -> &mut Brought {
        self.brought.get_or_insert_default()
    }

    fn write(&mut self, slot: u16, low: u64, high: u64) {
        // SAFETY: the slot is one of the plan's.
        unsafe { self.slots.add(usize::from(slot)).write(GuestSlot { low, high }) };
    }

    /// Guest memory with those bytes, whose address goes to `slot`.
    fn copy(&mut self, slot: u16, bytes: Box<[u8]>, back: Back) -> Result<(), Failure> {
        self.copy_linked(slot, Taken { bytes: bytes.into(), pointers: Vec::new() }, back)
    }

    /// As [`Call::copy`], of bytes with pointers in them.
    fn copy_linked(&mut self, slot: u16, taken: Taken, back: Back) -> Result<(), Failure> {
        let Taken { bytes, pointers } = taken;
        let bytes = bytes.into_boxed_slice();
        let limit = self.space().store().limits.copied_bytes;
        let brought = self.brought();
        brought.bytes = brought.bytes.saturating_add(bytes.len() as u64);
        if brought.bytes > limit {
            return Err(Problem::Limit { limit: "copied_bytes", value: limit }.into());
        }
        brought.copies.push(Copy { slot, bytes, pointers, address: 0, back });
        Ok(())
    }

    /// Runs an op of the *before* section.
    ///
    /// # Safety
    /// It is one of the closure's plan, which was verified.
    #[cold]
    pub(super) unsafe fn arrive(&mut self, op: CallbackOp) -> Result<(), Failure> {
        let space = self.space();
        // SAFETY: a verified op stays inside the frame and C's stack arguments.
        unsafe {
            match op {
                CallbackOp::Pair { from, slot, extended } => {
                    let mut value = space.read::<u128>(from);
                    if extended {
                        value = to_binary128(value);
                    }
                    self.write(slot, low(value), 0);
                    self.write(slot + 1, low(value >> 64), 0);
                    Ok(())
                }
                CallbackOp::Vector { from, slot } => {
                    let [low, high] = space.read::<[u64; 2]>(from);
                    self.write(slot, low, high);
                    Ok(())
                }
                CallbackOp::Cookie { from, slot } => {
                    let cookie = cookie::to_guest(space.read::<u64>(from)).ok_or(Failure::Check)?;
                    self.write(slot, cookie.into(), 0);
                    Ok(())
                }
                CallbackOp::Handle { from, slot, kind } => {
                    self.show(space.read::<u64>(from), slot, kind)
                }
                CallbackOp::Object { slot, size, moves } => {
                    let moves = &space.plan.moves[usize::from(moves)];
                    if misfit(moves, space.frame.cast()).is_some() {
                        return Err(Failure::Check);
                    }
                    let mut bytes = vec![0; size as usize].into_boxed_slice();
                    store(moves, space.frame.cast(), bytes.as_mut_ptr());
                    self.copy(slot, bytes, Back::Dropped)
                }
                CallbackOp::Room { size } => {
                    self.copy(0, vec![0; size as usize].into(), Back::Dropped)
                }
                CallbackOp::Copy { from, slot, reach, back } => {
                    self.bring(space.read::<u64>(from), slot, reach, back)
                }
                CallbackOp::Pass { .. }
                | CallbackOp::Keep { .. }
                | CallbackOp::KeepReturned { .. }
                | CallbackOp::Scalar { .. }
                | CallbackOp::Inside { .. }
                | CallbackOp::Enter
                | CallbackOp::Reply { .. }
                | CallbackOp::ReplyVector
                | CallbackOp::ReplySplit { .. }
                | CallbackOp::ReplyBehind { .. }
                | CallbackOp::ReplyHandle { .. }
                | CallbackOp::ReplyCookie
                | CallbackOp::ReplyText { .. }
                | CallbackOp::ReplyBuffer { .. } => Ok(()),
            }
        }
    }

    /// # Safety
    /// As [`Call::arrive`]; the native pointer is an object of that kind.
    unsafe fn show(&mut self, native: u64, slot: u16, kind: u16) -> Result<(), Failure> {
        let handle = self.shown(native, kind)?;
        self.write(slot, handle.into(), 0);
        Ok(())
    }

    /// The handle of an object, which is gone when the guest's function has returned unless there was one.
    fn shown(&mut self, native: u64, kind: u16) -> Result<u32, Failure> {
        let space = self.space();
        let mut handle = 0;
        if native != 0 {
            let kind = space.plan.handle_kinds[usize::from(kind)].id;
            let pointer = ptr::with_exposed_provenance_mut(usize_of(native));
            let shown = space.store().with_handles(|table| table.show(pointer, kind));
            let limit = u64::from(space.store().limits.handles);
            let Some((shown, is_new)) = shown else {
                return Err(Problem::Limit { limit: "handles", value: limit }.into());
            };
            handle = shown;
            if is_new {
                self.brought().shown.push(shown);
            }
        }
        Ok(handle)
    }

    /// # Safety
    /// As [`Call::arrive`]; the native pointer reaches as far as that says.
    unsafe fn bring(
        &mut self,
        native: u64,
        slot: u16,
        reach: Reach,
        back: bool,
    ) -> Result<(), Failure> {
        // Native pointers are never the guest's, wherever they lie.
        let pointers = native != 0 && matches!(reach, Reach::Pointers { .. });
        if !pointers && let Some(address) = self.inside(native).or_else(|| self.find(native)) {
            self.write(slot, address, 0);
            return Ok(());
        }
        let space = self.space();
        let start = ptr::with_exposed_provenance_mut::<u8>(usize_of(native));
        let len = match reach {
            Reach::Pointers { expr, each } => {
                // SAFETY: the prototype says that so many pointers are there.
                let taken = unsafe { self.pointers(start, expr, each)? };
                return self.copy_linked(slot, taken, Back::Dropped);
            }
            // SAFETY: the prototype says that it is a string.
            Reach::Text(unit) => unsafe { native_text_length(start, unit) as u64 },
            Reach::Counted { expr, size } => {
                self.count(expr)?.checked_mul(size.into()).ok_or(Failure::Check)?
            }
            Reach::Object { size, moves } => {
                let list = &space.plan.moves[usize::from(moves)];
                let frame = start.wrapping_sub(REMOTE);
                let mut bytes = vec![0; size as usize].into_boxed_slice();
                // SAFETY: the prototype says that such a value is there; the moves' frame begins before
                // it, and they read only it.
                unsafe {
                    if misfit(list, frame).is_some() {
                        return Err(Failure::Check);
                    }
                    store(list, frame, bytes.as_mut_ptr());
                }
                let back = if back { Back::Moves(start, moves) } else { Back::Dropped };
                return self.copy(slot, bytes, back);
            }
        };
        let limit = space.store().limits.copied_bytes;
        let too_many = || Failure::from(Problem::Limit { limit: "copied_bytes", value: limit });
        let len = usize::try_from(len).ok().filter(|len| *len as u64 <= limit);
        // SAFETY: the prototype says that so many bytes are there, and native code does not run meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(start, len.ok_or_else(too_many)?) };
        let back = if back { Back::Bytes(start) } else { Back::Dropped };
        self.copy(slot, bytes.into(), back)
    }

    /// The value of an expression of counts.
    fn count(&self, expr: u16) -> Result<u64, Failure> {
        let space = self.space();
        let expression = &space.plan.expressions[usize::from(expr)];
        let count = evaluate(expression, &mut FrameEnvironment(space));
        count.ok().and_then(|count| u64::try_from(count).ok()).ok_or(Failure::Check)
    }

    /// An array of pointers, and behind it the strings that they point to.
    ///
    /// # Safety
    /// Native code does not run meanwhile, and so many pointers are at `start`, or a NULL ends them.
    unsafe fn pointers(
        &mut self,
        start: *const u8,
        expr: Option<u16>,
        each: Each,
    ) -> Result<Taken, Failure> {
        let space = self.space();
        let size = space.pointer_size();
        let brought = self.brought().bytes;
        let limit = space.store().limits.copied_bytes;
        let left = limit.saturating_sub(brought);
        let too_many = || Failure::from(Problem::Limit { limit: "copied_bytes", value: limit });
        // SAFETY: the caller's promise: the array has not ended before.
        let native =
            |index: u64| unsafe { start.add(usize_of(index) * 8).cast::<u64>().read_unaligned() };
        let (count, length) = match expr {
            Some(expr) => {
                let count = self.count(expr)?;
                (count, count)
            }
            None => {
                let mut count = 0;
                while native(count) != 0 {
                    count += 1;
                }
                (count, count + 1)
            }
        };
        let head = length.checked_mul(size).filter(|bytes| *bytes <= left);
        let head = usize_of(head.ok_or_else(too_many)?);
        let mut taken = Taken { bytes: vec![0; head], pointers: Vec::new() };
        for index in 0..count {
            let pointer = native(index);
            let at = usize_of(index * size);
            let value = match each {
                _ if pointer == 0 => 0,
                Each::Handle(kind) => self.shown(pointer, kind)?.into(),
                Each::Text(unit) => match self.inside(pointer).or_else(|| self.find(pointer)) {
                    Some(address) => address,
                    None => {
                        let text = ptr::with_exposed_provenance::<u8>(usize_of(pointer));
                        // SAFETY: the prototype says that it is a string, which ends.
                        let text = unsafe {
                            std::slice::from_raw_parts(text, native_text_length(text, unit))
                        };
                        let to = taken.bytes.len().next_multiple_of(unit.into());
                        if to.saturating_add(text.len()) as u64 > left {
                            return Err(too_many());
                        }
                        taken.bytes.resize(to, 0);
                        taken.bytes.extend_from_slice(text);
                        taken.pointers.push(at);
                        to as u64
                    }
                },
            };
            let size = usize_of(size);
            taken.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        Ok(taken)
    }

    /// Puts what was read into the guest's memory.
    #[cold]
    pub(super) fn give(&mut self) -> Result<(), Failure> {
        const ALIGN: u32 = 16;
        let closure = self.closure;
        let count = self.brought().copies.len();
        for index in 0..count {
            let wanted = self.brought().copies[index].bytes.len() as u64;
            // SAFETY: the function is one that the host has made a closure of.
            let address = unsafe {
                let guest = self.guest();
                guest.allocate_for(closure.function(), wanted.max(1), ALIGN)?
            };
            self.refresh();
            let failed = || Failure::from(Problem::Allocation { bytes: wanted, returned: address });
            if address == 0 {
                return Err(failed());
            }
            let space = self.space();
            let copy = &mut self.brought().copies[index];
            copy.address = address;
            settle(&mut copy.bytes, &copy.pointers, address, space.plan.facts.wide);
            // SAFETY: no slice of guest memory is alive.
            unsafe { space.write_guest(address, &copy.bytes) }.ok_or_else(failed)?;
            let slot = copy.slot;
            self.write(slot, address, 0);
        }
        Ok(())
    }

    /// Where the guest has put its result.
    pub(super) fn room(&mut self) -> u64 {
        self.brought().copies.iter().find(|copy| copy.slot == 0).map_or(0, |copy| copy.address)
    }

    /// Ends what the call has brought: what the guest has left goes back if all went well, then its memory
    /// is freed. When guest code has trapped, none runs any more.
    pub(super) fn take_back(&mut self, is_well: bool, trapped: bool) -> Result<(), Kept> {
        let Some(brought) = self.brought.take() else { return Ok(()) };
        if is_well {
            self.refresh();
            let space = self.space();
            for copy in &brought.copies {
                let at = space.inside(copy.address, copy.bytes.len() as u64);
                let Some(at) = at else { continue };
                // SAFETY: the bytes are inside the guest's memory. Native code has lent what is written to,
                // and is what called.
                unsafe {
                    match copy.back {
                        Back::Dropped => {}
                        Back::Bytes(to) => to.copy_from_nonoverlapping(at, copy.bytes.len()),
                        Back::Moves(to, moves) => {
                            let moves = &space.plan.moves[usize::from(moves)];
                            load(moves, to.wrapping_sub(REMOTE), at);
                        }
                    }
                }
            }
        }
        let space = self.space();
        let mut ended = Vec::new();
        for handle in &brought.shown {
            ended.extend(space.store().with_handles(|table| table.hide(*handle)));
        }
        let instance = self.closure.binding().instance;
        let mut lost = None;
        for loan in ended.iter().filter(|loan| is_well && loan.back != 0) {
            let at = space.inside(loan.address, loan.size).filter(|_| loan.instance == instance);
            let Some(at) = at else {
                let problem = Problem::Callback(Box::new(CallbackProblem::LivesOn));
                lost = Some(Kept::Problem(Box::new((Subject::Call, problem))));
                continue;
            };
            let to = ptr::with_exposed_provenance_mut::<u8>(loan.back);
            // SAFETY: the bytes are inside the guest's memory. The native ones are lent as long as the object
            // is, which native code has passed to this callback and which has no owner here.
            unsafe { to.copy_from_nonoverlapping(at, usize_of(loan.size)) };
        }
        if trapped {
            return Ok(());
        }
        let loans = brought.copies.iter().filter(|copy| copy.address != 0).map(|copy| {
            let size = copy.bytes.len() as u64;
            Loan { instance, address: copy.address, size, back: 0 }
        });
        for loan in loans.chain(ended) {
            if self.guest().release(loan).is_err() {
                return Err(Kept::Guest);
            }
        }
        lost.map_or(Ok(()), Err)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low(value: u128) -> u64 {
    value as u64
}

/// A native address on a 64-bit host.
fn usize_of(value: u64) -> usize {
    usize::try_from(value).expect("bridges exist only on 64-bit hosts")
}
