//! Guest code that calls run: callbacks and the guest's allocator.
use super::{Frame, Recorder};

/// Guest code that a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestCode {
    /// A function that native code has called.
    Callback,
    /// The guest's allocator.
    Allocator,
}

/// Of the callbacks of one call, each as often as it stands for others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sampled {
    weight: u64,
    /// Their whole time: while native code ran, and while it did not.
    inside: u64,
    beside: u64,
    /// Without calls that they make.
    own: u64,
    /// How many those are.
    pub inner: u64,
}

/// Guest code that runs.
enum Begun {
    /// In a call that is not timed.
    Counted,
    /// It is not timed itself.
    Muted,
    /// Since then. It stands for so many; what calls inside of the call had taken by then, and how many they were.
    Timed { start: u64, weight: u64, nested: u64, inner: u64 },
}

impl Recorder {
    /// Records what `body` does as guest code of the innermost call, however it ends.
    #[inline]
    pub fn guest<R>(&self, code: GuestCode, body: impl FnOnce() -> R) -> R {
        let begun = self.begin_guest(code);
        let result = body();
        self.end_guest(code, begun);
        result
    }

    #[inline]
    fn begin_guest(&self, code: GuestCode) -> Begun {
        if self.tally.is_on() {
            self.tally.guest(code);
            return Begun::Counted;
        }
        self.begin_told(code)
    }

    fn begin_told(&self, code: GuestCode) -> Begun {
        let mut stack = self.stack.borrow_mut();
        let Some(frame) = stack.last_mut() else { return Begun::Counted };
        match code {
            GuestCode::Callback => frame.callbacks += 1,
            GuestCode::Allocator => {
                frame.allocations += 1;
                frame.inner_allocations += u64::from(frame.in_native);
            }
        }
        if !frame.timed {
            return Begun::Counted;
        }
        let mut weight = 1;
        if code == GuestCode::Callback {
            if frame.left != 0 {
                frame.left -= 1;
                frame.muted = true;
                return Begun::Muted;
            }
            weight = frame.gap.max(1);
            frame.gap = self.pace.gap(self, &self.sums.every_callback, self.pace.guests.get());
            frame.left = frame.gap - 1;
        }
        frame.clocked_guest += 1;
        self.pace.guests.add(1);
        let (nested, inner) = (frame.nested, frame.inner);
        drop(stack);
        Begun::Timed { start: self.now(), weight, nested, inner }
    }

    #[inline]
    fn end_guest(&self, code: GuestCode, begun: Begun) {
        if !matches!(begun, Begun::Counted) {
            self.end_told(code, begun);
        }
    }

    fn end_told(&self, code: GuestCode, begun: Begun) {
        let (start, weight, nested, inner) = match begun {
            Begun::Counted => return,
            Begun::Muted => {
                if let Some(frame) = self.stack.borrow_mut().last_mut() {
                    frame.muted = false;
                }
                return;
            }
            Begun::Timed { start, weight, nested, inner } => (start, weight, nested, inner),
        };
        let span = self.now().saturating_sub(start);
        let mut stack = self.stack.borrow_mut();
        let Some(frame) = stack.last_mut() else { return };
        let own = span.saturating_sub(frame.nested - nested);
        let inner = frame.inner - inner;
        match code {
            GuestCode::Allocator => {
                frame.allocator += own;
                frame.sampled.inner += inner;
                *if frame.in_native { &mut frame.inside } else { &mut frame.beside } += span;
            }
            GuestCode::Callback => {
                let sampled = &mut frame.sampled;
                sampled.weight += weight;
                sampled.own += weight * own;
                sampled.inner += weight * inner;
                let place = if frame.in_native { &mut sampled.inside } else { &mut sampled.beside };
                *place += weight * span;
            }
        }
    }
}

impl Frame {
    /// The call has ended: those callbacks behind the last one that was timed are like those before.
    pub(super) fn settle_callbacks(&mut self) {
        let Sampled { weight, inside, beside, own, inner } = self.sampled;
        let all = |part: u64| match self.callbacks == weight || weight == 0 {
            true => part,
            false => {
                let all = u128::from(part) * u128::from(self.callbacks) / u128::from(weight);
                u64::try_from(all).unwrap_or(u64::MAX)
            }
        };
        let (inside, beside, own, inner) = (all(inside), all(beside), all(own), all(inner));
        self.inside += inside;
        self.beside += beside;
        self.callback += own;
        self.sampled.inner = inner;
    }
}
