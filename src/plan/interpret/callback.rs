//! Guest functions that native code calls.
//!
//! A call that may call back says so to its thread while native code runs ([`Running`]). A closure
//! (`closure`) that is called looks for it: guest code runs only under a call of the closure's own store
//! on the same thread. While it runs the call is hidden, so that native code which the guest calls in turn
//! finds its own call or none. Everything else that calls a closure gets what C gets of a trap, and is
//! counted ([`Strays`](crate::plan::binding::Strays)).
//!
//! A callback that traps cannot unwind native frames: what has happened is kept here, later callbacks of
//! the same call return at once, and when native code has returned the *after* section records its facts
//! and gives up.
use super::copies::CallMemory;
use super::space::Space;
use super::{
    Both, Failure, Guest, Stop, after, before_call, enter_watched, give, keep_errno, stop,
};
use crate::plan::Plan;
use crate::plan::binding::{Binding, StoreBlock};
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::handles::{HandleError, HandleType};
use crate::plan::op::{CallbackOp, Null, Op};
use crate::plan::problem::{CallbackProblem, Problem, Subject};
use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::c_void;
use std::fmt;
use std::mem::transmute;
use std::ptr::{self, NonNull};

pub use closure::{Closure, Function};
pub use typed::{Code, Enter, MOST_INTEGERS, Typing, Words, enter_any, enter_with};

mod arrive;
mod back;
mod bring;
mod call;
mod closure;
mod entry;
mod reply;
mod simple;
mod typed;

