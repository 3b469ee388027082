//! Memory for frames: on the stack, or on the heap where that is too much.
use crate::plan::Plan;
use crate::plan::frame::FrameHead;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr;

/// Frames up to this size are on the stack.
pub(super) const SMALL_FRAME: usize = 1024;

/// A frame on the stack, nothing of it initialised.
#[repr(C, align(16))]
pub(super) struct SmallFrame(pub MaybeUninit<[u8; SMALL_FRAME]>);

/// Runs `f` with memory for a frame of that plan, nothing of it initialised.
#[inline]
pub fn with_frame<R>(plan: &Plan, f: impl FnOnce(*mut FrameHead) -> R) -> R {
    if has_small_frame(plan) { with_small_frame(f) } else { f(HeapFrame::of(plan).start.cast()) }
}

/// Whether the plan's frames are small enough for [`with_small_frame`].
#[inline]
#[must_use]
pub fn has_small_frame(plan: &Plan) -> bool {
    usize::from(plan.frame.size) <= SMALL_FRAME && plan.frame.align <= 16
}

/// As [`with_frame`], on the stack.
#[inline(always)]
pub fn with_small_frame<R>(f: impl FnOnce(*mut FrameHead) -> R) -> R {
    let mut small = SmallFrame(MaybeUninit::uninit());
    f(ptr::from_mut(&mut small).cast())
}

/// A frame on the heap.
#[derive(Debug)]
pub(super) struct HeapFrame {
    pub start: *mut u8,
    layout: Layout,
}

impl HeapFrame {
    pub(super) fn of(plan: &Plan) -> HeapFrame {
        let (size, align) = (usize::from(plan.frame.size), usize::from(plan.frame.align));
        let layout = Layout::from_size_align(size.max(16), align.max(16))
            .expect("a frame is at most 64 KiB, its alignment a power of two");
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
        // SAFETY: allocated in `of` with this layout, freed once.
        unsafe { dealloc(self.start, self.layout) }
    }
}
