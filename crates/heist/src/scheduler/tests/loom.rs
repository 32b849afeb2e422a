//! The lost wake-up, of the idle word and of the parker.

use crate::scheduler::Home;
use crate::scheduler::alarm::Alarm;
use crate::scheduler::idle::Idle;
use crate::scheduler::park::{Parker, Unpark};
use crate::scheduler::queue::LocalQueue;
use crate::scheduler::spare::{Called, Spare};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::biased::biased;
use crate::sync::deque::{Injector, Steal};
use crate::sync::{AtomicUsize, Mutex, fence};
use crate::task::{Details, Id, JoinError, NewTask, Runnable, Schedule, Weight};
use loom::sync::Arc;
use loom::thread;

struct Pool {
    idle: Idle,
    injector: Injector<u32>,
    parkers: Vec<Parker>,
}

impl Pool {
    fn new(workers: usize) -> Arc<Self> {
        let idle = Idle::new();
        idle.reset(workers);
        Arc::new(Self {
            idle,
            injector: Injector::new(),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
        })
    }

    /// As `Home::schedule_remote`.
    fn push(&self, item: u32) {
        self.injector.push(item);
        if let Some(worker) = self.idle.after_remote_push(|| None) {
            assert_eq!(self.parkers[worker].unpark(), Unpark::Done);
        }
    }

    /// As a worker: takes one item, parking until there is one.
    fn take(&self, worker: usize) -> u32 {
        self.take_from(worker, false)
    }

    /// As `Home::wake_after_local_push`.
    fn wake_peer(&self) {
        if let Some(next) = self.idle.after_local_push(1, || None) {
            assert_eq!(self.parkers[next].unpark(), Unpark::Done);
        }
    }

