//! Closures with compiled entries: the words that such code reads, and what it enters the guest through.
//!
//! ```text
//! stub ──> compiled: arguments into guest slots ──> enter: may guest code run here? ──> the guest
//!             └─ what does not fit ──> back: the closure becomes r11 again ──> the interpreter's entry
//! ```
//!
//! A compiled entry is a C function of the callback's own type with one integer parameter more, its closure,
//! which comes in `r11` as to every entry. It makes no errors: whatever is not as usual before the guest's function runs is left to the interpreter, with
//! the arguments as they came. Code is made of a plan (`cranelift_backend`), so that all closures of one type
//! share it.
use super::closure::Closure;
use super::{CURRENT, Kept, Now, Running};
use crate::plan::binding::Binding;
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::closure::typed_back;
use crate::plan::interpret::{Guest, GuestStopped};
use std::any::Any;
use std::ffi::c_void;
use std::fmt;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

/// What runs a closure's function, whose arguments are in those slots. It returns where they are: the first holds what
/// the function has returned, or what C gets of a trap, as if the guest had returned it.
pub type Enter = unsafe extern "C" fn(*const Closure, *mut GuestSlot) -> *mut GuestSlot;

/// How many integer registers C's arguments may take: one more is the closure's.
pub const MOST_INTEGERS: u8 = 5;

/// The words of a closure that entries and compiled code read.
#[derive(Debug)]
#[repr(C)]
pub struct Words {
    /// The interpreter's.
    pub(super) interpreted: *const c_void,
    /// Takes the arguments of a compiled entry to the interpreter's.
    pub(super) back: AtomicPtr<c_void>,
    pub(super) enter: Enter,
    /// What cookies begin at.
    pub(super) cookies: u64,
}

impl Words {
    /// Offset in a closure of the interpreter's entry.
    pub const INTERPRETED: usize = Closure::WORDS + offset_of!(Words, interpreted);
    /// Of the function that compiled code calls, with its own arguments, for what does not fit.
    pub const BACK: usize = Closure::WORDS + offset_of!(Words, back);
    /// Of an [`Enter`].
    pub const ENTER: usize = Closure::WORDS + offset_of!(Words, enter);
    /// Of the first address of cookies.
    pub const COOKIES: usize = Closure::WORDS + offset_of!(Words, cookies);
    /// Of the first byte of the function's memory.
    pub const MEMORY_BASE: usize = Closure::BINDING + offset_of!(Binding, memory_base);
    /// Of its length.
    pub const MEMORY_LEN: usize = Closure::BINDING + offset_of!(Binding, memory_len);
}

/// A compiled entry.
#[derive(Clone)]
pub struct Code {
    /// A C function of the callback's type, but for the closure in `r11`.
    pub start: *const c_void,
    /// How many integer registers those take, [`MOST_INTEGERS`] at most.
    pub integers: u8,
    /// Keeps the code.
    pub owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: code is the same on every thread.
unsafe impl Send for Code {}
// SAFETY: likewise.
unsafe impl Sync for Code {}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("integers", &self.integers).finish_non_exhaustive()
    }
}

/// Where compiled entries come from that are made when closures are called often.
pub trait Typing: Send + Sync {
    /// The interpreter makes one more call of a closure of the type: whether there is code by now.
    fn count(&self) -> Option<Code>;
}

/// The compiled entry of a closure, which keeps it as long as it lives itself.
pub(super) type Installed = OnceLock<Arc<dyn Any + Send + Sync>>;

impl Closure {
    /// Has native code enter through `code` from now on, unless the closure has a compiled entry already.
    ///
    /// # Safety
    /// It was compiled for the closure's plan.
    pub unsafe fn install(&self, code: Code) {
        let Code { start, integers, owner } = code;
        let Some(back) = typed_back(integers) else { return };
        if !self.takes_compiled() || self.installed().set(owner).is_err() {
            return;
        }
        self.words().back.store(back.cast_mut(), Ordering::Relaxed);
        // Whoever finds this finds the way back too.
        self.enter_through(start);
    }
}

/// What an [`Enter`] consists of, but for how `run` enters the guest with what it gets: the closure, and the
/// host's side of the running call, which `failed` gets too. It does that only where nothing is unusual and `is_ample`
/// sees room for guest code; else [`enter_any`] looks closer. What is kept while the guest runs is kept in the running
/// call, so that few registers must be saved.
///
/// # Safety
/// As an [`Enter`], called by code that was made of the closure's plan. `run` must not unwind.
#[inline(always)]
pub unsafe fn enter_with<E>(
    closure: *const Closure,
    slots: *mut GuestSlot,
    is_ample: impl FnOnce(&Closure) -> bool,
    run: impl FnOnce(&Closure, *mut (dyn Guest + 'static)) -> Result<(), E>,
    failed: impl FnOnce(*mut (dyn Guest + 'static), E),
) -> *mut GuestSlot {
    // SAFETY: the caller's promise. Nothing of a closure changes but atomics and cells. What is there of a running
    // call is alive: see `Now`; another one hides it while the guest runs, and ends before it does. Its block is
    // the store's.
    unsafe {
        let running = CURRENT.get();
        if !(*closure).is_ready(running) || !is_ample(&*closure) {
            return enter_any(closure, slots);
        }
        CURRENT.set(ptr::null_mut());
        (*running).closure = closure;
        (*running).slots = slots;
        (*running).entered = true;
        let depth = &(*(*running).block).depth;
        depth.set(depth.get() + 1);
        let done = run(&*closure, (*running).guest);
        CURRENT.set(running);
        // Found again rather than kept.
        let depth = &(*(*running).block).depth;
        depth.set(depth.get() - 1);
        if let Err(error) = done {
            failed((*running).guest, error);
            return stopped(running);
        }
        (*running).slots
    }
}

/// The guest's function, which a compiled entry has entered under that call, has stopped.
///
/// # Safety
/// As [`enter_with`].
#[cold]
#[inline(never)]
unsafe fn stopped(running: *mut Running) -> *mut GuestSlot {
    // SAFETY: the caller's promise.
    unsafe {
        (*running).stop(Kept::Guest);
        nothing(&*(*running).closure, (*running).slots)
    }
}

/// There is no result: C gets what it gets of a trap.
///
/// # Safety
/// There is a slot.
unsafe fn nothing(closure: &Closure, slots: *mut GuestSlot) -> *mut GuestSlot {
    let (integer, vector) = closure.on_trap();
    // SAFETY: the caller's promise. One of the two is zero.
    unsafe { slots.write(GuestSlot { low: integer | vector, high: 0 }) };
    slots
}

/// An [`Enter`] that looks at everything, and asks the guest's side which it is.
///
/// # Safety
/// As an [`Enter`].
#[cold]
#[inline(never)]
pub unsafe extern "C" fn enter_any(
    closure: *const Closure,
    slots: *mut GuestSlot,
) -> *mut GuestSlot {
    // SAFETY: the caller's promise; the running call has the host's side to itself, and is alive: see `Now`.
    unsafe {
        let closure = &*closure;
        let running = CURRENT.get();
        if !closure.is_allowed(running) {
            closure.stray();
        } else if (*running).kept.is_none() {
            let hidden = Now::is(ptr::null_mut());
            (*running).entered = true;
            let done = (*(*running).guest).enter(closure.function(), slots, closure.slots());
            drop(hidden);
            match done {
                Ok(()) => return slots,
                Err(GuestStopped) => (*running).stop(Kept::Guest),
            }
        }
        nothing(closure, slots)
    }
}
