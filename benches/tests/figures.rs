//! That the figures are what they are called.

use heist_benches::cpu;
use heist_benches::sample::{Sample, Spread, quantile};
use std::time::Duration;

fn milliseconds(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
    values.into_iter().map(Duration::from_millis).collect()
}

#[test]
fn a_spread_is_median_minimum_and_maximum() {
    let spread = |values: &[f64]| {
        let spread = Spread::of(values.iter().copied()).unwrap();
        (spread.median, spread.min, spread.max)
    };
    assert_eq!(spread(&[3.0]), (3.0, 3.0, 3.0));
    assert_eq!(spread(&[9.0, 1.0, 2.0]), (2.0, 1.0, 9.0));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 100.0]), (3.0, 1.0, 100.0));
    assert!(Spread::of([]).is_none());
}

#[test]
fn a_quantile_is_one_of_the_values() {
    let hundred = milliseconds(1..=100);
    for (share, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)] {
        assert_eq!(
            quantile(&hundred, share),
            Duration::from_millis(expected),
            "{share}"
        );
    }
    assert_eq!(quantile(&milliseconds([7]), 0.5), Duration::from_millis(7));
    assert_eq!(quantile(&[], 0.5), Duration::ZERO);
}

#[test]
fn rates_and_costs_are_each_others_inverse() {
    let sample = Sample {
        operations: 2_000,
        elapsed: Duration::from_millis(4),
        cpu: Some(Duration::from_millis(6)),
    };
    assert_eq!(sample.nanoseconds_each(), 2_000.0);
    assert_eq!(sample.per_second(), 500_000.0);
    assert_eq!(sample.cores(), Some(1.5));
}

#[test]
fn burning_is_the_same_work_each_time() {
    let short = Duration::from_micros(20);
    assert_eq!(cpu::burn(short), cpu::burn(short));
    assert_ne!(
        cpu::burn(short),
        cpu::burn(2 * short),
        "twice as long is more work"
    );
}
