//! Machines without call stubs: plans can be made and shown for every ABI, but building a bridge
//! fails with `UnsupportedHost`, so that nothing here is ever reached.
use super::Both;
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

/// How many registers [`straight`] would load.
pub const STRAIGHT: usize = 6;

/// # Safety
/// Never called: see the module.
pub unsafe fn straight(_: *const GuestSlot, _: *const c_void, _: *const [u16; STRAIGHT]) -> Both {
    unreachable!("no bridge can be built on this machine")
}
