//! No direct calls on this processor.
use std::ffi::c_void;

/// There is none.
#[must_use]
pub fn first_entry() -> *const c_void {
    std::ptr::null()
}

/// Nor this.
#[must_use]
pub fn host_entry() -> *const c_void {
    std::ptr::null()
}

/// Nor this.
#[must_use]
pub fn interpreter_entry(_simple: bool) -> *const c_void {
    std::ptr::null()
}

/// Nor this.
#[must_use]
pub fn choosing_entry(_integers: bool) -> *const c_void {
    std::ptr::null()
}
