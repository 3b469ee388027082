//! A profile: what was recorded, net of what recording it cost.
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
use super::verdict;
use crate::host::{Recorded, Tier};
use crate::plan::recorder::Account;
use serde::Serialize;
use std::path::PathBuf;

/// Where a guest's time went. All times are in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// What was profiled; empty until somebody says so.
    pub guest: String,
    /// The tier whose figures these are: what made the calls.
    pub tier: String,
    /// The clock.
    pub clock: String,
    /// From the beginning of the recording to its end.
    pub wall: f64,
    /// The sum of all parts is the wall time, give or take this: what the costs of calls were uncertain by, what was not
    /// timed (two standard errors, and what the parts miss), and what was taken off where there was less.
    pub error: f64,
    /// One call in so many was timed, in the end.
    pub every: u64,
    /// What the host did, and the guest without its native calls; the last is the guest's own code.
    pub phases: Vec<Part>,
    /// The imports that were called, and those that were linked and were not; the costliest first.
    pub imports: Vec<Import>,
    /// What profiling itself took.
    pub profiling: f64,
    /// Calls that had not returned.
    pub running: Vec<Running>,
    /// What was found out about costs before the guest ran.
    pub costs: Costs,
    /// What all this says.
    pub verdict: Vec<String>,
}

/// A part of the time.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// How long it took.
    pub time: f64,
}

/// One import. Times are of all its calls, without what calls inside of them took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Import {
    /// `libz.so.1.crc32`
    pub name: String,
    /// The file of the library.
    pub library: Option<PathBuf>,
    /// How often it was called.
    pub calls: u64,
    /// How many of these calls were timed.
    pub timed: u64,
    /// In native code.
    pub native: f64,
    /// Checking, copying, handles.
    pub marshalling: f64,
    /// From the guest to the host, on to native code, into callbacks, and back.
    pub transition: f64,
    /// In guest functions that native code has called.
    pub called_back: f64,
    /// In the guest's allocator.
    pub allocator: f64,
    /// How often native code has called the guest's functions.
    pub callbacks: u64,
    /// How often the allocator was asked.
    pub allocations: u64,
    /// Bytes of the guest's memory that were checked, and lent or read.
    pub checked: u64,
    /// Bytes that were copied as they are.
    pub copied: u64,
    /// Bytes that were put into another layout.
    pub transformed: u64,
    /// The fastest tier that could make its calls; `None` until somebody says so.
    pub fastest: Option<String>,
    /// Why no faster one.
    pub why_no_faster: Option<String>,
    /// How long making its machine code for that tier took, after the guest had run.
    pub compiling: Option<f64>,
}

/// A call that had not returned when the profile was made.
#[derive(Clone, Debug, Serialize)]
pub struct Running {
    /// The import.
    pub name: String,
    /// How long it had run, if that is known. It is a part of the last phase.
    pub time: Option<f64>,
}

/// What calls that do nothing cost here, in nanoseconds a call: see [`Calibration`].
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "as in `Calibration`")]
pub struct Costs {
    pub transition: f64,
    pub entry: f64,
    pub callback: f64,
    pub timed: f64,
    pub counted: f64,
    pub guest: f64,
    pub floor: f64,
    pub floor_tier: String,
    pub spread: f64,
}

impl Import {
    /// All of its time.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.native + self.marshalling + self.transition + self.called_back + self.allocator
    }

    /// What making its calls took, beside native and guest code.
    #[must_use]
    pub fn calling(&self) -> f64 {
        self.marshalling + self.transition
    }
}

/// Takes something off, and notes what was not there.
struct Net {
    missing: f64,
}

impl Net {
    fn of(&mut self, gross: f64, off: f64) -> f64 {
        let net = gross - off;
        if net < 0.0 {
            self.missing -= net;
            return 0.0;
        }
        net
    }
}

impl Profile {
    /// What was recorded, net of what the calibration says that recording costs.
    #[must_use]
    pub fn new(recorded: &Recorded, calibration: &Calibration) -> Profile {
        let mut net = Net { missing: 0.0 };
        let (mut profiling, mut outside, mut error) = (0.0, 0.0, 0.0);
        let mut imports = Vec::new();
        for account in &recorded.accounts {
            let Ticks { import, probes, guest, uncertain } =
                ticks(account, calibration, recorded.every, &mut net);
            profiling += probes;
            outside += guest;
            error += uncertain;
            imports.push(import);
        }
        let mut phases: Vec<Part> = recorded
            .phases
            .iter()
            .map(|phase| Part { name: phase.name.clone(), time: phase.ticks as f64 })
            .collect();
        if phases.is_empty() {
            let calls: u64 = recorded.accounts.iter().map(|one| one.outermost.get()).sum();
            let time = recorded.wall as f64 - calls as f64;
            phases.push(Part { name: "the guest".to_owned(), time });
        }
        if let Some(last) = phases.last_mut() {
            last.time = net.of(last.time, outside);
        }
        let tick = recorded.tick;
        let scale = |time: &mut f64| *time *= tick;
        imports.iter_mut().for_each(|one: &mut Import| {
            [&mut one.native, &mut one.marshalling, &mut one.transition]
                .into_iter()
                .chain([&mut one.called_back, &mut one.allocator])
                .for_each(scale);
        });
        phases.iter_mut().for_each(|phase| scale(&mut phase.time));
        imports = merged(imports);
        imports.sort_by(|a, b| b.time().total_cmp(&a.time()).then(a.name.cmp(&b.name)));
        let running = recorded.running.iter().map(|(name, ticks)| Running {
            name: name.clone(),
            time: ticks.map(|ticks| ticks as f64 * tick),
        });
        let mut profile = Profile {
            guest: String::new(),
            tier: Tier::Interpreter.to_string(),
            clock: recorded.clock.name().to_owned(),
            wall: recorded.wall as f64 * tick,
            error: (error + net.missing) * tick,
            every: recorded.every,
            phases,
            imports,
            profiling: profiling * tick,
            running: running.collect(),
            costs: Costs::new(calibration, tick),
            verdict: Vec::new(),
        };
        // Calls inside of other calls are estimated from samples of their own, which need not be those of the outer ones.
        if recorded.every > 1 {
            profile.error += (profile.sum() - profile.wall).abs();
        }
        profile.judge();
        profile
    }