thread_local! {
    /// The call whose native code this thread runs, if it may call back.
    static CURRENT: Cell<*mut Running> = const { Cell::new(ptr::null_mut()) };
    /// A store ends, and this thread runs the destructors of what its guests have left.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Runs destructors of a store that ends. They may call its closures, which is too late, but no sign of a thread
/// that will call again.
pub fn while_a_store_ends(destroy: impl FnOnce()) {
    let before = ENDING.replace(true);
    destroy();
    ENDING.set(before);
}

/// A call whose native code may call guest functions.
pub struct Running {
    /// The block of the store whose closures a compiled entry may enter without looking closer: that of
    /// [`block`](Running::block), or [`NOBODY`] when guest code is as deep as it may be, or a callback has stopped.
    ready: *const StoreBlock,
    /// What a compiled entry that has entered the guest finds again when the guest returns.
    closure: *const Closure,
    /// Likewise.
    slots: *mut GuestSlot,
    /// Of the store whose closures may be called.
    block: *const StoreBlock,
    /// The import that is called: native code has places in its instance's memory.
    binding: *const Binding,
    /// The host's side of the call.
    guest: *mut (dyn Guest + 'static),
    /// What the call has copied of the guest's memory.
    memory: Option<Box<CallMemory>>,
    /// Why a callback has stopped.
    kept: Option<Kept>,
    /// Whether guest code has run.
    entered: bool,
    /// What callbacks have returned that lives as long as the call; few have.
    returned: Option<Box<Returned>>,
}

/// The block of no store, nor that of a closure whose store is gone.
const NOBODY: *const StoreBlock = ptr::dangling();

/// What native code has of callbacks until the running call is over.
#[derive(Default)]
struct Returned {
    /// Copies, by the plan of the callback whose shapes they have.
    copies: Vec<(*const Plan, Option<Box<CallMemory>>)>,
    /// Functions, each with a use.
    functions: Vec<NonNull<Closure>>,
    /// Handles whose objects native code was given, each entered.
    handles: Vec<u32>,
    /// Handles whose objects it has shown.
    shown: HashSet<u32, rustc_hash::FxBuildHasher>,
    /// Those and what lends them.
    passed: Vec<u32>,
    /// Of the store; with the first handle.
    block: Option<NonNull<StoreBlock>>,
}

impl Drop for Returned {
    fn drop(&mut self) {
        for closure in &self.functions {
            // SAFETY: closures live as long as their store, which outlives its calls.
            unsafe { closure.as_ref() }.release();
        }
        let Some(block) = self.block else { return };
        // SAFETY: likewise.
        unsafe { block.as_ref() }.with_handles(|table| {
            self.handles.iter().for_each(|handle| table.leave(*handle));
            table.end_passed(&self.passed);
        });
    }
}

impl Running {
    /// A call whose host side is that.
    ///
    /// # Safety
    /// It is dropped before `guest` is used by anybody but closures, and while `guest` is alive.
    pub(super) unsafe fn new(binding: &Binding, guest: &mut dyn Guest) -> Running {
        // SAFETY: only the lifetime changes; the caller's promise.
        let guest = unsafe { transmute::<*mut dyn Guest, *mut (dyn Guest + 'static)>(guest) };
        // SAFETY: whoever made the binding keeps its store block alive as long.
        let block = unsafe { &*binding.store };
        // Guest code that native code runs ends before native code goes on: the depth stays what it is.
        let is_deep = block.depth.get() >= block.limits.depth;
        Running {
            ready: if is_deep { NOBODY } else { block },
            closure: ptr::null(),
            slots: ptr::null_mut(),
            block,
            binding,
            guest,
            memory: None,
            kept: None,
            entered: false,
            returned: None,
        }
    }

    /// What a live handle stands for, for native code to use until the running call is over: the guest
    /// cannot consume it meanwhile.
    ///
    /// # Safety
    /// The call's store is alive.
    unsafe fn lend(&mut self, handle: u32, kind: HandleType) -> Result<*mut c_void, HandleError> {
        let block = NonNull::new(self.block.cast_mut()).ok_or(HandleError::Forged)?;
        // SAFETY: the caller's promise.
        let lent =
            unsafe { block.as_ref() }.with_handles(|table| table.lend_to_native(handle, kind))?;
        let returned = self.returned.get_or_insert_default();
        returned.block = Some(block);
        returned.handles.push(handle);
        Ok(lent)
    }

    /// Native code has shown an object that the guest has a handle of: it stays alive until the running call is
    /// over.
    ///
    /// # Safety
    /// The call's store is alive.
    unsafe fn pass(&mut self, handle: u32) {
        let Some(block) = NonNull::new(self.block.cast_mut()) else { return };
        let returned = self.returned.get_or_insert_default();
        if returned.shown.insert(handle) {
            returned.block = Some(block);
            // SAFETY: the caller's promise.
            let above = unsafe { block.as_ref() }.with_handles(|table| table.pass(handle));
            returned.passed.extend(above);
        }
    }

    /// Whether an address is in the memory of the instance that has made the call.
    ///
    /// # Safety
    /// Nobody else uses the host's side now.
    unsafe fn is_callers(&self, native: u64) -> bool {
        // SAFETY: both live as long as the call; the caller's promise.
        let binding = unsafe { &*self.binding };
        if binding.memory_base.get().is_null() {
            return false;
        }
        // SAFETY: likewise.
        unsafe { (*self.guest).refresh(binding) };
        let base = binding.memory_base.get().expose_provenance() as u64;
        native.wrapping_sub(base) < binding.memory_len.get()
    }

    /// What callbacks have returned is used no longer.
    pub(super) fn end_returned(&mut self) {
        drop(self.returned.take());
    }

    /// A callback has stopped: no guest code runs any more until native code has returned.
    fn stop(&mut self, kept: Kept) {
        self.kept = Some(kept);
        self.ready = NOBODY;
    }

    /// Whether guest code has run.
    pub(super) fn has_entered(&self) -> bool {
        self.entered
    }

    /// Whether something has happened that the end of the call must know.
    pub(super) fn has_stopped(&self) -> bool {
        self.kept.is_some() || self.memory.is_some()
    }

    /// What the call has copied so far.
    pub(super) fn memory_mut(&mut self) -> &mut Option<Box<CallMemory>> {
        &mut self.memory
    }

    /// Whether a callback has stopped.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Guest code may have made the memory larger.
    ///
    /// # Safety
    /// Native code has returned, and nobody else uses the host's side now.
    pub(super) unsafe fn refresh_if_entered(&mut self) {
        if self.entered {
            // SAFETY: both live as long as the call; the caller's promise.
            unsafe { (*self.guest).refresh(&*self.binding) };
        }
    }

    /// What was copied, and why a callback has stopped.
    pub(super) fn take_all(&mut self) -> (Option<Box<CallMemory>>, Option<Kept>) {
        (self.memory.take(), self.kept.take())
    }

    /// What the end of the call must know: what was copied, and why it must not end well.
    pub(super) fn take(
        &mut self,
        binding: &Binding,
        plan: &Plan,
    ) -> (Option<Box<CallMemory>>, Option<Failure>) {
        // SAFETY: whoever made the binding keeps its store block alive as long.
        let block = unsafe { &*binding.store };
        let told = || if plan.facts.leaf { None } else { strays(block.strays.take()) };
        let kept = self.kept.take().or_else(told);
        (self.memory.take(), kept.map(Failure::from))
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// Why a call must not end well, although native code has returned.
#[derive(Debug)]
pub enum Kept {
    /// Guest code has trapped; the host has the trap.
    Guest,
    /// A check has failed.
    Problem(Box<(Subject, Problem)>),
}

impl From<Kept> for Failure {
    fn from(kept: Kept) -> Failure {
        match kept {
            Kept::Guest => Failure::Guest,
            Kept::Problem(problem) => Failure::Told(problem),
        }
    }
}

/// The call is the thread's current one for as long as this lives.
#[derive(Debug)]
pub(super) struct Now {
    outer: *mut Running,
}

impl Now {
    #[inline]
    pub(super) fn is(running: *mut Running) -> Now {
        Now { outer: CURRENT.replace(running) }
    }
}

impl Drop for Now {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Makes one call of a function that may call back, or is given something to call back later.
///
/// # Safety
/// As [`super::run_in`].
#[inline(never)]
pub(super) unsafe fn run_in(
    frame: *mut FrameHead,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: nobody reaches the host's side but through `running` until native code has returned.
    let mut running = unsafe { Running::new(binding, guest) };
    let running = &raw mut running;
    // SAFETY: the caller's promise. `running` is only reached through this pointer until native code has
    // returned, and `guest` not at all.
    let prepared = unsafe {
        (&raw mut (*frame).running).write(running);
        before_call(frame, plan, binding, slots, &mut (*running).memory)
    };
    let (stub, returns) = match prepared {
        Ok(call) => call,
        Err((index, failure)) => {
            // SAFETY: the frame is as the failed op left it.
            unsafe {
                let_go(plan, frame, index);
                return Err(stop(plan, binding, frame, index, failure, false));
            }
        }
    };
    let call = usize::from(plan.call);
    // SAFETY: every argument that the function's prototype has is in place, checked; native code runs,
    // once, and the record holds what it returned. Nobody has the call any more when it has returned.
    unsafe {
        // A leaf may be given functions to keep; it calls none.
        if let Some(memory) = &mut (*running).memory {
            memory.order();
        }
        let now = Now::is(if plan.facts.leaf { ptr::null_mut() } else { running });
        let unruly =
            enter_watched(plan, binding, frame, stub, &raw const (*running).memory, || {
                (*running).entered
            });
        drop(now);
        let_go(plan, frame, call);
        if let Some(memory) = &mut (*running).memory {
            memory.let_go();
        }
        let (memory, kept) = ((*running).memory.take(), (*running).kept.take());
        if (*running).entered {
            guest.refresh(binding);
        }
        let kept = kept.or_else(|| strays((*binding.store).strays.take()));
        let kept = kept.map(Failure::from).or(unruly);
        let ended = match kept {
            None if !plan.facts.after => give(returns, &Both::of(&(*frame).record), slots)
                .map_err(|misfit| stop(plan, binding, frame, call, misfit.into(), true)),
            kept => after::run(plan, binding, frame, memory, guest, kept),
        };
        keep_errno(plan, binding, frame);
        ended
    }
}

/// What becomes of a call during which, or before which, so many closures were called that must not be.
pub(super) fn strays(calls: u32) -> Option<Kept> {
    if calls == 0 {
        return None;
    }
    let problem = Problem::Callback(Box::new(CallbackProblem::Stray { calls }));
    Some(Kept::Problem(Box::new((Subject::Call, problem))))
}

/// Ends the uses of closures that the `Pass` ops before `until` have begun.
///
/// # Safety
/// These ops have run in this frame.
pub(super) unsafe fn let_go(plan: &Plan, frame: *mut FrameHead, until: usize) {
    if plan.callbacks.is_empty() {
        return;
    }
    for op in &plan.ops[..until.min(usize::from(plan.call))] {
        if let Op::Callback(CallbackOp::Pass { closure, .. }) = op {
            // SAFETY: the op has put it there; closures live as long as their store.
            unsafe {
                if let Some(closure) = Closure::at(frame, *closure) {
                    closure.release();
                }
            }
        }
    }
}

/// The closure of the function at that index of the guest's table.
///
/// # Safety
/// The plan has that callback, and its frame says which call this is.
pub(super) unsafe fn closure_at(
    space: &Space<'_>,
    index: u64,
    callback: u16,
) -> Result<NonNull<Closure>, Problem> {
    // SAFETY: the caller's promise: `run_in` has put the running call there, and nobody else uses the
    // host's side of it meanwhile.
    let guest = unsafe { &mut *(*(*space.frame).running).guest };
    guest.closure(index, &space.plan.callbacks[usize::from(callback)], space.binding)
}

/// Runs an op of the *before* section of an import.
///
/// # Safety
/// As [`super::before::step`]; the plan may call back, and its frame says which call this is.
pub(super) unsafe fn before(op: CallbackOp, space: &Space<'_>) -> Result<(), Failure> {
    let CallbackOp::Pass { slot, to, callback, null, closure: place, kept } = op else {
        return Ok(()); // no other is an import's
    };
    // SAFETY: the caller's promise.
    unsafe {
        let index = space.pointer(slot);
        if index == 0 {
            if null != Null::Allowed {
                return Err(Failure::Check);
            }
            space.write::<u64>(place, 0);
            space.write::<u64>(to, 0);
            return Ok(());
        }
        let callback = &space.plan.callbacks[usize::from(callback)];
        let guest = &mut *(*(*space.frame).running).guest;
        let closure = guest.closure(index, callback, space.binding)?;
        let closure = closure.as_ref();
        closure.hold(kept);
        space.write::<u64>(place, ptr::from_ref(closure).expose_provenance() as u64);
        space.write::<u64>(to, closure.code().expose_provenance() as u64);
    }
    Ok(())
}

/// Runs an op of the *after* section of an import.
///
/// # Safety
/// As `After::step`.
pub(super) unsafe fn keep(op: CallbackOp, space: &Space<'_>) {
    // SAFETY: the caller's promise: a `Pass` has put the closure there, an `Adopt` the handle.
    unsafe {
        let (closure, holder) = match op {
            CallbackOp::Keep { closure, holder: None } => {
                if let Some(closure) = Closure::at(space.frame, closure) {
                    closure.escape();
                }
                return;
            }
            CallbackOp::Keep { closure, holder: Some(slot) } => {
                (closure, space.slot32(slot.number()))
            }
            CallbackOp::KeepReturned { closure, handle } => (closure, space.read::<u32>(handle)),
            CallbackOp::Pass { .. }
            | CallbackOp::Scalar { .. }
            | CallbackOp::ScalarWithin { .. }
            | CallbackOp::Pair { .. }
            | CallbackOp::Vector { .. }
            | CallbackOp::Cookie { .. }
            | CallbackOp::Descriptor { .. }
            | CallbackOp::Inside { .. }
            | CallbackOp::Copy { .. }
            | CallbackOp::Handle { .. }
            | CallbackOp::Function { .. }
            | CallbackOp::Object { .. }
            | CallbackOp::Room { .. }
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
            | CallbackOp::ReplyFunction { .. } => return,
        };
        if let Some(closure) = Closure::at(space.frame, closure) {
            space.store().with_handles(|table| table.keep_closure(holder, closure.uses()));
        }
    }
}
