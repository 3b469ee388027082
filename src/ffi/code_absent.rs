//! No machine code for calls: the crate was built without the feature `cranelift`.
use crate::plan::Plan;
use std::ffi::c_void;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {}

impl Code {
    pub(super) fn new(_: &Plan) -> Result<Code, String> {
        Err("the crate was built without the feature `cranelift`".to_owned())
    }

    /// # Safety
    /// None is needed.
    pub(super) unsafe fn call(&self, _: *const c_void, _: *const *const c_void, _: *mut c_void) {
        match *self {}
    }
}
