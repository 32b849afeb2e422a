//! Workers, on a driver that the test plays: whether a peer is woken for what a look at the driver has queued, or the spare
//! for what the end of a computation wakes, and how they leave.

use super::support::{Events, Threads, shared_on};
use crate::scheduler::Home;
use crate::scheduler::shared::{Roles, Shared};
use crate::task::{Birth, Details, Kind, NewTask};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// There is one thread, and no other to be had.
#[derive(Default)]
struct OneThread(AtomicBool);

impl Roles for OneThread {
    fn play(&self, f: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        match self.0.swap(true, SeqCst) {
            false => Threads.play(f),
            true => Err(std::io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// One test after the other: who is woken must find a processor.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shared(n_workers: usize, events: &Arc<Events>) -> (Arc<Shared>, u64) {
    shared_on(Arc::new(Threads), n_workers, false, events)
}

fn details() -> Details {
    Details {
        birth: Birth::new(Kind::Async, Location::caller(), Default::default()),
        name: None,
    }
}

/// Those who wait to be woken.
#[derive(Default)]
struct Waiting {
    wakers: Mutex<Vec<Waker>>,
    came: Condvar,
}

impl Waiting {
    fn all(&self, n: usize) -> Vec<Waker> {
        let wakers = self.wakers.lock().unwrap();
        let mut wakers = (self.came)
            .wait_while(wakers, |wakers| wakers.len() < n)
            .unwrap();
        std::mem::take(&mut *wakers)
    }
}

/// Two workers, and so many tasks that wait again and again, after something that each does. Whether the other worker
/// came out, round by round.
fn rounds(n_tasks: usize, n_rounds: usize, each: fn()) -> Vec<bool> {
    let _alone = alone();
    let events = Arc::new(Events::default());
    let (shared, epoch) = shared(2, &events);
    let home = shared.home;
    let waiting = Arc::new(Waiting::default());
    for _ in 0..n_tasks {
        let waiting = waiting.clone();
        let task = NewTask::new(
            std::future::poll_fn(move |cx| {
                each();
                let mut wakers = waiting.wakers.lock().unwrap();
                wakers.push(cx.waker().clone());
                // Not sooner: polls that meet whoever waits would be long ones.
                if wakers.len() == n_tasks {
                    waiting.came.notify_one();
                }
                Poll::<()>::Pending
            }),
            home,
        );
        drop(home.spawn(epoch, task, details()));
    }
    for worker in 0..2 {
        shared.start(worker).unwrap();
    }
    // One that comes late is the next round's.
    let mut before = 0;
    let round = || {
        *events.next.lock().unwrap() = waiting.all(n_tasks);
        shared.unpark_worker(0);
        let woken = waiting.all(n_tasks);
        *waiting.wakers.lock().unwrap() = woken;
        let unparks = events.unparks_of_peer.load(SeqCst);
        std::mem::replace(&mut before, unparks) < unparks
    };
    let unparks = std::iter::repeat_with(round).take(n_rounds).collect();
    shared.shut_down();
    assert!(shared.wait_until_left(None));
    unparks
}

fn little() {}

/// Computes for a while.
fn much() {
    let mut sum = 0_u64;
    for number in 0..200_000 {
        sum = std::hint::black_box(sum + number);
    }
}

#[test]
fn nobody_is_woken_for_one_short_task_more() {
    // Until it knows how long its polls are, and where the kernel has stopped its thread meanwhile, it wakes the other.
    let unparks = rounds(2, 5_000, little);
    let n = unparks.iter().filter(|&&unpark| unpark).count();
    assert!(n < 1_500, "{n} of 5000 rounds");
}

#[test]
fn a_peer_is_woken_for_many_short_ones() {
    let unparks = rounds(2_000, 200, little);
    let n = unparks.iter().skip(100).filter(|&&unpark| unpark).count();
    assert!(n > 60, "{n} of 100 rounds");
}

#[test]
fn a_peer_is_woken_for_one_that_waits_behind_a_long_one() {
    let unparks = rounds(2, 200, much);
    let n = unparks.iter().filter(|&&unpark| unpark).count();
    assert!(n > 30, "{n} of 200 rounds");
}

const COMPUTATIONS: usize = 400;

/// How one worker went through [`COMPUTATIONS`] that a task awaits one after the other.
struct Counts {
    unparks_of_spare: usize,
    turns: usize,
    fires: usize,
}

/// Each begins when the spare sleeps beside it, and calls `computes` then.
fn computations(
    n_held_up: usize,
    computes: impl Fn(&'static Home, u64) + Clone + Send + 'static,
) -> Counts {
    let _alone = alone();
    let events = Arc::new(Events::default());
    let (shared, epoch) = shared(1, &events);
    let home = shared.home;
    home.spare.set_held_up(n_held_up);
    let (done, is_done) = std::sync::mpsc::channel();
    let driver = events.clone();
    let task = NewTask::new(
        async move {
            for _ in 0..COMPUTATIONS {
                let (computes, events) = (computes.clone(), driver.clone());
                let computation = async move {
                    while !events.peer_sleeps.load(SeqCst) {
                        std::thread::yield_now();
                    }
                    computes(home, epoch);
                    much();
                    events.computed.store(true, SeqCst);
                };
                let computation = NewTask::new(computation, home);
                computation.runnable.weight().fix_heavy();
                home.spawn(epoch, computation, details()).await.unwrap();
            }
            done.send(()).unwrap();
        },
        home,
    );
    drop(home.spawn(epoch, task, details()));
    shared.start(0).unwrap();
    is_done.recv().unwrap();
    let counts = Counts {
        unparks_of_spare: events.unparks_of_peer.load(SeqCst),
        turns: events.turns.load(SeqCst),
        fires: events.fires.load(SeqCst),
    };
    shared.shut_down();
    assert!(shared.wait_until_left(None));
    counts
}

/// The worker comes to it at once. Nor does it take a turn where the spare watches, which would then sleep aside; but it
/// fires its timers.
#[test]
fn the_spare_is_not_woken_for_what_the_end_of_a_computation_wakes() {
    let counts = computations(0, |_, _| {});
    let unparks = counts.unparks_of_spare;
    assert!(unparks < COMPUTATIONS / 8, "woken {unparks} times");
    let (turns, fires) = (counts.turns, counts.fires);
    assert!(
        fires > COMPUTATIONS / 2,
        "after {fires} of the computations"
    );
    assert!(turns < COMPUTATIONS / 4, "{turns} turns");
}

/// There the worker would come to all of them first.
#[test]
fn the_spare_is_woken_for_what_the_end_of_a_computation_wakes_beside_suspects() {
    let counts = computations(0, |home, epoch| {
        let suspect = NewTask::new(async {}, home);
        let suspect = home.register(epoch, suspect.runnable, suspect.registered, details());
        home.put_behind(suspect.unwrap());
    });
    let unparks = counts.unparks_of_spare;
    assert!(unparks > COMPUTATIONS / 2, "woken {unparks} times");
}

/// Nobody else may look at the driver.
#[test]
fn a_worker_takes_a_turn_after_a_computation_where_a_spare_is_held_up() {
    let turns = computations(1, |_, _| {}).turns;
    assert!(turns > COMPUTATIONS / 2, "{turns} turns");
}

/// Without a spare, which would do all the light work meanwhile.
#[test]
fn light_work_and_computations_both_get_a_share() {
    let _alone = alone();
    let (shared, epoch) = shared_on(Arc::new(OneThread::default()), 1, false, &Arc::default());
    let home = shared.home;
    let n_left = Arc::new(AtomicUsize::new(60));
    let light_came = Arc::new(AtomicBool::new(true));
    let n_in_a_row = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (n_left, light_came, n_in_a_row) =
            (n_left.clone(), light_came.clone(), n_in_a_row.clone());
        let computes = async move {
            for _ in 0..20 {
                let in_a_row = !light_came.swap(false, SeqCst);
                n_in_a_row.fetch_add(usize::from(in_a_row), SeqCst);
                much();
                n_left.fetch_sub(1, SeqCst);
                crate::task::yield_now().await;
            }
        };
        let computes = NewTask::new(computes, home);
        computes.runnable.weight().fix_heavy();
        drop(home.spawn(epoch, computes, details()));
    }
    let (done, is_done) = std::sync::mpsc::channel();
    let light = async move {
        while n_left.load(SeqCst) > 0 {
            light_came.store(true, SeqCst);
            crate::task::yield_now().await;
        }
        done.send(()).unwrap();
    };
    drop(home.spawn(epoch, NewTask::new(light, home), details()));
    shared.start(0).unwrap();
    is_done.recv().unwrap();
    shared.shut_down();
    assert!(shared.wait_until_left(None));
    // Some are, where the kernel has stopped the thread for so long that the next one is due.
    let n = n_in_a_row.load(SeqCst);
    assert!(n < 20, "{n} of 60 computations in a row");
}

#[test]
fn one_that_panics_has_left() {
    let (shared, _epoch) = shared(2, &Arc::default());
    shared
        .start_monitor(|_shared| panic!("a planted panic"))
        .unwrap();
    shared.start(0).unwrap();
    shared.shut_down();
    let in_a_while = crate::clock::real_now() + Duration::from_secs(20);
    assert!(shared.wait_until_left(Some(in_a_while)));
}
