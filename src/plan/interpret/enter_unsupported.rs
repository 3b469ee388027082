//! Machines without call stubs: plans can be made and shown for every ABI, but building a bridge
//! fails with `UnsupportedHost`, so that nothing here is ever reached.
use super::{Both, Straight};
use crate::plan::frame::{FrameHead, GuestSlot};
use std::ffi::c_void;

/// Whether this machine has stubs.
pub const SUPPORTED: bool = false;

/// # Safety
/// Never called: see the module.
pub unsafe fn integers(_: *mut FrameHead, _: *const c_void) {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn registers(_: *mut FrameHead, _: *const c_void) {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn stack(_: *mut FrameHead, _: *const c_void, _: *const u64, _: usize) {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn whole(
    _: *mut FrameHead,
    _: *const c_void,
    _: *const u64,
    _: usize,
    _: usize,
    _: usize,
) {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn quick_integers(_: *const FrameHead, _: *const c_void) -> Both {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn quick_registers(_: *const FrameHead, _: *const c_void) -> Both {
    unreachable!("no bridge can be built on this machine")
}

/// How many integer registers [`straight_integers`] would load.
pub const STRAIGHT_INTEGERS: usize = 6;
/// How many vector registers [`straight_registers`] would load.
pub const STRAIGHT_VECTORS: usize = 4;

/// # Safety
/// Never called: see the module.
pub unsafe fn straight_integers(_: *const GuestSlot, _: *const c_void, _: *const Straight) -> Both {
    unreachable!("no bridge can be built on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe fn straight_registers(
    _: *const GuestSlot,
    _: *const c_void,
    _: *const Straight,
) -> Both {
    unreachable!("no bridge can be built on this machine")
}
