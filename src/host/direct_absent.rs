//! No direct calls: the crate was built without the feature `trampolines`.
use super::bound::Bound;
pub(super) use super::bound::SeenMemory;
use super::not_direct::NotDirect;
use crate::plan::interpret::Quick;
use crate::plan::{Lowering, Plan};
use std::sync::Arc;
use wasmtime::{AsContextMut, Engine, Func, FuncType};

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Import {}

impl Import {
    pub(super) fn settle(&self, _: impl AsContextMut, _: &mut SeenMemory) {
        match *self {}
    }

    pub(super) fn open_gate(&self) {
        match *self {}
    }
}

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Straight {}

impl Straight {
    pub(super) fn of(_: &Plan, _: &Quick) -> Option<Straight> {
        None
    }

    pub(super) fn resumes(&self) -> bool {
        match *self {}
    }
}

/// There is nothing to choose.
pub(super) fn can_choose(_: &Lowering) -> bool {
    false
}

/// Nobody makes trial calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trial {}

/// # Errors
/// Always.
pub(super) fn check(_: &Engine, _: Option<&Trial>) -> Result<(), NotDirect> {
    Err(NotDirect::Built)
}

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stub {}

impl Stub {
    pub(super) fn new() -> Option<Stub> {
        None
    }

    pub(super) fn start(&self) -> *const std::ffi::c_void {
        match *self {}
    }
}

/// Is never called.
///
/// # Safety
/// None is needed.
#[expect(unsafe_code, reason = "as the one that there is with the feature")]
pub(super) unsafe fn make<T: 'static>(
    _: &mut impl AsContextMut<Data = T>,
    _: FuncType,
    _: Bound,
    _: (*const std::ffi::c_void, bool),
) -> (Func, Arc<Import>) {
    unreachable!("nothing has a direct trampoline")
}
