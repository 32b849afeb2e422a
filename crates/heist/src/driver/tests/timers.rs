//! One worker's timers behind their lock.

use crate::clock::Nanos;
use crate::driver::{THICK, THICK_FOR, THICK_WAIT, Timers};
use std::sync::Arc;
use std::task::{Wake, Waker};

#[test]
fn arming_says_when_it_is_the_earliest() {
    let timers = Timers::new();
    // [D3]: exactly these must be told to a sleeping worker.
    let order = [(50, true), (60, false), (40, true), (40, false), (39, true)];
    for (deadline, is_next) in order {
        assert_eq!(
            timers.arm(deadline, Waker::noop().clone()).unwrap().is_next,
            is_next,
            "{deadline}"
        );
    }
    assert_eq!(timers.next_deadline(), Some(39));
    assert!(!timers.fire(38));
    assert!(!timers.fire(45));
    assert_eq!(timers.next_deadline(), Some(50));
}

#[test]
fn timers_that_come_thick_are_waited_for_together() {
    let timers = Timers::new();
    let arm = |deadlines: std::ops::RangeInclusive<Nanos>| {
        for deadline in deadlines {
            timers.arm(deadline, Waker::noop().clone()).unwrap();
        }
    };
    assert_eq!(timers.wait(0), None);
    arm(1..=THICK as Nanos);
    arm(1_000..=1_000);
    assert_eq!(timers.wait(0), Some(1), "none has fired yet");
    assert!(!timers.fire(900));
    assert_eq!(timers.wait(900), Some(THICK_WAIT));
    assert_eq!(timers.wait(1_000), Some(0), "it is due");
    assert!(!timers.fire(1_000));
    arm(2_000..=2_000);
    assert_eq!(timers.wait(1_000), Some(1_000), "a lone one fired last");
    assert!(!timers.fire(2_000));
    arm(THICK_WAIT * 2..=THICK_WAIT * 2 + THICK as Nanos);
    let now = THICK_WAIT * 3;
    assert!(!timers.fire(now));
    arm(now + THICK_FOR..=now + THICK_FOR);
    assert_eq!(timers.wait(now), Some(THICK_FOR), "late enough");
    let now = now + THICK_FOR - 10;
    assert_eq!(timers.wait(now), Some(THICK_WAIT));
    assert_eq!(timers.wait(now + 10), Some(0));
    timers.fire(now + 10);
    arm(now + 20..=now + 20 + THICK as Nanos);
    timers.fire(now + 30);
    let later = now + 30 + THICK_FOR;
    arm(later + 7..=later + 7);
    assert_eq!(timers.wait(later), Some(7), "that was long ago");
}

/// Arms another timer when woken: under a lock of the driver it would never return.
struct ArmsAgain(Timers);

impl Wake for ArmsAgain {
    fn wake(self: Arc<Self>) {
        let _armed = self.0.arm(Nanos::MAX - 1, Waker::noop().clone());
    }
}

/// [D2]: whoever is woken may use the timers again.
#[test]
fn wakers_are_called_without_the_lock() {
    let again = Arc::new(ArmsAgain(Timers::new()));
    let _armed = again.0.arm(5, Waker::from(again.clone()));
    assert!(!again.0.fire(5));
    assert_eq!(again.0.next_deadline(), Some(Nanos::MAX - 1));
}

#[test]
fn closing_fires_everything() {
    let timers = Timers::new();
    let key = timers
        .arm(Nanos::MAX - 1, Waker::noop().clone())
        .unwrap()
        .key;
    timers.close();
    assert!(timers.is_closed());
    assert!(
        timers.arm(5, Waker::noop().clone()).is_err(),
        "nobody would fire it"
    );
    assert!(!timers.update_waker(key, Waker::noop()), "it has fired");
    timers.disarm(key);
}
