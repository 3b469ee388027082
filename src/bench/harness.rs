//! Takes samples: every contender in every round, in an order that changes.
//!
//! A sample is the time of so many calls less the time of as many turns of the contender's own empty
//! loop, right after it. What disturbs the machine for a moment disturbs one round, and comparisons
//! are made within rounds (see [`statistics`](super::statistics)).
use std::time::Instant;

/// Makes so many calls, or as many turns of the loop around them.
pub type Loop = Box<dyn FnMut(u32)>;

/// A way to call the function of one row.
pub struct Contender {
    /// What tables call it.
    pub name: &'static str,
    /// Makes so many calls.
    pub run: Loop,
    /// The same loop without them.
    pub empty: Loop,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Nanoseconds a call, by contender and round.
pub type Samples = Vec<Vec<f64>>;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// In each of them every contender runs once.
    pub rounds: usize,
    /// How long one sample should take at least, in nanoseconds.
    pub sample: f64,
}

/// Measures contenders of one row, or of several rows together: all of them in each round.
pub fn measure(contenders: &mut [&mut Contender], effort: Effort) -> Samples {
    measure_with(contenders, effort, || ())
}

/// The same, telling after each round that it is over.
pub fn measure_with(
    contenders: &mut [&mut Contender],
    effort: Effort,
    mut told: impl FnMut(),
) -> Samples {
    let turns: Vec<u32> =
        contenders.iter_mut().map(|contender| calibrate(contender, effort.sample)).collect();
    let mut samples = vec![Vec::with_capacity(effort.rounds); contenders.len()];
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut shuffled = 1u64;
    for _ in 0..effort.rounds {
        for last in (1..order.len()).rev() {
            // A small generator: any order will do, as long as it changes.
            shuffled = shuffled.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            order.swap(last, (shuffled >> 33) as usize % (last + 1));
        }
        for &at in &order {
            let Contender { run, empty, .. } = &mut *contenders[at];
            let (run, empty) = (time(run, turns[at]), time(empty, turns[at]));
            samples[at].push((run - empty) / f64::from(turns[at]));
        }
        told();
    }
    samples
}

/// How many calls make a sample long enough. Warms everything up, too.
fn calibrate(contender: &mut Contender, sample: f64) -> u32 {
    let mut turns = 1;
    while turns < 1 << 24 && time(&mut contender.run, turns) < sample {
        turns *= 2;
    }
    time(&mut contender.empty, turns);
    turns
}

/// Nanoseconds that so many turns take.
fn time(run: &mut dyn FnMut(u32), turns: u32) -> f64 {
    let start = Instant::now();
    run(turns);
    start.elapsed().as_secs_f64() * 1e9
}
