//! A driver that the test plays, and a scheduler on it.

use crate::report::PanicHook;
use crate::scheduler::park::Parker;
use crate::scheduler::shared::{Roles, Shared};
use crate::scheduler::{Drive, Home, Parked, Policy};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

/// A driver whose events the test brings: worker 0 finds them when it parks. Counts how often worker 1 came out, which is
/// the spare where there is one worker.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) next: Mutex<Vec<Waker>>,
    pub(crate) unparks_of_peer: AtomicUsize,
    pub(crate) has_peer: AtomicBool,
    pub(crate) peer_sleeps: AtomicBool,
    /// A computation has just ended.
    pub(crate) computed: AtomicBool,
    /// After so many of them worker 0 took a turn first, or fired its timers alone.
    pub(crate) turns: AtomicUsize,
    pub(crate) fires: AtomicUsize,
    /// Whoever waits wakes at the moment that it asks for.
    pub(crate) is_exact: AtomicBool,
    /// Somebody is always late; so often it was held.
    pub(crate) holds: AtomicUsize,
}

impl Events {
    /// The first of these two that worker 0 does after a computation counts: another one comes where the kernel has stopped
    /// the thread for an interval.
    fn count(&self, counter: &AtomicUsize, worker: usize) {
        if worker == 0 && self.computed.swap(false, SeqCst) {
            counter.fetch_add(1, SeqCst);
        }
    }
}

impl Drive for Arc<Events> {
    fn turn(&self, worker: usize) {
        self.count(&self.turns, worker);
    }

    fn fire(&self, worker: usize) {
        self.count(&self.fires, worker);
    }

    fn park_aside(&self, _worker: usize, parker: &Parker) {
        parker.park(None);
    }

    fn park(&self, worker: usize, _watch: &dyn Fn() -> bool, parker: &Parker) -> Parked {
        let events = match worker {
            0 => std::mem::take(&mut *self.next.lock().unwrap()),
            _ => Vec::new(),
        };
        if events.is_empty() {
            self.has_peer.fetch_or(worker == 1, SeqCst);
            self.peer_sleeps.fetch_or(worker == 1, SeqCst);
            parker.park(None);
            if worker == 1 {
                self.peer_sleeps.store(false, SeqCst);
            }
            self.unparks_of_peer.fetch_add(worker, SeqCst);
        }
        events.into_iter().for_each(Waker::wake);
        Parked::Woke
    }

    fn entrust_timers(&self, _worker: usize) {}

    fn has_timers(&self, _worker: usize) -> bool {
        false
    }

    fn notify(&self) {}

    fn wakes_in(&self) -> Option<Duration> {
        None
    }

    fn is_exact(&self) -> bool {
        self.is_exact.load(SeqCst)
    }

    fn hold_if_late(&self, _by: Duration, meanwhile: &mut dyn FnMut(usize, &dyn Fn())) {
        self.holds.fetch_add(1, SeqCst);
        meanwhile(0, &|| ());
    }

    fn poller(&self) -> Option<usize> {
        self.has_peer.load(SeqCst).then_some(1)
    }
}

/// As many threads as are asked for.
pub(crate) struct Threads;

impl Roles for Threads {
    fn play(&self, f: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        std::thread::Builder::new().spawn(f).map(drop)
    }
}

/// A scheduler on that driver, and its epoch.
pub(crate) fn shared_on(
    roles: Arc<dyn Roles>,
    n_workers: usize,
    time_slices: bool,
    events: &Arc<Events>,
) -> (Arc<Shared>, u64) {
    let (home, epoch) = Home::acquire(n_workers, false);
    let policy = Policy {
        event_interval: Duration::from_micros(50),
        n_spares: 1,
        time_slices,
    };
    let hook: PanicHook = Arc::new(|_| {});
    let drive = Arc::new(events.clone());
    let shared = Shared::new(home, n_workers, drive, roles, &policy, hook);
    home.set_resident(shared.clone());
    (shared, epoch)
}
