//! What a call costs that does nothing, with and without a recording: measured in this process, before the guest
//! runs, so that a profile can take its own cost off and say what is left to gain.
//!
//! A guest calls a function that returns at once, in loops. All ways take turns, and medians over the rounds count.
#![expect(unsafe_code, reason = "grants functions of its own")]
use crate::host::{Bridge, BuildError, ImportStatus, Natives, Recording, Tier};
use crate::plan::recorder::{Clock, Sampling};
use std::ffi::c_void;
use wasmtime::{Engine, Func, FuncType, Instance, Linker, Module, Store};

/// What things cost, in ticks of a clock.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The clock.
    pub clock: Clock,
    /// From the guest to a host function that does nothing, and back.
    pub transition: f64,
    /// From the host to a native function that does nothing, and back.
    pub entry: f64,
    /// From the host to a guest function that does nothing, and back.
    pub callback: f64,
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
    /// What timing guest code costs that a call runs.
    pub guest: f64,
    /// What it costs where it is only counted.
    pub guest_counted: f64,
    /// A call that does nothing in the fastest tier that there is here, without the native function.
    pub floor: f64,
    /// Which tier that is.
    pub floor_tier: Tier,
    /// By how much the cost of a call was uncertain: half of the range in which the middle half of the rounds was.
    pub spread: f64,
    /// Nanoseconds of a tick, as far as that could be measured in this time.
    pub tick: f64,
}

/// Timing a call may take so many nanoseconds,
const MOST: f64 = 30.0;
/// or one part in so many of the time: three per cent.
const PART: u64 = 33;

/// Rounds, and calls in each.
const ROUNDS: usize = 15;
const CALLS: u32 = 2000;
/// One call in so many is timed where only some are, and so many times more of them are made.
const RARE: u32 = 32;
/// The second loop of callbacks has so many more in each call.
const MORE: u32 = 8;

extern "C" fn nothing() {}

extern "C" fn back(call: extern "C" fn()) {
    call();
}

extern "C" fn back_often(call: extern "C" fn()) {
    (0..=MORE).for_each(|_| call());
}

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

    /// What one more callback takes in a call.
    fn callback(&mut self, clock: Clock) -> wasmtime::Result<f64> {
        const FEW: u32 = CALLS / MORE;
        let (once, often) =
            (self.so_many("backs", clock, FEW)?, self.so_many("often", clock, FEW)?);
        Ok((often - once) / f64::from(MORE))
    }
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

    /// The mean of something, of the calls since then.
    fn since(self, then: So, of: fn(So) -> u64) -> f64 {
        (of(self) - of(then)) as f64 / (self.weight - then.weight).max(1) as f64
    }
}

