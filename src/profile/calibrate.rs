//! What a call costs that does nothing, with and without a recording: measured in this process, before the guest
//! runs, so that a profile can take its own cost off and say what is left to gain.
//!
//! A guest calls a function that returns at once, in loops. All ways take turns, and medians over the rounds count.
#![expect(unsafe_code, reason = "grants functions of its own")]
use crate::host::{Bridge, BuildError, ImportStatus, Natives, Recording, Tier};
use crate::plan::recorder::{Clock, Sampling};
use std::ffi::c_void;
use tracing::subscriber::NoSubscriber;
use wasmtime::{Engine, Func, FuncType, Instance, Linker, Module, Store};

/// What things cost, in ticks of a clock.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The clock.
    pub clock: Clock,
    /// From the guest to a host function that does nothing, and back.
    pub transition: f64,
    /// From the host to a guest function that does nothing, and back.
    pub callback: f64,
    /// From native code to the host, for such a function, and back. It is in the span of native code.
    pub into: f64,
    /// Recording calls of the interpreter's short way.
    pub short: Probe,
    /// Recording others: those in which guest code may run.
    pub usual: Probe,
    /// What timing guest code costs that a call runs.
    pub guest: f64,
    /// What it costs where it is only counted.
    pub guest_counted: f64,
    /// By how much the cost of a callback was uncertain: see [`Probe::spread`].
    pub guest_spread: f64,
    /// A call that does nothing in the fastest tier that there is here, without the native function.
    pub floor: f64,
    /// The same of a call that is given a guest function.
    pub floor_back: f64,
    /// And of native code's call of that, which does nothing.
    pub floor_callback: f64,
    /// Which tier that is.
    pub floor_tier: Tier,
    /// Nanoseconds of a tick, as far as that could be measured in this time.
    pub tick: f64,
}

/// What recording calls costs that go one of the interpreter's ways, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe {
    /// From the host to a native function that does nothing, and back. (No cost of recording.)
    pub entry: f64,
    /// What a span of the clock shows in which nothing happens.
    pub read: f64,
    /// What timing a call costs; a part of it is in the span that counts as native code (`read`), another in the one
    /// that counts as marshalling (`within`).
    pub timed: f64,
    /// See `timed`.
    pub within: f64,
    /// As `read`, of calls of which only some are timed: what runs seldom is not where it would be found at once.
    pub rare_read: f64,
    /// As `within`, of those.
    pub rare_within: f64,
    /// What recording a call costs that is not timed.
    pub counted: f64,
    /// By how much the cost of a call was uncertain: half of the range in which the middle half of the rounds was.
    pub spread: f64,
}

/// Timing a call may take so many nanoseconds,
const MOST: f64 = 30.0;
/// or one part in so many of the time: three per cent.
const PART: u64 = 33;

/// Rounds, and calls in each.
const ROUNDS: usize = 15;
const CALLS: u32 = 2000;
/// One call in so many is timed where only some are: of calls that take little, and of those that call back. Timing a
/// call takes a tenth of a microsecond, and three per cent of the time: there are some microseconds between two.
const RARE: u32 = 256;
/// See there.
const RARE_BACK: u32 = 16;
/// So many of either are timed in a round.
const SAMPLES: u32 = 128;
/// The second loop of callbacks has so many more in each call.
const MORE: u32 = 8;
/// Calls in a round of those.
const FEW: u32 = CALLS / MORE;

extern "C" fn nothing() {}

extern "C" fn back(call: extern "C" fn()) {
    call();
}

extern "C" fn back_often(call: extern "C" fn()) {
    (0..=MORE).for_each(|_| call());
}

const NOTHING: &str = "probe.nothing";
const BACK: &str = "probe.back";
const BACK_OFTEN: &str = "probe.back_often";

const LIBRARY: &str = "libportcullis-probe.so";
const INTERFACE: &str = "#pragma portcullis library \"libportcullis-probe.so\" module \"probe\"\n\
    void nothing(void) __leaf;\n\
    void back(void (*call)(void));\n\
    void back_often(void (*call)(void));\n";

