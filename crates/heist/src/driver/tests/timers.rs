//! One worker's timers behind their lock.

use crate::clock::Nanos;
use crate::driver::Timers;
use std::task::Waker;

#[test]
fn arming_says_when_it_is_the_earliest() {
    let timers = Timers::new();
    // [D3]: exactly these must be told to a sleeping worker.
    let order = [(50, true), (60, false), (40, true), (40, false), (39, true)];
    for (deadline, is_next) in order {
        assert_eq!(
            timers.arm(deadline, Waker::noop()).is_next,
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
fn closing_fires_everything() {
    let timers = Timers::new();
    let key = timers.arm(Nanos::MAX - 1, Waker::noop()).key;
    timers.close();
    assert!(timers.is_closed());
    assert!(!timers.update_waker(key, Waker::noop()), "it has fired");
    timers.disarm(key);
}
