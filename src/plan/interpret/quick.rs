//! The short way through simple plans: no errors are made here.
//!
//! A plan that takes it is looked at once ([`Quick::of`]): its scalars become copies without a
//! dispatch, in two lists, and what depends on nothing else of the call stands ready (types of handles, how
//! the result is masked). Scalars go first whatever their places in the plan: they cannot fail and read
//! nothing that an op makes.
//!
//! When a check fails before the call, nothing has happened yet and the whole plan is run again the
//! long way, which makes the error. When one fails after it, native code has run: the long way takes over
//! behind the call, in the frame or in a copy of it.
//!
//! Plans that mark their handle while the call runs have a part of their own (`held`). Calls that are recorded for
//! a profile go the same way, with the recorder around native code (`recorded`).
use super::before;
use super::result::{Both, Misfit, give};
use super::space::Space;
use super::{CallMemory, Failure, enter, stub};
use super::{SmallFrame, Stop};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::handles::HandleType;
use crate::plan::moves::load;
use crate::plan::op::{At, Op, Returns, Stub};
use held::Held;
pub use left::Left;
pub use recorded::Record;
use recorded::{Around, Plainly};
use scalars::{Copied, Extend, extended};
pub use scalars::{Reply, Straight};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use words::{Outgoing, Word, inside};

mod after;
mod held;
mod left;
mod make;
mod moved;
mod recorded;
mod scalars;
mod words;

/// How the interpreter must go on where a template has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A check failed before the call: nothing has happened.
    Redo,
    /// The result does not fit: the function has run and returned this.
    Resume {
        /// The raw integer result.
        integer: u64,
    },
}

/// Where [`Quick::run`] or [`Quick::run_held`] has stopped.
#[derive(Debug)]
pub enum Halt {
    /// Before the call: nothing has happened.
    Before,
    /// Behind the call.
    After(Box<Left>),
    /// For good.
    Stopped(Box<Stop>),
}

/// Everything else of *before*, in the plan's order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A scalar narrower than 32 bits, or extended with its sign.
    Extended(Extend, Copied),
    /// A handle that nothing becomes of and that is not marked.
    Handle { from: u16, to: At, kind: HandleType, nullable: bool },
    /// A struct at a pointer: so many of the words from that number on.
    Words { from: u16, size: u16, first: u16, count: u16 },
    /// There is room for so many bytes at a pointer.
    Room { from: u16, size: u32 },
    /// A 32-bit integer of the frame lies in the interval of that number.
    Within { at: At, signed: bool, interval: u16 },
    /// Whatever the op of that number does.
    Op(u16),
}

/// A plan, as the short way takes it.
#[derive(Debug)]
pub struct Quick {
    /// 32 bits each.
    narrow: Box<[Copied]>,
    /// 64 bits each.
    wide: Box<[Copied]>,
    steps: Box<[Step]>,
    intervals: Box<[(i64, i64)]>,
    words: Box<[Word]>,
    /// Offsets in the guest's slots of what goes into the registers, of a plan that does nothing else: it
    /// needs no frame. Registers that the function does not have repeat the first.
    straight: Option<Straight>,
    /// Integer registers are all that the call needs, and what it returns stays in them.
    plain: bool,
    reply: Reply,
    stub: Stub,
    returns: Returns,
    /// The plan's ops behind the call.
    after: Box<[Op]>,
    /// The same, where it is nothing else; empty otherwise.
    outgoing: Box<[Outgoing]>,
    held: Option<Held>,
}

impl Quick {
    /// Makes one call of a plan that does nothing but to load registers with the guest's values; `None` for all
    /// others, and when `VECTORS` does not say whether vector registers are among them.
    ///
    /// # Safety
    /// As [`Quick::run`].
    #[inline(always)]
    pub unsafe fn run_straight<const VECTORS: bool>(
        &self,
        binding: &Binding,
        slots: *const GuestSlot,
    ) -> Option<u64> {
        let straight = self.straight.as_ref()?;
        if VECTORS != self.takes_vectors() {
            return None;
        }
        // SAFETY: as in `run`.
        let both = unsafe {
            if VECTORS {
                enter::straight_registers(slots, binding.target, straight)
            } else {
                enter::straight_integers(slots, binding.target, straight)
            }
        };
        Some(self.reply.bits(&both))
    }

    /// Whether a call may stop when native code has run.
    #[must_use]
    pub fn may_halt_after(&self) -> bool {
        !self.after.is_empty() || self.reply.is_decoded()
    }

    /// Whether vector registers are loaded.
    #[inline]
    #[must_use]
    pub fn takes_vectors(&self) -> bool {
        self.stub != Stub::Integers
    }

    /// Whether [`Quick::run_straight`] makes the calls.
    #[must_use]
    pub fn is_straight(&self) -> bool {
        self.straight.is_some()
    }

