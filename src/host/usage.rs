//! What bridges hold of the process: for hosts that watch themselves, and for tests that look for leaks.
use crate::plan::stubs;

/// What all bridges, stores and closures of this process hold at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// C function pointers that somebody has: those of guest functions that native code was given, until their store
    /// ends, and those of `ffi`. Ones that a library was told to keep for ever stay.
    pub closures: usize,
    /// Bytes of machine code made of prototypes, with what each function is rounded up to.
    pub code_bytes: usize,
    /// Bytes of address space that this code lies in. One mapping stays when the last code goes.
    pub mapped_bytes: usize,
}

/// What all bridges, stores and closures of this process hold now.
#[must_use]
pub fn usage() -> Usage {
    let closures = stubs::in_use();
    #[cfg(feature = "trampolines")]
    let (code_bytes, mapped_bytes) = crate::cranelift_backend::code_in_use();
    #[cfg(not(feature = "trampolines"))]
    let (code_bytes, mapped_bytes) = (0, 0);
    Usage { closures, code_bytes, mapped_bytes }
}
