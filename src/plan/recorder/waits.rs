//! Time in which the thread was ready to run and did not: other programs had its core.
//!
//! Such a wait falls into a call as into anything else, but it is no property of the call. Where one call in N is
//! timed, a wait of milliseconds in one of these would stand for N waits that there were not; and counting it once
//! because it is long would be wrong of a call that *is* long now and then (one that writes to a disk, say). The kernel
//! knows which it was: it tells how long a thread has waited for a core. So the recorder's time stands still while the
//! thread waits, and waits are a sum of their own, counted once each and multiplied by nothing.
//!
//! ```text
//! clock      ──┬───────────┬──────────────────────────────┬────┬──
//!              │ as usual  │  more than LONG: look        │    │
//! the thread ──┴───────────┴─ ran ──┬─ waited ─┬─ ran ────┴────┴──
//! recorder   ──────────────────────►│ stands still        ►
//! ```
//!
//! The kernel is asked where the clock has gone far since it was read last: between two readings that are near each
//! other nobody can have waited for long. What was waited since it was asked before is at most what has passed between
//! these two readings, so that time never runs backwards. Asking takes a microsecond or so, in which the recorder's time
//! stands still too.
//!
//! What that leaves: waits shorter than [`LONG`], which are in the part in which they were; waits where there are no
//! calls, which the recording asks for when phases end; those of a virtual machine as a whole, of which its kernel knows
//! nothing; and threads of native code, whose waits are native code's.
use super::{Clock, Moment, Recorder, Sum};
use std::cell::Cell;
use std::thread::{self, ThreadId};

/// The kernel is asked when so many ticks have passed: a tenth of a millisecond or two.
const LONG: u64 = 400_000;

/// What is known of waits.
#[derive(Debug)]
pub(super) struct Waits {
    began: Moment,
    /// When the clock was read last.
    seen: Cell<u64>,
    /// How long a thread had waited when the kernel was asked last, in nanoseconds.
    known: Cell<Option<(ThreadId, u64)>>,
}

impl Waits {
    pub(super) fn new(clock: Clock) -> Waits {
        let began = clock.moment();
        Waits { began, seen: Cell::new(began.ticks), known: Cell::new(known(clock)) }
    }

    /// When the clock was read last, in its own time.
    pub(super) fn seen(&self) -> u64 {
        self.seen.get()
    }
}

/// Time that is in no span, in ticks.
#[derive(Debug, Default)]
pub struct Still {
    /// The thread was ready to run, and did not.
    pub waited: Sum,
    /// It was found out whether it was so.
    pub asked: Sum,
}

impl Still {
    /// Both.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.waited.get() + self.asked.get()
    }
}

fn known(clock: Clock) -> Option<(ThreadId, u64)> {
    Some((thread::current().id(), clock.waited()?))
}

impl Recorder {
    /// The time, which stands still while the thread waits for a core.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        let now = self.clock.now();
        let since = now.saturating_sub(self.waits.seen.replace(now));
        if since > LONG {
            self.look_for_waits(now, since)
        } else {
            now.saturating_sub(self.sums.still.sum())
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for_waits(&self, now: u64, since: u64) -> u64 {
        let still = &self.sums.still;
        if let Some((thread, total)) = known(self.clock) {
            let before = self.waits.known.replace(Some((thread, total)));
            // Stores may move from thread to thread.
            if let Some((_, known)) = before.filter(|(before, _)| *before == thread) {
                let tick = self.waits.began.nanoseconds_per_tick(self.clock.moment());
                still.waited.add(ticks(total.saturating_sub(known), tick).min(since));
            }
        }
        let time = now.saturating_sub(still.sum());
        let asked = self.clock.now();
        still.asked.add(asked.saturating_sub(now));
        self.waits.seen.set(asked);
        time
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
fn ticks(nanoseconds: u64, tick: f64) -> u64 {
    (nanoseconds as f64 / tick) as u64
}

#[cfg(test)]
mod tests {
    use super::super::Sampling;
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
        static WAITED: Cell<u64> = const { Cell::new(0) };
    }

    const BUSY: Clock = Clock::PlantedBusy { now: || NOW.get(), waited: || WAITED.get() };

    fn run(time: u64) {
        NOW.set(NOW.get() + time);
    }

    fn wait(time: u64) {
        run(time);
        WAITED.set(WAITED.get() + time);
    }

    /// Half of the calls stand for a second one. Nothing of waits is in them, wherever they were.
    #[test]
    fn waits_are_counted_once_however_many_calls_the_one_stands_for_in_which_they_were() {
        let recorder = Recorder::new(BUSY, Sampling::Every(2), 0);
        let import = recorder.import("it", None);
        let each = 10 * LONG;
        for number in 0..1000u64 {
            recorder.call(&import, |_| {
                run(30);
                recorder.native(|| {
                    run(100);
                    if number % 3 == 0 {
                        wait(each);
                    }
                    run(100);
                });
            });
            // Beside calls as well.
            if number % 4 == 0 {
                wait(each);
            }
        }
        let account = &import.account;
        let (timed, weight) = (account.timed.get(), account.weight.get());
        assert!(timed > 400 && timed < 600 && weight > 900, "{timed} of {weight}");
        assert_eq!(account.native.get(), weight * 200);
        assert_eq!(account.marshalling.get(), weight * 30);
        assert_eq!(account.outermost.get(), weight * 230);
        let still = &recorder.sums().still;
        // Those behind the last reading are not known.
        let all = WAITED.get();
        assert!(still.waited.get() <= all && still.waited.get() + 8 * each > all);
        assert_eq!(still.asked.get(), 0);
    }

    /// A call that is long now and then, because of what it does, stands for others that are.
    #[test]
    fn long_calls_are_long() {
        // A reading of 0 is none.
        run(1);
        let recorder = Recorder::new(BUSY, Sampling::Every(3), 0);
        let import = recorder.import("it", None);
        for _ in 0..1000 {
            recorder.call(&import, |_| recorder.native(|| run(2 * LONG)));
        }
        let weight = import.account.weight.get();
        assert_eq!((import.account.native.get(), weight > 900), (weight * 2 * LONG, true));
        assert_eq!(recorder.sums().still.sum(), 0);
    }

    /// Short waits that add up to more than has passed do not make time run backwards.
    #[test]
    fn time_does_not_run_backwards() {
        let recorder = Recorder::new(BUSY, Sampling::Every(1), 0);
        let mut last = recorder.now();
        for _ in 0..1000 {
            wait(LONG / 2);
            let now = recorder.now();
            assert!(now >= last + LONG / 2);
            last = now;
        }
        run(LONG + 1);
        assert_eq!((recorder.now(), recorder.sums().still.waited.get()), (last, LONG + 1));
    }

    #[test]
    fn the_kernel_of_this_machine_is_understood() {
        // There are kernels that do not tell; those that do begin with little.
        let waited = Clock::System.waited();
        assert!(waited.is_none_or(|waited| waited < 3_600_000_000_000), "{waited:?}");
    }
}
