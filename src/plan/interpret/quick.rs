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
//! Plans that mark their handle while the call runs have a part of their own (`held`).
use super::before;
use super::result::{Both, Misfit, give};
use super::space::Space;
use super::{CallMemory, Failure, enter, stub};
use super::{Guest, HeapFrame, SMALL_FRAME, SmallFrame, Stop, resume};
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, FrameLayout, GuestSlot};
use crate::plan::handles::HandleType;
use crate::plan::moves::{Move, load};
use crate::plan::op::{At, Fate, Null, Op, Returns, Stub, Width};
use crate::plan::{Facts, Plan};
use held::Held;
pub use scalars::Straight;
use scalars::{Copied, Extend, Reply, extended, interval, number, offset, reply};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

mod after;
mod held;
mod scalars;

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

/// The frame of a call whose *after* section is still to be run.
#[derive(Debug)]
pub struct Left(HeapFrame);

impl Left {
    /// A copy of a frame.
    ///
    /// # Safety
    /// The frame is one of `plan`.
    #[cold]
    #[inline(never)]
    unsafe fn of(plan: &Plan, frame: *const FrameHead) -> Box<Left> {
        let size = usize::from(plan.frame.size);
        let copy = HeapFrame::of(plan);
        // SAFETY: both are that large.
        unsafe { copy.start.copy_from_nonoverlapping(frame.cast(), size) };
        Box::new(Left(copy))
    }

    /// Runs the *after* section.
    ///
    /// # Errors
    /// As [`run`](super::run).
    ///
    /// # Safety
    /// As [`run`](super::run), for the plan, binding and slots that [`Quick::run`] has just halted
    /// with.
    #[cold]
    pub unsafe fn resume(&self, plan: &Plan, guest: &mut dyn Guest) -> Result<(), Box<Stop>> {
        // SAFETY: the caller's promise: *before* has run in the frame that this is a copy of, and
        // nothing in a quick plan's frame points into it any more: native code has returned.
        unsafe { resume(plan, self.0.start.cast(), guest) }
    }
}

/// Everything else of *before*, in the plan's order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A scalar narrower than 32 bits, or extended with its sign.
    Extended(Extend, Copied),
    /// A handle that nothing becomes of and that is not marked.
    Handle { from: u16, to: At, kind: HandleType, nullable: bool },
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
    held: Option<Held>,
}

