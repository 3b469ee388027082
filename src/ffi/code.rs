//! Machine code for calls.
use crate::cranelift_backend::plain::Plain;
use crate::plan::Plan;
use std::ffi::c_void;
use std::fmt;

/// See the module.
pub(super) struct Code {
    call: crate::cranelift_backend::plain::Call,
    /// Keeps it.
    _code: Plain,
}

impl Code {
    /// The code of a plan, or why there is none.
    pub(super) fn new(plan: &Plan) -> Result<Code, String> {
        let code = Plain::compile(plan).map_err(|why| why.to_string())?;
        Ok(Code { call: code.call(), _code: code })
    }

    /// Makes a call.
    ///
    /// # Safety
    /// As [`native::call`](crate::plan::interpret::native::call), with the plan that the code was made of.
    #[inline]
    pub(super) unsafe fn call(
        &self,
        function: *const c_void,
        args: *const *const c_void,
        result: *mut c_void,
    ) {
        // SAFETY: the caller's promise; the code lives as long as this.
        unsafe { (self.call)(function, args, result) }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").finish_non_exhaustive()
    }
}
