//! The interpreter's part of calls that trampolines make.
//!
//! Compiled code does what is short and hot by itself. The rest it *calls out* for: data that is copied,
//! formats, closures, what outlives the call. Then the interpreter runs its own op in the call's frame, to
//! which the trampoline has written everything that ops read, and says whether it went well.
//!
//! ```text
//! host                trampoline                     here
//! run ─────enter────> ops of its own
//!                     an op that it calls out for ─> step      copies, marks and uses belong to the call
//!                     a check fails ───────────────> undo      and are given back: nothing has happened
//!                     before native code ──────────> begin     closures may enter the guest
//!                     behind it ───────────────────> end       no more; whether all is well
//!     <──── status ── done, redo or resume
//! resume: the whole *after* section, with what was copied
//! ```
//!
//! What a call has besides its frame is an [`Assisted`], which the frame names as its running call. It goes
//! when the call is over, whichever way, and takes copies, marks in them and what callbacks have
//! returned with it.
//!
//! Not here: which ops are called out (`cranelift_backend::lower`).
use super::callback::{Now, Running, let_go, strays};
use super::space::Space;
use super::{
    Failure, Guest, Quick, Status, Stop, after, before, keep_errno, life, resume, stub, unmark,
};
use crate::plan::binding::Binding;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::handles::{HandleTable, HandleType};
use crate::plan::moves::MoveKind;
use crate::plan::op::{Fate, LifeOp, Op, Stub};
use crate::plan::{Kind, Plan};
use crate::signature::Variadic;
use std::ffi::c_void;
use std::ptr;

/// What a call of a trampoline has besides its frame.
#[derive(Debug)]
#[repr(C)]
pub struct Assisted {
    /// First: the frame points at it.
    running: Running,
    plan: *const Plan,
    /// While native code runs.
    now: Option<Now>,
}

/// Whether trampolines of the plan call out, so that they are entered through [`run_assisted`].
#[must_use]
pub fn is_assisted(plan: &Plan) -> bool {
    plan.facts.marks || runs_closures(plan) || calls_out(plan)
}

/// Whether a call of it is one that closures are told of.
#[must_use]
pub fn runs_closures(plan: &Plan) -> bool {
    plan.kind == Kind::Import && (!plan.facts.leaf || !plan.callbacks.is_empty())
}

/// Whether ops before the call are called out for, or the call itself, which read the frame.
#[must_use]
pub fn calls_out(plan: &Plan) -> bool {
    let mut before = plan.ops.iter().take(plan.call.into());
    before.any(|op| is_called_out(plan, op)) || calls_by_stub(plan)
}

/// Whether the interpreter's stub enters native code: registers and stack slots that Cranelift knows nothing
/// of carry arguments or results, or ops whose values only the frame's memory has.
#[must_use]
pub fn calls_by_stub(plan: &Plan) -> bool {
    if plan.ops.iter().take(plan.call.into()).any(|op| is_extended(plan, op)) {
        return true;
    }
    let Some(Op::Call { stub, .. }) = plan.ops.get(usize::from(plan.call)) else { return false };
    match stub {
        Stub::Integers | Stub::Data(_) => false,
        // `al` must say that vector registers carry arguments of such functions.
        Stub::Registers | Stub::Stack | Stub::Whole { x87: 0 } => {
            plan.frame.stack_align > 16
                || match &plan.prototype.function.variadic {
                    Variadic::No => false,
                    Variadic::Typed(_) | Variadic::Untyped(_) => true,
                }
        }
        Stub::Whole { .. } => true,
    }
}

/// Whether a copy of the guest's data may go back: never, where all of it is `const`.
#[must_use]
pub fn copies_go_back(plan: &Plan) -> bool {
    let links = plan.shapes.iter().flat_map(|shape| &shape.links);
    plan.roots.iter().chain(links).any(|link| link.direction.is_out())
}

/// Whether an op makes values in the format of the x87 unit, which Cranelift does not know.
fn is_extended(plan: &Plan, op: &Op) -> bool {
    match *op {
        Op::Extended { .. } => true,
        Op::Object { moves, .. } => {
            let moves = plan.moves.get(usize::from(moves)).map_or(&[][..], |moves| moves);
            moves.iter().any(|one| one.kind == MoveKind::Extended)
        }
        _ => false,
    }
}

