//! Calls that are only counted, and have no frame of their own: what most calls are when not all are timed.
//!
//! Of a call in which guest code may run, a [`Tally`] has what is counted; calls that the guest code makes put theirs in
//! its place until they are over. Nothing is allocated for it, and the clock is not read.
use super::guest::GuestCode;
use super::{Account, Bytes, End, Frame, Import, Recorder};
use crate::plan::Plan;
use crate::plan::interpret::weigh::Scale;
use std::cell::Cell;
use std::ptr;

/// What is counted of the innermost call, if that is only counted and may run guest code.
#[derive(Debug)]
pub(super) struct Tally {
    /// Whether it is.
    on: Cell<bool>,
    callbacks: Cell<u64>,
    allocations: Cell<u64>,
    bytes: Cell<Bytes>,
    /// Of the innermost call, whether it is only counted or not.
    scale: Cell<OfPlan>,
}

/// A tally that another call's has taken the place of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    on: bool,
    callbacks: u64,
    allocations: u64,
    bytes: Bytes,
    scale: OfPlan,
}

/// A scale, and the plan whose scale it is.
type OfPlan = (*const Scale, *const Plan);
/// None.
const NO_SCALE: OfPlan = (ptr::null(), ptr::null());

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            on: Cell::new(false),
            callbacks: Cell::new(0),
            allocations: Cell::new(0),
            bytes: Cell::new(Bytes::default()),
            scale: Cell::new(NO_SCALE),
        }
    }
}

impl Default for Kept {
    fn default() -> Kept {
        Tally::default().take()
    }
}

impl Kept {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on
    }
}

impl Tally {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on.get()
    }

    /// What it is, which begins anew and is off.
    #[inline]
    pub(super) fn take(&self) -> Kept {
        Kept {
            on: self.on.replace(false),
            callbacks: self.callbacks.replace(0),
            allocations: self.allocations.replace(0),
            bytes: self.bytes.replace(Bytes::default()),
            scale: self.scale.replace(NO_SCALE),
        }
    }

    /// The call that has taken its place is over.
    #[inline]
    pub(super) fn restore(&self, kept: Kept) {
        let Kept { on, callbacks, allocations, bytes, scale } = kept;
        self.on.set(on);
        self.callbacks.set(callbacks);
        self.allocations.set(allocations);
        self.bytes.set(bytes);
        self.scale.set(scale);
    }

    #[inline]
    pub(super) fn guest(&self, code: GuestCode) {
        let count = match code {
            GuestCode::Callback => &self.callbacks,
            GuestCode::Allocator => &self.allocations,
        };
        count.set(count.get() + 1);
    }

    #[inline]
    pub(super) fn bytes(&self, more: Bytes) {
        let mut bytes = self.bytes.get();
        bytes.add(more);
        self.bytes.set(bytes);
    }
}

impl Recorder {
    /// Begins a call of that import that is only counted: `None` when it is its turn to be timed, or that of a call
    /// which it is in. Nothing has happened then, and [`Recorder::call`] is for it. Guest code must not run in a noted
    /// call unless that [counts](Noted::counts) it.
    #[inline]
    pub fn note<'r>(&'r self, import: &'r Import) -> Option<Noted<'r>> {
        let account = &*import.account;
        let left = account.left.get();
        let stack = self.stack.borrow();
        let counted = self.tally.is_on();
        let outer = stack.last().filter(|_| !counted);
        if left == 0 || outer.is_some_and(Frame::times_calls) {
            return None;
        }
        account.left.set(left - 1);
        account.calls.add(1);
        let outermost = stack.is_empty() && !counted;
        if outermost {
            account.outer_calls.add(1);
            self.sums.since.set(0);
            self.sums.running.set(import.number);
        }
        Some(Noted { recorder: self, account, outermost })
    }
}

/// A running call that is only counted.
#[derive(Debug)]
pub struct Noted<'r> {
    recorder: &'r Recorder,
    account: &'r Account,
    outermost: bool,
}

impl Noted<'_> {
    /// It has moved so many bytes.
    #[inline]
    pub fn bytes(&self, bytes: Bytes) {
        if bytes != Bytes::default() {
            self.account.weighed(bytes);
        }
    }

    /// It is made in a way in which it tells the recorder what it does.
    #[inline]
    pub fn tells<R>(self, body: impl FnOnce() -> R) -> R {
        let outer = self.recorder.tally.take();
        self.recorder.stack.borrow_mut().push(Frame { outer, ..Frame::default() });
        let _end = End { recorder: self.recorder, account: self.account };
        body()
    }

    /// It is made in such a way, and what it tells is counted: guest code that runs, and bytes.
    #[inline]
    pub fn counts<R>(self, body: impl FnOnce() -> R) -> R {
        let tally = &self.recorder.tally;
        let outer = tally.take();
        tally.on.set(true);
        let _counted = Counted { noted: self, outer };
        body()
    }
}

/// Ends a call that is counted.
struct Counted<'r> {
    noted: Noted<'r>,
    outer: Kept,
}

impl Drop for Counted<'_> {
    #[inline]
    fn drop(&mut self) {
        let Noted { recorder, account, .. } = self.noted;
        let Kept { callbacks, allocations, bytes, .. } = recorder.tally.take();
        recorder.tally.restore(self.outer);
        if callbacks != 0 {
            account.callbacks.add(callbacks);
        }
        if allocations != 0 {
            account.allocations.add(allocations);
        }
        self.noted.bytes(bytes);
    }
}

impl Recorder {
    /// The innermost call is one of that plan, whose scale this is. Both live as long as the call.
    #[inline]
    pub fn weighs(&self, plan: &Plan, scale: &Scale) {
        self.tally.scale.set((scale, plan));
    }

    /// The scale of a plan which the innermost call runs, if somebody has said it; else NULL.
    #[inline]
    #[must_use]
    pub fn scale(&self, plan: &Plan) -> *const Scale {
        let (scale, of) = self.tally.scale.get();
        if ptr::eq(plan, of) { scale } else { ptr::null() }
    }
}

impl Drop for Noted<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.outermost {
            self.recorder.sums.running.set(0);
        }
    }
}
