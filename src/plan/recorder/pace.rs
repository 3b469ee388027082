//! How many calls and callbacks are timed, so that timing them takes a small part of the time.
use super::{Recorder, Sum};
use std::cell::Cell;

/// Which calls are timed.
#[derive(Clone, Copy, Debug)]
pub enum Sampling {
    /// One in so many, and of the callbacks in those one in so many.
    Every(u64),
    /// All, until timing them has taken more than one part in `part` of the time since the guest began; then less and
    /// less.
    Within {
        /// What timing a call takes, in ticks.
        cost: u64,
        /// What timing guest code takes that a call runs.
        guest: u64,
        /// 33: three per cent.
        part: u64,
    },
}

#[derive(Debug)]
pub(super) struct Pace {
    sampling: Sampling,
    began: u64,
    /// Calls that were timed, for whatever reason.
    pub calls: Sum,
    /// Those of them whose turn it was.
    pub own: Sum,
    /// Guest code that was timed.
    pub guests: Sum,
    /// How many calls and guest code, own calls, and guest code there were when it was looked last whether that takes
    /// too long.
    looked: Cell<[u64; 3]>,
    random: Cell<u64>,
}

/// After so many that were timed it is looked whether timing takes too long.
const LOOK: u64 = 1024;
/// And after so many more, once only some are timed: what the last change has changed must show.
const AGAIN: u64 = 256;
/// One in more is never timed, unless somebody wants it so.
const MOST: u64 = 1 << 20;

impl Pace {
    pub(super) fn new(sampling: Sampling, began: u64) -> Pace {
        Pace {
            sampling,
            began,
            calls: Sum::default(),
            own: Sum::default(),
            guests: Sum::default(),
            looked: Cell::default(),
            // Any number but 0 will do; runs can be repeated.
            random: Cell::new(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The next one that is timed is so many further on. `every` is the mean, `timed` how many were timed.
    #[inline]
    pub(super) fn gap(&self, recorder: &Recorder, every: &Sum, timed: u64) -> u64 {
        if every.get() > 1 || timed & (LOOK - 1) == LOOK - 1 {
            self.next(recorder, every)
        } else {
            1
        }
    }

    #[cold]
    fn next(&self, recorder: &Recorder, every: &Sum) -> u64 {
        self.look(recorder);
        // Random, so that no rhythm of the guest's meets that of the samples; `every` on average.
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        1 + x % (every.get().saturating_mul(2) - 1)
    }

    /// Looks whether timing takes too long, or could be done more often.
    fn look(&self, recorder: &Recorder) {
        let Sampling::Within { cost, guest, part } = self.sampling else { return };
        let now = [self.calls.get() + self.guests.get(), self.own.get(), self.guests.get()];
        let [timed, own, guest_code] = [0, 1, 2].map(|one| now[one] - self.looked.get()[one]);
        if timed < AGAIN {
            return;
        }
        self.looked.set(now);
        let calls = self.calls.get().saturating_mul(cost);
        let guests = self.guests.get().saturating_mul(guest);
        let spent = calls.saturating_add(guests).saturating_mul(part);
        let passed = recorder.clock.now().saturating_sub(self.began);
        let (every, every_callback) = (&recorder.sums.every, &recorder.sums.every_callback);
        if spent > passed {
            // The first callback of a timed call is always timed: only where there are more can they be fewer. Calls
            // that these make are timed with them.
            let most = if guest_code > own.saturating_mul(3) / 2 { every_callback } else { every };
            if most.get() < MOST {
                most.set(most.get() * 2);
            }
        } else if spent.saturating_mul(2) < passed {
            for one in [every, every_callback] {
                one.set((one.get() / 2).max(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, Sampling};
    use super::*;

    fn recorder(sampling: Sampling) -> Recorder {
        Recorder::new(Clock::Planted(|| 10_000_000), sampling, 0)
    }

    #[test]
    fn gaps_are_as_long_as_wanted_on_average_and_never_nothing() {
        for every in [1, 2, 3, 100, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
            let recorder = recorder(Sampling::Every(every));
            let sum: f64 = (0..10_000)
                .map(|_| {
                    let gap = recorder.pace.gap(&recorder, &recorder.sums.every, 0);
                    assert!(gap >= 1 && (gap as f64) <= 2.0 * every as f64, "{gap} of {every}");
                    gap as f64
                })
                .sum();
            // Numbers end at 64 bits: the largest mean there is, is half of that.
            let mean = (every as f64).min(2f64.powi(63));
            assert!((sum / 10_000.0 / mean - 1.0).abs() < 0.05, "{every}: {sum}");
        }
    }

    #[test]
    fn what_takes_more_is_done_less_often() {
        for (calls, guests, expected) in
            [(10_000, 1, [2, 1]), (1, 10_000, [1, 2]), (100, 300, [1, 1])]
        {
            let recorder = recorder(Sampling::Within { cost: 50, guest: 50, part: 33 });
            recorder.pace.calls.add(calls);
            recorder.pace.own.add(calls);
            recorder.pace.guests.add(guests);
            recorder.pace.look(&recorder);
            let sums = recorder.sums();
            assert_eq!([sums.every.get(), sums.every_callback.get()], expected);
            // Once the guest has run for long enough, everything is timed again.
            recorder.pace.looked.set([0; 3]);
            recorder.pace.calls.set(100);
            recorder.pace.guests.set(200);
            recorder.pace.look(&recorder);
            assert_eq!([sums.every.get(), sums.every_callback.get()], [1, 1]);
        }
    }
}
