//! Homes are used again, but never by two at once.

use crate::budget::{self, Length};
use crate::clock::tsc::{Scale, Ticks};
use crate::scheduler::Home;
use crate::scheduler::home::{Resident, coarse};
use crate::scheduler::record::Record;
use crate::task::{Birth, Details, JoinError, JoinHandle, Kind, NewTask, Schedule};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

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
    Details {
        birth: Birth::new(Kind::Async, Location::caller(), Ticks::default()),
        name: None,
    }
}

#[test]
fn a_home_with_a_straggler_is_not_given_away() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    let task = NewTask::new(std::future::pending::<()>(), home);
    let runnable = home.register(epoch, task.runnable, task.registered, details());
    let handle = JoinHandle::new(task.join);
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
    let runnable = home.register(epoch, task.runnable, task.registered, details());
    let handle = JoinHandle::new(task.join);
    home.registry.close_and_abort_all();
    home.abandon();
    // [S7]
    Schedule::schedule(&home, runnable.unwrap());
    assert!(handle.is_finished());
    assert!(home.registry.is_drained());
    home.vacate();
}

/// Of a burst that computes spares try one now and then, unless there is only one left. Holds to \[W5\].
#[test]
fn a_suspect_waits_for_a_regular_worker() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    home.spare.set_has_another(true);
    let mut burst = (0..3).map(|_| {
        let task = NewTask::new(std::future::pending::<()>(), home);
        home.register(epoch, task.runnable, task.registered, details())
            .unwrap()
    });
    let (record, found) = (Record::new(), Ticks(1_000));
    let stuck: Vec<_> = burst.by_ref().take(2).collect();
    let next = burst.next().unwrap();
    for runnable in &stuck {
        assert!(!home.is_suspect(next.weight()));
        record.begin(runnable, Ticks(1));
        home.suspect_site_of(&record, found);
    }
    assert!(home.is_suspect(next.weight()));
    let later = Ticks(found.0 + Scale::get().ticks_in(Duration::from_millis(2)));
    home.spare.set_has_another(false);
    assert!(
        !home.tries(next.weight(), later),
        "the last one takes no risks"
    );
    home.spare.set_has_another(true);
    assert!(!home.tries(next.weight(), found) && home.tries(next.weight(), later));
    home.put_behind(next);
    assert!(home.has_heavy());
    let next = home.take_heavy().unwrap();
    assert!(!home.has_heavy());
    // A short poll of any of them is enough.
    budget::begin_poll(Scale::get().ticks(), u64::MAX / 4);
    Schedule::polled(&home, stuck[0].weight(), false);
    assert!(!home.is_suspect(next.weight()));
    budget::end_poll();
    drop((stuck, next));
    home.registry.close_and_abort_all();
    home.abandon();
    home.vacate();
}

/// Sooner where one of them may be light.
#[test]
fn the_monitor_says_when_a_suspect_that_waits_is_tried() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    let next = || {
        let task = NewTask::new(std::future::pending::<()>(), home);
        home.register(epoch, task.runnable, task.registered, details())
            .unwrap()
    };
    let suspects = &home.suspects;
    assert_eq!(suspects.n_taken(), None);
    home.put_behind(next());
    let long = suspects.patience(0);
    assert!(suspects.try_one().is_none(), "nobody has said so");
    suspects.let_one_be_tried();
    assert!(suspects.has_one_to_try());
    let computed = suspects.try_one().unwrap();
    assert_eq!(suspects.n_taken(), None);
    computed.weight().record(Length::Computed, false);
    home.spare.set_has_another(false);
    assert!(
        !home.is_suspect(computed.weight()),
        "there is one spare for all"
    );
    home.spare.set_has_another(true);
    assert!(home.is_suspect(computed.weight()), "it may go on so");
    home.put_behind(computed);
    home.put_behind(next());
    assert_eq!(suspects.n_taken(), Some(1));
    assert!(!suspects.has_one_to_try(), "one at a time");
    assert!(suspects.patience(0) < long);
    drop((home.take_heavy().unwrap(), home.take_heavy().unwrap()));
    assert_eq!(suspects.n_taken(), None);
    suspects.was_light();
    assert_eq!(suspects.patience(0), long);
    home.registry.close_and_abort_all();
    home.abandon();
    home.vacate();
}

/// A spare that watches beside tasks that compute sleeps on while they go on, unless it may take them: holds to \[W5\].
#[test]
fn what_is_heavy_does_not_wake_a_spare_that_leaves_it() {
    let (home, epoch) = Home::acquire(1, false);
    home.set_resident(Arc::new(Nobody));
    let spawn = || {
        let task = NewTask::new(std::future::pending::<()>(), home);
        task.runnable.weight().fix_heavy();
        home.spawn(epoch, task, details());
    };
    assert!(home.begin_heavy(), "the only worker computes");
    home.spare.announce_sleep();
    spawn();
    assert!(home.spare.wants_wake(), "it sleeps");
    home.spare.announce_sleep();
    home.spare.set_has_another(true);
    assert!(home.spare.set_takes_heavy(true));
    spawn();
    assert!(!home.spare.wants_wake(), "it was woken");
    home.end_heavy();
    home.registry.close_and_abort_all();
    home.abandon();
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
