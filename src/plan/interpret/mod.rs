//! The interpreter: runs every plan, and is what every faster tier is tested against.
//!
//! [`run`] walks the ops of a verified plan over one frame: *before* in `before`, the call through
//! one of the assembly stubs of the machine, *after* in `after`. [`resume`] runs the *after* section
//! alone, for tiers that have made the call themselves. An op that fails says only which op it was;
//! the text is made by [`super::diagnose`].
//!
//! Not here: how a call gets here, native stack limits, memory growth (the host), and what plans
//! must satisfy (the verifier).
#![expect(unsafe_code, reason = "the frame and native memory are reached through raw pointers")]
use super::Plan;
use super::binding::Binding;
use super::diagnose::{diagnose, subject_of};
use super::frame::{CallRecord, FrameHead, GuestSlot};
use super::op::{At, Op, Returns, Stub};
use super::problem::{Problem, Subject};
use std::mem::offset_of;

mod after;
pub mod assist;
mod before;
mod boxed;
pub mod callback;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "closure_sysv_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "closure_unsupported.rs")]
mod closure;
mod copies;
mod data;
mod deep;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "enter_sysv_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "enter_unsupported.rs")]
mod enter;
mod guest;
mod held;
mod life;
mod memory;
pub mod native;
mod outgoing;
mod quick;
mod result;
mod space;
mod stub;
pub mod upcall;
mod watch;
pub(crate) mod weigh;

pub(super) use before::load_integer;
pub(crate) use before::text_length;
use copies::CallMemory;
pub(super) use copies::Spare;
pub use enter::SUPPORTED;
pub use guest::{Guest, GuestStopped};
#[cfg(feature = "trampolines")]
pub(crate) use life::enter as enter_handle;
use memory::{HeapFrame, SMALL_FRAME, SmallFrame};
pub use memory::{has_small_frame, with_frame, with_small_frame};
pub(crate) use quick::Straight;
pub use quick::{Fallback, Halt, Left, Quick, Record, Reply};
pub use result::Both;
pub(super) use result::{Misfit, give};
pub(super) use space::{FrameEnvironment, Space};

/// Why a call did not end well. Always boxed, so that success is one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A check failed.
    Error {
        /// What it is about.
        subject: Subject,
        /// What is wrong.
        problem: Problem,
        /// Whether native code had run.
        called: bool,
    },
    /// Guest code trapped; the host has the trap.
    Guest,
}

/// Why an op failed: by its own check, which `diagnose` explains, by something only known here, or
/// because of the guest.
enum Failure {
    Check,
    /// Boxed: a small failure keeps the ops' results in registers.
    Known(Box<Problem>),
    /// As `Known`, with what it is about: of an op that is about more than one parameter, or something of
    /// the call as a whole.
    Told(Box<(Subject, Problem)>),
    Guest,
}

impl From<Problem> for Failure {
    #[cold]
    fn from(problem: Problem) -> Failure {
        Failure::Known(Box::new(problem))
    }
}

impl From<GuestStopped> for Failure {
    fn from(_: GuestStopped) -> Failure {
        Failure::Guest
    }
}

impl From<Misfit> for Failure {
    fn from(_: Misfit) -> Failure {
        Failure::Check
    }
}

/// How far a trampoline, which never makes an error itself, has come with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The call is over, and the result is in the first slot.
    Done = 0,
    /// A check before the call has failed: nothing has happened, and [`run`] makes the whole call.
    Redo = 1,
    /// Native code has run. What it returned is in the frame's call record, and [`resume`] does the
    /// work after the call: not all of it is compiled, or a check has failed.
    Resume = 2,
}

/// Makes one call.
///
/// # Errors
/// When a check fails before or after the native call, or guest code traps.
///
/// # Safety
/// - `plan` has passed the verifier for this host's ABI, and `binding.target` and `binding.callees`
///   are functions of the types that its prototypes say, in its order.
/// - `slots` points at as many slots as the plan has parameters, and at one if it has a result,
///   initialised as wasm passes such parameters.
/// - `binding`, its store block and its memory stay valid until this returns, and only this thread
///   uses them. Memory base and length are up to date, and stay so until guest code runs.
/// - Calling the function with arguments that satisfy the prototype's annotations is sound.
#[inline]
pub unsafe fn run(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
    with_frame(plan, |frame| unsafe { run_in(frame, plan, binding, slots, guest) })
}

