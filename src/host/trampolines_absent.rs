//! No trampolines: the crate was built without the feature `cranelift`.
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::Status;
use crate::plan::{Binding, Plan};
use std::sync::Arc;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compiled {}

/// There is none.
pub(super) type Entry = Compiled;

impl Compiled {
    pub(super) fn entry(&self) -> Entry {
        *self
    }

    /// # Safety
    /// Nobody has one to call this of.
    #[expect(unsafe_code, reason = "as the one that there is with the feature")]
    pub(super) unsafe fn enter(self, _: &Binding, _: *mut GuestSlot, _: *mut FrameHead) -> Status {
        match self {}
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trampolines;

impl Trampolines {
    /// # Errors
    /// Always.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn of(&self, _: &Arc<Plan>) -> Result<Compiled, String> {
        Err("built without the feature `cranelift`".to_owned())
    }
}
