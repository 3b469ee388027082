//! What a callback gets that is not one scalar or a pointer to the guest's own memory.
use super::bring::usize_of;
use super::call::Call;
use crate::plan::cookie;
use crate::plan::extended::to_binary128;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::after::settle;
use crate::plan::interpret::{Failure, result};
use crate::plan::moves::{misfit, store};
use crate::plan::op::{CallbackOp, Lent, REMOTE};
use crate::plan::problem::{CallbackProblem, Problem};
use crate::plan::recorder::Bytes;
use std::ptr;

impl Call<'_> {
    pub(super) fn write(&mut self, slot: u16, low: u64, high: u64) {
        // SAFETY: the slot is one of the plan's.
        unsafe { self.slots.add(usize::from(slot)).write(GuestSlot { low, high }) };
    }

    /// Runs an op of the *before* section.
    ///
    /// # Safety
    /// It is one of the closure's plan, which was verified.
    #[cold]
    pub(super) unsafe fn arrive(&mut self, op: CallbackOp) -> Result<(), Failure> {
        const ALIGN: u32 = 16;
        let space = self.space();
        // SAFETY: a verified op stays inside the frame and C's stack arguments.
        unsafe {
            match op {
                CallbackOp::ScalarWithin { from, slot, returns, range } => {
                    let value = space.integer(from);
                    let ranges = &space.plan.ranges[usize::from(range)];
                    if !ranges.iter().any(|(low, high)| (*low..=*high).contains(&value)) {
                        return Err(Failure::Check);
                    }
                    let raw = space.read::<u64>(from.at);
                    let low = result::decode(returns, raw, raw)?;
                    self.write(slot, low.unwrap_or(0), 0);
                    Ok(())
                }
                CallbackOp::Pair { low, high, slot, extended } => {
                    let halves = [space.read::<u64>(low), space.read::<u64>(high)];
                    let mut value = u128::from(halves[1]) << 64 | u128::from(halves[0]);
                    if extended {
                        value = to_binary128(value);
                    }
                    self.write(slot, low_half(value), 0);
                    self.write(slot + 1, low_half(value >> 64), 0);
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
                CallbackOp::Descriptor { from, slot, kind } => {
                    let value = space.read::<i32>(from);
                    let shown = match u32::try_from(value) {
                        Err(_) => value.cast_unsigned(),
                        Ok(descriptor) => self.show_descriptor(descriptor, kind)?,
                    };
                    self.write(slot, shown.into(), 0);
                    Ok(())
                }
                CallbackOp::Function { from, slot } => {
                    let code = space.read::<u64>(from);
                    let mut index = 0;
                    if code != 0 {
                        index = self.index_of(code).ok_or_else(not_the_guests)?;
                    }
                    self.write(slot, index, 0);
                    Ok(())
                }
                CallbackOp::Handle { from, slot, kind, lent } => {
                    let native = space.read::<u64>(from);
                    let lender = match lent {
                        Lent::By(lender) => {
                            Some((*self.slots.add(lender.into())).low).filter(|lender| *lender != 0)
                        }
                        Lent::Callback | Lent::Static => None,
                    };
                    let handle = match lender {
                        _ if native == 0 => 0,
                        None if lent != Lent::Static => self.show(native, kind)?,
                        lender => self.lend(native, kind, lender)?,
                    };
                    self.write(slot, handle.into(), 0);
                    Ok(())
                }
                CallbackOp::Object { slot, size, moves, behind } => {
                    let moves = &space.plan.moves[usize::from(moves)];
                    let frame = match behind {
                        None => space.frame.cast::<u8>(),
                        Some(at) => space.read::<*mut u8>(at).wrapping_sub(REMOTE),
                    };
                    if misfit(moves, frame).is_some() {
                        return Err(Failure::Check);
                    }
                    let at = self.make_room(size.into(), ALIGN)?;
                    let brought = self.brought();
                    let to = brought.bytes[at..at + size as usize].as_mut_ptr();
                    store(moves, frame, to);
                    brought.slots.push((slot, at));
                    Ok(())
                }
                CallbackOp::Room { size } => {
                    let at = self.make_room(size.into(), ALIGN)?;
                    let brought = self.brought();
                    brought.slots.push((0, at));
                    brought.room = Some(at);
                    Ok(())
                }
                CallbackOp::Copy { from, slot, root } => {
                    self.bring(space.read::<u64>(from), slot, root)
                }
                CallbackOp::Pass { .. }
                | CallbackOp::Keep { .. }
                | CallbackOp::KeepReturned { .. }
                | CallbackOp::Scalar { .. }
                | CallbackOp::Inside { .. }
                | CallbackOp::Enter
                | CallbackOp::Reply { .. }
                | CallbackOp::ReplyWithin { .. }
                | CallbackOp::ReplyVector
                | CallbackOp::ReplySplit { .. }
                | CallbackOp::ReplyBehind { .. }
                | CallbackOp::ReplyHandle { .. }
                | CallbackOp::ReplyDescriptor { .. }
                | CallbackOp::ReplyCookie
                | CallbackOp::ReplyText { .. }
                | CallbackOp::ReplyBuffer { .. }
                | CallbackOp::ReplyCopy { .. }
                | CallbackOp::ReplyFunction { .. } => Ok(()),
            }
        }
    }

    /// The index in the guest's table of the function whose closure has that code.
    pub(super) fn index_of(&mut self, code: u64) -> Option<u64> {
        let function = self.closure.function();
        // SAFETY: the function is one that the host has made a closure of.
        unsafe { self.guest().table_index(function, code) }
    }

    /// The handle of an object, which is gone when the guest's function has returned unless there was one.
    pub(super) fn show(&mut self, native: u64, kind: u16) -> Result<u32, Failure> {
        let pointer = ptr::with_exposed_provenance_mut(usize_of(native));
        let kind = self.space().plan.handle_kinds[usize::from(kind)].id;
        self.shown(|table| table.show(pointer, kind))
    }

    /// The same of a descriptor.
    fn show_descriptor(&mut self, value: u32, kind: u16) -> Result<u32, Failure> {
        let kind = self.space().plan.handle_kinds[usize::from(kind)].id;
        self.shown(|table| table.show_descriptor(value, kind))
    }

    fn shown(
        &mut self,
        show: impl FnOnce(&mut crate::plan::handles::HandleTable) -> Option<(u32, bool)>,
    ) -> Result<u32, Failure> {
        let space = self.space();
        let Some((shown, is_new)) = space.store().with_handles(show) else {
            let value = u64::from(space.store().limits.handles);
            return Err(Problem::Limit { limit: "handles", value }.into());
        };
        if is_new {
            self.brought().shown.push(shown);
        } else {
            // SAFETY: the running call is one of a store that is alive, and nobody else looks at it now.
            unsafe { (*self.running).pass(shown) };
        }
        Ok(shown)
    }

    /// The handle of an object that lives as long as its lender, or as the store.
    fn lend(&mut self, native: u64, kind: u16, lender: Option<u64>) -> Result<u32, Failure> {
        let space = self.space();
        let pointer = ptr::with_exposed_provenance_mut(usize_of(native));
        let kind = space.plan.handle_kinds[usize::from(kind)].id;
        let lender = lender.and_then(|lender| u32::try_from(lender).ok());
        let handle = space
            .store()
            .with_handles(|table| table.adopt(pointer, kind, true, lender, ptr::null()));
        let Some(handle) = handle else {
            let value = u64::from(space.store().limits.handles);
            return Err(Problem::Limit { limit: "handles", value }.into());
        };
        // SAFETY: as in `shown`.
        unsafe { (*self.running).pass(handle) };
        Ok(handle)
    }

    /// Puts what was read into the guest's memory.
    #[cold]
    pub(super) fn give(&mut self) -> Result<(), Failure> {
        const ALIGN: u32 = 16;
        if self.brought().slots.is_empty() {
            return Ok(());
        }
        let closure = self.closure;
        let wanted = self.brought().bytes.len() as u64;
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
        let brought = self.brought();
        brought.address = address;
        settle(&mut brought.bytes, &brought.pointers, address, space.plan.facts.wide);
        // SAFETY: no slice of guest memory is alive.
        unsafe { space.write_guest(address, &brought.bytes) }.ok_or_else(failed)?;
        if let Some(recorder) = &space.store().recorder {
            recorder.bytes(Bytes { copied: wanted, ..Bytes::default() });
        }
        for index in 0..self.brought().slots.len() {
            let (slot, at) = self.brought().slots[index];
            self.write(slot, address + at as u64, 0);
        }
        Ok(())
    }

    /// Where the guest has put its result.
    pub(super) fn room(&mut self) -> u64 {
        let brought = self.brought();
        brought.room.map_or(0, |at| brought.address + at as u64)
    }
}

pub(super) fn not_the_guests() -> Problem {
    Problem::Callback(Box::new(CallbackProblem::NotTheGuests))
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low_half(value: u128) -> u64 {
    value as u64
}
