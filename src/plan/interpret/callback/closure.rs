//! A closure: what C has for a guest function.
use super::call::Call;
use super::entry::{entry_of, has_cookies, is_returned, on_trap};
use super::simple::Simple;
use super::typed::{Enter, Installed, Typing, Words};
use super::{CURRENT, Now, Running, reply};
use crate::plan::binding::{Binding, StoreBlock, Strays};
use crate::plan::cookie;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::Both;
use crate::plan::interpret::upcall::Context;
use crate::plan::op::{At, CallbackOp, Op};
use crate::plan::stubs::{self, NoStubs, Stub};
use crate::plan::{Callback, Plan};
use rustc_hash::FxBuildHasher;
use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::c_void;
use std::fmt;
use std::mem::{MaybeUninit, offset_of};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// What a closure's stub finds. It stays when its store is gone: native code may have kept the address.
///
/// Other threads touch nothing of it but atomics and what never changes.
#[repr(C)]
pub struct Closure {
    context: Context,
    words: Words,
    /// Of the function's instance; its target is not used.
    binding: Binding,
    /// How many calls, handles and registrations allow it to be called.
    uses: Arc<AtomicU32>,
    /// The store that it belongs to; null when that is gone. Only compared.
    block: AtomicPtr<StoreBlock>,
    /// Of the kind [`Callback`](crate::plan::Kind::Callback), verified.
    plan: Arc<Plan>,
    /// The host's own: which function this is.
    function: *const c_void,
    /// How many slots the guest's function needs, 1 at least.
    slots: usize,
    /// Whether that instance's memory may move when it grows.
    may_move: bool,
    takes_compiled: bool,
    installed: Installed,
    /// Where a compiled entry comes from when it is called often.
    typing: Option<Arc<dyn Typing>>,
    /// Whether it was ever passed to be kept.
    kept: AtomicBool,
    /// One of the uses is that of a registration without end.
    escaped: AtomicBool,
    /// There was such a registration: that native code has forgotten it is a guest's word.
    lasting: AtomicBool,
    /// It was called where no call was running: what it consists of is never freed.
    visited: AtomicBool,
    /// The short way, unless the memory may move.
    simple: Option<Simple>,
    /// What C gets when there is no result: an integer register, a vector register.
    on_trap: (u64, u64),
    strays: Arc<Strays>,
    /// Set once, before anybody knows the closure.
    stub: Option<Stub>,
    /// Strings that a kept closure has returned.
    texts: RefCell<Texts>,
    /// Frees the host's own.
    free: unsafe fn(*const c_void),
}

// SAFETY: see the struct. What is not atomic is touched by whoever has the store in its hands: closures are
// entered under a call of their own store only. What the host gives away may be freed by any thread.
unsafe impl Send for Closure {}
// SAFETY: as above.
unsafe impl Sync for Closure {}

/// Each string once.
#[derive(Default)]
struct Texts {
    all: HashSet<Box<[u8]>, FxBuildHasher>,
    bytes: u64,
}

/// Where a string of a callback lives.
pub(super) enum Kept {
    /// With the closure, there.
    Closure(*const u8),
    /// With the running call, which must copy it.
    Call,
    /// There are too many.
    TooMany,
}

/// Most guest functions take so many arguments at most, for which there is room on the stack.
const FEW: usize = 8;

/// What the host knows of a guest function.
pub struct Function {
    /// What [`Guest::enter`](crate::plan::interpret::Guest::enter) gets.
    pub function: *const c_void,
    /// Frees that, on any thread.
    pub free: unsafe fn(*const c_void),
    /// Of the function's instance.
    pub binding: Binding,
    /// Whether the instance's memory may move when it grows.
    pub may_move: bool,
    /// What compiled entries enter it through.
    pub enter: Enter,
    /// Where one comes from when the function is called often.
    pub typing: Option<Arc<dyn Typing>>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("may_move", &self.may_move).finish_non_exhaustive()
    }
}

mod end;

