//! What a bridge's calls are recorded in, for a profile.
use crate::plan::recorder::{Account, Clock, Moment, Recorder, Sampling, Sums};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// Records the calls of a bridge ([`BridgeBuilder::record`](super::BridgeBuilder::record)): how often each import is
/// called, how long it takes where, how many bytes it moves. the module `profile` makes something to read of it.
///
/// Clones are the same recording. Its clock starts when it is made.
#[derive(Clone)]
pub struct Recording {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    sampling: Sampling,
    start: Moment,
    /// How long the thread had waited for a core then.
    waits: Option<Waits>,
    stores: Mutex<Stores>,
    phases: Mutex<Vec<Begun>>,
}

/// How long a thread has waited for a core since it began, in nanoseconds.
type Waits = (ThreadId, u64);

fn waits(clock: Clock) -> Option<Waits> {
    Some((thread::current().id(), clock.waited()?))
}

/// What stores have recorded.
#[derive(Default)]
struct Stores {
    /// Those that there are, and those of which nobody has looked yet whether they have ended.
    live: Vec<Arc<Sums>>,
    /// Of all that have ended, an account an import.
    ended: Vec<Arc<Account>>,
    /// The greatest of theirs.
    every: u64,
    every_callback: u64,
    /// Of those that have ended: see [`Sums::still`].
    waited: u64,
    asked: u64,
    /// It is looked again when there are so many in `live`.
    look_at: usize,
}

impl Stores {
    /// One more. What those that have ended have recorded is added up, so that a program which makes store after
    /// store does not keep something of each.
    fn add(&mut self, store: Arc<Sums>) {
        if self.live.len() >= self.look_at {
            self.fold();
            self.look_at = (self.live.len() * 2).max(16);
        }
        self.live.push(store);
    }

    fn fold(&mut self) {
        for mut store in std::mem::take(&mut self.live) {
            // Its recorder has gone with it, and nothing is added any more.
            if Arc::get_mut(&mut store).is_none() {
                self.live.push(store);
                continue;
            }
            self.every = self.every.max(store.every.get());
            self.every_callback = self.every_callback.max(store.every_callback.get());
            self.waited += store.still.waited.get();
            self.asked += store.still.asked.get();
            for account in store.accounts() {
                let same = |one: &&mut Arc<Account>| {
                    one.name == account.name && one.library == account.library
                };
                match self.ended.iter_mut().find(same) {
                    None => self.ended.push(account),
                    Some(known) => {
                        // Somebody may have asked, and got it as it was.
                        let sum = Account::of(&known.name, known.library.clone());
                        sum.absorb(known);
                        sum.absorb(&account);
                        *known = Arc::new(sum);
                    }
                }
            }
        }
    }

    fn accounts(&self) -> Vec<Arc<Account>> {
        let live = self.live.iter().flat_map(|store| store.accounts());
        self.ended.iter().cloned().chain(live).collect()
    }

    /// How long threads have waited, and how long it took to find that out.
    fn still(&self) -> (u64, u64) {
        self.live.iter().fold((self.waited, self.asked), |(waited, asked), one| {
            (waited + one.still.waited.get(), asked + one.still.asked.get())
        })
    }

    /// The edge of a phase, as this thread sees it.
    fn edge(&self, clock: Clock, at: u64) -> Edge {
        let (seen, asked) = self.still();
        let others = outermost(&self.accounts()) + seen + asked;
        Edge { at, others, seen, waits: waits(clock) }
    }
}

/// A phase that has begun.
#[derive(Clone)]
struct Begun {
    name: String,
    at: Edge,
}

/// Where a phase begins or ends; times in ticks.
#[derive(Clone, Copy)]
struct Edge {
    at: u64,
    /// What is no part of phases by then: outermost calls, waits, and asking for them.
    others: u64,
    /// What recorders have seen of waits. They look when there are calls.
    seen: u64,
    /// All waits of the thread that says so.
    waits: Option<Waits>,
}