    /// Whether the call is made by [`Quick::run_held`].
    #[inline]
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Makes one call of a plan that does not mark its handles. It makes no errors, so that it can be
    /// short.
    ///
    /// # Errors
    /// Where it has stopped: never for good.
    ///
    /// # Safety
    /// As [`run`](super::run); this was made of the plan, and [`Quick::is_held`] does not hold.
    #[inline]
    pub unsafe fn run(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe { self.run_with(plan, binding, slots, &mut Plainly) }
    }

    /// # Safety
    /// As [`Quick::run`].
    #[inline(always)]
    unsafe fn run_with(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        around: &mut impl Around,
    ) -> Result<(), Halt> {
        if let Some(straight) = &self.straight {
            // SAFETY: the caller's promise: the slots exist; what goes into integer registers are `i32`s, of
            // which the low half is read, into vector registers `f64`s, and these are all arguments of the
            // function.
            let both = around.straight(|| unsafe {
                match self.stub {
                    Stub::Integers => enter::straight_integers(slots, binding.target, straight),
                    _ => enter::straight_registers(slots, binding.target, straight),
                }
            });
            if self.reply.is_bits() {
                // SAFETY: a plan with a result has a slot for it.
                unsafe { (&raw mut (*slots).low).write(self.reply.bits(&both)) };
            }
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.run_in_frame(plan, binding, slots, around) }
    }

    /// # Safety
    /// As [`Quick::run`].
    #[inline(never)]
    unsafe fn run_in_frame(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
        around: &mut impl Around,
    ) -> Result<(), Halt> {
        let mut small = SmallFrame(MaybeUninit::uninit());
        let frame = ptr::from_mut(&mut small).cast::<FrameHead>();
        let mut memory = Memory::none();
        // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
        unsafe {
            self.prepare(plan, binding, frame, slots, &mut memory).ok_or(Halt::Before)?;
            if !self.plain {
                return self.finish(plan, binding, frame, slots, &memory, around);
            }
            let native = || enter::quick_integers(frame, binding.target);
            let both = around.native(&Space::new(plan, binding, frame), &memory, native);
            self.answer(plan, frame, slots, &both)
        }
    }

    /// Runs *before*; `None` when a check has failed.
    ///
    /// # Safety
    /// As [`Quick::run`]; the frame is one of the plan's.
    #[inline(always)]
    unsafe fn prepare(
        &self,
        plan: &Plan,
        binding: &Binding,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        memory: &mut Memory,
    ) -> Option<()> {
        // SAFETY: the frame is ours and large enough for its head. The plan was verified, so that slots and
        // places exist. Of an `i32` only the low half of a slot is read, on hosts that are little-endian.
        unsafe {
            (&raw mut (*frame).guest).write(slots);
            (&raw mut (*frame).binding).write(binding);
            let from = |offset: u16| slots.cast::<u8>().add(offset.into());
            let place = |to: u16, value: u64| {
                frame.cast::<u8>().add(to.into()).cast::<u64>().write(value);
            };
            // The end that never comes keeps the compiler from unrolling loops of two or three turns.
            for one in &self.narrow {
                if one.to == 0 {
                    break;
                }
                place(one.to, u64::from(from(one.from).cast::<u32>().read()));
            }
            for one in &self.wide {
                if one.to == 0 {
                    break;
                }
                place(one.to, from(one.from).cast::<u64>().read());
            }
            if self.steps.is_empty() {
                Some(())
            } else {
                self.take_steps(plan, binding, frame, slots, memory)
            }
        }
    }

