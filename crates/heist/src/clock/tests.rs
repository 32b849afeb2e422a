//! Of the counter: what becomes of it where it is not as it should be.

use super::tsc::{Ticks, Watched, best_of};
use std::time::Duration;

#[test]
fn a_counter_that_goes_back_ends_a_wait() {
    let moment = Ticks(1_000_000);
    assert!(!moment.is_away_from(moment, 100));
    assert!(!Ticks(1_000_099).is_away_from(moment, 100));
    assert!(Ticks(1_000_100).is_away_from(moment, 100));
    // As after a sleep of the machine, or on a processor whose counter is a little behind.
    assert!(Ticks(5).is_away_from(moment, 100));
    assert!(Ticks(999_999).is_away_from(moment, 100));
}

#[test]
fn a_counter_that_goes_back_far_ends_a_wait_from_a_later_reading() {
    let moment = Ticks(1_000_000);
    for near in [999_901, 1_000_000, 1_000_099] {
        assert!(!Ticks(near).is_far_from(moment, 100), "{near}");
    }
    for far in [5, 999_900, 1_000_100] {
        assert!(Ticks(far).is_far_from(moment, 100), "{far}");
    }
}

#[test]
fn the_rate_is_not_taken_from_where_the_thread_was_off_its_processor() {
    let watched = |ticks, doubt| Watched {
        elapsed: Duration::from_micros(100),
        ticks,
        doubt,
    };
    let (off, little, good, still) = (
        watched(240_000, 24_000_000),
        watched(240_000, 2_400),
        watched(240_000, 120),
        watched(0, 0),
    );
    assert_eq!(best_of([off, good, little].into_iter()), Some(good));
    assert_eq!(best_of([good, off].into_iter()), Some(good));
    assert_eq!(best_of([off, little, off].into_iter()), Some(little));
    assert_eq!(best_of([still, off].into_iter()), Some(off));
    assert_eq!(best_of([still, still].into_iter()), None);
}
