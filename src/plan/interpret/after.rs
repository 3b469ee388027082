//! The ops of the *after* section: facts, checks, guest code, commit, in this order.
//!
//! Native code has run. Whatever fails from here on, what it did is recorded (handles that it
//! destroyed are dead), objects that it made and nobody will get are destroyed, and nothing is
//! written to the guest's memory.
use super::outgoing::{fits, fits_object, store_cell, store_object};
use super::result::decode;
use super::space::{FrameEnvironment, Space};
use super::{CallMemory, Failure, Guest, Stop, callback, stop, unmark};
use crate::plan::Plan;
use crate::plan::binding::Binding;
use crate::plan::expression::evaluate;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::handles::{HandleTable, Loan};
use crate::plan::op::{DeepOp, LifeOp, Op, Phase, Returns};
use crate::plan::problem::Problem;
use deep::Changed;
pub(super) use deep::{misfit, name_at};
use std::ffi::c_void;
use std::mem::transmute;
use std::num::NonZeroU16;
use std::ptr;
pub(super) use taking::{Taken, settle};

mod boxed;
mod deep;
mod functions;
mod given;
mod taking;

/// What [`Op::InsideOr`] leaves for a pointer that is not the guest's.
const ELSEWHERE: u64 = u64::MAX;

/// What the *after* section keeps between its ops.
struct After<'a> {
    space: Space<'a>,
    /// What the guest's memory was copied to before the call.
    memory: Option<Box<CallMemory>>,
    /// Bytes taken from native memory, by number; `None` where there was nothing.
    taken: Vec<Option<Taken>>,
    /// Pointers in copies that native code has changed.
    changed: Changed,
    copied: u64,
    /// Guest copies made for this call's results.
    given: Vec<Loan>,
    /// Guest copies whose loans this call has ended.
    ended: Vec<Loan>,
    /// The result. It goes over the first argument, so it is written last of all.
    result: Option<GuestSlot>,
}

/// Runs the whole section. With `kept`, only facts are recorded: the call must not end well.
///
/// # Safety
/// As [`super::run`]; *before* has run in this frame and the call record is complete.
pub unsafe fn run(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    memory: Option<Box<CallMemory>>,
    guest: &mut dyn Guest,
    mut kept: Option<Failure>,
) -> Result<(), Box<Stop>> {
    let space = Space::new(plan, binding, frame);
    let mut memory = memory;
    if let Some(memory) = &mut memory {
        memory.order();
    }
    let mut after = After {
        space,
        memory,
        taken: Vec::new(),
        changed: Changed::default(),
        copied: 0,
        given: Vec::new(),
        ended: Vec::new(),
        result: None,
    };
    let first = usize::from(plan.call) + 1;
    let mut outcome = Ok(());
    for (offset, op) in plan.ops[first..].iter().enumerate() {
        let done = match kept.take_if(|_| op.phase() > Phase::Facts) {
            Some(failure) => Err(failure),
            // SAFETY: the plan was verified, and the ops before this one have run.
            None => unsafe { after.step(op, guest) },
        };
        if let Err(failure) = done {
            let trapped = matches!(failure, Failure::Guest);
            // SAFETY: this op and those behind it have not done their work.
            unsafe { after.abandon(first + offset) };
            if !trapped {
                after.ended.append(&mut after.given);
            }
            // SAFETY: the frame is as the failed op left it.
            outcome = Err(unsafe { stop(plan, binding, frame, first + offset, failure, true) });
            break;
        }
    }
    if let Some(failure) = kept {
        let end = plan.ops.len();
        // SAFETY: all ops have run, for there were only facts.
        outcome = Err(unsafe { stop(plan, binding, frame, end, failure, true) });
    }
    if outcome.is_ok() {
        // SAFETY: every `Handle` op has run.
        unsafe { unmark(plan, binding, frame, usize::from(plan.call)) };
    }
    release_reservation(plan, &space);
    if !matches!(outcome.as_ref().map_err(|stop| &**stop), Err(Stop::Guest)) {
        for loan in after.ended {
            if guest.release(loan).is_err() {
                return Err(Box::new(Stop::Guest));
            }
        }
    }
    if let (Ok(()), Some(result)) = (&outcome, after.result) {
        // SAFETY: a plan with a result has a slot for it.
        unsafe { space.slot(0).write(result) };
    }
    outcome
}

/// What [`Op::Reserve`] has reserved is used by now, or not needed. It is the last op before the
/// call.
fn release_reservation(plan: &Plan, space: &Space<'_>) {
    let last = usize::from(plan.call).checked_sub(1).and_then(|last| plan.ops.get(last));
    if let Some(Op::Reserve { handles }) = last {
        space.store().with_handles(|table| table.release(u32::from(*handles)));
    }
}

