//! When the monitor looks for the thread in the driver, and when it has it moved.

use super::{APART, INTERVAL, LATE, Late, MOVE_INTERVAL, after, apart};
use crate::clock::tsc::{Scale, Ticks};
use crate::report::PanicHook;
use crate::scheduler::park::Parker;
use crate::scheduler::shared::{Roles, Shared};
use crate::scheduler::{Drive, Home, Parked, Policy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
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

/// A driver in which somebody is always late, and whose wait is exact or not.
#[derive(Default)]
struct LateDriver {
    is_exact: AtomicBool,
    holds: AtomicUsize,
}

impl Drive for LateDriver {
    fn turn(&self, _worker: usize) {}

    fn fire(&self, _worker: usize) {}

    fn park_aside(&self, _worker: usize, _parker: &Parker) {}

    fn park(&self, _worker: usize, _watch: &dyn Fn() -> bool, _parker: &Parker) -> Parked {
        Parked::Woke
    }

    fn entrust_timers(&self, _worker: usize) {}

    fn has_timers(&self, _worker: usize) -> bool {
        false
    }

    fn notify(&self) {}

    fn wakes_in(&self) -> Option<Duration> {
        None
    }

    fn is_exact(&self) -> bool {
        self.is_exact.load(SeqCst)
    }

    fn hold_if_late(&self, by: Duration, meanwhile: &mut dyn FnMut(usize, &dyn Fn())) {
        assert_eq!(by, LATE);
        self.holds.fetch_add(1, SeqCst);
        // No thread plays that worker: nobody is moved.
        meanwhile(0, &|| ());
    }

    fn poller(&self) -> Option<usize> {
        None
    }
}

struct NoThreads;

impl Roles for NoThreads {
    fn play(&self, _: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn a_late_one_is_moved_while_everybody_computes_and_not_too_often() {
    let driver = Arc::new(LateDriver::default());
    let (home, _epoch) = Home::acquire(1, false);
    let policy = Policy {
        event_interval: Duration::from_millis(1),
        n_spares: 1,
        time_slices: true,
    };
    let hook: PanicHook = Arc::new(|_| {});
    let shared = Shared::new(home, 1, driver.clone(), Arc::new(NoThreads), &policy, hook);
    let scale = Scale::get();
    let mut late = Late::new(scale);
    let interval = scale.ticks_in(MOVE_INTERVAL);
    let start = scale.ticks().0;
    let mut holds = |after: u64| {
        late.look(&shared, Ticks(start + after));
        driver.holds.load(SeqCst)
    };
    let moves = usize::from(super::processor::CAN_MOVE);
    driver.is_exact.store(true, SeqCst);
    assert_eq!(holds(0), 0, "somebody may do something else");
    home.begin_heavy();
    driver.is_exact.store(false, SeqCst);
    assert_eq!(holds(0), 0, "it may be late for another reason");
    driver.is_exact.store(true, SeqCst);
    assert_eq!(holds(0), moves);
    assert_eq!(holds(interval - 1), moves, "too soon");
    assert_eq!(holds(interval), 2 * moves);
    home.end_heavy();
    shared.shut_down();
}
