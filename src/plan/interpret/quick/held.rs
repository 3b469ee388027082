//! The short way of plans that mark a handle while the call runs: it may call back, or give the guest a
//! copy.
//!
//! They have one handle, which is entered last of all and, if its type asks for that, given to the call
//! alone in the same step. What is then noted in the table and on the thread is what the long way notes:
//! whatever is out of the ordinary behind the call (a trap, a copy for which the handle has no memory) is
//! left to it, in the same frame.
use super::super::callback::{Now, Running};
use super::super::{after as long, enter_native};
use super::recorded::{Around, Plainly};
use super::{Halt, Memory, Quick, after};
use super::{SmallFrame, Space};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::handles::HandleType;
use crate::plan::interpret::Guest;
use crate::plan::op::{At, Fate, LifeOp, Null, Op};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

/// The handle of such a plan.
#[derive(Debug)]
pub(super) struct Held {
    slot: u16,
    to: At,
    kind: HandleType,
    nullable: bool,
    /// Its loans end.
    invalidated: bool,
    /// It is given to the call alone.
    alone: bool,
    /// Native code may call back.
    calls_back: bool,
}

impl Held {
    /// `None` for plans that have more to do.
    pub(super) fn of(plan: &Plan) -> Option<Held> {
        let (before, after) = plan.ops.split_at(plan.call.into());
        let mut held = None;
        for op in before {
            match *op {
                Op::Handle { slot, to, kind, null, fate } if fate != Fate::Consumed => {
                    if held.is_some() || plan.facts.wide {
                        return None;
                    }
                    held = Some(Held {
                        slot,
                        to,
                        kind: plan.handle_kinds.get(usize::from(kind))?.id,
                        nullable: null == Null::Allowed,
                        invalidated: fate == Fate::Invalidated,
                        alone: false,
                        calls_back: !plan.facts.leaf,
                    });
                }
                Op::Life(LifeOp::Exclusive { slot, own: false }) => {
                    held.as_mut().filter(|held| held.slot == slot && !held.alone)?.alone = true;
                }
                // They look at nothing that is known of the handle, and leave nothing behind.
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
                | Op::Range { .. }
                | Op::Buffer { .. }
                | Op::Text { copy: false, .. } => {}
                _ => return None,
            }
        }
        let held = held?;
        let slot = held.slot;
        let fits = |op: &Op| after::is_plain(op) || after::is_of_loans(op, slot);
        after[1..].iter().all(fits).then_some(held)
    }

    /// Whether the op is done when the handle is entered.
    pub(super) fn does(&self, op: &Op) -> bool {
        matches!(op, Op::Handle { .. } | Op::Life(_))
    }
}

impl Quick {
    /// Makes one call of a plan that marks its handle.
    ///
    /// # Errors
    /// Where it has stopped: before the call, or for good.
    ///
    /// # Safety
    /// As [`run`](super::super::run); this was made of the plan, and [`Quick::is_held`] holds.
    #[inline]
    pub unsafe fn run_held(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        guest: &mut dyn Guest,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe { self.run_held_with(plan, binding, slots, guest, &mut Plainly) }
    }