impl Edge {
    /// How long the phase between two edges took, without what is no part of it; and of that the waits which no recorder
    /// has seen.
    fn until(self, end: Edge, tick: f64) -> (i64, u64) {
        let others = end.others.saturating_sub(self.others);
        let ticks = end.at.saturating_sub(self.at).cast_signed() - others.cast_signed();
        let unseen = match (self.waits, end.waits) {
            (Some((one, from)), Some((other, to))) if one == other => {
                let seen = end.seen.saturating_sub(self.seen);
                in_ticks(to.saturating_sub(from), tick).saturating_sub(seen)
            }
            _ => 0,
        };
        let unseen = unseen.min(u64::try_from(ticks).unwrap_or(0));
        (ticks - unseen.cast_signed(), unseen)
    }
}

/// Everything that was recorded, as it was at one moment. Times are in ticks.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The clock.
    pub clock: Clock,
    /// Nanoseconds of a tick.
    pub tick: f64,
    /// How long the recording lasts.
    pub wall: u64,
    /// What the host said that it was doing; see [`Recording::phase`].
    pub phases: Vec<Phase>,
    /// How long threads with a store were ready to run and had no core; it is in no phase and in no account.
    pub waited: u64,
    /// How long it took to find that out; likewise.
    pub asked: u64,
    /// The imports of all stores.
    pub accounts: Vec<Arc<Account>>,
    /// The greatest number of calls of which one was timed.
    pub every: u64,
    /// The greatest number of callbacks of a timed call of which one was timed.
    pub every_callback: u64,
    /// The outermost calls that had not returned, and how long they had run, if that is known.
    pub running: Vec<(String, Option<u64>)>,
}

/// A part of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What the host calls it.
    pub name: String,
    /// How long it took, in ticks, without the native calls that the guest made meanwhile and without waits. Where these are estimated
    /// from samples, what recording adds to those may make them more than all there is.
    pub ticks: i64,
}

impl Recording {
    /// A recording that begins now.
    #[must_use]
    pub fn new(clock: Clock, sampling: Sampling) -> Recording {
        let inner = Inner {
            clock,
            sampling,
            start: clock.moment(),
            waits: waits(clock),
            stores: Mutex::default(),
            phases: Mutex::default(),
        };
        Recording { inner: Arc::new(inner) }
    }

    /// Says what the time from now on is used for, until the next phase begins.
    pub fn phase(&self, name: &str) {
        let at = {
            let stores = self.inner.stores.lock().unwrap_or_else(PoisonError::into_inner);
            stores.edge(self.inner.clock, self.inner.clock.now())
        };
        let mut phases = self.inner.phases.lock().unwrap_or_else(PoisonError::into_inner);
        phases.push(Begun { name: name.to_owned(), at });
    }