/// # Safety
/// As [`run`]; `frame` is `plan.frame.size` bytes, aligned as the plan asks, that nothing else uses.
unsafe fn run_in(
    frame: *mut FrameHead,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    if !plan.facts.leaf || !plan.callbacks.is_empty() {
        // SAFETY: the caller's promise.
        return unsafe { callback::run_in(frame, plan, binding, slots, guest) };
    }
    let mut memory = None;
    // SAFETY: the caller's promise.
    let prepared = unsafe { before_call(frame, plan, binding, slots, &mut memory) };
    let (stub, returns) = match prepared {
        Ok(call) => call,
        Err((index, failure)) => {
            // SAFETY: the frame is as the failed op left it.
            return Err(unsafe { stop(plan, binding, frame, index, failure, false) });
        }
    };
    // SAFETY: every argument that the function's prototype has is in place, checked; native code
    // runs, once, and the record holds what it returned.
    unsafe {
        let unruly = enter_watched(plan, binding, frame, stub, &raw const memory, || false);
        let ended = if plan.facts.after || unruly.is_some() {
            after::run(plan, binding, frame, memory, guest, unruly)
        } else {
            let call = usize::from(plan.call);
            give(returns, &Both::of(&(*frame).record), slots)
                .map_err(|misfit| stop(plan, binding, frame, call, misfit.into(), true))
        };
        keep_errno(plan, binding, frame);
        ended
    }
}

/// Runs the *before* section, up to the call; which op has failed, and how.
///
/// # Safety
/// As [`run_in`].
#[inline(always)]
unsafe fn before_call(
    frame: *mut FrameHead,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    memory: &mut Option<Box<CallMemory>>,
) -> Result<(Stub, Returns), (usize, Failure)> {
    // SAFETY: the frame is ours and large enough for its head.
    unsafe {
        (&raw mut (*frame).guest).write(slots);
        (&raw mut (*frame).binding).write(binding);
    }
    // Scalars are handled here, everything else in functions of their own, which are never part of
    // this one: a small loop keeps its state in registers. Each scalar has its own arm, so that there
    // is one jump an op.
    for (index, op) in plan.ops.iter().enumerate() {
        // SAFETY: the plan was verified, so that the op stays inside the frame, the guest's slots
        // and its tables, and everything it reads has been written by the ops before it. Of an
        // `i32` only the low half of a slot is read, on hosts that are little-endian.
        let done = unsafe {
            let low32 = |slot: u16| slots.add(usize::from(slot)).cast::<u32>().read();
            let low64 = |slot: u16| slots.add(usize::from(slot)).cast::<u64>().read();
            let place = |to: At, value: u64| {
                frame.cast::<u8>().add(to.offset()).cast::<u64>().write(value);
            };
            match *op {
                Op::Call { stub, returns } => return Ok((stub, returns)),
                Op::Int8 { slot, to } => {
                    place(to, before::extend8(low32(slot)));
                    continue;
                }
                Op::UInt8 { slot, to } => {
                    place(to, u64::from(low32(slot) & 0xff));
                    continue;
                }
                Op::Int16 { slot, to } => {
                    place(to, before::extend16(low32(slot)));
                    continue;
                }
                Op::UInt16 { slot, to } => {
                    place(to, u64::from(low32(slot) & 0xffff));
                    continue;
                }
                Op::Bool { slot, to } => {
                    place(to, u64::from(low32(slot) != 0));
                    continue;
                }
                Op::Int32 { slot, to } | Op::ULong32 { slot, to } | Op::Float32 { slot, to } => {
                    place(to, u64::from(low32(slot)));
                    continue;
                }
                Op::Int64 { slot, to } | Op::Float64 { slot, to } => {
                    place(to, low64(slot));
                    continue;
                }
                Op::Long32 { slot, to } => {
                    place(to, i64::from(low32(slot).cast_signed()).cast_unsigned());
                    continue;
                }
                Op::Buffer { .. } => before::buffer(op, &Space::new(plan, binding, frame)),
                Op::Object { slot, size, moves } => {
                    before::object(&Space::new(plan, binding, frame), slot, size, moves)
                }
                Op::Pair { .. }
                | Op::Extended { .. }
                | Op::Vector { .. }
                | Op::Address { .. }
                | Op::Room { .. }
                | Op::Format { .. }
                | Op::Range { .. }
                | Op::Evaluate { .. }
                | Op::Require { .. }
                | Op::Value { .. }
                | Op::Text { .. }
                | Op::Cell { .. }
                | Op::PointerCell { .. }
                | Op::TextCell { .. }
                | Op::Handle { .. }
                | Op::Apart { .. }
                | Op::Reserve { .. }
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
                | Op::Native(_)
                | Op::Upcall(_)
                | Op::Deep(_)
                | Op::Callback(_)
                | Op::Life(_)
                | Op::EndLoans { .. }
                | Op::Return { .. } => before::step(op, &Space::new(plan, binding, frame), memory),
            }
        };
        if let Err(failure) = done {
            return Err((index, failure));
        }
    }
    // Not reached: every plan has a call.
    Err((plan.ops.len(), Failure::Check))
}