impl Calibration {
    /// Measures it; takes some hundredths of a second.
    ///
    /// # Errors
    /// When there is no bridge on this machine.
    pub fn measure() -> wasmtime::Result<Calibration> {
        const NOTHING: &str = "probe.nothing";
        const BACK: &str = "probe.back";
        let clock = Clock::best();
        let began = clock.moment();
        let engine = Engine::default();
        let module = Module::new(&engine, GUEST)?;
        let every = |every| Recording::new(clock, Sampling::Every(every));
        let (timing, rarely, counting) = (every(1), every(RARE.into()), every(u64::MAX / 4));
        let bridge = |tier, recording: Option<&Recording>| bridge(&engine, tier, recording);
        let fastest = bridge(Tier::Direct, None)?;
        let floor_tier = tier_of(&fastest, &module);
        let mut plain = Way::new(&bridge(Tier::Interpreter, None)?, &module)?;
        let mut timed = Way::new(&bridge(Tier::Interpreter, Some(&timing))?, &module)?;
        let mut rare = Way::new(&bridge(Tier::Interpreter, Some(&rarely))?, &module)?;
        let mut counted = Way::new(&bridge(Tier::Interpreter, Some(&counting))?, &module)?;
        let mut fast = Way::new(&fastest, &module)?;
        let [mut empty, mut host, mut plain_calls, mut plain_backs]: [Rounds; 4] =
            Default::default();
        let [mut timed_calls, mut timed_backs, mut counted_calls, mut fast_calls]: [Rounds; 4] =
            Default::default();
        let mut counted_backs = Rounds::default();
        let [mut reads, mut natives, mut marshallings, mut callbacks]: [Rounds; 4] =
            Default::default();
        let [mut rare_natives, mut rare_marshallings]: [Rounds; 2] = Default::default();
        for _ in 0..=ROUNDS {
            reads.0.push(read(clock));
            empty.0.push(plain.round("empty", clock)?);
            host.0.push(plain.round("hosts", clock)?);
            plain_calls.0.push(plain.round("calls", clock)?);
            plain_backs.0.push(plain.callback(clock)?);
            let before = So::far(&timing, NOTHING);
            timed_calls.0.push(timed.round("calls", clock)?);
            let now = So::far(&timing, NOTHING);
            natives.0.push(now.since(before, |so| so.native));
            marshallings.0.push(now.since(before, |so| so.marshalling));
            let before = So::far(&rarely, NOTHING);
            rare.so_many("calls", clock, CALLS * RARE / 4)?;
            let now = So::far(&rarely, NOTHING);
            rare_natives.0.push(now.since(before, |so| so.native));
            rare_marshallings.0.push(now.since(before, |so| so.marshalling));
            let before = So::far(&timing, BACK);
            timed_backs.0.push(timed.callback(clock)?);
            callbacks.0.push(So::far(&timing, BACK).since(before, |so| so.callback));
            counted_calls.0.push(counted.round("calls", clock)?);
            counted_backs.0.push(counted.callback(clock)?);
            fast_calls.0.push(fast.round("calls", clock)?);
        }
        let least = |value: f64| value.max(0.0);
        let read = reads.median();
        let (empty, host, plain) = (empty.median(), host.median(), plain_calls.median());
        let entry = least(natives.median() - read);
        let within = least(marshallings.median() - least(plain - host - entry));
        let rare_read = (rare_natives.median() - entry).max(read);
        let rare_within = (rare_marshallings.median() - least(plain - host - entry)).max(within);
        // What is in the spans is a part of the whole.
        let timed = (timed_calls.median() - plain).max(within + read);
        let guest = (timed_backs.median() - plain_backs.median()).max(read);
        Ok(Calibration {
            clock,
            transition: least(host - empty),
            entry,
            callback: least(callbacks.median() - read),
            read,
            timed,
            within,
            rare_read,
            rare_within,
            counted: least(counted_calls.median() - plain),
            guest,
            guest_counted: least(counted_backs.median() - plain_backs.median()),
            floor: least(fast_calls.median() - empty),
            floor_tier,
            spread: timed_calls.spread().max(plain_calls.spread()),
            tick: began.nanoseconds_per_tick(clock.moment()),
        })
    }

    /// Which calls are to be timed, so that it takes at most 30 ns a call or 3 % of the time.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    pub fn sampling(&self) -> Sampling {
        if self.timed.max(self.guest) * self.tick <= MOST {
            return Sampling::Every(1);
        }
        Sampling::Within { cost: self.timed as u64, guest: self.guest as u64, part: PART }
    }

    /// Nothing costs anything: with a planted clock, for tests.
    #[must_use]
    pub fn none(clock: Clock) -> Calibration {
        Calibration {
            clock,
            transition: 0.0,
            entry: 0.0,
            callback: 0.0,
            read: 0.0,
            timed: 0.0,
            within: 0.0,
            rare_read: 0.0,
            rare_within: 0.0,
            counted: 0.0,
            guest: 0.0,
            guest_counted: 0.0,
            floor: 0.0,
            floor_tier: Tier::Interpreter,
            spread: 0.0,
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