/// Whether trampolines call out for an op that stands before the call.
#[must_use]
pub fn is_called_out(plan: &Plan, op: &Op) -> bool {
    match *op {
        Op::Text { copy, .. } => copy,
        Op::Object { .. } | Op::Extended { .. } => is_extended(plan, op),
        Op::Format { .. } | Op::Deep(_) | Op::Callback(_) | Op::Life(_) => true,
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
        | Op::Vector { .. }
        | Op::Range { .. }
        | Op::Evaluate { .. }
        | Op::Require { .. }
        | Op::Value { .. }
        | Op::Buffer { .. }
        | Op::Address { .. }
        | Op::Room { .. }
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
        | Op::Return { .. }
        | Op::Native(_)
        | Op::Upcall(_) => false,
    }
}

/// Makes a call through a trampoline that may call out, and does what is left of it behind the call. The
/// trampoline's status: `Done`, or `Redo` if nothing has happened.
///
/// # Errors
/// As [`run`](super::run).
///
/// # Safety
/// As [`run`](super::run); `frame` is one of the plan, and nothing else uses it. `enter` is a trampoline that
/// was made of this plan or one that has the same code, `quick` of this plan.
#[inline]
pub unsafe fn run_assisted(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    frame: *mut FrameHead,
    guest: &mut dyn Guest,
    quick: Option<&Quick>,
    enter: impl FnOnce() -> Status,
) -> Result<Status, Box<Stop>> {
    // SAFETY: nobody reaches the host's side but through `running` until the trampoline is left.
    let running = unsafe { Running::new(binding, guest) };
    let mut assisted = Assisted { running, plan, now: None };
    let assisted = &raw mut assisted;
    // SAFETY: the frame is ours and large enough for its head.
    unsafe {
        (&raw mut (*frame).guest).write(slots);
        (&raw mut (*frame).binding).write(binding);
        (&raw mut (*frame).running).write(assisted.cast());
    }
    match enter() {
        Status::Resume => {}
        status @ (Status::Done | Status::Redo) => return Ok(status),
    }
    // SAFETY: the trampoline has made the call and filled the frame; nobody else reaches the running
    // call or the guest any more.
    unsafe {
        if !(*assisted).running.has_stopped()
            && let Some(quick) = quick
            && (*binding.store).strays.is_empty()
            && quick.end_held(&Space::new(plan, binding, frame), slots)
        {
            return Ok(Status::Done);
        }
        let (memory, kept) = (*assisted).running.take_all();
        let kept = kept.or_else(|| {
            runs_closures(plan).then(|| strays((*binding.store).strays.take())).flatten()
        });
        let kept = kept.map(Failure::from);
        if kept.is_none() && (memory.is_none() || !plan.facts.after) {
            resume(plan, frame, guest)?;
        } else {
            let ended = after::run(plan, binding, frame, memory, guest, kept);
            keep_errno(plan, binding, frame);
            ended?;
        }
    }
    Ok(Status::Done)
}

/// The call that a frame belongs to.
///
/// # Safety
/// A trampoline that was entered by [`run_assisted`] works in that frame.
unsafe fn of(frame: *mut FrameHead) -> *mut Assisted {
    // SAFETY: the caller's promise.
    unsafe { (*frame).running.cast() }
}

/// # Safety
/// As `of`.
unsafe fn space<'a>(frame: *mut FrameHead) -> Space<'a> {
    // SAFETY: plan and binding outlive the call.
    unsafe { Space::new(&*(*of(frame)).plan, &*(*frame).binding, frame) }
}

/// Runs an op that a trampoline calls out for; whether it went well.
///
/// # Safety
/// As `of`; the op stands before the plan's call, all ops before it have run, and what they have placed is
/// in the frame's memory.
pub unsafe extern "C" fn step(frame: *mut FrameHead, index: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let space = space(frame);
        let Some(op) = usize::try_from(index).ok().and_then(|index| space.plan.ops.get(index))
        else {
            return 0;
        };
        if let Op::Object { slot, size, moves } = *op {
            return u64::from(before::object(&space, slot, size, moves).is_ok());
        }
        let memory = (*of(frame)).running.memory_mut();
        u64::from(before::step(op, &space, memory).is_ok())
    }
}

/// Gives back what the ops before `until` have taken: the call goes back to the interpreter.
///
/// # Safety
/// As `of`; these ops have run, and native code has not.
pub unsafe extern "C" fn undo(frame: *mut FrameHead, until: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        let Space { plan, binding, .. } = space(frame);
        let until = usize::try_from(until).unwrap_or(usize::MAX);
        let_go(plan, frame, until);
        unmark(plan, binding, frame, until);
        drop((*of(frame)).running.take_all());
    }
}

