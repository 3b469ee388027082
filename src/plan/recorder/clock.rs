//! The clock that calls are timed with.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "reads the processor's own counter")
)]
use std::time::Instant;

/// Where times come from. Its unit is the *tick*; [`Moment`]s tell how long that is.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The processor's time-stamp counter, where it runs at one rate whatever the processor does.
    Counter,
    /// The operating system's monotonic clock; a tick is a nanosecond.
    System,
    /// For tests: whatever this says; a tick is a nanosecond.
    Planted(fn() -> u64),
    /// The same of a machine on which threads wait for a core.
    PlantedBusy {
        /// The time.
        now: fn() -> u64,
        /// How long this thread has waited.
        waited: fn() -> u64,
    },
}

/// One moment, by this clock and by the system's.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By this clock.
    pub ticks: u64,
    /// By the system's.
    system: Option<Instant>,
}

impl Clock {
    /// The cheapest clock of this machine that can be trusted.
    #[must_use]
    pub fn best() -> Clock {
        if counter_is_steady() { Clock::Counter } else { Clock::System }
    }

    /// The time. Reading the counter does not wait for what stands before it: single spans may be some nanoseconds
    /// off either way, sums of many are not.
    #[inline]
    #[must_use]
    pub fn now(self) -> u64 {
        match self {
            Clock::Counter => counter(),
            Clock::System => system(),
            Clock::Planted(now) | Clock::PlantedBusy { now, .. } => now(),
        }
    }

    /// How long this thread was ready to run and had no core, in nanoseconds, since it began; `None` where nobody knows.
    #[must_use]
    pub fn waited(self) -> Option<u64> {
        match self {
            Clock::Counter | Clock::System => schedule(),
            Clock::Planted(_) => None,
            Clock::PlantedBusy { waited, .. } => Some(waited()),
        }
    }

    /// The time by both clocks.
    #[must_use]
    pub fn moment(self) -> Moment {
        let system = matches!(self, Clock::Counter).then(Instant::now);
        Moment { ticks: self.now(), system }
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Clock::Counter => "the time-stamp counter (rdtsc, which is invariant here)",
            Clock::System => "clock_gettime (there is no invariant time-stamp counter)",
            Clock::Planted(_) | Clock::PlantedBusy { .. } => "a planted clock",
        }
    }
}

impl Moment {
    /// How many nanoseconds a tick has, measured between this moment and a later one.
    #[must_use]
    pub fn nanoseconds_per_tick(self, later: Moment) -> f64 {
        let (Some(from), Some(to)) = (self.system, later.system) else { return 1.0 };
        let ticks = later.ticks.saturating_sub(self.ticks);
        if ticks == 0 {
            return 1.0;
        }
        to.duration_since(from).as_secs_f64() * 1e9 / ticks as f64
    }
}

/// Nanoseconds since the first time that anybody asked.
fn system() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed().as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// The second number of `/proc/thread-self/schedstat`: "time spent waiting on a runqueue".
#[cfg(target_os = "linux")]
fn schedule() -> Option<u64> {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    // The file that was opened is that of the thread which has opened it.
    thread_local! {
        static FILE: Option<File> = File::open("/proc/thread-self/schedstat").ok();
    }
    let mut bytes = [0; 80];
    // Nobody asks while a thread ends.
    let len = FILE.try_with(|file| file.as_ref()?.read_at(&mut bytes, 0).ok()).ok()??;
    let text = std::str::from_utf8(bytes.get(..len)?).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn schedule() -> Option<u64> {
    None
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // Reading the counter does not wait for what stands before it: that a native function has ended by then is what
    // the fence is for. (Its cost is a part of what calls cost that do nothing, which is found out and taken off.)
    // SAFETY: every x86-64 processor has both instructions, which change nothing.
    unsafe {
        std::arch::x86_64::_mm_lfence();
        std::arch::x86_64::_rdtsc()
    }
}

/// Whether the counter is invariant: its rate depends neither on the frequency nor on what the core rests in.
#[cfg(target_arch = "x86_64")]
fn counter_is_steady() -> bool {
    use std::arch::x86_64::__cpuid;
    const LEAF: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & 1 << 8 != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    system()
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_is_steady() -> bool {
    false
}
