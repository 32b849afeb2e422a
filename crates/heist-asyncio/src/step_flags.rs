//! What a task's step and those who cancel the task see of each other.
//!
//! The step reads and writes without the cell's lock, so that one that has nothing to do with a cancel takes none. Under
//! the lock alone a mark is set, taken or undone, and a wait added or removed.
//!
//! - `[F1]` A cancel that finds the task in a step leaves a mark, whatever the task waits on by then: the step looks for
//!   it where it suspends, and tells everything that it waits on, as `Task.__step` does. A step says that it is over
//!   and then looks for a mark; a cancel marks and then looks whether the step is over. So one of the two sees the other.
//! - `[F2]` A cancel that finds the step over takes its mark back before it unlocks, and tells what the task waits on
//!   itself. The step takes a mark under the lock, so that not both of them do.
//! - `[F3]` A step that suspends in a foreign future, or leaves its waker, suspends under the lock.
//!
//! Tests: `tests/loom.rs`.

use crate::sync::{AtomicBool, Ordering, between_seq_cst};

/// See the module.
#[derive(Default)]
pub(crate) struct StepFlags {
    /// Written by the step, the last of the three.
    started: AtomicBool,
    /// Written by the step.
    running: AtomicBool,
    /// Suspended in a bare yield; written by the step.
    yielding: AtomicBool,
    /// An undelivered cancel; written under the lock.
    must_cancel: AtomicBool,
    /// There are waits; written under the lock.
    has_waits: AtomicBool,
    /// The state holds a context; written under the lock.
    pub(crate) has_context: AtomicBool,
}

impl StepFlags {
    /// Begins a step. True where it is the first.
    pub(crate) fn begin(&self) -> bool {
        // ORDERING: Relaxed twice, then Release: see `is_in_foreign_future`.
        self.yielding.store(false, Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
        let is_first = !self.started.load(Ordering::Relaxed);
        self.started.store(true, Ordering::Release);
        is_first
    }

    /// Ends a step that suspends. True where there is a mark: what the task waits on is to be told, `[F1]`.
    pub(crate) fn end(&self) -> bool {
        // ORDERING: SeqCst, as in `mark_running`: not both of the loads may miss the other's store.
        self.running.store(false, Ordering::SeqCst);
        between_seq_cst();
        self.must_cancel.load(Ordering::SeqCst)
    }

    /// Ends a step that suspends in a bare yield.
    pub(crate) fn end_yielding(&self) {
        // ORDERING: Relaxed; the next step looks for a mark.
        self.running.store(false, Ordering::Relaxed);
    }

    /// Marks a task that is in a step; false where it is not. To be called under the cell's lock. `[F1]`, `[F2]`
    pub(crate) fn mark_running(&self) -> bool {
        // ORDERING: Relaxed; written under the lock.
        let was_marked = self.must_cancel.load(Ordering::Relaxed);
        // ORDERING: SeqCst, as in `end`.
        self.must_cancel.store(true, Ordering::SeqCst);
        between_seq_cst();
        let is_running = self.running.load(Ordering::SeqCst);
        if !is_running {
            self.set_mark(was_marked);
        }
        is_running
    }

    /// In a step, as far as is known.
    pub(crate) fn is_running(&self) -> bool {
        // ORDERING: Relaxed; who must not miss the step's end holds the lock that it takes, [F3].
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn is_marked(&self) -> bool {
        // ORDERING: Acquire pairs with the store in `set_mark`: what came before the cancel is seen.
        self.must_cancel.load(Ordering::Acquire)
    }

    /// To be called under the cell's lock.
    pub(crate) fn set_mark(&self, mark: bool) {
        // ORDERING: Release pairs with `is_marked`.
        self.must_cancel.store(mark, Ordering::Release);
    }

    /// Takes the mark; to be called under the cell's lock.
    pub(crate) fn take_mark(&self) -> bool {
        let was_marked = self.is_marked();
        if was_marked {
            self.set_mark(false);
        }
        was_marked
    }

    /// To be called by the step.
    pub(crate) fn is_yielding(&self) -> bool {
        // ORDERING: Relaxed; the step itself has written it.
        self.yielding.load(Ordering::Relaxed)
    }

    /// To be called by the step; gives what was set before.
    pub(crate) fn set_yielding(&self, yielding: bool) -> bool {
        let was_yielding = self.is_yielding();
        // ORDERING: Relaxed; who cancels needs no more than to see it some time.
        self.yielding.store(yielding, Ordering::Relaxed);
        was_yielding
    }

    /// To be called under the cell's lock.
    pub(crate) fn set_has_waits(&self, has_waits: bool) {
        // ORDERING: Relaxed; a step asks for its own waits, and who else removes one is about to wake it.
        self.has_waits.store(has_waits, Ordering::Relaxed);
    }

    pub(crate) fn has_waits(&self) -> bool {
        // ORDERING: Relaxed; see `set_has_waits`.
        self.has_waits.load(Ordering::Relaxed)
    }

    /// Suspended in a future that is not the facade's, which no cancel can reach. Asked under the cell's lock.
    pub(crate) fn is_in_foreign_future(&self) -> bool {
        // ORDERING: Acquire on the one that is written last; a step that begins just now is woken once too often.
        self.started.load(Ordering::Acquire)
            && !self.is_running()
            && !self.is_yielding()
            && !self.has_waits()
    }
}