    /// Says anew what all this means.
    pub fn judge(&mut self) {
        self.verdict = verdict::verdict(self);
    }

    /// The sum of all parts: the wall time, within the [error](Profile::error).
    #[must_use]
    pub fn sum(&self) -> f64 {
        let phases: f64 = self.phases.iter().map(|phase| phase.time).sum();
        let imports: f64 = self.imports.iter().map(Import::time).sum();
        phases + imports + self.profiling
    }

    /// The wall time without what profiling took.
    #[must_use]
    pub fn net(&self) -> f64 {
        self.wall - self.profiling
    }

    /// What a call that does nothing costs at least, for so many calls and callbacks.
    fn floor(&self, import: &Import) -> f64 {
        import.calls as f64 * self.costs.floor
    }

    /// How much of the time a tier would save at most in which every call costs what one costs that does nothing.
    #[must_use]
    pub fn to_save(&self) -> f64 {
        self.imports.iter().map(|import| self.to_save_of(import)).sum()
    }

    /// The same of one import.
    #[must_use]
    pub fn to_save_of(&self, import: &Import) -> f64 {
        (import.calling() - self.floor(import)).max(0.0)
    }

    /// Says what was profiled.
    #[must_use]
    pub fn named(mut self, guest: &str) -> Profile {
        guest.clone_into(&mut self.guest);
        self
    }
}

/// Of one account, in ticks.
struct Ticks {
    import: Import,
    /// What its probes cost.
    probes: f64,
    /// What is to be taken off the guest's own time for it.
    guest: f64,
    /// How much all this is uncertain by.
    uncertain: f64,
}

fn ticks(account: &Account, costs: &Calibration, every: u64, net: &mut Net) -> Ticks {
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
    let around_guest = (costs.guest - costs.read).max(0.0);
    let marshalling = float(account.marshalling.get()) * all;
    let native = float(account.native.get()) * all;
    // The probes of guest code are in native code's spans, but for the clock.
    let native = net.of(native, entered * (costs.read + costs.entry) + callbacks * around_guest);
    let marshalling = net.of(marshalling, weight * all * costs.within + allocations * around_guest);
    let called_back = net.of(
        float(account.callback.get()) * all,
        callbacks * (costs.read + costs.callback) + inner * (around + costs.transition),
    );
    let allocator =
        net.of(float(account.allocator.get()) * all, allocations * (costs.read + costs.callback));
    let transition = weight * all * costs.transition
        + entered * costs.entry
        + (callbacks + allocations) * costs.callback;
    let clocked = float(account.clocked.get());
    let clocked_guest = float(account.clocked_guest.get());
    // Guest code of calls that are not timed is only counted.
    let probes =
        clocked * costs.timed + (calls - clocked) * costs.counted + clocked_guest * costs.guest;
    let outer = float(account.outer_calls.get());
    let outer_timed = float(account.outer_timed.get());
    let outer_weight = float(account.outer_weight.get());
    // The spans of calls that were not timed have no probe in them, those that stand for them have.
    let lent = (outer_weight - outer_timed) * (costs.within + costs.read)
        + (callbacks + allocations - clocked_guest).max(0.0) * costs.guest;
    let behind = float(account.outermost.get()) * (outer / outer_weight.max(1.0) - 1.0).max(0.0);
    let behind = if every > 1 { behind } else { 0.0 };
    let guest = outer_timed * around
        + (outer - outer_timed) * costs.counted
        + outer * costs.transition
        + behind
        - lent;
    let uncertain = calls * costs.spread + account.sampling_error();
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

/// Imports of several stores by their names.
fn merged(imports: Vec<Import>) -> Vec<Import> {
    let mut all: Vec<Import> = Vec::new();
    for one in imports {
        let Some(known) = all.iter_mut().find(|known| known.name == one.name) else {
            all.push(one);
            continue;
        };
        known.calls += one.calls;
        known.timed += one.timed;
        known.native += one.native;
        known.marshalling += one.marshalling;
        known.transition += one.transition;
        known.called_back += one.called_back;
        known.allocator += one.allocator;
        known.callbacks += one.callbacks;
        known.allocations += one.allocations;
        known.checked += one.checked;
        known.copied += one.copied;
        known.transformed += one.transformed;
    }
    all
}

impl Costs {
    fn new(calibration: &Calibration, tick: f64) -> Costs {
        Costs {
            transition: calibration.transition * tick,
            entry: calibration.entry * tick,
            callback: calibration.callback * tick,
            timed: calibration.timed * tick,
            counted: calibration.counted * tick,
            guest: calibration.guest * tick,
            floor: calibration.floor * tick,
            floor_tier: calibration.floor_tier.to_string(),
            spread: calibration.spread * tick,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Phase;
    use crate::plan::recorder::Clock;
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
            counted: 15.0,
            guest: 0.0,
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
            running: Vec::new(),
        };
        let profile = Profile::new(&recorded, &costs);
        assert_eq!(profile.phases[0].time, own as f64);
        assert_eq!((profile.imports[0].native, profile.imports[0].marshalling), (0.0, 0.0));
        assert_eq!((profile.sum(), profile.error), (wall as f64, 0.0));
    }
}
