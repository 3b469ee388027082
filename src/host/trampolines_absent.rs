//! No trampolines: the crate was built without the feature `trampolines`.
use super::tier::Tier;
use crate::plan::frame::{FrameHead, GuestSlot};
use crate::plan::interpret::callback::Code;
use crate::plan::interpret::{self, Guest, Status, Stop};
use crate::plan::{Binding, Plan};
use std::sync::Arc;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compiled {}

/// Likewise.
#[derive(Clone, Copy, Debug)]
pub(super) enum CompiledDirect {}

impl CompiledDirect {
    pub(super) fn start(&self) -> *const std::ffi::c_void {
        match *self {}
    }

    pub(super) fn resumes(&self) -> bool {
        match *self {}
    }
}

/// Likewise.
#[derive(Clone, Copy, Debug)]
pub(super) enum CompiledCallback {}

impl CompiledCallback {
    pub(super) fn code(&self) -> Code {
        match *self {}
    }
}

/// Nobody makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(());

impl Compiled {
    pub(super) fn entry(&self) -> Entry {
        match *self {}
    }
}

impl Entry {
    /// Does nothing, and says so.
    ///
    /// # Safety
    /// None is needed.
    #[expect(unsafe_code, reason = "as the one that there is with the feature")]
    pub(super) unsafe fn enter(self, _: &Binding, _: *mut GuestSlot, _: *mut FrameHead) -> Status {
        Status::Redo
    }
}

impl Entry {
    pub(super) fn is_assisted(self) -> bool {
        true
    }
}

/// Makes the call in the interpreter.
///
/// # Errors
/// As there.
///
/// # Safety
/// As there.
#[expect(unsafe_code, reason = "as the one that there is with the feature")]
pub(super) unsafe fn run(
    _: Entry,
    plan: &Plan,
    binding: &Binding,
    slots: *mut GuestSlot,
    guest: &mut dyn Guest,
) -> Result<(), Box<Stop>> {
    // SAFETY: the caller's promise.
    unsafe { interpret::run(plan, binding, slots, guest) }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trampolines;

impl Trampolines {
    pub(super) fn new(_: bool) -> Trampolines {
        Trampolines
    }

    /// Never.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn makes_code(&self) -> bool {
        false
    }

    /// There is nothing ready.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn ready_tier(&self) -> Tier {
        Tier::Template
    }

    /// Never.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn ready_direct(&self, _: &Arc<Plan>) -> Option<CompiledDirect> {
        None
    }

    /// # Errors
    /// Always.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn of(&self, _: &Arc<Plan>) -> Result<Compiled, String> {
        Err("built without the feature `trampolines`".to_owned())
    }

    /// There is nothing ready.
    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn ready_callback(&self, _: &Arc<Plan>) -> Option<CompiledCallback> {
        None
    }

    /// # Errors
    /// Always.
    pub(super) fn callback_of(&self, plan: &Arc<Plan>) -> Result<CompiledCallback, String> {
        self.of(plan).map(|compiled| match compiled {})
    }

    /// # Errors
    /// Always.
    pub(super) fn direct_of(&self, plan: &Arc<Plan>) -> Result<CompiledDirect, String> {
        self.of(plan).map(|compiled| match compiled {})
    }
}
