//! The lost wake-up, of the idle word and of the parker.

use crate::scheduler::Home;
use crate::scheduler::alarm::Alarm;
use crate::scheduler::idle::Idle;
use crate::scheduler::park::{Parker, Unpark};
use crate::scheduler::queue::LocalQueue;
use crate::scheduler::spare::Spare;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::biased::biased;
use crate::sync::{AtomicUsize, fence};
use crate::task::NewTask;
use crate::task::tests::support::Nowhere;
use loom::sync::Arc;
use loom::thread;

mod spare;

/// A queue of items that are all alike. It orders no more than the real ones do, whose stand-in (`deque_model.rs`) has a lock
/// that would take the place of a missing fence.
struct Queue(AtomicUsize);

impl Queue {
    fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn push(&self) {
        // ORDERING: Release pairs with the Acquire in `steal`.
        self.0.fetch_add(1, Release);
    }

    fn steal(&self) -> bool {
        let less = |n: usize| n.checked_sub(1);
        // ORDERING: as above.
        self.0.fetch_update(Acquire, Relaxed, less).is_ok()
    }

    fn is_empty(&self) -> bool {
        // ORDERING: as above.
        self.0.load(Acquire) == 0
    }
}

struct Pool {
    idle: Idle,
    injector: Queue,
    parkers: Vec<Parker>,
}

impl Pool {
    fn new(workers: usize) -> Arc<Self> {
        let idle = Idle::new();
        idle.reset(workers);
        Arc::new(Self {
            idle,
            injector: Queue::new(),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
        })
    }

    /// As `Home::schedule_remote`.
    fn push(&self) {
        self.injector.push();
        if let Some(worker) = self.idle.after_remote_push(|| None) {
            assert_eq!(self.parkers[worker].unpark(), Unpark::Done);
        }
    }

    /// As a worker: takes one item, parking until there is one.
    fn take(&self, worker: usize) {
        self.take_from(worker, false);
    }

    /// As `Home::wake_after_local_push`.
    fn wake_peer(&self) {
        if let Some(next) = self.idle.after_local_push(1, || None) {
            assert_eq!(self.parkers[next].unpark(), Unpark::Done);
        }
    }

    fn take_from(&self, worker: usize, mut searching: bool) {
        loop {
            if self.injector.steal() {
                if searching && self.idle.stop_searching() {
                    self.wake_peer();
                }
                return;
            }
            self.idle.park(worker, searching);
            if self.injector.is_empty() {
                self.parkers[worker].park(None);
            }
            searching = self.idle.unpark(worker);
        }
    }
}

/// [S2]: an item pushed while the worker parks is taken; a lost wake would hang the model.
#[test]
fn push_against_park() {
    loom::model(|| {
        let pool = Pool::new(1);
        let worker = {
            let pool = pool.clone();
            thread::spawn(move || pool.take(0))
        };
        pool.push();
        worker.join().unwrap();
    });
}

/// [S2, S5]: two items and two workers: the chain of wakes reaches both.
#[test]
fn two_pushes_against_two_parks() {
    loom::model(|| {
        let pool = Pool::new(2);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || pool.take(worker))
            })
            .collect();
        pool.push();
        pool.push();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// [S5]: two pushes beside the last searcher wake nobody. It parks, stays for the first, and is long in
/// it; so it wakes a peer for the second, or the model hangs.
#[test]
fn pushes_against_a_searcher_that_parks() {
    loom::model(|| {
        let pool = Pool::new(2);
        pool.idle.park(1, false);
        assert!(pool.idle.start_searching());
        let taken = Arc::new((crate::sync::Mutex::new(0), crate::sync::Condvar::new()));
        let searcher = {
            let (pool, taken) = (pool.clone(), taken.clone());
            thread::spawn(move || {
                // As `park` in `worker.rs`.
                pool.idle.park(0, true);
                let stay = !pool.injector.is_empty();
                if !stay {
                    pool.parkers[0].park(None);
                }
                let searching = pool.idle.unpark(0);
                if stay {
                    pool.wake_peer();
                }
                pool.take_from(0, searching);
                let mut n = taken.0.lock();
                while *n == 0 {
                    n = taken.1.wait(n);
                }
            })
        };
        let sleeper = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.parkers[1].park(None);
                let searching = pool.idle.unpark(1);
                pool.take_from(1, searching);
                *taken.0.lock() += 1;
                taken.1.notify_one();
            })
        };
        pool.push();
        pool.push();
        searcher.join().unwrap();
        sleeper.join().unwrap();
    });
}

/// [S3]: one that computes does not come to what it pushes, and looks with a fence; a peer that parks looks at its queue, or
/// is woken, else the model hangs.
#[test]
fn push_of_one_that_computes_against_park() {
    loom::model(|| {
        let pool = Pool::new(2);
        let (spare, own) = (Arc::new(Spare::new()), Arc::new(Queue::new()));
        let peer = {
            let (pool, spare, own) = (pool.clone(), spare.clone(), own.clone());
            thread::spawn(move || {
                let mut taken = false;
                while !taken {
                    pool.idle.park(1, false);
                    if spare.computing() == 0 || own.is_empty() {
                        pool.parkers[1].park(None);
                    }
                    let searching = pool.idle.unpark(1);
                    taken = own.steal();
                    if searching {
                        pool.idle.stop_searching();
                    }
                }
            })
        };
        spare.begin();
        own.push();
        if let Some(worker) = pool.idle.after_remote_push(|| None) {
            assert_eq!(pool.parkers[worker].unpark(), Unpark::Done);
        }
        peer.join().unwrap();
    });
}