    /// Everything so far. Any thread may ask, also while guests run.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        let Inner { clock, start, waits, stores, phases, .. } = &*self.inner;
        let now = clock.moment();
        let tick = start.nanoseconds_per_tick(now);
        let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Nothing is left out: what was done before is a part of the first phase.
        if let Some(first) = phases.first_mut() {
            first.at = Edge { at: start.ticks, others: 0, seen: 0, waits: *waits };
        }
        let stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = stores.accounts();
        let (mut waited, asked) = stores.still();
        let last = stores.edge(*clock, now.ticks);
        let ends = phases.iter().skip(1).map(|next| next.at).chain([last]);
        let phase = |(begun, end): (&Begun, Edge)| {
            let (ticks, unseen) = begun.at.until(end, tick);
            waited += unseen;
            Phase { name: begun.name.clone(), ticks }
        };
        let phases = phases.iter().zip(ends).map(phase).collect();
        let running = stores.live.iter().filter_map(|store| store.running());
        let running = running.map(|(account, since)| {
            let known = (since != 0).then(|| now.ticks.saturating_sub(since));
            (account.name.clone(), known)
        });
        Recorded {
            clock: *clock,
            tick,
            wall: now.ticks.saturating_sub(start.ticks),
            phases,
            every: stores
                .live
                .iter()
                .fold(stores.every.max(1), |most, one| most.max(one.every.get())),
            every_callback: stores
                .live
                .iter()
                .fold(stores.every_callback.max(1), |most, one| most.max(one.every_callback.get())),
            running: running.collect(),
            waited,
            asked,
            accounts,
        }
    }

    /// A recorder for one more store.
    pub(super) fn recorder(&self) -> Recorder {
        let Inner { clock, sampling, start, stores, .. } = &*self.inner;
        let recorder = Recorder::new(*clock, *sampling, start.ticks);
        let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.add(Arc::clone(recorder.sums()));
        recorder
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
fn in_ticks(nanoseconds: u64, tick: f64) -> u64 {
    (nanoseconds as f64 / tick) as u64
}

fn outermost(accounts: &[Arc<Account>]) -> u64 {
    accounts.iter().map(|account| account.outermost.get()).sum()
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("clock", &self.inner.clock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guests of a server, one after the other, and a few that stay.
    #[test]
    fn stores_that_have_ended_are_added_up() {
        let recording = Recording::new(Clock::Planted(|| 7), Sampling::Every(1));
        let mut stay = Vec::new();
        let mut seen = 0;
        for number in 0..10_000u64 {
            let recorder = recording.recorder();
            let import = recorder.import(if number % 2 == 0 { "even" } else { "odd" }, None);
            recorder.call(&import, |_| ());
            if number % 1000 == 0 {
                stay.push(recorder);
                // Whoever has asked keeps what he was told.
                let recorded = recording.recorded();
                seen = recorded.accounts.iter().map(|one| one.calls.get()).sum();
                assert_eq!(seen, number + 1);
            }
        }
        let kept = recording.inner.stores.lock().expect("nobody has panicked");
        assert!(kept.live.len() < 100 && kept.ended.len() == 2, "{} live", kept.live.len());
        drop(kept);
        let accounts = recording.recorded().accounts;
        let calls = |name: &str| -> u64 {
            accounts.iter().filter(|one| one.name == name).map(|one| one.calls.get()).sum()
        };
        assert_eq!((calls("even"), calls("odd"), seen), (5000, 5000, 9001));
        // Those that stay go on.
        stay[0].call(&stay[0].import("even", None), |_| ());
        let accounts = recording.recorded().accounts;
        assert_eq!(accounts.iter().map(|one| one.calls.get()).sum::<u64>(), 10_001);
    }

    /// Nobody looks for waits but where there are calls: a guest that makes none waits, too.
    #[test]
    fn waits_behind_the_last_call_are_no_part_of_phases() {
        use std::cell::Cell;
        thread_local! {
            static NOW: Cell<u64> = const { Cell::new(0) };
            static WAITED: Cell<u64> = const { Cell::new(0) };
        }
        let run = |time| NOW.set(NOW.get() + time);
        let wait = |time| {
            run(time);
            WAITED.set(WAITED.get() + time);
        };
        let clock = Clock::PlantedBusy { now: || NOW.get(), waited: || WAITED.get() };
        let recording = Recording::new(clock, Sampling::Every(1));
        wait(1_000_000);
        recording.phase("start");
        run(7);
        wait(3_000_000);
        recording.phase("guest");
        let recorder = recording.recorder();
        let import = recorder.import("it", None);
        run(100);
        wait(5_000_000);
        // This one is seen by the call.
        recorder.call(&import, |_| run(11));
        run(1000);
        wait(9_000_000);
        let recorded = recording.recorded();
        let ticks: Vec<i64> = recorded.phases.iter().map(|phase| phase.ticks).collect();
        assert_eq!(ticks, [7, 1100]);
        assert_eq!((recorded.waited, recorded.asked), (18_000_000, 0));
        assert_eq!(recorded.wall, 18_000_000 + 7 + 1100 + 11);
        // Another thread knows nothing of what this one waits.
        let other = std::thread::scope(|scope| scope.spawn(|| recording.recorded()).join());
        assert_eq!(other.expect("it does not panic").waited, 9_000_000);
    }
}