impl After<'_> {
    /// Runs one op.
    ///
    /// # Safety
    /// As [`run`], and every op before it has run.
    unsafe fn step(&mut self, op: &Op, guest: &mut dyn Guest) -> Result<(), Failure> {
        let space = self.space;
        // SAFETY: the caller promises that the plan was verified: positions, slots and tables of
        // its ops exist, and what an op reads has been written by one before it. What native code
        // left behind is what the prototype says. Guest addresses are checked by `write_guest`.
        unsafe {
            match *op {
                Op::Consume { slot, condition } => {
                    let handle = space.slot32(slot);
                    if handle != 0 && self.holds(condition) {
                        let marks = space.plan.facts.marks;
                        let ended = space.store().with_handles(|table| {
                            if marks { table.consume_marked(handle) } else { table.consume(handle) }
                        });
                        self.ended.extend(ended);
                    }
                }
                Op::Measure { expr, to } => {
                    let expression = &space.plan.expressions[usize::from(expr)];
                    let value = evaluate(expression, &mut FrameEnvironment(space));
                    let value = value.map_err(|_| Failure::Check)?;
                    space.write::<i128>(to, value);
                }
                Op::Fits { from, width, param: _ } => fits(&space, from, width)?,
                Op::FitsObject { moves } => fits_object(&space, moves)?,
                Op::StoreObject { slot, moves } => store_object(&space, slot, moves)?,
                Op::Inside { from, to, param: _ } => {
                    let native = space.read::<u64>(from);
                    let address = self.guest_address(native).ok_or(Failure::Check)?;
                    space.write::<u64>(to, address);
                }
                Op::InsideOr { from, to } => {
                    let native = space.read::<u64>(from);
                    let address = self.guest_address(native).unwrap_or(ELSEWHERE);
                    space.write::<u64>(to, address);
                }
                Op::Take { from, take, extent, unless, param: _ } => {
                    self.take(from, take, extent, unless)?;
                }
                Op::FreeNative { from, callee } => {
                    self.free_native(from, callee);
                }
                Op::Give { take, to, from, owner, unless, param: _ } => {
                    self.give(take, to, from, owner, unless, guest)?;
                }
                Op::Adopt { from, to, kind, borrowed, parent } => {
                    let native = space.read::<u64>(from);
                    let parent = parent.map(|slot| space.slot32(slot.number()));
                    let gone = |lender| !space.store().with_handles(|table| table.is_live(lender));
                    if native != 0 && parent.is_some_and(gone) {
                        return Err(Failure::Check);
                    }
                    let handle = self.adopt(native, kind, borrowed, parent)?;
                    space.write::<u64>(to, u64::from(handle));
                }
                Op::Deep(op) => match op {
                    DeepOp::Settle => self.settle_copies(guest)?,
                    DeepOp::Take { from, take, root, unless, param: _ } => {
                        self.take_deep(from, take, root, unless, guest)?;
                    }
                    DeepOp::Commit => self.commit_copies()?,
                    DeepOp::Fetch => self.fetch_objects(),
                    DeepOp::KeepFunctions { made } => self.keep_functions(made),
                    DeepOp::End { of, condition } => self.end_object(of, condition),
                    DeepOp::Copy { .. }
                    | DeepOp::Box { .. }
                    | DeepOp::Recall { .. }
                    | DeepOp::Keep { .. }
                    | DeepOp::Fill => {}
                },
                Op::StoreCell { slot, from, width } => store_cell(&space, slot, from, width)?,
                Op::EndLoans { slot } => {
                    let handle = space.slot32(slot);
                    let ended = space.store().with_handles(|table| table.end_loans(handle));
                    self.ended.extend(ended);
                }
                Op::Return { from, returns } => {
                    if returns == Returns::Vector {
                        let [low, high] = space.read::<[u64; 2]>(from);
                        self.result = Some(GuestSlot { low, high });
                    } else {
                        let raw = space.read::<u64>(from);
                        let low = decode(returns, raw, raw)?;
                        self.result = low.map(|low| GuestSlot { low, high: 0 });
                    }
                }
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
                | Op::Object { .. }
                | Op::Address { .. }
                | Op::Room { .. }
                | Op::Format { .. }
                | Op::Range { .. }
                | Op::Evaluate { .. }
                | Op::Require { .. }
                | Op::Value { .. }
                | Op::Buffer { .. }
                | Op::Text { .. }
                | Op::Cell { .. }
                | Op::PointerCell { .. }
                | Op::TextCell { .. }
                | Op::Handle { .. }
                | Op::Apart { .. }
                | Op::Reserve { .. }
                | Op::Call { .. }
                | Op::Native(_)
                | Op::Upcall(_) => {}
                Op::Callback(op) => callback::keep(op, &space),
                Op::Life(LifeOp::ConsumeHeld { held, condition }) => {
                    let handle = super::held::held_at(&space, held);
                    if handle != 0 && self.holds(condition) {
                        let consume = |handles: &mut HandleTable| handles.consume_marked(handle);
                        self.ended.extend(space.store().with_handles(consume));
                    }
                }
                Op::Life(op) => super::life::after(op, &space, &mut self.memory)?,
            }
        }
        Ok(())
    }

    fn holds(&self, condition: Option<NonZeroU16>) -> bool {
        let Some(condition) = condition else { return true };
        // Conditions are numbered from 1, so that none can be told from the first.
        let expression = &self.space.plan.expressions[usize::from(condition.get() - 1)];
        evaluate(expression, &mut FrameEnvironment(self.space)) != Ok(0)
    }

    /// The guest's pointer for a native one: inside its memory, or inside a copy of a part of it.
    fn guest_address(&self, native: u64) -> Option<u64> {
        if native == 0 {
            return Some(0);
        }
        let binding = self.space.binding;
        let base = binding.memory_base.get().addr() as u64;
        let last = if self.space.plan.facts.wide { u64::MAX } else { u64::from(u32::MAX) };
        let end = binding.memory_len.get().min(last);
        let offset = native.checked_sub(base).filter(|offset| *offset <= end);
        offset.or_else(|| {
            let native = usize::try_from(native).ok()?;
            self.memory.as_ref()?.guest_address(native)
        })
    }

    fn adopt(
        &self,
        native: u64,
        kind: u16,
        borrowed: bool,
        parent: Option<u32>,
    ) -> Result<u32, Failure> {
        if native == 0 {
            return Ok(0);
        }
        let kind = &self.space.plan.handle_kinds[usize::from(kind)];
        let drop = kind.drop.map_or(ptr::null(), |callee| {
            // SAFETY: the verifier has shown that the callee exists.
            unsafe { self.space.callee(callee) }.0
        });
        let native = ptr::with_exposed_provenance_mut(usize_of(native));
        let adopted = self
            .space
            .store()
            .with_handles(|table| table.adopt(native, kind.id, borrowed, parent, drop));
        let limit = u64::from(self.space.store().limits.handles);
        adopted.ok_or_else(|| Problem::Limit { limit: "handles", value: limit }.into())
    }

    /// Does what must be done when the ops from `from` on will not run: native memory that was to
    /// be freed is freed, new native objects that have a destructor are destroyed.
    ///
    /// # Safety
    /// As [`run`]; the ops from `from` on have had no effect.
    unsafe fn abandon(&mut self, from: usize) {
        for op in &self.space.plan.ops[from..] {
            if *op == Op::Deep(DeepOp::Commit) {
                // SAFETY: the caller's promise: nothing of the copies was written back.
                unsafe {
                    self.abandon_copies();
                    self.abandon_objects();
                }
            }
            if let Op::FreeNative { from, callee } = *op {
                // SAFETY: not freed before: the op has not run.
                unsafe { self.free_native(from, callee) };
            }
            if let Op::Adopt { from, kind, borrowed: false, .. } = *op
                && let Some(callee) = self.space.plan.handle_kinds[usize::from(kind)].drop
            {
                // SAFETY: the object was given to us by this call, and nobody else will get it.
                unsafe { self.free_native(from, callee) };
            }
            if let Op::Life(op) = *op {
                // SAFETY: the caller's promise.
                unsafe { super::life::abandon(op, &self.space) };
            }
        }
        super::life::abandon_kept(&self.space, &mut self.memory);
    }
}

/// # Safety
/// `function` is a C function that takes one pointer such as `native`.
pub unsafe fn call_with_pointer(function: *const c_void, native: u64) {
    // SAFETY: the caller's promise; a result, if there is one, is an integer that C may ignore.
    unsafe { transmute::<*const c_void, unsafe extern "C" fn(u64) -> u64>(function)(native) };
}

/// Length in bytes of a native string, its terminator included.
///
/// # Safety
/// There is one at `start`.
pub(super) unsafe fn native_text_length(start: *const u8, unit: u8) -> usize {
    if unit == 1 {
        // SAFETY: the caller's promise.
        return unsafe { std::ffi::CStr::from_ptr(start.cast()) }.count_bytes() + 1;
    }
    let unit = usize::from(unit);
    let mut len = 0;
    loop {
        // SAFETY: the string has not ended yet, so that this element exists.
        let element = unsafe { std::slice::from_raw_parts(start.add(len), unit) };
        len += unit;
        if element.iter().all(|byte| *byte == 0) {
            return len;
        }
    }
}

/// A native address or length on a 64-bit host.
fn usize_of(value: u64) -> usize {
    usize::try_from(value).expect("bridges exist only on 64-bit hosts")
}
