//! The wait in epoll.

use crate::clock::real_now;
use crate::driver::sys::{Events, Poller};
use std::time::Duration;

/// Rounded to milliseconds none of them is short, however many there are; exact ones may be long, but not all.
#[test]
fn a_wait_is_exact() {
    let (poller, mut events) = (Poller::new().unwrap(), Events::new());
    let timeout = Duration::from_micros(100);
    let waited = (0..100).map(|_| {
        let start = real_now();
        poller.wait(&mut events, Some(timeout)).unwrap();
        real_now() - start
    });
    let shortest = waited.min().unwrap();
    assert!(shortest >= timeout, "{shortest:?}");
    assert!(
        !poller.is_exact() || shortest < Duration::from_millis(1),
        "{shortest:?}"
    );
}
