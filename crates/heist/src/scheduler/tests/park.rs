//! The parker on real threads.

use crate::scheduler::park::{Parker, Unpark};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_token_left_before_is_taken_at_once() {
    let parker = Parker::new();
    // [P1]: several count as one.
    assert_eq!(parker.unpark(), Unpark::Done);
    assert_eq!(parker.unpark(), Unpark::Done);
    parker.park(None);
    let mut waited = false;
    parker.park_in_driver(|| waited = true);
    assert!(waited, "the token was spent");
    assert_eq!(parker.unpark(), Unpark::Done);
    parker.park_in_driver(|| panic!("the token is there"));
}

#[test]
fn a_timeout_ends_the_park() {
    let parker = Parker::new();
    parker.park(Some(Duration::from_micros(50)));
    parker.park(Some(Duration::ZERO));
}

#[test]
fn an_unpark_in_the_driver_asks_for_its_interrupt() {
    let parker = Parker::new();
    // [P2]
    parker.park_in_driver(|| assert_eq!(parker.unpark(), Unpark::NotifyDriver));
    let mut waited = false;
    parker.park_in_driver(|| waited = true);
    assert!(waited, "the token went with the wait that it interrupted");
}

#[test]
fn many_rounds_between_threads() {
    let (ping, pong) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
    let thread = {
        let (ping, pong) = (ping.clone(), pong.clone());
        std::thread::Builder::new().spawn(move || {
            for _ in 0..2000 {
                ping.park(None);
                assert_eq!(pong.unpark(), Unpark::Done);
            }
        })
    };
    for _ in 0..2000 {
        assert_eq!(ping.unpark(), Unpark::Done);
        pong.park(None);
    }
    thread.unwrap().join().unwrap();
}
