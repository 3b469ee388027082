//! The short way through simple plans: no errors are made here, no guest code runs.
//!
//! When a check fails before the call, nothing has happened yet and the whole plan is run again the
//! long way, which makes the error. When one fails after it, native code has run: the frame is kept
//! and the long way takes over behind the call.
use super::outgoing::{fits, fits_object, store_cell, store_object};
use super::result::{Both, Misfit, decode, give};
use super::space::Space;
use super::{Failure, enter, stub};
use super::{Guest, HeapFrame, SMALL_FRAME, SmallFrame, Stop, before_call, resume};
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::op::{Op, Returns, Stub};
use crate::plan::{Facts, Plan};
use std::mem::MaybeUninit;
use std::ptr;

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

/// Where [`run_quickly`] has stopped.
#[derive(Debug)]
pub enum Halt {
    /// Before the call: nothing has happened.
    Before,
    /// Behind the call.
    After(Box<Left>),
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
    /// As [`run`](super::run), for the plan, binding and slots that [`run_quickly`] has just halted
    /// with.
    #[cold]
    pub unsafe fn resume(&self, plan: &Plan, guest: &mut dyn Guest) -> Result<(), Box<Stop>> {
        // SAFETY: the caller's promise: *before* has run in the frame that this is a copy of, and
        // nothing in a quick plan's frame points into it any more: native code has returned.
        unsafe { resume(plan, self.0.start.cast(), guest) }
    }
}

/// Whether [`run_quickly`] takes a plan: what is left to do after the call is to look at values and
/// to write them to the guest's memory, and *before* leaves nothing behind when it fails.
#[must_use]
pub fn is_quick(plan: &Plan) -> bool {
    let Facts { after: _, errno, marks, leaf, memory: _, allocates: _, wide: _ } = plan.facts;
    let quick = |op: &Op| {
        matches!(
            op,
            Op::Fits { .. }
                | Op::FitsObject { .. }
                | Op::StoreCell { .. }
                | Op::StoreObject { .. }
                | Op::Return { .. }
        )
    };
    leaf && plan.callbacks.is_empty()
        && !errno
        && !marks
        && usize::from(plan.frame.size) <= SMALL_FRAME
        && plan.frame.align <= 16
        && plan.ops[usize::from(plan.call) + 1..].iter().all(quick)
}

/// Makes one call of a plan that [`is_quick`]. It makes no errors, so that it can be short.
///
/// # Errors
/// Where it has stopped.
///
/// # Safety
/// As [`run`](super::run), and the plan is quick.
#[inline]
pub unsafe fn run_quickly(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
) -> Result<(), Halt> {
    let mut small = SmallFrame(MaybeUninit::uninit());
    let frame = ptr::from_mut(&mut small).cast::<FrameHead>();
    let mut memory = None;
    // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
    unsafe {
        let prepared = before_call(frame, plan, binding, slots, &mut memory);
        let (way, returns) = prepared.map_err(|_| Halt::Before)?;
        if plan.facts.after {
            stub::enter(plan, binding.target, frame, way);
            return after(plan, binding, frame, slots)
                .map_err(|_| Halt::After(Left::of(plan, frame)));
        }
        let both = match way {
            Stub::Integers => enter::quick_integers(frame, binding.target),
            Stub::Registers => enter::quick_registers(frame, binding.target),
            Stub::Stack | Stub::Whole { .. } | Stub::Data(_) => {
                stub::enter(plan, binding.target, frame, way);
                Both::of(&(*frame).record)
            }
        };
        give(returns, &both, slots).map_err(|Misfit| {
            (&raw mut (*frame).record.integers).write([both.integer, 0]);
            (&raw mut (*frame).record.vectors).write([[both.vector.to_bits(), 0], [0; 2]]);
            Halt::After(Left::of(plan, frame))
        })
    }
}

/// Runs the *after* section of a quick plan. Until the last check has passed, nothing is written.
///
/// # Safety
/// As [`run_quickly`]; the call record is complete.
unsafe fn after(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    slots: *mut GuestSlot,
) -> Result<(), Failure> {
    let space = Space::new(plan, binding, frame);
    let mut result = None;
    for op in &plan.ops[usize::from(plan.call) + 1..] {
        // SAFETY: the plan was verified, and the ops before this one have run.
        unsafe {
            match *op {
                Op::Fits { from, width, param: _ } => fits(&space, from, width)?,
                Op::FitsObject { moves } => fits_object(&space, moves)?,
                Op::StoreCell { slot, from, width } => store_cell(&space, slot, from, width)?,
                Op::StoreObject { slot, moves } => store_object(&space, slot, moves)?,
                Op::Return { from, returns: Returns::Vector } => {
                    let [low, high] = space.read::<[u64; 2]>(from);
                    result = Some(GuestSlot { low, high });
                }
                Op::Return { from, returns } => {
                    let raw = space.read::<u64>(from);
                    result = decode(returns, raw, raw)?.map(|low| GuestSlot { low, high: 0 });
                }
                // Quick plans have no others.
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
                | Op::EndLoans { .. }
                | Op::Measure { .. }
                | Op::Inside { .. }
                | Op::InsideOr { .. }
                | Op::Take { .. }
                | Op::FreeNative { .. }
                | Op::Give { .. }
                | Op::Adopt { .. }
                | Op::Native(_)
                | Op::Upcall(_)
                | Op::Deep(_)
                | Op::Callback(_)
                | Op::Life(_) => {}
            }
        }
    }
    if let Some(result) = result {
        // SAFETY: a plan with a result has a slot for it. It goes over an argument: last of all.
        unsafe { slots.write(result) };
    }
    Ok(())
}
