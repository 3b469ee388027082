//! The end of a closure: that of its store, and what may become of its stub then.
//!
//! | native code | its stub |
//! |---|---|
//! | still has it: it was told to keep it, by a registration without end or an object that nobody destroys | leads there for ever |
//! | has called it when the store had ended, or where no call was running | leads there for ever |
//! | was told to keep it, and a guest said that it has forgotten it | waits, then goes to a closure of the same plan |
//! | was never told to keep it, or kept it with objects that are gone | waits, then goes to any closure |
use super::super::{CURRENT, ENDING};
use super::Closure;
use crate::plan::interpret::upcall::Context;
use crate::plan::stubs::{self, Head};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

/// What stays of one that native code may call for ever, as ARCHITECTURE.md says: half a KiB.
const _: () = assert!(size_of::<Closure>() <= 512);

impl Closure {
    /// The store has ended: from now on no call of it is allowed. Its stub leads to something else at some
    /// time, unless native code may still have it: to a closure of the same plan only if that is a guest's word.
    ///
    /// # Safety
    /// It was made by [`Closure::new`], and is not used again but by native code.
    pub unsafe fn retire(closure: NonNull<Closure>) {
        // SAFETY: the caller's promise.
        let this = unsafe { closure.as_ref() };
        this.block.store(ptr::null_mut(), Ordering::Relaxed);
        // Whoever calls it late finds code that is never freed.
        this.enter_through(this.words.interpreted);
        // Native code that was given it to keep and was not told otherwise may call it at any time: what it
        // calls is this, for ever.
        if let Some(stub) = this.stub
            && this.uses.load(Ordering::Relaxed) == 0
            && !this.visited.load(Ordering::SeqCst)
        {
            // SAFETY: leaked in `new`.
            let head = unsafe { head_of(closure) };
            if this.lasting.load(Ordering::Relaxed) {
                stubs::retire_kept(stub, head, &this.plan);
            } else {
                stubs::retire(stub, head);
            }
        }
    }

    /// Nobody may call it now.
    #[cold]
    pub(in super::super) fn stray(&self) {
        self.strays.add();
        // Whoever comes when the store has ended still has it. And where no call of a guest's is running, and no
        // destructor, this may be a thread of native code's own, which comes again. Either is in the closure's code
        // until it has returned.
        let is_over = self.block.load(Ordering::Relaxed).is_null();
        if is_over || CURRENT.get().is_null() && !ENDING.get() {
            self.visited.store(true, Ordering::SeqCst);
        }
        tracing::warn!(
            callback = %self.plan.prototype.name,
            "native code called a guest function where none may run: from another thread, from a function that was said to be a leaf, or after its time"
        );
    }
}

/// # Safety
/// The closure was leaked by [`Closure::new`].
pub(super) unsafe fn head_of(closure: NonNull<Closure>) -> Head {
    // SAFETY: the caller's promise; both are for such closures, of which nothing else is touched by other threads.
    unsafe { Head::new(closure.cast(), may_be_reused, drop_closure) }
}

/// Whether nobody has called it where only native code that still has it does.
///
/// # Safety
/// `context` was leaked by [`Closure::new`].
unsafe fn may_be_reused(context: NonNull<Context>) -> bool {
    // SAFETY: the caller's promise.
    !unsafe { context.cast::<Closure>().as_ref() }.visited.load(Ordering::SeqCst)
}

/// # Safety
/// `context` was leaked by [`Closure::new`], and no stub leads there.
pub(super) unsafe fn drop_closure(context: NonNull<Context>) {
    // SAFETY: the caller's promise.
    if !unsafe { may_be_reused(context) } {
        // Somebody came just as its stub was given away, and may still be on the way out.
        return;
    }
    // SAFETY: the caller's promise.
    let closure = unsafe { Box::from_raw(context.cast::<Closure>().as_ptr()) };
    if closure.lasting.load(Ordering::Relaxed) {
        // Native code may have the strings as long as it has the function, which only the guest said that it has not.
        mem::forget(closure.texts.take());
    }
    // SAFETY: freed once, with the closure.
    unsafe { (closure.free)(closure.function) };
}