const GUEST: &str = r#"(module
    (import "probe" "nothing" (func $nothing))
    (import "probe" "back" (func $back (param i32)))
    (import "probe" "back_often" (func $back_often (param i32)))
    (import "host" "nothing" (func $host))
    (table (export "__indirect_function_table") 2 funcref)
    (elem (i32.const 1) $self)
    (func $self)
    (func (export "calls") (param $n i32)
        (loop $more (call $nothing)
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "backs") (param $n i32)
        (loop $more (call $back (i32.const 1))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "often") (param $n i32)
        (loop $more (call $back_often (i32.const 1))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "hosts") (param $n i32)
        (loop $more (call $host)
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "empty") (param $n i32)
        (loop $more
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// What the guest's store holds.
#[derive(Default)]
struct State {
    natives: Natives,
    // Data without a size has no address of its own.
    _size: u8,
}

/// The guest, with a bridge of its own.
struct Way {
    store: Store<State>,
    instance: Instance,
}

impl Way {
    fn new(bridge: &Bridge, module: &Module) -> wasmtime::Result<Way> {
        let mut store = Store::new(bridge.engine(), State::default());
        let mut linker = Linker::new(bridge.engine());
        let ty = FuncType::new(bridge.engine(), [], []);
        // SAFETY: the function takes and returns nothing.
        let host = unsafe { Func::new_unchecked(&mut store, ty, |_, _| Ok(())) };
        linker.define(&mut store, "host", "nothing", host)?;
        let instance =
            bridge.instantiate(&mut store, &linker, module, |state| &mut state.natives)?;
        Ok(Way { store, instance })
    }

    /// How long a round of that loop takes, a call.
    fn round(&mut self, name: &str, clock: Clock) -> wasmtime::Result<f64> {
        self.so_many(name, clock, CALLS)
    }

    fn so_many(&mut self, name: &str, clock: Clock, calls: u32) -> wasmtime::Result<f64> {
        let function = self.instance.get_typed_func::<u32, ()>(&mut self.store, name)?;
        let start = clock.now();
        function.call(&mut self.store, calls)?;
        Ok(clock.now().saturating_sub(start) as f64 / f64::from(calls))
    }

    /// Calls that call back once, and often.
    fn backs(&mut self, clock: Clock, rounds: &mut Backs) -> wasmtime::Result<()> {
        let (once, often) =
            (self.so_many("backs", clock, FEW)?, self.so_many("often", clock, FEW)?);
        let each = (often - once) / f64::from(MORE);
        rounds.each.0.push(each);
        rounds.call.0.push(once - each);
        Ok(())
    }
}

/// Calls that call back: the call without the callback, and a callback.
#[derive(Default)]
struct Backs {
    call: Rounds,
    each: Rounds,
}

/// What a call took in each round.
#[derive(Default)]
struct Rounds(Vec<f64>);

impl Rounds {
    fn sorted(&self) -> Vec<f64> {
        // In the first round nothing is warm.
        let mut sorted: Vec<f64> = self.0.iter().skip(1).copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    /// Half of the range of the middle half.
    fn spread(&self) -> f64 {
        let sorted = self.sorted();
        let at = |part: usize| sorted.get(sorted.len() * part / 4).copied().unwrap_or(0.0);
        (at(3) - at(1)) / 2.0
    }
}

/// What a recording has of a function.
#[derive(Clone, Copy, Default)]
struct So {
    weight: u64,
    native: u64,
    marshalling: u64,
    callback: u64,
}

impl So {
    fn far(recording: &Recording, name: &str) -> So {
        let accounts = recording.recorded().accounts;
        let account = accounts.iter().find(|account| account.name == name);
        account.map_or(So::default(), |one| So {
            weight: one.weight.get(),
            native: one.native.get(),
            marshalling: one.marshalling.get(),
            callback: one.callback.get(),
        })
    }
}

/// The spans of a function's calls, a call, in each round.
struct Spans<'r> {
    recording: &'r Recording,
    name: &'static str,
    then: So,
    native: Rounds,
    marshalling: Rounds,
    callback: Rounds,
}

impl<'r> Spans<'r> {
    fn of(recording: &'r Recording, name: &'static str) -> Spans<'r> {
        let [native, marshalling, callback]: [Rounds; 3] = Default::default();
        Spans { recording, name, then: So::default(), native, marshalling, callback }
    }

    /// A round has ended.
    fn round(&mut self) {
        let now = So::far(self.recording, self.name);
        let weight = (now.weight - self.then.weight).max(1) as f64;
        let mean = |rounds: &mut Rounds, now: u64, then: u64| {
            rounds.0.push((now - then) as f64 / weight);
        };
        mean(&mut self.native, now.native, self.then.native);
        mean(&mut self.marshalling, now.marshalling, self.then.marshalling);
        mean(&mut self.callback, now.callback, self.then.callback);
        self.then = now;
    }
}

/// What the loops with and without recording took, of one way; the empty loop is in none of these.
struct Ways<'s> {
    plain: &'s Rounds,
    timed: &'s Rounds,
    counted: &'s Rounds,
    /// Spans of calls that were all timed, and of those of which few were.
    spans: &'s Spans<'s>,
    rare: &'s Spans<'s>,
}

