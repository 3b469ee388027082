//! What recording cost, and taking it off.
//!
//! Every account is made up of spans of one clock; what is known of the costs of calls that do nothing is
//! taken off one part and put to another:
//!
//! ```text
//!  native        =  spans of native code          -  the clock  -  the way there, and to callbacks
//!  marshalling   =  spans of calls  -  native     -  what of the probe is in them
//!  transition    =  the way from the guest and back, the way to native code and back, for each call; that of callbacks
//!  called back   =  spans of guest functions      -  the clock, the way there, calls that they make
//!  the guest     =  all other time                -  the rest of the probes, the ways from it
//!  profiling     =  the probes of all calls
//! ```
//!
//! so that all parts together are the wall time. Where more would be taken off than there is they are more. If samples
//! are the reason, they are [made to fit](fit): nothing took longer than there was time for. What is still too much, and
//! what fitting leaves uncertain, is a part of the [error](Profile::error).
use super::Calibration;
use super::model::Import;
use crate::plan::recorder::Account;

/// Takes something off, and notes what was not there.
#[derive(Default)]
pub(super) struct Net {
    pub missing: f64,
}

impl Net {
    /// The rest.
    pub fn of(&mut self, gross: f64, off: f64) -> f64 {
        let net = gross - off;
        if net < 0.0 {
            self.missing -= net;
            return 0.0;
        }
        net
    }
}

/// Of one account, in ticks.
pub(super) struct Ticks {
    pub import: Import,
    /// What its probes cost.
    pub probes: f64,
    /// What is to be taken off the guest's own time for it.
    pub guest: f64,
    /// How much all this is uncertain by.
    pub uncertain: f64,
    /// How many calls were not timed.
    unseen: f64,
    /// Which part of what timing adds to a span it adds to marshalling, and not to native code.
    within: f64,
}