    /// The part of [`Quick::prepare`] that can fail.
    ///
    /// # Safety
    /// As there; the frame's head is written.
    #[inline(never)]
    unsafe fn take_steps(
        &self,
        plan: &Plan,
        binding: &Binding,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        memory: &mut Memory,
    ) -> Option<()> {
        // SAFETY: as in `prepare`.
        unsafe {
            let from = |offset: u16| slots.cast::<u8>().add(offset.into());
            let place = |to: u16, value: u64| {
                frame.cast::<u8>().add(to.into()).cast::<u64>().write(value);
            };
            for step in &self.steps {
                match *step {
                    Step::Handle { from: at, to, kind, nullable } => {
                        let handle = from(at).cast::<u32>().read();
                        let pointer = if handle == 0 {
                            nullable.then_some(0)?
                        } else {
                            let store = &*binding.store;
                            let found = store.look_at_handles(|table| table.usable(handle, kind));
                            found?.expose_provenance() as u64
                        };
                        frame.cast::<u8>().add(to.offset()).cast::<u64>().write(pointer);
                    }
                    Step::Within { at, signed, interval } => {
                        let value = frame.cast::<u8>().add(at.offset());
                        let value = if signed {
                            i64::from(value.cast::<i32>().read())
                        } else {
                            i64::from(value.cast::<u32>().read())
                        };
                        let (low, high) = self.intervals[usize::from(interval)];
                        (low..=high).contains(&value).then_some(())?;
                    }
                    Step::Words { from: at, size, first, count } => {
                        let memory = inside(binding, from(at), size.into())?;
                        let first = usize::from(first);
                        let words = self.words.get(first..first + usize::from(count))?;
                        self::words::load(words, frame, memory);
                    }
                    Step::Room { from: at, size } => {
                        inside(binding, from(at), size.into())?;
                    }
                    Step::Extended(kind, one) => {
                        let low = from(one.from).cast::<u32>().read();
                        place(one.to, extended(kind, low));
                    }
                    Step::Op(index) => {
                        let space = Space::new(plan, binding, frame);
                        let op = &plan.ops[usize::from(index)];
                        let done = match *op {
                            Op::Buffer { .. } => before::buffer_here(op, &space),
                            Op::Object { slot, size, moves } => {
                                let at = space.inside(space.pointer(slot), size.into());
                                let moves = &plan.moves[usize::from(moves)];
                                at.map(|at| load(moves, frame.cast(), at)).ok_or(Failure::Check)
                            }
                            _ => before::step(op, &space, &mut memory.0),
                        };
                        done.ok()?;
                    }
                }
            }
        }
        Some(())
    }

    /// Makes the call, and does what is left to do behind it.
    ///
    /// # Safety
    /// As [`Quick::run`]; *before* has run in the frame.
    #[inline(never)]
    unsafe fn finish(
        &self,
        plan: &Plan,
        binding: &Binding,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        memory: &Memory,
        around: &mut impl Around,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe {
            let space = Space::new(plan, binding, frame);
            if self.after.is_empty() {
                let native = || match self.stub {
                    Stub::Integers => enter::quick_integers(frame, binding.target),
                    Stub::Registers => enter::quick_registers(frame, binding.target),
                    Stub::Stack | Stub::Whole { .. } | Stub::Data(_) => {
                        stub::enter(plan, binding.target, frame, self.stub);
                        Both::of(&(*frame).record)
                    }
                };
                let both = around.native(&space, memory, native);
                return self.answer(plan, frame, slots, &both);
            }
            let native = || stub::enter(plan, binding.target, frame, self.stub);
            around.native(&space, memory, native);
            if !self.outgoing.is_empty() {
                let slots = slots.cast::<u8>().cast_const();
                for one in &self.outgoing {
                    let stored = one.store(binding, frame, slots);
                    stored.ok_or_else(|| Halt::After(Left::of(plan, frame)))?;
                }
                return Ok(());
            }
            let result = after::run(&self.after, &space);
            let result = result.map_err(|_| Halt::After(Left::of(plan, frame)))?;
            if let Some(result) = result {
                // A plan with a result has a slot for it. It goes over an argument: last of all.
                slots.write(result);
            }
            Ok(())
        }
    }

    /// Gives the guest its result.
    ///
    /// # Safety
    /// As [`Quick::run`]; native code has returned these registers.
    #[inline(always)]
    unsafe fn answer(
        &self,
        plan: &Plan,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        both: &Both,
    ) -> Result<(), Halt> {
        if self.reply.is_bits() {
            // SAFETY: a plan with a result has a slot for it.
            unsafe { (&raw mut (*slots).low).write(self.reply.bits(both)) };
            return Ok(());
        }
        if self.reply.is_decoded() {
            // SAFETY: the caller's promise.
            return unsafe { self.answer_slowly(plan, frame, slots, both) };
        }
        Ok(())
    }

    /// # Safety
    /// As [`Quick::answer`].
    #[inline(never)]
    unsafe fn answer_slowly(
        &self,
        plan: &Plan,
        frame: *mut FrameHead,
        slots: *mut GuestSlot,
        both: &Both,
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe {
            give(self.returns, both, slots).map_err(|Misfit| {
                (&raw mut (*frame).record.integers).write([both.integer, 0]);
                (&raw mut (*frame).record.vectors).write([[both.vector.to_bits(), 0], [0; 2]]);
                Halt::After(Left::of(plan, frame))
            })
        }
    }
}

/// Copies that a call makes of the guest's memory, which most do not: freeing them is out of the way.
struct Memory(ManuallyDrop<Option<Box<CallMemory>>>);

impl Memory {
    #[inline(always)]
    fn none() -> Memory {
        Memory(ManuallyDrop::new(None))
    }
}

impl Drop for Memory {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.is_some() {
            free(self.0.take());
        }
    }
}

#[cold]
#[inline(never)]
fn free(memory: Option<Box<CallMemory>>) {
    drop(memory);
}
