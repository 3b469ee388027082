//! The way into native code that a plan's call names.
use super::{data, enter};
use crate::plan::Plan;
use crate::plan::frame::{FrameHead, FrameLayout};
use crate::plan::op::Stub;
use std::ffi::c_void;

/// Calls `target` through a stub.
///
/// # Safety
/// - The frame is one of the plan, and `stub` what its call needs.
/// - `target` is the function, or the data, of the plan's prototype; calling it with the arguments in
///   the frame is sound.
#[inline(always)]
pub(super) unsafe fn enter(plan: &Plan, target: *const c_void, frame: *mut FrameHead, stub: Stub) {
    // SAFETY: the register images that this stub loads have been written where the prototype has
    // arguments; the rest are registers that the callee does not read.
    unsafe {
        let area = frame.cast::<u8>().add(FrameLayout::STACK).cast();
        let slots = usize::from(plan.frame.stack) / 8;
        match stub {
            Stub::Integers => enter::integers(frame, target),
            Stub::Registers => enter::registers(frame, target),
            Stub::Stack => enter::stack(frame, target, area, slots),
            Stub::Whole { x87 } => {
                let align = plan.frame.stack_align.into();
                enter::whole(frame, target, area, slots, align, x87.into());
            }
            Stub::Data(datum) => data::read(frame, target, datum),
        }
    }
}
