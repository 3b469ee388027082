//! A profile: what was recorded, net of what recording it cost.
//!
//! Not here: how the costs are taken off (`net`), and what is said of it all (`verdict`, `text`).
use super::Calibration;
use super::net::{self, Net, Ticks};
use super::verdict;
use crate::host::{Recorded, Tier};
use serde::Serialize;
use std::path::PathBuf;

/// What [`Profile::schema`] says: `docs/profile.md` has its members.
pub const SCHEMA: &str = "portcullis-profile/1";

/// Where a guest's time went. All times are in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Which members there are: [`SCHEMA`].
    pub schema: &'static str,
    /// What was profiled; empty until somebody says so.
    pub guest: String,
    /// The tier whose figures these are: what made the calls.
    pub tier: String,
    /// In which ways its calls could be made otherwise.
    pub ways: Ways,
    /// The clock.
    pub clock: String,
    /// From the beginning of the recording to its end.
    pub wall: f64,
    /// The sum of all parts is the wall time, give or take this: what the costs of calls were uncertain by, what was not
    /// timed (two standard errors, and what the parts miss), and what was taken off where there was less.
    pub error: f64,
    /// One call in so many was timed, in the end.
    pub every: u64,
    /// And one callback in so many, in calls that were timed.
    pub every_callback: u64,
    /// What the host did, and the guest without its native calls; the last is the guest's own code.
    pub phases: Vec<Part>,
    /// The imports that were called, and those that were linked and were not; the costliest first.
    pub imports: Vec<Import>,
    /// What profiling itself took.
    pub profiling: f64,
    /// How long the guest was ready to run and other programs had its core, as far as that was seen.
    pub waiting: f64,
    /// Calls that had not returned.
    pub running: Vec<Running>,
    /// What was found out about costs before the guest ran.
    pub costs: Costs,
    /// What all this says.
    pub verdict: Vec<String>,
}

/// What bounds the ways in which a guest's calls are made when it is not profiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ways {
    /// The fastest tier that may be used.
    pub most: String,
    /// Native code is watched (`--guard`): nothing but the interpreter does that.
    pub guarded: bool,
    /// The guest was compiled ahead of time.
    pub precompiled: bool,
}

impl Default for Ways {
    fn default() -> Ways {
        Ways { most: Tier::Direct.to_string(), guarded: false, precompiled: false }
    }
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
    /// Whether its calls are given guest functions.
    pub takes_functions: bool,
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
    pub usual_timed: f64,
    pub usual_counted: f64,
    pub guest: f64,
    pub guest_counted: f64,
    pub floor: f64,
    pub floor_back: f64,
    pub floor_callback: f64,
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

/// What recording costs is measured with a guest of the profile's own, and is not quite the same in others: of loops of
/// tiny calls, all of them timed, what was left was up to a tenth of it too much.
const UNLIKE: f64 = 0.1;

impl Profile {
    /// What was recorded, net of what the calibration says that recording costs.
    #[must_use]
    pub fn new(recorded: &Recorded, calibration: &Calibration) -> Profile {
        let mut net = Net::default();
        let ticks = |account| Ticks::of(account, calibration, recorded.every, &mut net);
        let mut all: Vec<Ticks> =
            recorded.accounts.iter().map(|account| &**account).map(ticks).collect();
        let sum = |of: fn(&Ticks) -> f64| -> f64 { all.iter().map(of).sum() };
        let outside = sum(|one| one.guest);
        let probes = sum(|one| one.probes);
        let profiling = probes + recorded.asked as f64;
        let mut error = sum(|one| one.uncertain) + probes * UNLIKE;
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
        let others: f64 = phases.iter().map(|phase| phase.time).sum();
        let calls: f64 = all.iter().map(|one| one.import.time()).sum();
        let wall = recorded.wall as f64;
        let excess = others + calls + profiling + recorded.waited as f64 - wall;
        if excess > 0.0 {
            let (rest, uncertain) = net::fit(&mut all, excess);
            net.missing = rest;
            error += uncertain;
        }
        let mut imports: Vec<Import> = all.into_iter().map(|one| one.import).collect();
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
            schema: SCHEMA,
            tier: Tier::Interpreter.to_string(),
            ways: Ways::default(),
            clock: recorded.clock.name().to_owned(),
            wall: recorded.wall as f64 * tick,
            error: (error + net.missing) * tick,
            every: recorded.every,
            every_callback: recorded.every_callback,
            phases,
            imports,
            profiling: profiling * tick,
            waiting: recorded.waited as f64 * tick,
            running: running.collect(),
            costs: Costs::new(calibration, tick),
            verdict: Vec::new(),
        };
        // Calls inside of other calls are estimated from samples of their own, which need not be those of the outer ones.
        if recorded.every > 1 || recorded.every_callback > 1 {
            let wrong = (profile.sum() - profile.wall).abs();
            profile.error += (wrong - net.missing * tick).max(0.0);
        }
        // No part can be off by more than there is.
        let wrong = (profile.sum() - profile.wall).abs();
        profile.error = profile.error.min(profile.wall.max(wrong));
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
        phases + imports + self.profiling + self.waiting
    }

    /// How long it took until the guest ran.
    #[must_use]
    pub fn start(&self) -> f64 {
        let before = self.phases.len().saturating_sub(1);
        self.phases.iter().take(before).map(|phase| phase.time).sum()
    }

    /// The wall time without what profiling took, and without what other programs did meanwhile.
    #[must_use]
    pub fn net(&self) -> f64 {
        self.wall - self.profiling - self.waiting
    }

    /// What so many calls and callbacks cost in the fastest tier that do nothing.
    fn floor(&self, import: &Import) -> f64 {
        let Costs { floor, floor_back, floor_callback, .. } = self.costs;
        let call = if import.takes_functions { floor_back.max(floor) } else { floor };
        import.calls as f64 * call + import.callbacks as f64 * floor_callback
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

    /// Says in which ways the calls could be made, and judges anew.
    #[must_use]
    pub fn with(mut self, ways: Ways) -> Profile {
        self.ways = ways;
        self.judge();
        self
    }

    /// Says what was profiled.
    #[must_use]
    pub fn named(mut self, guest: &str) -> Profile {
        guest.clone_into(&mut self.guest);
        self
    }
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
        known.takes_functions |= one.takes_functions;
    }
    all
}

impl Costs {
    fn new(calibration: &Calibration, tick: f64) -> Costs {
        let Calibration { short, usual, .. } = calibration;
        Costs {
            transition: calibration.transition * tick,
            entry: short.entry * tick,
            callback: (calibration.callback + calibration.into) * tick,
            timed: short.timed * tick,
            counted: short.counted * tick,
            usual_timed: usual.timed * tick,
            usual_counted: usual.counted * tick,
            guest: calibration.guest * tick,
            guest_counted: calibration.guest_counted * tick,
            floor: calibration.floor * tick,
            floor_back: calibration.floor_back * tick,
            floor_callback: calibration.floor_callback * tick,
            floor_tier: calibration.floor_tier.to_string(),
            spread: short.spread.max(usual.spread) * tick,
        }
    }
}
