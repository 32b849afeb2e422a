//! Who blocks in the driver, and until when.
//!
//! - **\[L1\]** Somebody else may *hold* whoever has overslept, and change how the kernel treats its thread meanwhile: nothing
//!   of that thread's runs before it is let go. Both take the moment away in one step: whoever holds finds it in place, so
//!   the other one has not left; whoever leaves finds that it is held, and waits for the lock, which was taken before.
//!
//! Tests: `driver/tests/loom.rs`, `runtime/drive/tests.rs`.

use crate::clock::Nanos;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, AtomicUsize, Mutex};

const NOBODY: usize = usize::MAX;
/// Nobody blocks, or not until a moment.
const NEVER: Nanos = Nanos::MAX;
/// Somebody holds whoever blocks.
const HELD: Nanos = Nanos::MAX - 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sleeper {
    worker: AtomicUsize,
    /// When it will wake by itself, on the clock's scale; [`NEVER`] also while nobody blocks, and so while the next one reads
    /// the wheels to find its timeout: whoever arms a timer meanwhile interrupts rather once too often.
    until: AtomicU64,
    holds: Mutex<()>,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        Self {
            worker: AtomicUsize::new(NOBODY),
            until: AtomicU64::new(NEVER),
            holds: Mutex::new(()),
        }
    }

    /// `worker` is about to block.
    pub(crate) fn lie_down(&self, worker: usize, until: Option<Nanos>) {
        // Relaxed: whoever holds it sees it through the word below; for others it is a hint.
        self.worker.store(worker, Relaxed);
        // ORDERING: Release pairs with the Acquire in `until` and in `hold`.
        self.until.store(until.unwrap_or(NEVER), Release);
    }

    /// It does not block any more. Waits while it is held [L1].
    pub(crate) fn get_up(&self) {
        // Relaxed: as above.
        self.worker.store(NOBODY, Relaxed);
        // ORDERING: AcqRel: as above, and one step with the one in `hold` [L1].
        if self.until.swap(NEVER, AcqRel) == HELD {
            drop(self.holds.lock());
        }
    }

    /// The worker that blocks.
    pub(crate) fn worker(&self) -> Option<usize> {
        // Relaxed: a hint.
        Some(self.worker.load(Relaxed)).filter(|&worker| worker != NOBODY)
    }

    /// When it will wake by itself. Late rather than early: somebody holds it, or it is on its way.
    pub(crate) fn until(&self) -> Option<Nanos> {
        // ORDERING: Acquire pairs with the Release in `lie_down`.
        Some(self.until.load(Acquire)).filter(|&until| until < HELD)
    }

    /// Somebody holds it, and it has not got up meanwhile.
    pub(crate) fn is_held(&self) -> bool {
        // Relaxed: a hint.
        self.until.load(Relaxed) == HELD
    }

    /// Holds whoever should have woken by then, while `meanwhile` runs.
    pub(crate) fn hold(&self, by: Nanos, meanwhile: impl FnOnce(usize)) {
        let Some(until) = self.until().filter(|&until| until <= by) else {
            return;
        };
        let _held = self.holds.lock();
        // ORDERING: AcqRel: one step with the one in `get_up` [L1].
        let swap = |from, to| self.until.compare_exchange(from, to, AcqRel, Relaxed);
        if swap(until, HELD).is_err() {
            return;
        }
        if let Some(worker) = self.worker() {
            meanwhile(worker);
        }
        // What was done meanwhile comes before whoever finds that it is not held. If this fails it has got up, and waits for
        // the lock.
        let _ = swap(HELD, until);
    }
}
