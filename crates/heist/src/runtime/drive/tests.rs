//! What the drive tells of whoever blocks in the driver.

use super::RuntimeDrive;
use crate::clock::{Clock, Nanos};
use crate::driver::Driver;
use crate::scheduler::Drive;
use crate::scheduler::park::{Parker, Unpark};
use std::sync::atomic::Ordering::SeqCst;
use std::task::Waker;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn it_tells_when_whoever_blocks_there_wakes() {
    let driver = Driver::new(Clock::real(), 1).unwrap();
    let drive = RuntimeDrive::new(driver.clone());
    let parker = Parker::new();
    // While somebody blocks there; from when on, `blocks` says.
    let told = |blocks: fn(&RuntimeDrive) -> bool| {
        std::thread::scope(|scope| {
            scope.spawn(|| drive.park(0, &|| false, &parker));
            while !blocks(&drive) {
                std::thread::yield_now();
            }
            let told = drive.wakes_in();
            if let Unpark::NotifyDriver = parker.unpark() {
                drive.notify();
            }
            told
        })
    };
    assert_eq!(drive.wakes_in(), None, "nobody does");
    assert_eq!(
        told(|drive| drive.poller().is_some()),
        None,
        "no timer is armed"
    );
    let begun = driver.clock().nanos();
    let hour = HOUR.as_nanos() as u64;
    let _armed = driver.timers(0).arm(begun + hour, Waker::noop().clone());
    let left = told(|drive| drive.wakes_in().is_some()).unwrap();
    let passed = Duration::from_nanos(driver.clock().nanos() - begun);
    assert!(left <= HOUR && left >= HOUR - passed, "{left:?}");
    assert_eq!(drive.wakes_in(), None, "nobody does any more");
}

/// Where it would not wake by itself, or not yet, it is left alone.
#[test]
fn who_is_late_is_held_in_the_driver() {
    let driver = Driver::new(Clock::real(), 1).unwrap();
    let drive = RuntimeDrive::new(driver.clone());
    let parker = Parker::new();
    let held = |by| {
        let mut held = None;
        drive.hold_if_late(by, &mut |worker, _| held = Some(worker));
        held
    };
    assert_eq!(held(Duration::ZERO), None, "nobody blocks");
    let sleeper = &drive.sleeper;
    let now = driver.clock().nanos();
    for (until, by, expected) in [
        (None, Duration::ZERO, None),
        (Some(now + 2 * HOUR.as_nanos() as u64), Duration::ZERO, None),
        (Some(now), HOUR, None),
        (Some(now), Duration::ZERO, Some(1)),
    ] {
        sleeper.lie_down(1, until);
        assert_eq!(held(by), expected, "{until:?}");
        assert_eq!(sleeper.until(), until, "it is let go");
        sleeper.get_up();
    }
    // It does not come out before it is let go.
    let hour = HOUR.as_nanos() as u64;
    let is_out = std::sync::atomic::AtomicBool::new(false);
    let _armed = driver.timers(0).arm(now + hour, Waker::noop().clone());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drive.park(0, &|| false, &parker);
            is_out.store(true, SeqCst);
        });
        while drive.wakes_in().is_none() {
            std::thread::yield_now();
        }
        sleeper.hold(Nanos::MAX, |worker| {
            assert_eq!(worker, 0);
            if let Unpark::NotifyDriver = parker.unpark() {
                drive.notify();
            }
            while sleeper.is_held() {
                std::thread::yield_now();
            }
            for _ in 0..100 {
                std::thread::yield_now();
            }
            assert!(!is_out.load(SeqCst), "it was held");
        });
    });
    assert!(is_out.load(SeqCst));
}

/// Else a notification about another's timer, which comes after the question, could be taken by whoever turns meanwhile.
#[test]
fn whom_to_watch_is_asked_with_the_driver_in_hand() {
    let driver = Driver::new(Clock::real(), 1).unwrap();
    let drive = RuntimeDrive::new(driver.clone());
    let parker = Parker::new();
    let asked = std::cell::Cell::new(false);
    let watch = || {
        asked.set(true);
        assert!(driver.try_turn().is_none(), "somebody else may turn");
        // So that the wait ends.
        driver.notify();
        false
    };
    drive.park(0, &watch, &parker);
    assert!(asked.get());
}
