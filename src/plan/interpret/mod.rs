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
use super::frame::{CallRecord, FrameHead, FrameLayout, GuestSlot};
use super::handles::Loan;
use super::op::{Op, Returns, Stub};
use super::problem::{Problem, Subject};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::{MaybeUninit, offset_of};
use std::ptr;

mod after;
mod before;
#[cfg_attr(all(target_arch = "x86_64", unix), path = "enter_sysv_x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", unix)), path = "enter_unsupported.rs")]
mod enter;
mod space;

pub(super) use before::{load_integer, text_length};
pub use enter::SUPPORTED;
use space::CallMemory;
pub(super) use space::{FrameEnvironment, Space};

/// What a running call asks of the host.
pub trait Guest {
    /// Guest code has run: brings the binding's memory up to date.
    fn refresh(&mut self, binding: &Binding);

    /// Asks the instance's allocator for memory. Guest code runs.
    ///
    /// # Errors
    /// When that code traps. The host keeps the trap.
    fn allocate(&mut self, size: u64, align: u32) -> Result<u64, GuestStopped>;

    /// Frees what an allocator gave. Guest code runs.
    ///
    /// # Errors
    /// When that code traps. The host keeps the trap.
    fn release(&mut self, loan: Loan) -> Result<(), GuestStopped>;

    /// Guest address and size of the copy of the native constant at that address, if the instance
    /// has one.
    ///
    /// # Errors
    /// [`Problem::Limit`] when it has none and may not get another.
    fn static_copy(&mut self, native: usize) -> Result<Option<(u64, u64)>, Problem>;

    /// Remembers such a copy.
    fn keep_static_copy(&mut self, native: usize, address: u64, size: u64);
}

/// Guest code that a call ran has trapped; the host has the trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestStopped;

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

/// A result that does not fit the guest's type.
pub(super) struct Misfit;

impl From<Misfit> for Failure {
    fn from(_: Misfit) -> Failure {
        Failure::Check
    }
}

/// Frames up to this size are on the stack.
const SMALL_FRAME: usize = 1024;

/// A frame on the stack, nothing of it initialised.
#[repr(C, align(16))]
struct SmallFrame(MaybeUninit<[u8; SMALL_FRAME]>);

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
    if usize::from(plan.frame.size) <= SMALL_FRAME {
        let mut small = SmallFrame(MaybeUninit::uninit());
        // SAFETY: the frame is large enough and aligned; the rest is the caller's promise.
        unsafe { run_in(ptr::from_mut(&mut small).cast(), plan, binding, slots, guest) }
    } else {
        let frame = HeapFrame::new(usize::from(plan.frame.size));
        // SAFETY: likewise.
        unsafe { run_in(frame.start.cast(), plan, binding, slots, guest) }
    }
}

/// A frame on the heap.
struct HeapFrame {
    start: *mut u8,
    layout: Layout,
}

impl HeapFrame {
    fn new(size: usize) -> HeapFrame {
        let layout = Layout::from_size_align(size.max(16), 16)
            .expect("a frame is at most 64 KiB and 16-aligned");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        HeapFrame { start, layout }
    }
}

impl Drop for HeapFrame {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, freed once.
        unsafe { dealloc(self.start, self.layout) }
    }
}

