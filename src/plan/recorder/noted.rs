//! Calls that are only counted, and have no account of their own: what most calls are when not all are timed.
use super::{Account, Bytes, End, Frame, Import, Recorder};

impl Recorder {
    /// Begins a call of that import that is only counted: `None` when it is its turn to be timed, or that of a call
    /// which it is in. Nothing has happened then, and [`Recorder::call`] is for it. Guest code must not run in a noted
    /// call.
    #[inline]
    pub fn note<'r>(&'r self, import: &'r Import) -> Option<Noted<'r>> {
        let account = &*import.account;
        let left = account.left.get();
        let stack = self.stack.borrow();
        let outer = stack.last();
        if left == 0 || outer.is_some_and(Frame::times_calls) {
            return None;
        }
        account.left.set(left - 1);
        account.calls.add(1);
        let outermost = outer.is_none();
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
        self.recorder.stack.borrow_mut().push(Frame::default());
        let _end = End { recorder: self.recorder, account: self.account };
        body()
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