impl Ways<'_> {
    /// What recording costs. `outside`: what of a call is in no span, `back`: what of native spans is the one callback's.
    fn probe(&self, read: f64, empty: f64, outside: f64, back: f64) -> Probe {
        let plain = self.plain.median();
        let entry = least(self.spans.native.median() - read - back);
        let marshalling = least(plain - empty - outside - entry);
        let within = least(self.spans.marshalling.median() - marshalling);
        Probe {
            entry,
            read,
            within,
            rare_read: (self.rare.native.median() - entry - back).max(read),
            rare_within: (self.rare.marshalling.median() - marshalling).max(within),
            // What is in the spans is a part of the whole.
            timed: (self.timed.median() - plain).max(within + read),
            counted: least(self.counted.median() - plain),
            spread: self.timed.spread().max(self.plain.spread()),
        }
    }
}

fn least(value: f64) -> f64 {
    value.max(0.0)
}

impl Calibration {
    /// Measures it; takes some hundredths of a second. What is left to gain is found out for a guest whose calls may be
    /// made by `most`, or by a slower tier.
    ///
    /// # Errors
    /// When there is no bridge on this machine.
    pub fn measure(most: Tier) -> wasmtime::Result<Calibration> {
        // What this guest of ours is allowed or not is nobody's business.
        tracing::subscriber::with_default(NoSubscriber::new(), || Calibration::measure_now(most))
    }

    fn measure_now(most: Tier) -> wasmtime::Result<Calibration> {
        let clock = Clock::best();
        let began = clock.moment();
        let engine = Engine::default();
        let module = Module::new(&engine, GUEST)?;
        let every = |every| Recording::new(clock, Sampling::Every(every));
        let (timing, counting) = (every(1), every(u64::MAX / 4));
        let (rarely, rarely_back) = (every(RARE.into()), every(RARE_BACK.into()));
        let bridge = |tier, recording: Option<&Recording>| bridge(&engine, tier, recording);
        let fastest = bridge(most, None)?;
        let floor_tier = tier_of(&fastest, &module);
        let mut plain = Way::new(&bridge(Tier::Interpreter, None)?, &module)?;
        let mut timed = Way::new(&bridge(Tier::Interpreter, Some(&timing))?, &module)?;
        let mut rare = Way::new(&bridge(Tier::Interpreter, Some(&rarely))?, &module)?;
        let mut rare_back = Way::new(&bridge(Tier::Interpreter, Some(&rarely_back))?, &module)?;
        let mut counted = Way::new(&bridge(Tier::Interpreter, Some(&counting))?, &module)?;
        let mut fast = Way::new(&fastest, &module)?;
        let [mut reads, mut empty, mut host]: [Rounds; 3] = Default::default();
        let [mut plain_calls, mut timed_calls, mut counted_calls, mut fast_calls]: [Rounds; 4] =
            Default::default();
        let [mut plain_backs, mut timed_backs, mut counted_backs, mut fast_backs]: [Backs; 4] =
            Default::default();
        let mut spans = Spans::of(&timing, NOTHING);
        let (mut once, mut often) = (Spans::of(&timing, BACK), Spans::of(&timing, BACK_OFTEN));
        let (mut rare_spans, mut rare_once) =
            (Spans::of(&rarely, NOTHING), Spans::of(&rarely_back, BACK));
        for _ in 0..=ROUNDS {
            reads.0.push(read(clock));
            empty.0.push(plain.round("empty", clock)?);
            host.0.push(plain.round("hosts", clock)?);
            plain_calls.0.push(plain.round("calls", clock)?);
            plain.backs(clock, &mut plain_backs)?;
            timed_calls.0.push(timed.round("calls", clock)?);
            timed.backs(clock, &mut timed_backs)?;
            rare.so_many("calls", clock, SAMPLES * RARE)?;
            rare_back.so_many("backs", clock, SAMPLES * RARE_BACK)?;
            [&mut spans, &mut once, &mut often].into_iter().for_each(Spans::round);
            [&mut rare_spans, &mut rare_once].into_iter().for_each(Spans::round);
            counted_calls.0.push(counted.round("calls", clock)?);
            counted.backs(clock, &mut counted_backs)?;
            fast_calls.0.push(fast.round("calls", clock)?);
            fast.backs(clock, &mut fast_backs)?;
        }
        let (read, empty) = (reads.median(), empty.median());
        let transition = least(host.median() - empty);
        let short = Ways {
            plain: &plain_calls,
            timed: &timed_calls,
            counted: &counted_calls,
            spans: &spans,
            rare: &rare_spans,
        };
        let usual = Ways {
            plain: &plain_backs.call,
            timed: &timed_backs.call,
            counted: &counted_backs.call,
            spans: &once,
            rare: &rare_once,
        };
        let each = plain_backs.each.median();
        let callback = least(once.callback.median() - read);
        // What one more callback leaves in the span of native code: the way there, and what timing it costs.
        let back = least(often.native.median() - once.native.median()) / f64::from(MORE);
        Ok(Calibration {
            clock,
            transition,
            callback,
            into: least(each - callback),
            short: short.probe(read, empty, transition, 0.0),
            usual: usual.probe(read, empty, transition, back),
            guest: (timed_backs.each.median() - each).max(read),
            guest_counted: least(counted_backs.each.median() - each),
            guest_spread: timed_backs.each.spread().max(plain_backs.each.spread()),
            floor: least(fast_calls.median() - empty),
            floor_back: least(fast_backs.call.median() - empty),
            floor_callback: least(fast_backs.each.median()),
            floor_tier,
            tick: began.nanoseconds_per_tick(clock.moment()),
        })
    }

