//! The idle word, enumerated for up to four workers.

use crate::scheduler::idle::{Counts, Idle};

fn all() -> impl Iterator<Item = Counts> {
    (1..=4_usize).flat_map(|workers| {
        (0..=workers).flat_map(move |awake| {
            (0..=awake).map(move |searching| Counts::new(workers, awake, searching))
        })
    })
}

#[test]
fn counts_do_not_run_into_one_another() {
    for counts in all() {
        let (workers, awake, searching) = (counts.workers(), counts.awake(), counts.searching());
        assert_eq!(Counts::new(workers, awake, searching), counts);
        if awake < workers {
            assert_eq!(counts.woke(), Counts::new(workers, awake + 1, searching));
            assert_eq!(
                counts.woken(),
                Counts::new(workers, awake + 1, searching + 1)
            );
        }
        if awake > searching {
            let parked = counts.parked(false);
            assert_eq!(parked, (Counts::new(workers, awake - 1, searching), false));
        }
        if searching > 0 {
            let (parked, last) = counts.parked(true);
            assert_eq!(parked, Counts::new(workers, awake - 1, searching - 1));
            assert_eq!(last, searching == 1);
        }
    }
}

#[test]
fn a_wake_is_wanted_when_someone_sleeps_and_nobody_searches() {
    for counts in all() {
        // [S5]
        let wanted = counts.awake() < counts.workers() && counts.searching() == 0;
        assert_eq!(counts.wants_wake(), wanted, "{counts:?}");
        // For forked jobs, as many are on their way as there are jobs.
        let second = counts.awake() < counts.workers() && counts.searching() < 2;
        assert_eq!(counts.wants_wakes(2), second, "{counts:?}");
    }
}

/// [S3]: after a push to the own queue the word is only looked at.
#[test]
fn the_last_to_park_is_the_first_to_wake_and_the_poller_the_last() {
    let idle = Idle::new();
    idle.reset(3);
    assert_eq!(idle.after_local_push(1, || None), None, "all are awake");
    for worker in 0..3 {
        assert!(!idle.park(worker, false));
    }
    assert_eq!(idle.counts(), Counts::new(3, 0, 0));
    assert_eq!(idle.after_remote_push(|| Some(2)), Some(1));
    // [S5]: one at a time.
    assert_eq!(idle.after_remote_push(|| Some(2)), None);
    assert!(idle.unpark(1), "woken to search");
    assert!(idle.stop_searching(), "the last one");
    assert_eq!(idle.after_local_push(1, || Some(2)), Some(0));
    assert!(idle.unpark(0));
    assert!(idle.stop_searching());
    assert_eq!(
        idle.after_local_push(1, || Some(2)),
        Some(2),
        "there is no other"
    );
    assert!(idle.unpark(2));
    assert_eq!(idle.counts(), Counts::new(3, 3, 1));
}

#[test]
fn who_wakes_by_itself_does_not_search() {
    let idle = Idle::new();
    idle.reset(2);
    idle.park(0, false);
    assert!(!idle.unpark(0));
    assert_eq!(idle.counts(), Counts::new(2, 2, 0));
}

#[test]
fn at_most_half_search() {
    let idle = Idle::new();
    idle.reset(4);
    assert!(idle.start_searching());
    assert!(idle.start_searching());
    assert!(!idle.start_searching());
    assert!(!idle.stop_searching());
    assert!(idle.park(0, true), "the last one that searched");
}
