//! What is taken off a wait, and what a wait does with it.

use crate::clock::{Clock, Nanos};
use crate::driver::lead::{LEAST, Lead, MOST, Until};
use std::sync::mpsc;
use std::time::Duration;

/// After many waits that were late by these in turn.
fn lead_after(late: &[Nanos]) -> Nanos {
    let lead = Lead::new();
    assert_eq!(lead.of(Nanos::MAX), 0, "nothing is known");
    let many = late.iter().cycle().take(2_000);
    many.for_each(|&late| lead.note(late));
    lead.of(Nanos::MAX)
}

#[test]
fn it_is_what_waits_are_late_by() {
    assert!((19_900..=20_000).contains(&lead_after(&[20_000])));
}

#[test]
fn it_is_near_the_least_of_them() {
    let lead = lead_after(&[20_000, 30_000, 40_000, 25_000]);
    assert!((20_000..23_500).contains(&lead), "{lead}");
}

#[test]
fn it_begins_with_half_of_the_first_one_and_falls_faster_than_it_rises() {
    let lead = Lead::new();
    lead.note(20_000);
    assert_eq!(lead.of(Nanos::MAX), 10_000);
    lead.note(42_000);
    assert_eq!(lead.of(Nanos::MAX), 11_000);
    lead.note(1_000);
    assert_eq!(lead.of(Nanos::MAX), 6_000);
}

#[test]
fn it_has_an_end() {
    assert!((MOST - 100..=MOST).contains(&lead_after(&[Nanos::MAX])));
}

#[test]
fn it_is_at_most_half_of_a_wait() {
    let lead = Lead::new();
    lead.note(40_000);
    assert_eq!(lead.of(10_000), 5_000);
    assert_eq!(lead.of(0), 0);
}

/// A clock, and a lead of 20 µs.
fn begin() -> (Clock, Lead) {
    let lead = Lead::new();
    lead.note(40_000);
    (Clock::simulated(), lead)
}

/// Sleeps so long; it wakes when it has asked to be woken, and so much later. What it has asked for.
fn sleep(clock: &Clock, lead: &Lead, wait: Nanos, is_thick: bool, late: Nanos) -> Nanos {
    let now = clock.nanos();
    let moment = now + wait;
    let mut asked = None;
    lead.sleep(clock, Until { moment, is_thick }, |timeout| {
        asked = timeout;
        clock.jump_to(now + timeout.unwrap().as_nanos() as Nanos + late);
        false
    });
    asked.unwrap().as_nanos() as Nanos
}

#[test]
fn a_wait_is_asked_for_without_what_it_is_late_by() {
    let (clock, lead) = begin();
    assert_eq!(sleep(&clock, &lead, 1_000_000, false, 20_000), 980_000);
    assert_eq!(sleep(&clock, &lead, 1_000_000, true, 20_000), 1_000_000);
    assert_eq!(sleep(&clock, &lead, 30_000, false, 20_000), 15_000);
    assert_eq!(lead.of(Nanos::MAX), 20_000, "as late as before");
    assert_eq!(sleep(&clock, &lead, 1_000_000, false, 36_000), 980_000);
    assert_eq!(lead.of(Nanos::MAX), 20_500);
}

#[test]
fn what_is_due_says_nothing() {
    let (clock, lead) = begin();
    assert_eq!(sleep(&clock, &lead, 0, false, 1_000), 0);
    assert_eq!(sleep(&clock, &lead, 2 * LEAST - 2, false, LEAST), LEAST - 1);
    assert_eq!(lead.of(Nanos::MAX), 20_000);
}

/// Neither is noted, and neither waits for the rest: the clock stands still.
#[test]
fn what_ends_a_wait_before_its_time_says_nothing() {
    let (clock, lead) = begin();
    let until = Until {
        moment: 1_000_000,
        is_thick: false,
    };
    lead.sleep(&clock, until, |_| {
        clock.jump_to(980_000);
        true
    });
    let (clock, _) = begin();
    lead.sleep(&clock, until, |_| {
        clock.jump_to(979_999);
        false
    });
    assert_eq!(lead.of(Nanos::MAX), 20_000);
}

#[test]
fn who_wakes_too_early_waits_for_the_rest() {
    let (clock, lead) = begin();
    let (tell, told) = mpsc::channel::<()>();
    let until = Until {
        moment: 1_000_000,
        is_thick: false,
    };
    std::thread::scope(|scope| {
        let clock = &clock;
        scope.spawn(move || {
            told.recv().unwrap();
            (0..1_000).for_each(|_| std::thread::yield_now());
            clock.jump_to(until.moment);
        });
        lead.sleep(clock, until, |timeout| {
            assert_eq!(timeout, Some(Duration::from_micros(980)));
            clock.jump_to(985_000);
            tell.send(()).unwrap();
            false
        });
        assert_eq!(clock.nanos(), until.moment);
    });
    assert_eq!(lead.of(Nanos::MAX), 12_500);
}
