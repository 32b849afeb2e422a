//! Homes are used again, but never by two at once.

use crate::clock::tsc::Ticks;
use crate::scheduler::Home;
use crate::scheduler::home::{Resident, coarse};
use crate::task::{Details, JoinError, Kind, NewTask};
use std::panic::Location;
use std::sync::Arc;

struct Nobody;

impl Resident for Nobody {
    fn unpark(&self, _worker: usize) {}

    fn unpark_spare(&self) {}

    fn poller(&self) -> Option<usize> {
        None
    }

    fn unhandled_panic(&self, _error: &JoinError) {}
}

fn details() -> Details {
    Details::new(Kind::Async, Location::caller(), Ticks::default())
}

#[test]
fn a_home_with_a_straggler_is_not_given_away() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    let task = NewTask::new(std::future::pending::<()>(), home);
    let (runnable, handle) = home.register(epoch, task, details());
    home.registry.close_and_abort_all();
    home.abandon();
    home.vacate();
    // [S6]: the runnable is in a thread's hands, so the task is not complete.
    let held: Vec<_> = (0..4).map(|_| Home::acquire(1, false)).collect();
    assert!(held.iter().all(|(other, _)| !std::ptr::eq(*other, home)));
    drop(runnable);
    assert!(handle.is_finished());
    for (other, _) in held {
        other.registry.close_and_abort_all();
        other.vacate();
    }
}

#[test]
fn an_old_epoch_spawns_nothing() {
    let (home, epoch) = Home::acquire(1, false);
    home.registry.close_and_abort_all();
    home.abandon();
    let task = NewTask::new(std::future::pending::<()>(), home);
    let handle = home.spawn(epoch, task, details());
    assert!(handle.is_finished());
    home.vacate();
}

#[test]
fn a_push_to_an_abandoned_home_is_dropped_by_the_pusher() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    let task = NewTask::new(std::future::pending::<()>(), home);
    let (runnable, handle) = home.register(epoch, task, details());
    home.registry.close_and_abort_all();
    home.abandon();
    // [S7]
    crate::task::Schedule::schedule(&home, runnable.unwrap());
    assert!(handle.is_finished());
    assert!(home.registry.is_drained());
    home.vacate();
}

#[test]
fn stamps_are_never_zero() {
    assert_eq!(coarse(0), 1);
    assert_eq!(coarse(255), 1);
    assert_eq!(coarse(256 * 7), 7);
    assert_eq!(
        coarse(1 << 40),
        1,
        "wrapped to zero, which would mean unstamped"
    );
}
