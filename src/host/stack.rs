//! How much native stack is left.
//!
//! Native code that runs out of stack ends the process, so every call into it starts with
//! [`check`]: one read of thread-local memory and two comparisons. On a fiber (wasmtime's
//! `call_async`) the stack pointer is outside of the thread's own stack and nothing is known of
//! the stack that it is in; there wasmtime itself stops guest code after `max_wasm_stack` bytes, and
//! building a bridge makes sure that what is left of `async_stack_size` is enough. Stacks that an
//! embedder switches to by other means are not looked at: it must leave room there itself.
use super::sys;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The stack of a thread: its lowest byte, and its size. Both zero when not known yet.
#[derive(Clone, Copy)]
struct Bounds {
    low: usize,
    size: usize,
}

thread_local! {
    static BOUNDS: Cell<Bounds> = const { Cell::new(Bounds { low: 0, size: 0 }) };
}

/// Fewer bytes are left than there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// How many bytes are left.
    pub left: u64,
}

/// Whether at least `reserve` bytes of this thread's stack are left.
#[inline]
pub(super) fn check(reserve: u64) -> Result<(), Exhausted> {
    if is_ample(reserve) { Ok(()) } else { check_slowly(reserve) }
}

/// Calls of guest code that wasmtime stops at one of these addresses need no [`check`] of their own, as
/// long as this thread is on this stack: the guest's own code looks at its stack pointer in every function.
/// `wasm` is how much stack guest code may use. Empty where too little is left.
pub(super) fn limits(reserve: u64, wasm: usize) -> Range<usize> {
    /// What a trampoline and what it passes on the stack take.
    const FRAMES: usize = 16 << 10;
    let bounds = known();
    let here = position();
    if here.wrapping_sub(bounds.low) >= bounds.size {
        // As `check`, which knows nothing of such stacks; nothing but this one is meant.
        return here.saturating_sub(wasm).saturating_sub(FRAMES)..here;
    }
    let reserve = usize::try_from(reserve).unwrap_or(usize::MAX);
    let lowest = bounds.low.saturating_add(reserve).saturating_add(FRAMES);
    let end = bounds.low.saturating_add(bounds.size);
    lowest.min(end)..end
}

/// Why guest code cannot be run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Too little is left of the stack.
    Exhausted {
        /// How many bytes.
        left: u64,
    },
    /// This is not the thread's own stack: a fiber, most likely.
    OtherStack,
}

/// Whether guest code may be run, seen at first sight; else [`check_for_guest`] says.
#[inline(always)]
pub(super) fn is_ample(reserve: u64) -> bool {
    let bounds = BOUNDS.get();
    let left = position().wrapping_sub(bounds.low);
    left < bounds.size && left as u64 >= reserve
}

/// Whether guest code may be run: as [`check`], on the thread's own stack.
#[inline]
pub(super) fn check_for_guest(reserve: u64) -> Result<(), Unfit> {
    if is_ample(reserve) { Ok(()) } else { check_guest_slowly(reserve) }
}

#[cold]
#[inline(never)]
fn check_guest_slowly(reserve: u64) -> Result<(), Unfit> {
    let bounds = known();
    let left = position().wrapping_sub(bounds.low);
    match left as u64 {
        _ if left >= bounds.size => Err(Unfit::OtherStack),
        left if left < reserve => Err(Unfit::Exhausted { left }),
        _ => Ok(()),
    }
}

/// Whether this code runs on a stack other than the thread's own.
pub(super) fn on_other_stack() -> bool {
    let bounds = known();
    bounds.size != 0 && position().wrapping_sub(bounds.low) >= bounds.size
}

/// The address of something in the current frame.
#[inline(always)]
fn position() -> usize {
    let here = MaybeUninit::<u8>::uninit();
    here.as_ptr().addr()
}

#[cold]
#[inline(never)]
fn check_slowly(reserve: u64) -> Result<(), Exhausted> {
    let bounds = known();
    let left = position().wrapping_sub(bounds.low);
    if left >= bounds.size {
        // A fiber, or a C library that does not say where the stack is.
        return Ok(());
    }
    let left = left as u64;
    if left >= reserve { Ok(()) } else { Err(Exhausted { left }) }
}

fn known() -> Bounds {
    let mut bounds = BOUNDS.get();
    if bounds.size == 0 {
        if let Some((low, size)) = sys::stack_bounds() {
            bounds = Bounds { low, size };
        }
        BOUNDS.set(bounds);
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deeper(reserve: u64, depth: usize) -> Result<usize, Exhausted> {
        let page = std::hint::black_box([depth; 512]);
        check(reserve)?;
        if depth == 0 {
            return Ok(page[0]);
        }
        Ok(deeper(reserve, depth - 1)? + std::hint::black_box(page[1]))
    }

    fn on_thread<R: Send + 'static>(size: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
        let thread = std::thread::Builder::new().stack_size(size).spawn(f);
        thread.expect("a thread").join().expect("it does not panic")
    }

    #[test]
    fn recursion_ends_before_the_reserve_is_touched() {
        let end = on_thread(1 << 20, || deeper(256 << 10, usize::MAX));
        let Err(Exhausted { left }) = end else { panic!("the stack cannot be endless: {end:?}") };
        assert!(left < 256 << 10 && left > 240 << 10, "{left} bytes were left");
    }

    #[test]
    fn shallow_calls_pass() {
        assert!(on_thread(1 << 20, || deeper(256 << 10, 10)).is_ok());
        assert_eq!(check(64 << 10), Ok(()));
        assert!(!on_other_stack());
    }

    #[test]
    fn limits_leave_room_below_them() {
        let (found, low, here) = on_thread(2 << 20, || {
            let found = limits(256 << 10, 512 << 10);
            (found, BOUNDS.get().low, position())
        });
        assert!(found.start >= low + (256 << 10) && found.contains(&(here - (512 << 10))));
        let none = on_thread(1 << 20, || limits(4 << 20, 512 << 10));
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn every_thread_has_its_own_bounds() {
        let needed = 3 << 20;
        assert!(on_thread(1 << 20, move || check(needed)).is_err());
        assert!(on_thread(8 << 20, move || check(needed)).is_ok());
    }
}