    /// What recording calls costs that go that way.
    pub(super) fn probe(&self, usual: bool) -> &Probe {
        if usual { &self.usual } else { &self.short }
    }

    /// Which calls are to be timed, so that it takes at most 30 ns a call or 3 % of the time.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    pub fn sampling(&self) -> Sampling {
        let timed = self.short.timed.max(self.usual.timed);
        if timed.max(self.guest) * self.tick <= MOST {
            return Sampling::Every(1);
        }
        Sampling::Within { cost: timed as u64, guest: self.guest as u64, part: PART }
    }

    /// Nothing costs anything: with a planted clock, for tests.
    #[must_use]
    pub fn none(clock: Clock) -> Calibration {
        Calibration {
            clock,
            transition: 0.0,
            callback: 0.0,
            into: 0.0,
            short: Probe::default(),
            usual: Probe::default(),
            guest: 0.0,
            guest_counted: 0.0,
            guest_spread: 0.0,
            floor: 0.0,
            floor_back: 0.0,
            floor_callback: 0.0,
            floor_tier: Tier::Interpreter,
            tick: 1.0,
        }
    }
}

/// What a span shows in which nothing happens, on average.
fn read(clock: Clock) -> f64 {
    let mut sum = 0;
    for _ in 0..CALLS {
        let start = clock.now();
        sum += clock.now().saturating_sub(start);
    }
    sum as f64 / f64::from(CALLS)
}

fn bridge(
    engine: &Engine,
    tier: Tier,
    recording: Option<&Recording>,
) -> Result<Bridge, BuildError> {
    let mut builder = Bridge::builder(engine).max_tier(tier);
    if let Some(recording) = recording {
        builder = builder.record(recording);
    }
    // SAFETY: the functions are as the interface says, and there as long as the program runs.
    unsafe {
        builder
            .grant_interface("probe.h", INTERFACE)?
            .symbol(LIBRARY, "nothing", nothing as *const c_void)
            .symbol(LIBRARY, "back", back as *const c_void)
            .symbol(LIBRARY, "back_often", back_often as *const c_void)
            .build()
    }
}

/// The tier that runs the function which does nothing.
fn tier_of(bridge: &Bridge, module: &Module) -> Tier {
    let reports = bridge.describe(module);
    let tiers = reports.iter().filter_map(|report| match &report.status {
        ImportStatus::Native(functions) => functions.first().map(|function| function.tier),
        _ => None,
    });
    tiers.max().unwrap_or(Tier::Interpreter)
}