/// Makes the error of a call that a faster tier has made and whose raw integer result does not fit.
///
/// # Errors
/// Always, unless the result fits after all.
///
/// # Safety
/// As [`run`]; the function has run, once, and returned `integer`, and the plan does not keep
/// `errno`.
#[cold]
pub unsafe fn resume_with(
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    integer: u64,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    let frame = HeapFrame::of(plan);
    let head = frame.start.cast::<FrameHead>();
    // SAFETY: the frame is ours and large enough for its head; nothing else of it is read by plans
    // without an *after* section.
    unsafe {
        (&raw mut (*head).guest).write(slots);
        (&raw mut (*head).binding).write(binding);
        (&raw mut (*head).record.integers).write([integer, 0]);
        (&raw mut (*head).record.vectors).write([[0; 2]; 2]);
        resume(plan, head, guest)
    }
}

/// Runs the *after* section alone: native code has run and left its results in the call record.
///
/// # Errors
/// As [`run`].
///
/// # Safety
/// As [`run`], and `frame` is a frame of this plan in which all of *before* has run and whose call
/// record is complete. `memory` of copies that *before* made does not exist in it.
pub unsafe fn resume(
    plan: &Plan,
    frame: *mut FrameHead,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the frame's head was written before the call.
    let (binding, slots) = unsafe { (&*(*frame).binding, (*frame).guest) };
    if plan.facts.after {
        // SAFETY: the caller's promise.
        let ended = unsafe { after::run(plan, binding, frame, None, guest, None) };
        // SAFETY: likewise.
        unsafe { keep_errno(plan, binding, frame) };
        return ended;
    }
    // SAFETY: likewise; no guest code runs.
    unsafe { keep_errno(plan, binding, frame) };
    if let Some(Op::Call { returns, .. }) = plan.ops.get(usize::from(plan.call)) {
        // SAFETY: the record is complete, and `slots` has room for a result.
        let given = unsafe { give(*returns, &Both::of(&(*frame).record), slots) };
        let call = usize::from(plan.call);
        return given.map_err(|misfit| {
            // SAFETY: the record is as native code left it.
            unsafe { stop(plan, binding, frame, call, misfit.into(), true) }
        });
    }
    Ok(())
}

/// # Safety
/// As [`run_in`]; all arguments are in place.
#[inline]
unsafe fn enter_native(plan: &Plan, binding: &Binding, frame: *mut FrameHead, stub: Stub) {
    if plan.facts.errno {
        // SAFETY: the thread's own `errno`. It is cleared so that the guest can tell whether this
        // call has set it.
        unsafe { *libc::__errno_location() = 0 };
    }
    // SAFETY: the caller's promise.
    unsafe { stub::enter(plan, binding.target, frame, stub) };
    if plan.facts.errno {
        // SAFETY: likewise, before anything else can change it; the frame is ours.
        unsafe { (&raw mut (*frame).record.errno).write(*libc::__errno_location()) };
    }
}