/// Native code runs next.
///
/// # Safety
/// As `of`; all ops before the call have run.
pub unsafe extern "C" fn begin(frame: *mut FrameHead) {
    // SAFETY: the caller's promise. The running call is only reached through this pointer until `end`.
    unsafe {
        let assisted = of(frame);
        if let Some(memory) = (*assisted).running.memory_mut() {
            memory.order();
        }
        // A leaf may be given functions to keep; it calls none.
        let leaf = (*(*assisted).plan).facts.leaf;
        let now = Now::is(if leaf { ptr::null_mut() } else { assisted.cast() });
        (*assisted).now = Some(now);
    }
}

/// Enters native code as the interpreter does: registers and stack area are those of the frame, and what is returned
/// goes to its record.
///
/// # Safety
/// As `of`; all ops before the call have run, and what they have placed is in the frame's memory.
pub unsafe extern "C" fn enter_native(frame: *mut FrameHead) {
    // SAFETY: the caller's promise.
    unsafe {
        let Space { plan, binding, .. } = space(frame);
        if let Some(Op::Call { stub, .. }) = plan.ops.get(usize::from(plan.call)) {
            stub::enter(plan, binding.target, frame, *stub);
        }
    }
}

/// Native code has returned. 0 when something has happened that ends the call: it is resumed.
///
/// # Safety
/// As `of`, behind [`begin`].
pub unsafe extern "C" fn end(frame: *mut FrameHead) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let assisted = of(frame);
        (*assisted).now = None;
        let Space { plan, binding, .. } = space(frame);
        let_go(plan, frame, plan.call.into());
        let running = &mut (*assisted).running;
        if let Some(memory) = running.memory_mut() {
            memory.let_go();
        }
        running.refresh_if_entered();
        u64::from(!running.is_kept() && (*binding.store).strays.is_empty())
    }
}

/// Takes back what a call has noted on a handle.
pub fn leave(handles: &mut HandleTable, handle: u32, noted: Noted) {
    match noted {
        Noted::Used(fate) => life::Mark::Used(fate).take_back(handles, handle),
        Noted::Exclusive => life::Mark::Exclusive.take_back(handles, handle),
        Noted::Alone if handle == 0 => {}
        Noted::Alone => handles.leave_alone(handle),
    }
}

/// The only handle that the ops of a plan mark, and the position of the op that gives it to the call alone, if there is
/// one: both can be done at once.
#[must_use]
pub fn alone(plan: &Plan) -> Option<(u16, Option<usize>)> {
    let mut handle = None;
    let mut exclusive = None;
    let mut passed = false;
    for (index, op) in plan.ops.iter().enumerate().take(plan.call.into()) {
        match *op {
            Op::Handle { slot, fate, .. } if handle.is_none() && fate != Fate::Consumed => {
                handle = Some(slot);
            }
            Op::Life(LifeOp::Exclusive { slot, own: false })
                if handle == Some(slot) && exclusive.is_none() && !passed =>
            {
                exclusive = Some(index);
            }
            Op::Life(LifeOp::Cookie { .. }) => {}
            // They may mark handles, too, or look at what is marked.
            Op::Handle { .. } | Op::Life(_) | Op::Deep(_) => return None,
            // What is undone up to the later op must have been done when the first has run.
            Op::Callback(_) => passed = handle.is_some(),
            // All others know nothing of handles.
            _ => {}
        }
    }
    handle.filter(|_| plan.facts.marks).map(|slot| (slot, exclusive))
}

/// Enters the only handle of a call and, if it is to be `alone`, gives it to the call; `None`, and nothing has
/// changed, when it is not fit for that.
pub fn enter_alone(
    handles: &mut HandleTable,
    handle: u32,
    kind: HandleType,
    fate: Fate,
    alone: bool,
) -> Option<*mut c_void> {
    let invalidated = match fate {
        Fate::Kept => false,
        Fate::Invalidated => true,
        Fate::Consumed => return None,
    };
    if let Some(entered) = handles.enter_alone(handle, kind, invalidated, alone) {
        return Some(entered);
    }
    let entered = life::enter(handles, handle, kind, fate, true).ok()?;
    if alone && handles.hold(handle, kind, false, std::iter::once(handle)).is_err() {
        handles.leave(handle);
        return None;
    }
    Some(entered)
}

/// What an op has noted on the handle of a guest slot, until the call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// That the call uses it, and what becomes of it.
    Used(Fate),
    /// That nobody else may.
    Exclusive,
    /// Both at once, by [`enter_alone`].
    Alone,
}

impl Noted {
    /// What ops of a plan that marks handles note, and the slot; `None` for those that note nothing.
    #[must_use]
    pub fn by(op: &Op) -> Option<(u16, Noted)> {
        life::mark_of(op).map(|(slot, mark)| match mark {
            life::Mark::Used(fate) => (slot, Noted::Used(fate)),
            life::Mark::Exclusive => (slot, Noted::Exclusive),
        })
    }
}
