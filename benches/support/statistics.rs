//! Medians, their intervals, and what they say about an aim.
//!
//! Times of a shared machine are skewed and have outliers, so everything rests on ranks: medians,
//! and intervals whose ends are order statistics. Ratios and differences are formed within a
//! round, where both sides met the same machine, and only then summed up. How samples are taken is
//! in `harness`.

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// Whether an aim is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met,
    /// The interval straddles the aim.
    Undecided,
    Missed,
}

impl Interval {
    /// The median of `values`, which are not empty, and where it lies with 95 % confidence.
    ///
    /// The ends are the order statistics of ranks k and n + 1 - k, with the largest k for which a
    /// binomial variable (n, 1/2) is below k in at most 2.5 % of cases; with fewer than six values
    /// there is no such k, and the interval is the whole range.
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

    /// What it says about values that are to be at most `aim`.
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
pub fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    (sorted[sorted.len() - 1 - quarter] - sorted[quarter]) / median(values).abs()
}

/// What `one` and `other` of the same rounds make, pair by pair.
pub fn paired(one: &[f64], other: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    assert_eq!(one.len(), other.len(), "both sides run in every round");
    one.iter().zip(other).map(|(one, other)| f(*one, *other)).collect()
}

/// The slope of the line through the points that fits best (least squares).
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = count(points.len());
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let products = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>();
    products / points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>()
}