    /// # Safety
    /// As [`Quick::run_held`].
    #[inline(always)]
    pub(super) unsafe fn run_held_with(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        guest: &mut dyn Guest,
        around: &mut impl Around,
    ) -> Result<(), Halt> {
        let Some(held) = &self.held else { return Err(Halt::Before) };
        let mut small = SmallFrame(MaybeUninit::uninit());
        let frame = ptr::from_mut(&mut small).cast::<FrameHead>();
        let mut memory = Memory::none();
        // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
        let handle = unsafe {
            self.prepare(plan, binding, frame, slots, &mut memory).ok_or(Halt::Before)?;
            held.enter(binding, frame, slots).ok_or(Halt::Before)?
        };
        // SAFETY: the caller's promise; all arguments are in place, checked. Nothing else uses `guest`, and
        // `running` is reached through the pointer alone, until native code has returned.
        unsafe {
            // What it holds is taken out of it if there is anything.
            let mut running = ManuallyDrop::new(Running::new(binding, guest));
            let running = (&raw mut running).cast::<Running>();
            (&raw mut (*frame).running).write(running);
            let native = || enter_native(plan, binding, frame, self.stub);
            let space = Space::new(plan, binding, frame);
            if held.calls_back {
                let now = Now::is(running);
                around.native(&space, &memory, native);
                drop(now);
                if (*running).has_entered() {
                    guest.refresh(binding);
                }
            } else {
                around.native(&space, &memory, native);
            }
            let strays = held.calls_back && !(*binding.store).strays.is_empty();
            if !(*running).has_stopped()
                && !strays
                && let Ok(result) = after::run(&self.after, &space)
            {
                if handle != 0 {
                    space.store().with_handles(|table| table.leave_alone(handle));
                }
                if let Some(result) = result {
                    // A plan with a result has a slot for it. It goes over an argument: last of all.
                    slots.write(result);
                }
                (*running).end_returned();
                return Ok(());
            }
            long_way(plan, binding, frame, running, guest)
        }
    }
}

impl Quick {
    /// The *after* section of a call that a trampoline has made, with whose handle nothing is noted any more then.
    /// If not all of it can be done, nothing has happened that may not be done again.
    ///
    /// # Safety
    /// As [`Quick::run_held`]; native code has run and left its results in the frame's record, and the handle is
    /// entered. Nothing was copied, and nobody has stopped the call.
    pub(in super::super) unsafe fn end_held(
        &self,
        space: &Space<'_>,
        slots: *mut GuestSlot,
    ) -> bool {
        let Some(held) = &self.held else { return false };
        // SAFETY: the caller's promise.
        let Ok(result) = (unsafe { after::run(&self.after, space) }) else { return false };
        // SAFETY: the slot exists, and holds an argument until the result is written.
        let handle = unsafe { slots.add(held.slot.into()).cast::<u32>().read() };
        if handle != 0 {
            space.store().with_handles(|table| table.leave_alone(handle));
        }
        if let Some(result) = result {
            // SAFETY: a plan with a result has a slot for it. It goes over an argument: last of all.
            unsafe { slots.write(result) };
        }
        true
    }
}

impl Held {
    /// Enters the handle; its value. `None` when it is not fit for this call: nothing has happened.
    ///
    /// # Safety
    /// As [`Quick::run_held`]; the frame is one of the plan's.
    #[inline(always)]
    unsafe fn enter(
        &self,
        binding: &Binding,
        frame: *mut FrameHead,
        slots: *const GuestSlot,
    ) -> Option<u32> {
        // SAFETY: the caller's promise: slot and place exist; little-endian hosts only.
        unsafe {
            let handle = slots.add(self.slot.into()).cast::<u32>().read();
            let pointer = if handle == 0 {
                self.nullable.then_some(0)?
            } else {
                let store = &*binding.store;
                let entered = store.with_handles(|table| {
                    table.enter_alone(handle, self.kind, self.invalidated, self.alone)
                });
                entered?.expose_provenance() as u64
            };
            frame.cast::<u8>().add(self.to.offset()).cast::<u64>().write(pointer);
            Some(handle)
        }
    }
}

/// Goes on behind the call. What the short way has done of the *after* section may be done again: loans that
/// have ended have ended, and what was measured is measured anew.
///
/// # Safety
/// As [`Quick::run_held`]; native code has run and left its results in the frame's record.
#[cold]
#[inline(never)]
unsafe fn long_way(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    running: *mut Running,
    guest: &mut dyn Guest,
) -> Result<(), Halt> {
    guest.refresh(binding);
    // SAFETY: the caller's promise; nobody else has the running call any more.
    unsafe {
        let (memory, kept) = (*running).take(binding, plan);
        let done = long::run(plan, binding, frame, memory, guest, kept).map_err(Halt::Stopped);
        // Work after the call may still read what callbacks have returned.
        (*running).end_returned();
        done
    }
}
