//! The buckets of the histogram, and the counter's rate.

use super::*;

#[test]
fn every_value_is_in_its_bucket() {
    let mut values: Vec<u64> = (0..4096).collect();
    for shift in 0..64 {
        for offset in [-1_i64, 0, 1] {
            values.push((1_u64 << shift).wrapping_add_signed(offset));
        }
    }
    for value in values {
        let bucket = bucket_of(value);
        assert!(bucket < BUCKETS, "{value}");
        let end = bucket_end(bucket);
        assert!(value < end || end == u64::MAX, "{value} is beyond {end}");
        let start = if bucket == 0 { 0 } else { previous_end(bucket) };
        assert!(value >= start, "{value} is before {start}");
    }
}

/// The end of the last bucket before `bucket` that any value falls into.
fn previous_end(bucket: usize) -> u64 {
    (0..bucket)
        .rev()
        .map(|b| (b, bucket_end(b)))
        .find(|&(b, end)| end > 0 && bucket_of(end - 1) == b)
        .map_or(0, |(_, end)| end)
}

#[test]
fn quantiles_come_from_the_right_bucket() {
    let histogram = TickHistogram::new();
    for ticks in 1..=1000 {
        histogram.record(ticks);
    }
    let scale = Scale::get();
    let snapshot = histogram.snapshot(scale);
    assert_eq!(snapshot.count(), 1000);
    let median = snapshot.quantile(0.5);
    let exact = Duration::from_nanos(scale.nanos(500));
    assert!(median >= exact, "{median:?} < {exact:?}");
    assert!(median <= exact.mul_f64(1.26) + Duration::from_nanos(1));
    assert_eq!(snapshot.quantile(1.0), snapshot.buckets().last().unwrap().0);
    assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
}

#[test]
fn merging_adds() {
    let (a, b) = (TickHistogram::new(), TickHistogram::new());
    a.record(10);
    b.record(10);
    b.record(100_000);
    let scale = Scale::get();
    let mut merged = a.snapshot(scale);
    merged.merge(&b.snapshot(scale));
    assert_eq!(merged.count(), 3);
    assert_eq!(merged.buckets().len(), 2);
    assert!(merged.buckets().is_sorted());
}

#[test]
fn the_cycle_counter_agrees_with_the_clock() {
    let scale = Scale::get();
    let (ticks, time) = (scale.ticks(), crate::clock::real_now());
    let mut elapsed = Duration::ZERO;
    while elapsed < Duration::from_millis(5) {
        elapsed = crate::clock::real_now() - time;
    }
    let counted = Duration::from_nanos(scale.nanos(scale.ticks().since(ticks)));
    // A preemption between the two reads makes the count larger, never smaller.
    assert!(
        counted >= elapsed.mul_f64(0.95),
        "{counted:?} for {elapsed:?}"
    );
}

/// What a worker has given in between two looks is told from what it still has, also where it has as many again.
#[test]
fn a_change_of_what_is_not_given_in_shows() {
    let foreign = Foreign::default();
    (0..3).for_each(|_| foreign.one_more());
    let (n, times) = foreign.look();
    assert_eq!(n, 3);
    foreign.one_more();
    assert_eq!(foreign.look(), (4, times), "the three are still there");
    foreign.given_in();
    (0..3).for_each(|_| foreign.one_more());
    let (again, later) = foreign.look();
    assert_eq!(again, 3);
    assert_ne!(later, times);
}

#[test]
fn rests_are_counted_while_they_last_and_after() {
    let counters = WorkerCounters::new();
    let idle = |now| counters.idle_ticks(Ticks(now));
    assert_eq!(idle(100), 0);
    counters.parked(Ticks(100));
    assert_eq!((idle(100), idle(130)), (0, 30));
    counters.unparked(Ticks(150));
    assert_eq!((idle(150), idle(190)), (50, 50));
    counters.parked(Ticks(200));
    assert_eq!((idle(200), idle(207)), (50, 57));
    counters.unparked(Ticks(210));
    assert_eq!(idle(300), 60);
}
