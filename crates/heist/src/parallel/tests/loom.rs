//! Fork-join under loom: who runs a job, who waits for it, and who is told of it.

use crate::parallel::join::join_on;
use crate::scheduler::Home;
use crate::scheduler::fork::Forks;
use crate::scheduler::fork::scoped::ScopeQueue;
use crate::scheduler::fork::seat::Seat;
use crate::scheduler::home::Resident;
use crate::scheduler::park::Parker;
use crate::sync::{AtomicUsize, Condvar, Mutex};
use crate::task::JoinError;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// `N` seats that nobody's workers know of.
fn seats<const N: usize>() -> [&'static Seat; N] {
    let forks: &'static Forks = Box::leak(Box::new(Forks::new()));
    std::array::from_fn(|_| forks.take_seat(None).expect("a model is small"))
}

/// One look of a thief that has `own`.
fn steal_once(own: &'static Seat, from: &'static Seat) {
    if let Some(stolen) = from.steal() {
        stolen.run_on(own);
    }
}

/// [F2] [F3] [F4] [F8]: a job is run once, by the owner or by a thief, and its result arrives; an owner
/// that blocks is woken.
#[test]
fn pop_against_steal() {
    loom::model(|| {
        let [owner, thief] = seats();
        let runs = AtomicUsize::new(0);
        let thieving = thread::spawn(move || steal_once(thief, owner));
        let (a, b) = join_on(
            owner,
            || Box::new(1),
            || {
                // ORDERING: SeqCst: a test's counter.
                runs.fetch_add(1, SeqCst);
                Box::new(2)
            },
        );
        // ORDERING: SeqCst: a test's counter.
        assert_eq!((*a, *b, runs.load(SeqCst)), (1, 2, 1));
        thieving.join().unwrap();
    });
}

/// [F1] [F2]: two jobs deep, with a thief that steals twice: the places are used again.
#[test]
fn two_pops_against_two_steals() {
    loom::model(|| {
        let [owner, thief] = seats();
        let thieving = thread::spawn(move || {
            steal_once(thief, owner);
            steal_once(thief, owner);
        });
        let (a, b) = join_on(owner, || join_on(owner, || 1, || 2), || 3);
        assert_eq!((a, b), ((1, 2), 3));
        assert_eq!(join_on(owner, || 4, || 5), (4, 5));
        thieving.join().unwrap();
    });
}

