//! What is taken off a wait.

use crate::driver::lead::{Lead, MOST};

/// After many waits that were late by these in turn.
fn lead_after(late: &[u64]) -> u64 {
    let lead = Lead::new();
    assert_eq!(lead.of(u64::MAX), 0, "nothing is known");
    late.iter()
        .cycle()
        .take(2_000)
        .for_each(|&late| lead.note(late));
    lead.of(u64::MAX)
}

#[test]
fn it_is_what_waits_are_late_by() {
    assert!((19_900..=20_000).contains(&lead_after(&[20_000])));
    assert_eq!(lead_after(&[0]), 0);
}

#[test]
fn it_is_near_the_least_of_them() {
    let lead = lead_after(&[20_000, 30_000, 40_000, 25_000]);
    assert!((19_000..28_000).contains(&lead), "{lead}");
}

#[test]
fn it_has_an_end() {
    assert!((MOST - 100..=MOST).contains(&lead_after(&[u64::MAX])));
}

#[test]
fn it_is_at_most_half_of_a_wait() {
    let lead = Lead::new();
    (0..2_000).for_each(|_| lead.note(30_000));
    assert_eq!(lead.of(10_000), 5_000);
    assert_eq!(lead.of(0), 0);
}