impl Ticks {
    /// What an account comes to. `every`: one call in so many was timed.
    pub(super) fn of(account: &Account, costs: &Calibration, every: u64, net: &mut Net) -> Ticks {
        let float = |sum: u64| sum as f64;
        let (calls, weight) = (float(account.calls.get()), float(account.weight.get()));
        // The calls behind the last one that was timed are like those before.
        let all = if every > 1 && weight > 0.0 { (calls / weight).max(1.0) } else { 1.0 };
        let entered = float(account.entered.get()) * all;
        let inner = float(account.inner_weight.get()) * all;
        let callbacks = float(account.callback_weight.get()) * all;
        let allocations = float(account.allocation_weight.get()) * all;
        let probe = costs.probe(account.usual.get() != 0);
        // What of a timed call's probe is in no span of its own, but in the guest code that has made the call.
        let around = (probe.timed - probe.within - probe.read).max(0.0);
        let (read, within) = match every {
            0 | 1 => (probe.read, probe.within),
            _ => (probe.rare_read, probe.rare_within),
        };
        let around_guest = (costs.guest - probe.read).max(0.0);
        let marshalling = float(account.marshalling.get()) * all;
        let native = account.native.signed() as f64 * all;
        // The probes of guest code are in native code's spans, but for the clock.
        let inner_allocations = float(account.inner_allocation_weight.get()) * all;
        let clocked_callbacks =
            (float(account.clocked_guest_weight.get()) * all - allocations).clamp(0.0, callbacks);
        // Spans of callbacks that were not timed are estimated from spans that have the clock in them.
        let muted = (callbacks - clocked_callbacks) * (costs.guest_counted - probe.read);
        let native = net.of(
            native,
            entered * (read + probe.entry)
                + callbacks * costs.into
                + (clocked_callbacks + inner_allocations) * around_guest
                + muted,
        );
        let marshalling = net.of(
            marshalling,
            weight * all * within + (allocations - inner_allocations) * around_guest,
        );
        let called_back = net.of(
            float(account.callback.get()) * all,
            callbacks * (probe.read + costs.callback) + inner * (around + costs.transition),
        );
        let allocator = net
            .of(float(account.allocator.get()) * all, allocations * (probe.read + costs.callback));
        let transition = weight * all * costs.transition
            + entered * probe.entry
            + callbacks * costs.into
            + (callbacks + allocations) * costs.callback;
        let clocked = float(account.clocked.get());
        let clocked_guest = float(account.clocked_guest.get());
        let all_guest = float(account.callbacks.get()) + float(account.allocations.get());
        let probes = clocked * probe.timed
            + (calls - clocked) * probe.counted
            + clocked_guest * costs.guest
            + (all_guest - clocked_guest).max(0.0) * costs.guest_counted;
        let outer = float(account.outer_calls.get());
        let outer_timed = float(account.outer_timed.get());
        let outer_weight = float(account.outer_weight.get());
        // The spans of calls that were not timed have no probe in them, those that stand for them have.
        let lent = (outer_weight - outer_timed) * (within + read)
            + (clocked_callbacks + allocations - clocked_guest).max(0.0)
                * (costs.guest - costs.guest_counted);
        let behind =
            float(account.outermost.get()) * (outer / outer_weight.max(1.0) - 1.0).max(0.0);
        let behind = if every > 1 { behind } else { 0.0 };
        let guest = outer_timed * around
            + (outer - outer_timed) * probe.counted
            + outer * costs.transition
            + behind
            - lent;
        let uncertain =
            calls * probe.spread + all_guest * costs.guest_spread + account.sampling_error(every);
        let import = Import {
            name: account.name.clone(),
            library: account.library.clone(),
            calls: account.calls.get(),
            timed: account.timed.get(),
            native,
            marshalling,
            transition,
            called_back,
            allocator,
            callbacks: account.callbacks.get(),
            allocations: account.allocations.get(),
            checked: account.checked.get(),
            copied: account.copied.get(),
            transformed: account.transformed.get(),
            takes_functions: account.takes_functions.get() != 0,
            ..Import::default()
        };
        let unseen = if every > 1 { calls - float(account.timed.get()) } else { 0.0 };
        let within = probe.rare_within / (probe.rare_within + probe.rare_read).max(1.0);
        Ticks { import, probes, guest, uncertain, unseen, within }
    }

    /// What of it can be less than was estimated.
    fn room(&self) -> f64 {
        if self.unseen > 0.0 { self.import.native + self.import.marshalling } else { 0.0 }
    }

    /// Takes so much off, of which there is room for.
    fn take(&mut self, less: f64) {
        let Import { native, marshalling, .. } = &mut self.import;
        let first = (less * self.within).clamp(0.0, *marshalling);
        let second = (less - first).clamp(0.0, *native);
        *native -= second;
        *marshalling = (*marshalling - (less - second)).max(0.0);
    }
}

