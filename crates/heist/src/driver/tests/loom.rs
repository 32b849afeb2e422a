//! Readiness and timers against their users.

use crate::driver::Timers;
use crate::driver::sleeper::Sleeper;
use crate::driver::source::{Readiness, Side, Source};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex};
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A source, and the data that its operation finds.
struct Device {
    source: Source,
    data: AtomicUsize,
}

impl Device {
    /// As the kernel and the reactor: data first, the event second.
    fn deliver(&self, tick: usize) {
        self.data.fetch_add(1, Relaxed);
        let mut wakers = Vec::new();
        self.source.set(tick, Readiness::READABLE, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// As `IoSource::poll_io`: try first, wait on nothing found.
    async fn read(&self, already: usize) -> usize {
        poll_fn(|cx| {
            loop {
                let Poll::Ready(seen) = self.source.poll_ready(Side::Read, cx) else {
                    return Poll::Pending;
                };
                match self.data.load(Relaxed) {
                    n if n > already => return Poll::Ready(n),
                    _ => self.source.clear(seen),
                }
            }
        })
        .await
    }
}

fn device() -> Arc<Device> {
    Arc::new(Device {
        source: Source::new(Readiness::READABLE),
        data: AtomicUsize::new(0),
    })
}

/// [I1, I2]: an event that comes while the reader clears, or registers, is never lost.
#[test]
fn clear_and_wait_against_event() {
    loom::model(|| {
        let device = device();
        let reactor = {
            let device = device.clone();
            thread::spawn(move || device.deliver(1))
        };
        assert_eq!(loom::future::block_on(device.read(0)), 1);
        reactor.join().unwrap();
    });
}

/// [I1]: nor is a second one, which finds the readiness of the first.
#[test]
fn clear_against_two_events() {
    loom::model(|| {
        let device = device();
        let reactor = {
            let device = device.clone();
            thread::spawn(move || {
                device.deliver(1);
                device.deliver(2);
            })
        };
        loom::future::block_on(async {
            let mut seen = 0;
            while seen < 2 {
                seen = device.read(seen).await;
            }
        });
        reactor.join().unwrap();
    });
}

/// [I2]: many waiters: each is woken or sees the event.
#[test]
fn shared_wait_against_event() {
    loom::model(|| {
        let device = device();
        device.source.clear(device.source.seen(Readiness::READ));
        let reactor = {
            let device = device.clone();
            thread::spawn(move || device.deliver(1))
        };
        let mut id = None;
        loom::future::block_on(poll_fn(|cx| {
            device.source.poll_shared(Readiness::READ, &mut id, cx)
        }));
        device.source.cancel_shared(&mut id);
        reactor.join().unwrap();
    });
}

/// A timer that is cancelled while it fires: no waker is used twice, none is leaked, and the entry
/// is freed once.
#[test]
fn timer_cancel_against_fire() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let woken = Arc::new(AtomicUsize::new(0));
        let waker = futures_util::task::waker(std::sync::Arc::new(Counting(woken.clone())));
        let key = timers.arm(5, waker.clone()).unwrap().key;
        drop(waker);
        let driver = {
            let timers = timers.clone();
            thread::spawn(move || {
                timers.fire(10);
            })
        };
        timers.disarm(key);
        driver.join().unwrap();
        assert!(woken.load(Relaxed) <= 1);
        assert_eq!(timers.wheel.lock().len(), 0);
    });
}

struct Counting(Arc<AtomicUsize>);

impl futures_util::task::ArcWake for Counting {
    fn wake_by_ref(this: &std::sync::Arc<Self>) {
        this.0.fetch_add(1, Relaxed);
    }
}

/// A task that polls its timer while it fires is woken or sees that it has fired.
#[test]
fn timer_poll_against_fire() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let key = timers.arm(5, Waker::noop().clone()).unwrap().key;
        let driver = {
            let timers = timers.clone();
            thread::spawn(move || {
                timers.fire(10);
            })
        };
        loom::future::block_on(poll_fn(|cx| match timers.update_waker(key, cx.waker()) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }));
        driver.join().unwrap();
        timers.disarm(key);
    });
}

/// What `RuntimeDrive` does with the driver, without timers and descriptors: the right to turn, and the notification,
/// which the next one who waits takes.
struct Parking {
    turn: Mutex<()>,
    notified: Mutex<bool>,
    notify: Condvar,
    computes: AtomicBool,
}

impl Parking {
    /// A worker parks until it has been told that somebody computes, whose timers it watches then.
    fn park(&self) {
        loop {
            let Some(_turn) = self.turn.try_lock() else {
                thread::yield_now();
                continue;
            };
            // ORDERING: SeqCst, as for those that compute.
            if self.computes.load(SeqCst) {
                return;
            }
            let mut notified = self.notified.lock();
            while !*notified {
                notified = self.notify.wait(notified);
            }
            *notified = false;
        }
    }

    /// Another worker turns in passing.
    fn turn(&self) {
        if let Some(_turn) = self.turn.try_lock() {
            *self.notified.lock() = false;
        }
    }

    /// A third one begins to compute.
    fn compute(&self) {
        // ORDERING: as above.
        self.computes.store(true, SeqCst);
        *self.notified.lock() = true;
        self.notify.notify_one();
    }
}

/// [D1]: a notification is not lost to a turn in passing, as whom to watch is asked with the driver in hand: asked before,
/// whoever parks would wait for ever.
#[test]
fn park_against_turn_and_notification() {
    loom::model(|| {
        let parking = Arc::new(Parking {
            turn: Mutex::new(()),
            notified: Mutex::new(false),
            notify: Condvar::new(),
            computes: AtomicBool::new(false),
        });
        let turning = {
            let parking = parking.clone();
            thread::spawn(move || parking.turn())
        };
        let computing = {
            let parking = parking.clone();
            thread::spawn(move || parking.compute())
        };
        parking.park();
        turning.join().unwrap();
        computing.join().unwrap();
    });
}

/// [L1]: nothing of whoever blocks runs while it is held, and who has left is not held.
#[test]
fn leave_the_driver_against_hold() {
    loom::model(|| {
        let sleeper = Arc::new(Sleeper::new());
        // Whether the thread may run anywhere, and whether it does something of its own.
        let (narrowed, runs) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        sleeper.lie_down(3, Some(5));
        let monitor = {
            let (sleeper, narrowed, runs) = (sleeper.clone(), narrowed.clone(), runs.clone());
            thread::spawn(move || {
                sleeper.hold(7, |worker| {
                    assert_eq!(worker, 3);
                    narrowed.store(true, Relaxed);
                    assert!(!runs.load(Relaxed), "it has left");
                    narrowed.store(false, Relaxed);
                });
            })
        };
        sleeper.get_up();
        runs.store(true, Relaxed);
        assert!(!narrowed.load(Relaxed), "it is held");
        monitor.join().unwrap();
        assert_eq!((sleeper.worker(), sleeper.until()), (None, None));
    });
}

/// [L1]: nor does a hold that ends late touch the next one who blocks.
#[test]
fn block_again_against_hold() {
    loom::model(|| {
        let sleeper = Arc::new(Sleeper::new());
        sleeper.lie_down(3, Some(5));
        let monitor = {
            let sleeper = sleeper.clone();
            thread::spawn(move || sleeper.hold(7, |_| ()))
        };
        sleeper.get_up();
        sleeper.lie_down(4, Some(9));
        assert_eq!((sleeper.worker(), sleeper.until()), (Some(4), Some(9)));
        monitor.join().unwrap();
        assert_eq!((sleeper.worker(), sleeper.until()), (Some(4), Some(9)));
    });
}