impl Closure {
    /// A closure for a guest function of the wasm type of the callback's plan.
    ///
    /// # Errors
    /// When there is no stub for it.
    ///
    /// # Safety
    /// The callback's plan was verified for this host's ABI. The function's binding is one of a store
    /// block that lives until [`Closure::retire`].
    pub unsafe fn new(
        callback: &Callback,
        function: Function,
    ) -> Result<NonNull<Closure>, NoStubs> {
        let plan = Arc::clone(&callback.plan);
        let block = function.binding.store;
        // SAFETY: the caller's promise.
        let strays = unsafe { Arc::clone(&(*block).strays) };
        let on_trap = on_trap(&plan, callback.on_trap);
        let simple = Simple::of(&plan).filter(|_| !function.may_move);
        let Function { function, free, binding, may_move, enter, typing } = function;
        let (entry, cookies) = (entry_of(&plan), has_cookies(&plan));
        let words = Words {
            interpreted: entry,
            back: AtomicPtr::default(),
            enter,
            cookies: if cookies { cookie::start().unwrap_or(0) } else { 0 },
        };
        // Compiled code knows of no memory that moves, and where cookies begin.
        let takes_compiled =
            !may_move && (!cookies || words.cookies != 0) && is_returned(&plan, on_trap);
        let slots = plan.lowering.params.len().max(1);
        let closure = Box::new(Closure {
            context: Context { entry: AtomicPtr::new(entry.cast_mut()), run, gone },
            words,
            binding,
            uses: Arc::default(),
            block: AtomicPtr::new(block.cast_mut()),
            plan,
            function,
            slots,
            may_move,
            takes_compiled,
            installed: Installed::new(),
            typing,
            kept: AtomicBool::new(false),
            escaped: AtomicBool::new(false),
            lasting: AtomicBool::new(false),
            visited: AtomicBool::new(false),
            simple,
            on_trap,
            strays,
            stub: None,
            texts: RefCell::default(),
            free,
        });
        let closure = NonNull::from(Box::leak(closure));
        // SAFETY: leaked just now, and of the kind that it takes.
        let (head, plan) = unsafe { (end::head_of(closure), &closure.as_ref().plan) };
        match stubs::take(head, Some(plan)) {
            Ok(stub) => {
                // SAFETY: nobody else knows it yet.
                unsafe { (*closure.as_ptr()).stub = Some(stub) };
                Ok(closure)
            }
            Err(error) => {
                // SAFETY: leaked above, and no stub has it.
                unsafe { end::drop_closure(closure.cast()) };
                Err(error)
            }
        }
    }

    /// Offsets of what compiled code reads.
    pub(super) const WORDS: usize = offset_of!(Closure, words);
    pub(super) const BINDING: usize = offset_of!(Closure, binding);

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    pub(super) fn installed(&self) -> &Installed {
        &self.installed
    }

    /// Whether it may have a compiled entry.
    #[must_use]
    pub fn takes_compiled(&self) -> bool {
        self.takes_compiled
    }

    /// Has its stub go there from now on.
    pub(super) fn enter_through(&self, entry: *const c_void) {
        self.context.entry.store(entry.cast_mut(), Ordering::Release);
    }

    /// How many slots its function needs.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The block of its store.
    ///
    /// # Safety
    /// The store is alive: a call of it is running.
    #[inline(always)]
    #[must_use]
    pub unsafe fn store_block(&self) -> &StoreBlock {
        // SAFETY: the caller's promise.
        unsafe { &*self.binding.store }
    }

    /// What C gets when there is no result: an integer register, a vector register.
    pub(super) fn on_trap(&self) -> (u64, u64) {
        self.on_trap
    }

    /// Whether guest code may run under that call, the thread's current one.
    ///
    /// # Safety
    /// It is alive, or NULL.
    #[inline(always)]
    pub(super) unsafe fn is_allowed(&self, running: *const Running) -> bool {
        // SAFETY: the caller's promise.
        !running.is_null()
            && unsafe { (*running).block } == self.block.load(Ordering::Relaxed).cast_const()
            && self.uses.load(Ordering::Relaxed) != 0
    }