/// [F2]: two thieves and the owner: one of them has the job.
#[test]
fn two_thieves() {
    loom::model(|| {
        let [owner, one, two] = seats();
        let first = thread::spawn(move || steal_once(one, owner));
        let second = thread::spawn(move || steal_once(two, owner));
        assert_eq!(join_on(owner, || 1, || 2), (1, 2));
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// [F1] [F4]: the frame unwinds; the job is dropped or has run, its result is dropped, each once.
#[test]
fn unwinding_against_steal() {
    loom::model(|| {
        let [owner, thief] = seats();
        let token = Arc::new(());
        let thieving = thread::spawn(move || steal_once(thief, owner));
        let moved = token.clone();
        let join = AssertUnwindSafe(|| {
            join_on(
                owner,
                || std::panic::resume_unwind(Box::new(7)),
                move || moved,
            )
        });
        let payload = catch_unwind(join).map(drop).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&7));
        thieving.join().unwrap();
        assert_eq!(Arc::strong_count(&token), 1, "dropped once");
    });
}

/// [F5] [F6]: the owner waits for a job whose thief forks: the owner may run what is forked there, and
/// never what the thief forks afterwards for itself.
#[test]
fn leapfrogging_takes_descendants_alone() {
    loom::model(|| {
        let [owner, thief] = seats();
        let main = thread::current().id();
        let thieving = thread::spawn(move || {
            steal_once(thief, owner);
            let me = thread::current().id();
            let own = || thread::current().id();
            let (_, by) = join_on(thief, || (), own);
            assert_eq!(by, me, "the owner waited for something else");
        });
        let (_, sum) = join_on(
            owner,
            || (),
            || {
                let by_owner = thread::current().id() == main;
                let seat = if by_owner { owner } else { thief };
                let (a, b) = join_on(seat, || 1, || 2);
                a + b
            },
        );
        assert_eq!(sum, 3);
        thieving.join().unwrap();
    });
}

/// [F6]: the thief waits itself, for a job that a third one has: nothing is taken that the third one
/// forks afterwards.
#[test]
fn following_a_thief_that_waits() {
    let mut model = loom::model::Builder::new();
    // Three threads take long with more.
    model.preemption_bound = Some(1);
    model.check(|| {
        let [first, second, third] = seats();
        let main = thread::current().id();
        let seat_of = move |thread, other| match thread {
            _ if thread == main => first,
            _ if thread == other => third,
            _ => second,
        };
        let middle = thread::spawn(move || steal_once(second, first));
        let last = thread::spawn(move || {
            let me = thread::current().id();
            steal_once(third, second);
            let (_, by) = join_on(third, thread::yield_now, || thread::current().id());
            assert_eq!(by, me, "somebody waited for something else");
        });
        let other = last.thread().id();
        let here = move || seat_of(thread::current().id(), other);
        // Giving way is no preemption: so few of those are needed for one to be taken by the other.
        let yielding = thread::yield_now;
        join_on(first, yielding, || {
            join_on(here(), yielding, yielding);
        });
        middle.join().unwrap();
        last.join().unwrap();
    });
}

/// Two workers: one forks what `forks` forks, below a job that it waits for there; the other takes the oldest job,
/// parking until there is one.
fn fork_against_park(forks: fn(&'static Seat, &mut dyn FnMut())) {
    struct Sleeper(Parker);
    impl Resident for Sleeper {
        fn unpark(&self, _worker: usize) {
            let _done = self.0.unpark();
        }
        fn unpark_spare(&self) {}
        fn poller(&self) -> Option<usize> {
            None
        }
        fn unhandled_panic(&self, _error: &JoinError) {}
    }
    loom::model(move || {
        let home = Home::build();
        home.idle.reset(2);
        let sleeper = std::sync::Arc::new(Sleeper(Parker::new()));
        home.set_resident(sleeper.clone());
        let owner = home.forks.take_seat(Some(home)).unwrap();
        let thief = home.forks.take_seat(Some(home)).unwrap();
        let worker = thread::spawn(move || {
            loop {
                if let Some(stolen) = owner.steal() {
                    return stolen.run_on(thief);
                }
                home.idle.park(1, false);
                if !home.forks.look_before_parking() {
                    sleeper.0.park(None);
                }
                home.idle.unpark(1);
            }
        });
        let (ran, told) = (Mutex::new(false), Condvar::new());
        let mut wait = || {
            let mut seen = ran.lock();
            while !*seen {
                seen = told.wait(seen);
            }
        };
        join_on(
            owner,
            || forks(owner, &mut wait),
            || {
                *ran.lock() = true;
                told.notify_one();
            },
        );
        worker.join().unwrap();
    });
}

/// [F7]: a job is pushed while the only other worker parks: that one takes it, or the model hangs.
#[test]
fn push_against_park() {
    fork_against_park(|_, wait| wait());
}

/// [F7]: the same with so many jobs that the owner takes the sign down although the other worker sleeps.
#[test]
fn calming_down_against_park() {
    fork_against_park(|owner, wait| {
        join_on(owner, || join_on(owner, wait, || ()), || ());
    });
}

/// [F7]: a thief takes the public job while the owner takes the sign down: with a private job left and
/// nothing public, the sign is up.
#[test]
fn last_steal_against_calming_down() {
    loom::model(|| {
        let [owner, thief] = seats();
        let mut thieving = Some(thread::spawn(move || steal_once(thief, owner)));
        join_on(
            owner,
            || {
                let look = || {
                    thieving.take().unwrap().join().unwrap();
                    assert!(owner.has_public() || owner.is_asked(), "a job is hidden");
                };
                join_on(owner, || join_on(owner, look, || ()), || ())
            },
            || (),
        );
    });
}

/// [Q1] [Q2]: a closure of a scope spawns another while the scope waits: both have run when it ends.
#[test]
fn spawn_against_the_end_of_a_scope() {
    loom::model(|| {
        let queue = ScopeQueue::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let helper = {
            let queue = queue.clone();
            thread::spawn(move || {
                if let Some(scoped) = queue.take() {
                    scoped.run();
                }
            })
        };
        let (inner, again) = (queue.clone(), runs.clone());
        queue.push(Box::new(move || {
            let runs = again.clone();
            inner.push(Box::new(move || {
                // ORDERING: SeqCst: a test's counter.
                runs.fetch_add(1, SeqCst);
            }));
            // ORDERING: as above.
            again.fetch_add(1, SeqCst);
        }));
        queue.run_all();
        // ORDERING: as above.
        assert_eq!(runs.load(SeqCst), 2);
        helper.join().unwrap();
    });
}
