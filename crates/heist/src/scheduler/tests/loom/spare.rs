//! Whether a spare comes when only it can.

use super::Pool;
use crate::scheduler::park::{Parker, Unpark};
use crate::scheduler::spare::{Called, Spare};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicUsize, Mutex, fence};
use loom::sync::Arc;
use loom::thread;

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
