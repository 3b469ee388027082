//! Machines without closures: no plan can be made there by the `ffi` API, so that nothing here is ever
//! reached.
use crate::plan::interpret::upcall::Context;
use std::ffi::c_void;
use std::sync::atomic::AtomicPtr;

/// How many stubs there are in the program's text.
pub const TABLE_STUBS: usize = 0;
/// Distance of two stubs, and of two slots.
pub const STUB_STRIDE: usize = 16;

/// Where a stub finds the context of its closure.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct TableSlot {
    /// The context.
    pub context: AtomicPtr<Context>,
}

/// Never called: see the module.
#[must_use]
pub fn table_stub(_: usize) -> *const c_void {
    unreachable!("no closure can be made on this machine")
}

/// Never called: see the module.
#[must_use]
pub fn table_slot(_: usize) -> &'static TableSlot {
    unreachable!("no closure can be made on this machine")
}

/// Never called: see the module.
#[must_use]
pub fn stub_code(_: u32) -> [u8; STUB_STRIDE] {
    unreachable!("no closure can be made on this machine")
}

/// There is none.
#[must_use]
pub fn typed_back(_: u8) -> Option<*const c_void> {
    None
}

/// # Safety
/// Never called: see the module.
pub unsafe extern "C" fn entry_integers() {
    unreachable!("no closure can be made on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe extern "C" fn entry_all() {
    unreachable!("no closure can be made on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe extern "C" fn entry_record() {
    unreachable!("no closure can be made on this machine")
}

/// # Safety
/// Never called: see the module.
pub unsafe extern "C" fn entry_dead() {
    unreachable!("no closure can be made on this machine")
}