/// As [`enter_native`], and what is wrong with what native code has done, if the store has it watched.
/// `guest_has_run` is asked when it has returned.
///
/// # Safety
/// As [`enter_native`]. Nobody has `memory`, what the call has copied, for himself alone until native code has
/// been entered, nor once it has returned.
#[inline(always)]
unsafe fn enter_watched(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    stub: Stub,
    memory: *const Option<Box<CallMemory>>,
    guest_has_run: impl FnOnce() -> bool,
) -> Option<Failure> {
    // SAFETY: the caller's promise; the store block lives as long as the binding.
    unsafe {
        if (*binding.store).watched {
            return watch::enter(plan, binding, frame, stub, memory, guest_has_run);
        }
        enter_native(plan, binding, frame, stub);
        None
    }
}

/// Tells the binding the `errno` of a call that has ended, well or not: until then guest code that
/// the call runs may call the same import, whose own `errno` would be in its place.
///
/// # Safety
/// As [`run_in`]; native code has run.
#[inline]
unsafe fn keep_errno(plan: &Plan, binding: &Binding, frame: *const FrameHead) {
    if plan.facts.errno {
        // SAFETY: the record of a plan that keeps it is complete.
        binding.errno.set(unsafe { (*frame).record.errno });
    }
}

/// Turns a failure into what the caller gets, and takes back the marks of handles.
///
/// # Safety
/// As [`run_in`]; `index` is the op that failed, and every op before it has run.
#[cold]
unsafe fn stop(
    plan: &Plan,
    binding: &Binding,
    frame: *mut FrameHead,
    index: usize,
    failure: Failure,
    called: bool,
) -> Box<Stop> {
    let (subject, problem) = match failure {
        // SAFETY: the frame is as the failed op left it.
        Failure::Check => unsafe { diagnose(plan, index, frame) },
        Failure::Known(problem) => (subject_of(plan, index), *problem),
        Failure::Told(told) => *told,
        Failure::Guest => {
            // SAFETY: likewise.
            unsafe { unmark(plan, binding, frame, index) };
            return Box::new(Stop::Guest);
        }
    };
    // SAFETY: likewise.
    unsafe { unmark(plan, binding, frame, index) };
    // Data is read, not called.
    let called = called && plan.prototype.data.is_none();
    Box::new(Stop::Error { subject, problem, called })
}

/// Takes back the marks that the `Handle` ops before `until` have made.
///
/// # Safety
/// As [`stop`].
unsafe fn unmark(plan: &Plan, binding: &Binding, frame: *mut FrameHead, until: usize) {
    if !plan.facts.marks {
        return;
    }
    // SAFETY: the binding's store block lives as long as the binding.
    let store = unsafe { &*binding.store };
    let before = &plan.ops[..until.min(usize::from(plan.call))];
    for (slot, mark) in before.iter().filter_map(life::mark_of) {
        // SAFETY: the slot exists, and holds an argument until the result is written.
        let handle = unsafe { Space::new(plan, binding, frame).slot32(slot) };
        store.with_handles(|handles| mark.take_back(handles, handle));
    }
}

/// What the stubs need to know of the frame, beside its drawing.
const INTEGERS_AT: usize = offset_of!(FrameHead, integers);
const VECTORS_AT: usize = offset_of!(FrameHead, vectors);
const RESULT_INTEGERS_AT: usize = offset_of!(FrameHead, record) + offset_of!(CallRecord, integers);
const RESULT_X87_AT: usize = offset_of!(FrameHead, record) + offset_of!(CallRecord, x87);
const RESULT_VECTORS_AT: usize = offset_of!(FrameHead, record) + offset_of!(CallRecord, vectors);

#[cfg(test)]
mod tests;