impl Quick {
    /// `None` for plans that do not take the short way: what is left to do after the call is to look at
    /// values and to write them to the guest's memory, and *before* leaves nothing behind when it fails.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Quick> {
        let Facts { after: _, errno, marks, leaf, memory: _, allocates: _, wide: _ } = plan.facts;
        let call = usize::from(plan.call);
        let behind = &plan.ops[call + 1..];
        let Op::Call { stub, returns } = plan.ops[call] else { return None };
        let simple = plan.callbacks.is_empty()
            && !errno
            && usize::from(plan.frame.size) <= SMALL_FRAME
            && plan.frame.align <= 16;
        let held = if marks { Held::of(plan) } else { None };
        let fits = if marks { held.is_some() } else { leaf && behind.iter().all(after::is_plain) };
        if !simple || !fits {
            return None;
        }
        let mut quick = Quick {
            narrow: [].into(),
            wide: [].into(),
            steps: [].into(),
            intervals: [].into(),
            straight: None,
            plain: stub == Stub::Integers && behind.is_empty(),
            reply: reply(returns),
            stub,
            returns,
            after: behind.iter().copied().filter(|op| !always_fits(plan, op)).collect(),
            held,
        };
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        let (mut steps, mut intervals) = (Vec::new(), Vec::new());
        for (op, index) in plan.ops[..call].iter().zip(0..) {
            if quick.held.as_ref().is_some_and(|held| held.does(op)) {
                continue;
            }
            let copied = |slot, to| Some(Copied { from: offset(slot)?, to: number(to)? });
            let extended = |kind, slot, to| Some(Step::Extended(kind, copied(slot, to)?));
            match *op {
                Op::Int32 { slot, to } | Op::ULong32 { slot, to } | Op::Float32 { slot, to } => {
                    narrow.push(copied(slot, to)?);
                }
                Op::Int64 { slot, to } | Op::Float64 { slot, to } => wide.push(copied(slot, to)?),
                Op::Int8 { slot, to } => steps.push(extended(Extend::Int8, slot, to)?),
                Op::UInt8 { slot, to } => steps.push(extended(Extend::UInt8, slot, to)?),
                Op::Int16 { slot, to } => steps.push(extended(Extend::Int16, slot, to)?),
                Op::UInt16 { slot, to } => steps.push(extended(Extend::UInt16, slot, to)?),
                Op::Bool { slot, to } => steps.push(extended(Extend::Bool, slot, to)?),
                Op::Long32 { slot, to } => steps.push(extended(Extend::Long32, slot, to)?),
                Op::Handle { slot, to, kind, null, fate: Fate::Kept } if !plan.facts.wide => {
                    let kind = plan.handle_kinds.get(usize::from(kind))?.id;
                    let nullable = null == Null::Allowed;
                    steps.push(Step::Handle { from: offset(slot)?, to, kind, nullable });
                }
                Op::Range { value, set, .. } => {
                    let interval = interval(plan.ranges.get(usize::from(set))?);
                    let signed = value.width == Width::I32;
                    match interval.filter(|_| signed || value.width == Width::U32) {
                        Some(one) => {
                            let interval = u16::try_from(intervals.len()).ok()?;
                            intervals.push(one);
                            steps.push(Step::Within { at: value.at, signed, interval });
                        }
                        None => steps.push(Step::Op(index)),
                    }
                }
                _ => steps.push(Step::Op(index)),
            }
        }
        (quick.narrow, quick.wide) = (narrow.into(), wide.into());
        (quick.steps, quick.intervals) = (steps.into(), intervals.into());
        quick.straight = quick.straight();
        Some(quick)
    }

    fn straight(&self) -> Option<Straight> {
        let all = || self.narrow.iter().chain(&self.wide);
        let first = all().next()?.from;
        let decoded = matches!(self.reply, Reply::Decoded);
        let vectors = self.stub == Stub::Registers;
        let registers = vectors || self.stub == Stub::Integers;
        if !registers || !self.after.is_empty() || decoded || !self.steps.is_empty() {
            return None;
        }
        let mut straight = Straight {
            integers: [first; enter::STRAIGHT_INTEGERS],
            // Reading 64 bits where only 32 were written just now would be slow.
            vectors: [self.wide.first().map_or(first, |one| one.from); enter::STRAIGHT_VECTORS],
        };
        let register = |one: &Copied, place: fn(u8) -> Option<At>, count: usize| {
            (0..).take(count).position(|register| place(register).and_then(number) == Some(one.to))
        };
        for one in &self.narrow {
            let at = register(one, FrameLayout::integer, enter::STRAIGHT_INTEGERS)?;
            straight.integers[at] = one.from;
        }
        for one in &self.wide {
            let at = register(one, FrameLayout::vector, enter::STRAIGHT_VECTORS)?;
            straight.vectors[at] = one.from;
        }
        Some(straight)
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
        if let Some(straight) = &self.straight {
            // SAFETY: the caller's promise: the slots exist; what goes into integer registers are `i32`s, of
            // which the low half is read, into vector registers `f64`s, and these are all arguments of the
            // function.
            let both = unsafe {
                match self.stub {
                    Stub::Integers => enter::straight_integers(slots, binding.target, straight),
                    _ => enter::straight_registers(slots, binding.target, straight),
                }
            };
            let low = match self.reply {
                Reply::Integer(mask) => both.integer & mask,
                Reply::Vector(mask) => both.vector.to_bits() & mask,
                Reply::None | Reply::Decoded => return Ok(()),
            };
            // SAFETY: a plan with a result has a slot for it.
            unsafe { (&raw mut (*slots).low).write(low) };
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.run_in_frame(plan, binding, slots) }
    }

    /// # Safety
    /// As [`Quick::run`].
    #[inline(never)]
    unsafe fn run_in_frame(
        &self,
        plan: &Plan,
        binding: &Binding,
        slots: *mut GuestSlot,
    ) -> Result<(), Halt> {
        let mut small = SmallFrame(MaybeUninit::uninit());
        let frame = ptr::from_mut(&mut small).cast::<FrameHead>();
        let mut memory = Memory::none();
        // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
        unsafe {
            self.prepare(plan, binding, frame, slots, &mut memory).ok_or(Halt::Before)?;
            if !self.plain {
                return self.finish(plan, binding, frame, slots);
            }
            let both = enter::quick_integers(frame, binding.target);
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
                    Step::Extended(kind, one) => {
                        let low = from(one.from).cast::<u32>().read();
                        place(one.to, extended(kind, low));
                    }
                    Step::Op(index) => {
                        let space = Space::new(plan, binding, frame);
                        let op = &plan.ops[usize::from(index)];
                        let done = match *op {
                            Op::Buffer { .. } => before::buffer_here(op, &space),
                            Op::Room { slot, size } => {
                                let at = space.inside(space.pointer(slot), size.into());
                                at.map(|_| ()).ok_or(Failure::Check)
                            }
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
    ) -> Result<(), Halt> {
        // SAFETY: the caller's promise.
        unsafe {
            if self.after.is_empty() {
                let both = match self.stub {
                    Stub::Integers => enter::quick_integers(frame, binding.target),
                    Stub::Registers => enter::quick_registers(frame, binding.target),
                    Stub::Stack | Stub::Whole { .. } | Stub::Data(_) => {
                        stub::enter(plan, binding.target, frame, self.stub);
                        Both::of(&(*frame).record)
                    }
                };
                return self.answer(plan, frame, slots, &both);
            }
            stub::enter(plan, binding.target, frame, self.stub);
            let result = after::run(&self.after, &Space::new(plan, binding, frame));
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
        let low = match self.reply {
            Reply::Integer(mask) => both.integer & mask,
            Reply::Vector(mask) => both.vector.to_bits() & mask,
            Reply::None => return Ok(()),
            // SAFETY: the caller's promise.
            Reply::Decoded => return unsafe { self.answer_slowly(plan, frame, slots, both) },
        };
        // SAFETY: a plan with a result has a slot for it.
        unsafe { (&raw mut (*slots).low).write(low) };
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

/// Whether an op looks whether values fit which always do.
fn always_fits(plan: &Plan, op: &Op) -> bool {
    let Op::FitsObject { moves } = *op else { return false };
    let moves = plan.moves.get(usize::from(moves));
    moves.is_some_and(|moves| moves.iter().all(Move::always_fits))
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