/// [P1, P2]: a token is never lost, wherever the worker blocks.
#[test]
fn unpark_against_park() {
    loom::model(|| {
        let parker = Arc::new(Parker::new());
        let flag = Arc::new(AtomicUsize::new(0));
        let other = {
            let (parker, flag) = (parker.clone(), flag.clone());
            thread::spawn(move || {
                flag.store(1, Relaxed);
                assert_eq!(parker.unpark(), Unpark::Done);
            })
        };
        parker.park(None);
        // What the unparker did before is visible.
        assert_eq!(flag.load(Relaxed), 1);
        other.join().unwrap();
    });
}

/// [P2]: a worker that blocks in the driver is interrupted there, or finds its token before.
#[test]
fn unpark_against_park_in_driver() {
    loom::model(|| {
        let parker = Arc::new(Parker::new());
        let interrupts = Arc::new(crate::sync::Mutex::new(false));
        let interrupted = Arc::new(crate::sync::Condvar::new());
        let other = {
            let (parker, interrupts) = (parker.clone(), interrupts.clone());
            let interrupted = interrupted.clone();
            thread::spawn(move || {
                if parker.unpark() == Unpark::NotifyDriver {
                    *interrupts.lock() = true;
                    interrupted.notify_one();
                }
            })
        };
        // The driver's wait lasts until its interrupt.
        parker.park_in_driver(|| {
            let mut seen = interrupts.lock();
            while !*seen {
                seen = interrupted.wait(seen);
            }
        });
        other.join().unwrap();
    });
}

/// [S7]: a push beside the abandoning of a home: one of the two drains it.
#[test]
fn push_against_abandon() {
    loom::model(|| {
        let pool = Pool::new(1);
        let abandoned = Arc::new(AtomicUsize::new(0));
        let drained = Arc::new(AtomicUsize::new(0));
        let drain = |pool: &Pool, drained: &AtomicUsize| {
            while pool.injector.steal() {
                // ORDERING: SeqCst: a test's counter.
                drained.fetch_add(1, SeqCst);
            }
        };
        let pusher = {
            let (pool, abandoned, drained) = (pool.clone(), abandoned.clone(), drained.clone());
            thread::spawn(move || {
                pool.injector.push();
                fence(SeqCst);
                // ORDERING: as in `Home::schedule_remote`.
                if abandoned.load(SeqCst) == 1 {
                    drain(&pool, &drained);
                }
            })
        };
        // ORDERING: as in `Home::abandon`.
        abandoned.store(1, SeqCst);
        fence(SeqCst);
        drain(&pool, &drained);
        pusher.join().unwrap();
        // ORDERING: SeqCst: a test's counter.
        assert_eq!(drained.load(SeqCst), 1);
    });
}

/// [M1]: a worker wakes while the monitor falls asleep: the monitor stays awake, or is woken.
#[test]
fn wake_against_deep_sleep() {
    loom::model(|| {
        let pool = Pool::new(1);
        let alarm = Arc::new(Alarm::new());
        pool.idle.park(0, false);
        let watching = {
            let (pool, alarm) = (pool.clone(), alarm.clone());
            thread::spawn(move || alarm.deep_sleep(|| pool.idle.all_parked()))
        };
        pool.idle.unpark(0);
        alarm.worker_awake();
        watching.join().unwrap();
    });
}

/// [O1] [O2]: the owner and a guest come at once: loom sees that only one is at the value, and what each
/// did the other finds.
#[test]
fn owner_against_guest() {
    loom::model(|| {
        let (mut owner, guest) = biased(0);
        let visiting = thread::spawn(move || guest.try_with(|value| *value += 1).is_some());
        owner.with(|value| *value += 1);
        owner.with(|value| *value += 1);
        let visits = 2 + i32::from(visiting.join().unwrap());
        assert_eq!(owner.with(|value| *value), visits);
    });
}

/// [O2]: two guests and the owner.
#[test]
fn owner_against_guests() {
    loom::model(|| {
        let (mut owner, guest) = biased(0);
        let guest = Arc::new(guest);
        let other = {
            let guest = guest.clone();
            thread::spawn(move || guest.try_with(|value| *value += 1).is_some())
        };
        let owning = thread::spawn(move || {
            owner.with(|value| *value += 1);
            owner
        });
        let mine = guest.try_with(|value| *value += 1).is_some();
        let mut owner = owning.join().unwrap();
        let visits = 1 + i32::from(mine) + i32::from(other.join().unwrap());
        assert_eq!(owner.with(|value| *value), visits);
    });
}

/// [S1]: the LIFO slot's tenant is taken by age while its worker comes for it: one of them has it.
#[test]
fn aged_slot_against_pop() {
    loom::model(|| {
        let (mut queue, aged) = LocalQueue::new();
        let task = NewTask::new(std::future::pending::<()>(), Nowhere);
        drop((task.registered, task.join));
        queue.push_lifo(task.runnable);
        let thief = thread::spawn(move || aged.take());
        let own = queue.pop();
        let stolen = thief.join().unwrap();
        let rest = queue.pop();
        let found = [own, stolen, rest].into_iter().flatten().count();
        assert_eq!(found, 1);
    });
}

/// [S6] [S7]: a straggler helps to empty an abandoned home while the next resident moves in: it
/// takes nothing that is the resident's.
#[test]
fn help_against_moving_in() {
    loom::model(|| {
        let home = Home::build();
        home.abandon();
        let straggler = thread::spawn(move || home.help());
        if home.let_to(true) {
            let task = NewTask::new(std::future::pending::<()>(), Nowhere);
            drop((task.registered, task.join));
            home.injector().push(task.runnable);
            straggler.join().unwrap();
            assert!(!home.injector().is_empty(), "the straggler took it");
            home.drain();
        } else {
            straggler.join().unwrap();
            assert!(home.let_to(true), "nobody helps any more");
        }
    });
}
