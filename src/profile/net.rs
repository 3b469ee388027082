//! What recording cost, and taking it off.
//!
//! Every account is made up of spans of one clock; what is known of the costs of calls that do nothing is
//! taken off one part and put to another:
//!
//! ```text
//!  native        =  spans of native code          -  the clock  -  the way there
//!  marshalling   =  spans of calls  -  native     -  what of the probe is in them
//!  transition    =  the way from the guest and back, the way to native code and back, for each call
//!  called back   =  spans of guest functions      -  the clock, the way there, calls that they make
//!  the guest     =  all other time                -  the rest of the probes, the ways from it
//!  profiling     =  the probes of all calls
//! ```
//!
//! so that all parts together are the wall time. Only where more would be taken off than there is they are more: that
//! is a part of the [error](Profile::error).
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
        // What of a timed call's probe is in no span of its own, but in the guest code that has made the call.
        let around = (costs.timed - costs.within - costs.read).max(0.0);
        let (read, within) = match every {
            0 | 1 => (costs.read, costs.within),
            _ => (costs.rare_read, costs.rare_within),
        };
        let around_guest = (costs.guest - costs.read).max(0.0);
        let marshalling = float(account.marshalling.get()) * all;
        let native = float(account.native.get()) * all;
        // The probes of guest code are in native code's spans, but for the clock.
        let inner_allocations = float(account.inner_allocation_weight.get()) * all;
        let clocked_callbacks =
            (float(account.clocked_guest_weight.get()) * all - allocations).clamp(0.0, callbacks);
        // Spans of callbacks that were not timed are estimated from spans that have the clock in them.
        let muted = (callbacks - clocked_callbacks) * (costs.guest_counted - costs.read);
        let native = net.of(
            native,
            entered * (read + costs.entry)
                + (clocked_callbacks + inner_allocations) * around_guest
                + muted,
        );
        let marshalling = net.of(
            marshalling,
            weight * all * within + (allocations - inner_allocations) * around_guest,
        );
        let called_back = net.of(
            float(account.callback.get()) * all,
            callbacks * (costs.read + costs.callback) + inner * (around + costs.transition),
        );
        let allocator = net
            .of(float(account.allocator.get()) * all, allocations * (costs.read + costs.callback));
        let transition = weight * all * costs.transition
            + entered * costs.entry
            + (callbacks + allocations) * costs.callback;
        let clocked = float(account.clocked.get());
        let clocked_guest = float(account.clocked_guest.get());
        let all_guest = float(account.callbacks.get()) + float(account.allocations.get());
        let probes = clocked * costs.timed
            + (calls - clocked) * costs.counted
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
            + (outer - outer_timed) * costs.counted
            + outer * costs.transition
            + behind
            - lent;
        let uncertain = calls * costs.spread + account.sampling_error(every);
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
            ..Import::default()
        };
        Ticks { import, probes, guest, uncertain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Phase, Recorded, Tier};
    use crate::plan::recorder::Clock;
    use crate::profile::Profile;
    use std::sync::Arc;

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
            clock: Clock::best(),
            transition: 5.0,
            entry: 0.0,
            callback: 0.0,
            read: 20.0,
            timed: 70.0,
            within: 40.0,
            rare_read: 20.0,
            rare_within: 40.0,
            counted: 15.0,
            guest: 0.0,
            guest_counted: 0.0,
            floor: 3.0,
            floor_tier: Tier::Direct,
            spread: 0.0,
            tick: 1.0,
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
            every: 1000,
            every_callback: 1,
            running: Vec::new(),
        };
        let profile = Profile::new(&recorded, &costs);
        assert_eq!(profile.phases[0].time, own as f64);
        assert_eq!((profile.imports[0].native, profile.imports[0].marshalling), (0.0, 0.0));
        assert_eq!((profile.sum(), profile.error), (wall as f64, 0.0));
    }
}
