//! How much a check allocates: bounds on memory, and, because allocations are counted and no clock is
//! asked, bounds on time that do not depend on the machine.
#![expect(unsafe_code, reason = "an allocator")]
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts for the thread.
#[derive(Debug)]
pub struct Counting;

/// What a thread has allocated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Calls of the allocator.
    pub calls: u64,
    /// Bytes that were allocated at the same time, at most.
    pub peak: i64,
    now: i64,
}

thread_local! {
    static SPENT: Cell<Spent> = const { Cell::new(Spent { calls: 0, peak: 0, now: 0 }) };
}

fn count(bytes: i64) {
    // A thread that ends has no counter any more.
    let _ = SPENT.try_with(|spent| {
        let Spent { calls, peak, now } = spent.get();
        let now = now + bytes;
        spent.set(Spent { calls: calls + u64::from(bytes > 0), peak: peak.max(now), now });
    });
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size));
        count(-signed(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Runs `f`, and says what it has spent.
pub fn measured<R>(f: impl FnOnce() -> R) -> (R, Spent) {
    SPENT.set(Spent::default());
    let result = f();
    (result, SPENT.get())
}