/// # Safety
/// As [`run`]; `frame` is `plan.frame.size` bytes, 16-aligned, that nothing else uses.
#[inline]
unsafe fn run_in(
    frame: *mut FrameHead,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the frame is ours and large enough for its head.
    unsafe {
        (&raw mut (*frame).guest).write(slots);
        (&raw mut (*frame).binding).write(binding);
    }
    let mut memory = None;
    // Scalars, buffers and the call are handled here, everything else in a function of its own:
    // a small loop keeps its state in registers.
    for (index, op) in plan.ops.iter().enumerate() {
        // SAFETY: the plan was verified, so that the op stays inside the frame, the guest's slots
        // and its tables, and everything it reads has been written by the ops before it. *Before*
        // has placed every argument that the function's prototype has, checked, when the `Call` is
        // met; then native code runs, once, and the record holds what it returned.
        let done = unsafe {
            match *op {
                Op::Call { stub, returns } => {
                    enter_native(plan, binding, frame, stub);
                    let ended = if plan.facts.after {
                        after::run(plan, binding, frame, memory, guest)
                    } else {
                        give_result(returns, &(*frame).record, slots).map_err(|misfit| {
                            stop(plan, binding, frame, index, misfit.into(), true)
                        })
                    };
                    keep_errno(plan, binding, frame);
                    return ended;
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
                | Op::Float64 { .. } => {
                    before::scalar(op, frame, slots);
                    continue;
                }
                Op::Buffer { slot, to, count, size, align, null, param: _, extent } => {
                    let space = Space::new(plan, binding, frame);
                    before::buffer(&space, slot, to, count, size, align, null, extent)
                }
                Op::Range { .. }
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
                | Op::Inside { .. }
                | Op::InsideOr { .. }
                | Op::Take { .. }
                | Op::FreeNative { .. }
                | Op::Give { .. }
                | Op::Adopt { .. }
                | Op::StoreCell { .. }
                | Op::EndLoans { .. }
                | Op::Return { .. } => {
                    before::step(op, &Space::new(plan, binding, frame), &mut memory)
                }
            }
        };
        if let Err(failure) = done {
            // SAFETY: the frame is as the failed op left it.
            return Err(unsafe { stop(plan, binding, frame, index, failure, false) });
        }
    }
    Ok(()) // not reached: every plan has a call
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
    let frame = HeapFrame::new(usize::from(plan.frame.size));
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
        let ended = unsafe { after::run(plan, binding, frame, None, guest) };
        // SAFETY: likewise.
        unsafe { keep_errno(plan, binding, frame) };
        return ended;
    }
    // SAFETY: likewise; no guest code runs.
    unsafe { keep_errno(plan, binding, frame) };
    if let Some(Op::Call { returns, .. }) = plan.ops.get(usize::from(plan.call)) {
        // SAFETY: the record is complete, and `slots` has room for a result.
        let given = unsafe { give_result(*returns, &(*frame).record, slots) };
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
    // SAFETY: the register images that this stub loads have been written where the prototype has
    // arguments; the rest are registers that the callee does not read.
    unsafe {
        match stub {
            Stub::Integers => enter::integers(frame, binding.target),
            Stub::Registers => enter::registers(frame, binding.target),
            Stub::Stack => enter::stack(
                frame,
                binding.target,
                frame.cast::<u8>().add(FrameLayout::STACK).cast(),
                usize::from(plan.frame.stack) / 8,
            ),
        }
    }
    if plan.facts.errno {
        // SAFETY: likewise, before anything else can change it; the frame is ours.
        unsafe { (&raw mut (*frame).record.errno).write(*libc::__errno_location()) };
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

/// Decodes the raw result registers over the first guest slot.
///
/// # Safety
/// The record is complete; `slots` has room for the result.
#[inline]
unsafe fn give_result(
    returns: Returns,
    record: &CallRecord,
    slots: *mut GuestSlot,
) -> Result<(), Misfit> {
    if let Some(low) = decode(returns, record.integers[0], record.vectors[0][0])? {
        // SAFETY: there is a slot for the result.
        unsafe { (&raw mut (*slots).low).write(low) };
    }
    Ok(())
}

/// The guest's value of a raw result; `None` where there is none. Fails when it does not fit.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "this is C's conversion: bits above the width are garbage and are dropped"
)]
pub(super) fn decode(returns: Returns, integer: u64, vector: u64) -> Result<Option<u64>, Misfit> {
    let sign_extended = |value: i32| u64::from(value as u32);
    let value = match returns {
        Returns::Void | Returns::Record => return Ok(None),
        Returns::Int8 => sign_extended(i32::from(integer as i8)),
        Returns::UInt8 => u64::from(integer as u8),
        Returns::Int16 => sign_extended(i32::from(integer as i16)),
        Returns::UInt16 => u64::from(integer as u16),
        Returns::Bool => integer & 1,
        Returns::Int32 => u64::from(integer as u32),
        Returns::Int64 => integer,
        Returns::Long32 => sign_extended(i32::try_from(integer.cast_signed()).map_err(|_| Misfit)?),
        Returns::ULong32 => u64::from(u32::try_from(integer).map_err(|_| Misfit)?),
        Returns::Float32 => u64::from(vector as u32),
        Returns::Float64 => vector,
    };
    Ok(Some(value))
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
        Failure::Guest => {
            // SAFETY: likewise.
            unsafe { unmark(plan, binding, frame, index) };
            return Box::new(Stop::Guest);
        }
    };
    // SAFETY: likewise.
    unsafe { unmark(plan, binding, frame, index) };
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
    for op in before {
        if let Op::Handle { slot, .. } = op {
            // SAFETY: the slot exists, and holds an argument until the result is written.
            let handle = unsafe { Space::new(plan, binding, frame).slot32(*slot) };
            store.with_handles(|handles| handles.leave(handle));
        }
    }
}

/// What the stubs need to know of the frame, beside its drawing.
const INTEGERS_AT: usize = offset_of!(FrameHead, integers);
const VECTORS_AT: usize = offset_of!(FrameHead, vectors);
const RESULT_INTEGERS_AT: usize = offset_of!(FrameHead, record) + offset_of!(CallRecord, integers);
const RESULT_VECTORS_AT: usize = offset_of!(FrameHead, record) + offset_of!(CallRecord, vectors);

#[cfg(test)]
mod tests;
