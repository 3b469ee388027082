//! The statistics of the benchmarks, on data whose answer is known.

use crate::rng::Rng;
use portcullis::bench::statistics::{
    Difference, Interval, Time, Verdict, digits, median, paired, slope, spread,
};

/// A number in 0..1.
fn unit(rng: &mut Rng) -> f64 {
    f64::from(u32::try_from(rng.next() >> 32).expect("32 bits")) / f64::from(u32::MAX)
}

/// What a round of a loaded machine does to every time in it: drift, and now and then an outlier.
fn disturbance(rng: &mut Rng) -> f64 {
    let outlier = if rng.chance(1, 10) { 8.0 * unit(rng) } else { 0.0 };
    1.0 + unit(rng) + outlier
}

/// Times of two contenders whose true ratio is `ratio`, in rounds that are disturbed alike, with
/// noise of `noise` (as a share) of their own.
fn rounds(rng: &mut Rng, ratio: f64, noise: f64, rounds: usize) -> (Vec<f64>, Vec<f64>) {
    let mut sides = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = disturbance(rng);
        sides.0.push(3.0 * ratio * round * (1.0 + noise * (unit(rng) - 0.5)));
        sides.1.push(3.0 * round * (1.0 + noise * (unit(rng) - 0.5)));
    }
    sides
}

#[test]
fn a_planted_ratio_is_found_through_drift_and_outliers() {
    let mut rng = Rng::new(1);
    let (slow, fast) = rounds(&mut rng, 2.5, 0.2, 200);
    let ratio = Interval::of(&paired(&slow, &fast, |slow, fast| slow / fast));
    assert!((ratio.median - 2.5).abs() < 0.05, "{ratio:?}");
    assert!(ratio.high - ratio.low < 0.1, "{ratio:?}");
    assert_eq!(ratio.at_most(3.0), Verdict::Met);
    assert_eq!(ratio.at_most(2.0), Verdict::Missed);
    // Medians of both sides on their own know less: the rounds are not alike.
    assert!(spread(&slow) > 0.2);
}

#[test]
fn intervals_hold_the_truth_in_19_of_20_cases() {
    let mut rng = Rng::new(2);
    let runs = 1000;
    let held = (0..runs).filter(|_| {
        let (slow, fast) = rounds(&mut rng, 1.7, 0.5, 60);
        let ratio = Interval::of(&paired(&slow, &fast, |slow, fast| slow / fast));
        ratio.low <= 1.7 && 1.7 <= ratio.high
    });
    let held = held.count();
    assert!((940..=990).contains(&held), "{held} of {runs} intervals hold the true ratio");
}

#[test]
fn an_aim_inside_of_the_interval_is_undecided() {
    let mut rng = Rng::new(3);
    let (one, other) = rounds(&mut rng, 1.0, 0.5, 50);
    let ratio = Interval::of(&paired(&one, &other, |one, other| one / other));
    assert_eq!(ratio.at_most(ratio.median), Verdict::Undecided);
    assert_eq!(ratio.at_most(ratio.high), Verdict::Met);
    assert_eq!(ratio.at_most(ratio.low - 0.001), Verdict::Missed);
}

#[test]
fn the_ends_of_an_interval_are_the_tabulated_order_statistics() {
    // Ranks of the 95 % interval of a median, from tables of the sign test.
    for (n, rank) in [(6, 1), (10, 2), (20, 6), (25, 8), (50, 18), (100, 40)] {
        let values: Vec<f64> = (1..=n).map(f64::from).collect();
        let interval = Interval::of(&values);
        assert_eq!(
            (interval.low, interval.high),
            (f64::from(rank), f64::from(n + 1 - rank)),
            "{n}"
        );
    }
    let all = Interval::of(&[3.0, 1.0, 2.0]);
    assert_eq!(all, Interval { low: 1.0, median: 2.0, high: 3.0 });
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
}

#[test]
fn a_planted_slope_is_found() {
    let mut rng = Rng::new(4);
    let points: Vec<(f64, f64)> =
        (0..13).map(|x| (f64::from(x), 7.0 + 1.25 * f64::from(x) + unit(&mut rng) - 0.5)).collect();
    assert!((slope(&points) - 1.25).abs() < 0.1, "{}", slope(&points));
}

/// What a full run finds out: 201 rounds, each disturbed, with noise of its own.
fn difference(rng: &mut Rng, ratio: f64) -> Difference {
    let (one, other) = rounds(rng, ratio, 0.2, 201);
    Interval::of(&paired(&one, &other, |one, other| one / other)).difference()
}

#[test]
fn a_planted_difference_of_3_percent_is_found() {
    let mut rng = Rng::new(5);
    let runs = 200;
    let slower = (0..runs).filter(|_| difference(&mut rng, 1.03) == Difference::Slower).count();
    let faster = (0..runs).filter(|_| difference(&mut rng, 0.97) == Difference::Faster).count();
    assert!(slower >= 190, "{slower} of {runs}");
    assert!(faster >= 190, "{faster} of {runs}");
}

#[test]
fn equal_contenders_are_called_equal() {
    let mut rng = Rng::new(6);
    let runs = 400;
    let equal = (0..runs).filter(|_| difference(&mut rng, 1.0) == Difference::Equal).count();
    assert!((370..=396).contains(&equal), "{equal} of {runs}: 19 of 20 are expected");
}

#[test]
fn times_have_a_unit_and_three_digits() {
    for (ns, shown) in [
        (0.0, "0.00 ns"),
        (2.706, "2.71 ns"),
        (12.34, "12.3 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (23_187.0, "23.2 µs"),
        (4.2e6, "4.20 ms"),
        (61e9, "61.0 s"),
        (-0.31, "-0.31 ns"),
    ] {
        assert_eq!(Time(ns).to_string(), shown);
    }
    for (value, shown) in [(9.994, "9.99"), (9.996, "10.0"), (99.96, "100"), (1234.5, "1234")] {
        assert_eq!(digits(value), shown);
    }
}