    fn take_from(&self, worker: usize, mut searching: bool) -> u32 {
        loop {
            if let Steal::Success(item) = self.injector.steal() {
                if searching && self.idle.stop_searching() && !self.injector.is_empty() {
                    if let Some(next) = self.idle.after_local_push(1, || None) {
                        assert_eq!(self.parkers[next].unpark(), Unpark::Done);
                    }
                }
                return item;
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
        pool.push(7);
        assert_eq!(worker.join().unwrap(), 7);
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
        pool.push(1);
        pool.push(2);
        let sum: u32 = workers.into_iter().map(|w| w.join().unwrap()).sum();
        assert_eq!(sum, 3);
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
                assert!(matches!(pool.injector.steal(), Steal::Success(_)));
                if searching && pool.idle.stop_searching() {
                    pool.wake_peer();
                }
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
        pool.push(1);
        pool.push(2);
        searcher.join().unwrap();
        sleeper.join().unwrap();
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
            while let Steal::Success(_) = pool.injector.steal() {
                // ORDERING: SeqCst: a test's counter.
                drained.fetch_add(1, SeqCst);
            }
        };
        let pusher = {
            let (pool, abandoned, drained) = (pool.clone(), abandoned.clone(), drained.clone());
            thread::spawn(move || {
                pool.injector.push(1);
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

/// [W1]: the last regular worker begins to compute while the spare goes to rest: the spare stays
/// awake, or is woken; else the model hangs.
#[test]
fn call_against_rest() {
    loom::model(|| {
        let spare = Arc::new(Spare::new());
        let parker = Arc::new(Parker::new());
        // It has been born and works.
        assert_eq!(spare.call(), Called::Start);
        let resting = {
            let (spare, parker) = (spare.clone(), parker.clone());
            thread::spawn(move || {
                // As `rest`, with one regular worker.
                spare.announce_rest();
                if spare.computing() < 1 {
                    parker.park(None);
                }
                spare.announce_work();
            })
        };
        // As `run_heavy`.
        assert_eq!(spare.begin(), 1);
        if spare.call() == Called::Unpark {
            assert_eq!(parker.unpark(), Unpark::Done);
        }
        resting.join().unwrap();
        spare.end();
        assert_eq!(spare.computing(), 0);
    });
}

/// [W3]: two tasks are pushed by those who rely on the spare while it falls asleep: it finds both; else
/// the model hangs.
#[test]
fn push_against_spare_sleep() {
    loom::model(|| {
        let spare = Arc::new(Spare::new());
        let parker = Arc::new(Parker::new());
        let queued = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let push = {
            let (spare, parker, queued) = (spare.clone(), parker.clone(), queued.clone());
            move |at: usize| {
                // Relaxed: the fence is what is modelled; as `wake_after_remote_push`.
                queued[at].fetch_add(1, Relaxed);
                fence(SeqCst);
                if spare.wants_wake() {
                    assert_eq!(parker.unpark(), Unpark::Done);
                }
            }
        };
        let other = {
            let push = push.clone();
            thread::spawn(move || push(1))
        };
        let working = thread::spawn(move || {
            // As `park_spare`, in a loop.
            let mut left = 2;
            loop {
                spare.announce_sleep();
                let found = queued.iter().map(|at| at.swap(0, Relaxed)).sum::<usize>();
                left -= found;
                if left == 0 {
                    break;
                }
                if found == 0 {
                    parker.park(None);
                }
                spare.announce_wake();
            }
        });
        push(0);
        other.join().unwrap();
        working.join().unwrap();
    });
}

/// [W4]: another spare is put in charge while the one before falls asleep and a task is pushed: the task is
/// found by either; else the model hangs.
#[test]
fn push_against_change_of_spare() {
    loom::model(|| {
        let spare = Arc::new(Spare::new());
        let parkers = Arc::new([Parker::new(), Parker::new()]);
        let queued = Arc::new(AtomicUsize::new(0));
        let found = Arc::new(AtomicUsize::new(0));
        let works = {
            let (spare, parkers) = (spare.clone(), parkers.clone());
            let (queued, found) = (queued.clone(), found.clone());
            move |place: usize| {
                // As `step` and `park_spare`.
                while found.load(Relaxed) == 0 {
                    if spare.in_charge() != place {
                        break;
                    }
                    spare.announce_sleep();
                    let seen = queued.swap(0, Relaxed) == 1;
                    if !seen {
                        parkers[place].park(None);
                    }
                    spare.announce_wake();
                    let in_charge = spare.in_charge();
                    if in_charge != place {
                        assert_eq!(parkers[in_charge].unpark(), Unpark::Done);
                    }
                    if seen {
                        found.store(1, Relaxed);
                        // The end of the model, for whoever sleeps.
                        parkers.iter().for_each(|parker| {
                            assert_eq!(parker.unpark(), Unpark::Done);
                        });
                    }
                }
            }
        };
        let before = {
            let works = works.clone();
            thread::spawn(move || works(0))
        };
        let pusher = {
            let (spare, parkers) = (spare.clone(), parkers.clone());
            thread::spawn(move || {
                // Relaxed: the fence is what is modelled; as `wake_after_remote_push`.
                queued.fetch_add(1, Relaxed);
                fence(SeqCst);
                if spare.wants_wake() {
                    let in_charge = spare.in_charge();
                    assert_eq!(parkers[in_charge].unpark(), Unpark::Done);
                }
            })
        };
        // As `replace_spare`; the new one begins in this thread.
        spare.put_in_charge(1);
        assert_eq!(parkers[0].unpark(), Unpark::Done);
        works(1);
        before.join().unwrap();
        pusher.join().unwrap();
        assert_eq!(found.load(Relaxed), 1);
    });
}

/// [W4]: a spare that stands aside is put in charge again as it leaves: it goes on, or the thread that is started for it
/// where nobody seems to play it does, or the next call starts one. Nobody takes it for working while no thread plays it.
#[test]
fn a_spare_that_leaves_against_being_put_in_charge_again() {
    loom::model(|| {
        let spare = Arc::new(Spare::new());
        // The second one stood aside, so it is among the free ones; its thread has the core.
        let free = Arc::new(Mutex::new(vec![1]));
        let core = Arc::new(Mutex::new(None));
        let leaving = {
            let (spare, free, core) = (spare.clone(), free.clone(), core.clone());
            thread::spawn(move || {
                // As `step` and the end of `run`.
                if spare.in_charge() == 1 {
                    return true;
                }
                *core.lock() = Some(());
                // As `spare_is_free`.
                let mut free = free.lock();
                if spare.in_charge() != 1 {
                    if !free.contains(&1) {
                        free.push(1);
                    }
                } else if core.lock().is_some() {
                    spare.stillborn();
                }
                false
            })
        };
        // As `replace_spare`.
        let started = {
            let mut free = free.lock();
            assert_eq!(free.pop(), Some(1));
            spare.put_in_charge(1);
            let is_unplayed = core.lock().is_some();
            is_unplayed.then(|| thread::spawn(move || core.lock().take().is_some()))
        };
        let started = started.is_some_and(|started| started.join().unwrap());
        let plays = [leaving.join().unwrap(), started];
        assert_ne!(plays, [true, true], "one core");
        assert!(plays.contains(&true) || spare.call() == Called::Start);
    });
}

/// [W4]: one that is about to stand by is dismissed: it leaves, or the model hangs.
#[test]
fn standing_by_against_dismissal() {
    loom::model(|| {
        let (spare, parker) = (Arc::new(Spare::new()), Arc::new(Parker::new()));
        let free = Arc::new(Mutex::new(Vec::new()));
        spare.set_stands_by(true);
        let standing = {
            let (spare, free, parker) = (spare.clone(), free.clone(), parker.clone());
            // As `stand_aside`, for one without timers.
            thread::spawn(move || {
                while spare.stands_by() {
                    free.lock().push(1);
                    if spare.stands_by() {
                        parker.park(None);
                    }
                }
            })
        };
        // As `dismiss_standing_by`.
        spare.set_stands_by(false);
        for _ in &*free.lock() {
            assert_eq!(parker.unpark(), Unpark::Done);
        }
        standing.join().unwrap();
    });
}

/// As `park_spare`.
fn asleep_until_it_takes_heavy(spare: &Arc<Spare>, parker: &Arc<Parker>) -> thread::JoinHandle<()> {
    let (spare, parker) = (spare.clone(), parker.clone());
    thread::spawn(move || {
        while !spare.takes_heavy() {
            spare.announce_sleep();
            if !spare.takes_heavy() {
                parker.park(None);
            }
            spare.announce_wake();
        }
    })
}

/// [W5]: the spare falls asleep while the monitor lets it take what is heavy: it does, or the model hangs.
#[test]
fn taking_heavy_against_sleep() {
    loom::model(|| {
        let (spare, parker) = (Arc::new(Spare::new()), Arc::new(Parker::new()));
        spare.set_has_another(true);
        let sleeping = asleep_until_it_takes_heavy(&spare, &parker);
        // As `let_spare_take_heavy`.
        if spare.set_takes_heavy(true) {
            assert_eq!(parker.unpark(), Unpark::Done);
        }
        sleeping.join().unwrap();
    });
}

/// [W5]: the same where the other spare, without which it takes nothing, comes free meanwhile.
#[test]
fn taking_heavy_against_another_that_comes_free() {
    loom::model(|| {
        let (spare, parker) = (Arc::new(Spare::new()), Arc::new(Parker::new()));
        let sleeping = asleep_until_it_takes_heavy(&spare, &parker);
        let freed = {
            let (spare, parker) = (spare.clone(), parker.clone());
            // As `spare_is_free`.
            thread::spawn(move || {
                spare.set_has_another(true);
                if spare.takes_heavy() {
                    assert_eq!(parker.unpark(), Unpark::Done);
                }
            })
        };
        // As `let_spare_take_heavy`.
        if spare.set_takes_heavy(true) {
            assert_eq!(parker.unpark(), Unpark::Done);
        }
        freed.join().unwrap();
        sleeping.join().unwrap();
    });
}

/// [W2]: the spare leaves the driver while a regular worker parks: the worker gets the driver at
/// once, or is sent there; else the model hangs.
#[test]
fn driver_handed_on_against_park() {
    loom::model(|| {
        let pool = Pool::new(1);
        let driver = Arc::new(crate::sync::Mutex::new(()));
        let held = driver.try_lock().expect("nobody else is here yet");
        let regular = {
            let (pool, driver) = (pool.clone(), driver.clone());
            thread::spawn(move || {
                loop {
                    pool.idle.park(0, false);
                    if driver.try_lock().is_some() {
                        break;
                    }
                    pool.parkers[0].park(None);
                    pool.idle.unpark(0);
                }
            })
        };
        // As the end of a wait, and `rest` with `man_the_driver`.
        drop(held);
        if let Some(worker) = pool.idle.any_sleeper() {
            assert_eq!(pool.parkers[worker].unpark(), Unpark::Done);
        }
        regular.join().unwrap();
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

#[derive(Clone)]
struct Nowhere;

impl Schedule for Nowhere {
    fn schedule(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn release(&self, _id: Id, _weight: &Weight) -> bool {
        false
    }

    fn details(&self, _id: Id) -> Option<Details> {
        None
    }

    fn unhandled_panic(&self, _error: &JoinError) {}
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
