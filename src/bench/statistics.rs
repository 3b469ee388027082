//! Medians, their intervals, and what they say about an aim.
//!
//! Times of a shared machine are skewed and have outliers, so everything rests on ranks: medians,
//! and intervals whose ends are order statistics. Ratios and differences are formed within a
//! round, where both sides met the same machine, and only then summed up. How samples are taken is
//! in [`harness`](super::harness).
use std::fmt;

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// The median itself.
    pub median: f64,
    /// Its upper end.
    pub high: f64,
}

/// Whether an aim is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// The interval straddles the aim.
    Undecided,
    /// It is not.
    Missed,
}

/// A difference of this share of the time says nothing of two contenders. Intervals tell how rounds differ, not what is the
/// same in all rounds of one process: where the data lie in memory and caches, how the loops are aligned.
pub const SYSTEMATIC: f64 = 0.02;

/// What an interval of ratios says about two contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The first one takes less time.
    Faster,
    /// No difference was found: the interval holds 1.
    Equal,
    /// The first one takes more time.
    Slower,
}

impl Interval {
    /// The median of `values`, which are not empty, and where it lies with 95 % confidence.
    ///
    /// The ends are the order statistics of ranks k and n + 1 - k, with the largest k for which a
    /// binomial variable (n, 1/2) is below k in at most 2.5 % of cases; with fewer than six values
    /// there is no such k, and the interval is the whole range.
    ///
    /// # Panics
    /// Without values.
    #[must_use]
    pub fn of(values: &[f64]) -> Interval {
        assert!(!values.is_empty(), "nothing was measured");
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let skip = outside(sorted.len());
        Interval {
            low: sorted[skip],
            median: median(&sorted),
            high: sorted[sorted.len() - 1 - skip],
        }
    }

    /// What it says of two contenders, if it is one of ratios of their times.
    #[must_use]
    pub fn difference(self) -> Difference {
        if self.high < 1.0 {
            Difference::Faster
        } else if self.low > 1.0 {
            Difference::Slower
        } else {
            Difference::Equal
        }
    }

    /// The same, of differences that are also larger than what may always differ between two loops: [`SYSTEMATIC`].
    #[must_use]
    pub fn clear(self) -> Difference {
        if self.high < 1.0 - SYSTEMATIC {
            Difference::Faster
        } else if self.low > 1.0 + SYSTEMATIC {
            Difference::Slower
        } else {
            Difference::Equal
        }
    }

    /// What it says about values that are to be at most `aim`.
    #[must_use]
    pub fn at_most(self, aim: f64) -> Verdict {
        if self.low <= aim && self.high > aim {
            Verdict::Undecided
        } else if self.median <= aim {
            Verdict::Met
        } else {
            Verdict::Missed
        }
    }
}

/// A time, from nanoseconds, in the unit that keeps it short: three digits that count, and the unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time(pub f64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where rounding makes it 1000, the next unit takes over.
        let (value, unit) = match self.0.abs() {
            ns if ns < 999.5 => (self.0, "ns"),
            ns if ns < 999.5e3 => (self.0 / 1e3, "µs"),
            ns if ns < 999.5e6 => (self.0 / 1e6, "ms"),
            _ => (self.0 / 1e9, "s"),
        };
        let text = format!("{} {unit}", digits(value));
        f.pad(&text)
    }
}

/// A number with three digits that count, but no more than two behind the point.
#[must_use]
pub fn digits(value: f64) -> String {
    let behind = match value.abs() {
        large if large >= 99.95 => 0,
        medium if medium >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.behind$}")
}

/// How many of `n` sorted values lie outside of the interval on each side.
fn outside(n: usize) -> usize {
    let half = 0.5f64.ln();
    // The logarithm of the probability of 0 successes, of 1, and so on.
    let mut log = count(n) * half;
    let (mut below, mut k) = (0.0, 0);
    while k < n / 2 {
        below += log.exp();
        if below > 0.025 {
            break;
        }
        log += (count(n - k) / count(k + 1)).ln();
        k += 1;
    }
    k.saturating_sub(1)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rounds, far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The median of values; the mean of the middle two of an even number.
///
/// # Panics
/// Without values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// How far the middle half of the values spreads, as a share of their median.
#[must_use]
pub fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    (sorted[sorted.len() - 1 - quarter] - sorted[quarter]) / median(values).abs()
}

/// What `one` and `other` of the same rounds make, pair by pair.
///
/// # Panics
/// When there are more of one side.
pub fn paired(one: &[f64], other: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    assert_eq!(one.len(), other.len(), "both sides run in every round");
    one.iter().zip(other).map(|(one, other)| f(*one, *other)).collect()
}

/// The slope of the line through the points that fits best (least squares).
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = count(points.len());
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let products = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>();
    products / points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>()
}
