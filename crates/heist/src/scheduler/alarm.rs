//! What wakes the monitor from its deep sleep.
//!
//! - **\[M1\]** Before the deep sleep the monitor says so, and then looks once more whether a worker is
//!   awake; a worker that wakes looks at the word after it is off the list. So one of the two sees
//!   the other.
//!
//! Tests: `scheduler/tests/loom.rs`.

use super::park::{Parker, Unpark};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicBool, fence};
use std::time::Duration;

/// The monitor's place to sleep.
#[derive(Debug)]
pub(crate) struct Alarm {
    parker: Parker,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            parker: Parker::new(),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// A worker has come out of a park.
    #[inline]
    pub(crate) fn worker_awake(&self) {
        // ORDERING: SeqCst fence between the worker's leaving the list and this look [M1].
        fence(SeqCst);
        if self.asleep.load(Relaxed) {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        // The monitor never blocks in a driver.
        let (Unpark::Done | Unpark::NotifyDriver) = self.parker.unpark();
    }

    /// Ends the monitor's thread soon.
    pub(crate) fn stop(&self) {
        // ORDERING: SeqCst, before the unpark.
        self.stopped.store(true, SeqCst);
        self.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        // ORDERING: SeqCst: pairs with `stop`.
        self.stopped.load(SeqCst)
    }

    /// Sleeps until rung, or for this long.
    pub(crate) fn sleep(&self, period: Duration) {
        self.parker.park(Some(period));
    }

    /// Sleeps until rung, unless somebody is awake after all [M1].
    pub(crate) fn deep_sleep(&self, all_parked: impl FnOnce() -> bool) {
        // ORDERING: SeqCst: the word comes before the last look, pairs with the fence in
        // `worker_awake`.
        self.asleep.store(true, SeqCst);
        fence(SeqCst);
        if all_parked() && !self.is_stopped() {
            self.parker.park(None);
        }
        // ORDERING: SeqCst, for the single order of the word.
        self.asleep.store(false, SeqCst);
    }
}
