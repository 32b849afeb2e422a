//! When the monitor looks for the thread in the driver, and when it has it moved.

use super::processor::CAN_MOVE;
use super::{APART, INTERVAL, LATE, Late, MOVE_INTERVAL, after, apart};
use crate::clock::tsc::{Scale, Ticks};
use crate::scheduler::tests::support::{Events, Threads, shared_on};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const TICK: Duration = Duration::from_nanos(1);

#[test]
fn it_wakes_well_before_the_driver_or_well_after_it() {
    let wait = 4 * APART;
    for (driver, slept) in [
        (None, wait),
        (Some(Duration::MAX), wait),
        (Some(wait + APART), wait),
        (Some(wait + APART - TICK), wait + 2 * APART - TICK),
        (Some(wait), wait + APART),
        (Some(wait - APART + TICK), wait + TICK),
        (Some(wait - APART), wait),
        (Some(Duration::ZERO), wait),
    ] {
        assert_eq!(apart(wait, driver), slept, "{driver:?}");
    }
}

#[test]
fn where_everybody_computes_it_wakes_soon_after_the_driver() {
    for driver in [0, 100, 2_850, 2_851, 4_000].map(Duration::from_micros) {
        let wait = after(driver);
        let slept = apart(wait, Some(driver));
        assert!(slept >= INTERVAL);
        assert!(slept >= driver + LATE, "{driver:?}: it is not late yet");
        assert!(slept <= wait + 2 * APART, "{driver:?}: after {slept:?}");
    }
}

#[test]
fn a_late_one_is_moved_while_everybody_computes_and_not_too_often() {
    let driver = Arc::new(Events::default());
    // No thread plays a worker: nobody is moved in earnest.
    let (shared, _epoch) = shared_on(Arc::new(Threads), 1, true, &driver);
    let scale = Scale::get();
    let mut late = Late::new(scale);
    let interval = scale.ticks_in(MOVE_INTERVAL);
    let start = scale.ticks().0;
    let mut holds = |after: u64| {
        late.look(&shared, Ticks(start + after));
        driver.holds.load(SeqCst)
    };
    let moves = usize::from(CAN_MOVE);
    driver.is_exact.store(true, SeqCst);
    assert_eq!(holds(0), 0, "somebody may do something else");
    shared.home.begin_heavy();
    driver.is_exact.store(false, SeqCst);
    assert_eq!(holds(0), 0, "it may be late for another reason");
    driver.is_exact.store(true, SeqCst);
    assert_eq!(holds(0), moves);
    assert_eq!(holds(interval - 1), moves, "too soon");
    assert_eq!(holds(interval), 2 * moves);
    shared.home.end_heavy();
    shared.shut_down();
}