    /// As [`Closure::is_allowed`], seen at first sight.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn is_ready(&self, running: *const Running) -> bool {
        // SAFETY: the caller's promise.
        !running.is_null()
            && unsafe { (*running).ready } == self.block.load(Ordering::Relaxed).cast_const()
            && self.uses.load(Ordering::Relaxed) != 0
    }

    /// The closure whose address is at that place of a frame.
    ///
    /// # Safety
    /// A `Pass` of a call of a store that lives has put it there.
    pub(super) unsafe fn at<'a>(frame: *const FrameHead, place: At) -> Option<&'a Closure> {
        // SAFETY: the caller's promise.
        unsafe {
            let address = frame.cast::<u8>().add(place.offset()).cast::<u64>().read();
            ptr::with_exposed_provenance::<Closure>(usize::try_from(address).ok()?).as_ref()
        }
    }

    /// What C calls.
    #[must_use]
    pub fn code(&self) -> *const c_void {
        self.stub.map_or(ptr::null(), |stub| stub.code)
    }

    /// One use more. `kept`: native code may keep it when that ends.
    pub fn hold(&self, kept: bool) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        if kept {
            self.kept.store(true, Ordering::Relaxed);
        }
    }

    /// One use less.
    pub fn release(&self) {
        self.uses.fetch_sub(1, Ordering::Relaxed);
    }

    /// Native code keeps it until [`Closure::forget`].
    pub fn escape(&self) {
        self.lasting.store(true, Ordering::Relaxed);
        if !self.escaped.swap(true, Ordering::Relaxed) {
            self.uses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Native code has been told to forget it.
    pub fn forget(&self) {
        if self.escaped.swap(false, Ordering::Relaxed) {
            self.release();
        }
    }

    /// The number of its uses.
    #[must_use]
    pub fn uses(&self) -> &Arc<AtomicU32> {
        &self.uses
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the host knows of its function.
    #[must_use]
    pub fn function(&self) -> *const c_void {
        self.function
    }

    pub(super) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// First byte of the memory, and its length as far as a pointer of the guest reaches.
    #[inline(always)]
    pub(super) fn memory(&self) -> (u64, u64) {
        let last = if self.plan.facts.wide { u64::MAX } else { u64::from(u32::MAX) };
        let base = self.binding.memory_base.get().addr() as u64;
        (base, self.binding.memory_len.get().min(last))
    }

    pub(super) fn may_move(&self) -> bool {
        self.may_move
    }

    /// A copy of a string that lives as long as native code may use it.
    pub(super) fn keep_text(&self, bytes: &[u8], limit: u64) -> Kept {
        if !self.kept.load(Ordering::Relaxed) {
            return Kept::Call;
        }
        let mut texts = self.texts.borrow_mut();
        if let Some(known) = texts.all.get(bytes) {
            return Kept::Closure(known.as_ptr());
        }
        let total = texts.bytes.saturating_add(bytes.len() as u64);
        if total > limit {
            return Kept::TooMany;
        }
        texts.bytes = total;
        let copy: Box<[u8]> = bytes.into();
        let start = copy.as_ptr();
        texts.all.insert(copy);
        Kept::Closure(start)
    }

    /// What C gets when there is no result.
    ///
    /// # Safety
    /// `frame` is what the closure's entry has filled.
    unsafe fn without_result(&self, frame: *mut FrameHead) -> Both {
        match self.plan.ops.last() {
            Some(Op::Callback(CallbackOp::ReplySplit { moves, .. })) => {
                // SAFETY: the frame is ours; its entry loads the record.
                unsafe { reply::nothing(Some(&self.plan.moves[usize::from(*moves)]), frame) }
            }
            // SAFETY: likewise.
            Some(Op::Callback(CallbackOp::ReplyVector)) => unsafe { reply::nothing(None, frame) },
            Some(Op::Callback(CallbackOp::ReplyBehind { hidden, moves, .. })) => {
                let moves = &self.plan.moves[usize::from(*moves)];
                // SAFETY: C has passed the address of memory for the result there.
                unsafe { reply::nothing_behind(moves, frame, *hidden) }
            }
            _ => Both { integer: self.on_trap.0, vector: f64::from_bits(self.on_trap.1) },
        }
    }
}

/// Never called: closures keep their entry.
unsafe extern "C" fn gone(_: *const Context) -> ! {
    std::process::abort()
}

/// What entries call.
///
/// # Safety
/// `context` is that of a [`Closure`]; `frame` is what its entry has filled.
unsafe extern "C" fn run(frame: *mut FrameHead, context: *const Context) -> Both {
    // SAFETY: the caller's promise. Nothing of a closure changes but atomics and cells.
    let closure = unsafe { &*context.cast::<Closure>() };
    let running = CURRENT.get();
    // SAFETY: the caller's promise; what is there is alive: see `Now`. If that is allowed, the running call is
    // one of the closure's store, whose thread this is.
    unsafe {
        if !closure.is_allowed(running) {
            closure.stray();
        } else if (*running).kept.is_none() {
            if let Some(typing) = &closure.typing
                && closure.takes_compiled
                && closure.installed.get().is_none()
                && let Some(code) = typing.count()
            {
                closure.install(code);
            }
            let hidden = Now::is(ptr::null_mut());
            let quickly = closure.simple.as_ref().and_then(|s| s.run(closure, running, frame));
            let outcome = match quickly {
                Some(outcome) => outcome,
                None => make(closure, running, frame),
            };
            drop(hidden);
            match outcome {
                Ok(both) => return both,
                Err(kept) => (*running).stop(kept),
            }
        }
        closure.without_result(frame)
    }
}

/// Makes a call the long way. Apart, so that the short way needs little room.
///
/// # Safety
/// As [`Call::new`], but for the slots.
#[inline(never)]
unsafe fn make(
    closure: &Closure,
    running: *mut Running,
    frame: *mut FrameHead,
) -> Result<Both, super::Kept> {
    let mut few: [MaybeUninit<GuestSlot>; FEW] = [MaybeUninit::uninit(); FEW];
    let mut many = Vec::new();
    let count = closure.plan.lowering.params.len().max(1);
    let slots = if count <= FEW {
        few.as_mut_ptr().cast::<GuestSlot>()
    } else {
        many.resize(count, GuestSlot::default());
        many.as_mut_ptr()
    };
    // SAFETY: the caller's promise; there are so many slots.
    unsafe { Call::new(closure, running, frame, slots, count).make() }
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Closure").field(&self.plan.prototype.name.to_string()).finish()
    }
}