/// Parts that are estimated from samples came to so much more than there was time for: each sample of a short call is a
/// little longer than the calls that it stands for, and stands for many. It is taken off them by the number of calls
/// that were not timed. What is left of `excess`, and how uncertain the parts are for it: what has been wrong by so much
/// may be wrong by as much again, but not by more than there is.
pub(super) fn fit(all: &mut [Ticks], excess: f64) -> (f64, f64) {
    let mut rest = excess;
    // In each round all of it is taken, or there is no room any more in one of them.
    for _ in 0..=all.len() {
        let unseen: f64 = all.iter().filter(|one| one.room() > 0.0).map(|one| one.unseen).sum();
        if rest <= 0.0 || unseen <= 0.0 {
            break;
        }
        let each = rest / unseen;
        for one in all.iter_mut().filter(|one| one.room() > 0.0) {
            let less = (each * one.unseen).min(one.room());
            one.take(less);
            rest -= less;
        }
    }
    let room: f64 = all.iter().map(Ticks::room).sum();
    (rest.max(0.0), (excess - rest).min(room).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Phase, Recorded};
    use crate::plan::recorder::Clock;
    use crate::profile::{Probe, Profile};
    use std::sync::Arc;

    #[test]
    fn what_took_longer_than_there_was_time_for_is_made_to_fit() {
        let one = |native: f64, marshalling: f64, unseen: f64| Ticks {
            import: Import { native, marshalling, ..Import::default() },
            probes: 0.0,
            guest: 0.0,
            uncertain: 0.0,
            unseen,
            within: 0.75,
        };
        let parts = |all: &[Ticks]| -> Vec<(f64, f64)> {
            all.iter().map(|one| (one.import.native, one.import.marshalling)).collect()
        };
        // By the number of calls, and where timing adds it; not where all were timed.
        let mut all = [one(100.0, 100.0, 10.0), one(100.0, 100.0, 30.0), one(100.0, 100.0, 0.0)];
        assert_eq!(fit(&mut all, 40.0), (0.0, 40.0));
        assert_eq!(parts(&all), [(97.5, 92.5), (92.5, 77.5), (100.0, 100.0)]);
        // No part is less than nothing: the others bear it.
        let mut all = [one(2.0, 1.0, 10.0), one(100.0, 100.0, 10.0)];
        assert_eq!(fit(&mut all, 43.0), (0.0, 43.0));
        let found = parts(&all);
        assert_eq!(found[0], (0.0, 0.0));
        assert!((found[1].0 + found[1].1 - 160.0).abs() < 1e-9, "{found:?}");
        // There is not so much.
        let mut all = [one(2.0, 1.0, 10.0)];
        assert_eq!(fit(&mut all, 43.0), (40.0, 0.0));
    }

    /// A loop of a million calls that do nothing, one in a thousand timed: what timing adds to those, times a
    /// thousand, is more than the whole time.
    #[test]
    fn calls_whose_recording_takes_longer_than_all_else_leave_the_guest_its_own_time() {
        let account = Account::default();
        let (calls, timed) = (1_000_000, 1000);
        for sum in [&account.calls, &account.weight, &account.entered] {
            sum.add(calls);
        }
        for sum in [&account.timed, &account.clocked, &account.outer_timed] {
            sum.add(timed);
        }
        account.outer_calls.add(calls);
        account.outer_weight.add(calls);
        account.native.add(calls * 20);
        account.marshalling.add(calls * 40);
        account.outermost.add(calls * 60);
        let costs = Calibration {
            transition: 5.0,
            short: Probe {
                entry: 0.0,
                read: 20.0,
                timed: 70.0,
                within: 40.0,
                rare_read: 20.0,
                rare_within: 40.0,
                counted: 15.0,
                spread: 0.0,
            },
            ..Calibration::none(Clock::best())
        };
        let own = 3_000_000;
        let wall = own + timed * 70 + (calls - timed) * 15 + calls * 5;
        let recorded = Recorded {
            clock: costs.clock,
            tick: 1.0,
            wall,
            phases: vec![Phase {
                name: "the guest".to_owned(),
                ticks: wall.cast_signed() - (calls * 60).cast_signed(),
            }],
            accounts: vec![Arc::new(account)],
            waited: 0,
            asked: 0,
            every: 1000,
            every_callback: 1,
            running: Vec::new(),
        };
        let profile = Profile::new(&recorded, &costs);
        assert_eq!(profile.phases[0].time, own as f64);
        assert_eq!((profile.imports[0].native, profile.imports[0].marshalling), (0.0, 0.0));
        assert_eq!(profile.sum(), wall as f64);
        // Beside what costs may be unlike, nothing is uncertain.
        assert_eq!(profile.error, profile.profiling / 10.0);
        // And never more than there is.
        let unsteady = Probe { spread: 1e6, ..costs.short };
        let profile = Profile::new(&recorded, &Calibration { short: unsteady, ..costs });
        assert_eq!((profile.sum(), profile.error), (wall as f64, wall as f64));
    }
}
