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
//! - `[F4]` A yield is no wait that could be told, nor is a scope that is suspended in a foreign future. Where one is not
//!   alone, under `join!`, the requests that others have accepted are counted, and it compares the count with that of its
//!   beginning. A step has a view of the count, taken where it begins: so of two yields in one step one sees a request.
//!   Who counts wakes the task afterwards, so that there is a step that sees it.
//! - `[F5]` Yields and scopes take such marks only as were there where the step began, when everything was suspended.
//!   One that comes during the step is for what the task is suspended in where that ends: taken earlier, by one branch,
//!   it would miss those that are still to begin a wait.
//!
//! Tests: `tests/loom.rs`.

use crate::sync::{AtomicBool, AtomicU8, Ordering, between_seq_cst};

/// See the module.
#[derive(Default)]
pub(crate) struct StepFlags {
    /// Written by the step.
    running: AtomicBool,
    /// The bits below; written by the step.
    this_step: AtomicU8,
    /// An undelivered cancel; written under the lock.
    must_cancel: AtomicBool,
    /// There are waits; written under the lock.
    has_waits: AtomicBool,
    /// How many requests others have accepted, `[F4]`; written under the lock. It may wrap: what accepts
    /// once does not accept again before the next step, which looks.
    told: AtomicU8,
    /// The step's view of it; written by the step.
    seen: AtomicU8,
    /// The state holds a context; written under the lock.
    pub(crate) has_context: AtomicBool,
}

/// There was a step.
const STARTED: u8 = 1;
/// Suspended in a bare yield.
const YIELD: u8 = 2;
/// Suspended in a wait, a yield or a scope since somebody has asked.
const LEAF: u8 = 4;
/// A scope is suspended in a foreign future.
const SCOPE: u8 = 8;
/// The step has counted a request itself.
const COUNTED: u8 = 16;
/// There was a mark where the step began.
const MARKED: u8 = 32;

impl StepFlags {
    /// Begins a step. True where it is the first.
    pub(crate) fn begin(&self) -> bool {
        // ORDERING: Relaxed, then Release: see `is_in_foreign_future`. What was counted before the wake is seen.
        let is_first = self.this_step.load(Ordering::Relaxed) & STARTED == 0;
        let marked = if self.is_marked() { MARKED } else { 0 };
        self.seen
            .store(self.told.load(Ordering::Relaxed), Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
        self.this_step.store(STARTED | marked, Ordering::Release);
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
        self.has(YIELD)
    }

    /// To be called by the step; gives what was set before.
    pub(crate) fn set_yielding(&self, yielding: bool) -> bool {
        if yielding {
            self.set_in_leaf(true);
        }
        self.set(YIELD, yielding)
    }

    /// To be called by the step.
    pub(crate) fn is_in_leaf(&self) -> bool {
        self.has(LEAF)
    }

    /// Whether the step was suspended in a leaf of the facade since this was last cleared. To be called by the step;
    /// gives what was set before.
    pub(crate) fn set_in_leaf(&self, in_leaf: bool) -> bool {
        self.set(LEAF, in_leaf)
    }

    /// A scope suspends in a foreign future. To be called by the step.
    pub(crate) fn set_has_scope(&self) {
        self.set(SCOPE, true);
    }

    /// To be called by the step.
    pub(crate) fn has_scope(&self) -> bool {
        self.has(SCOPE)
    }

    /// A scope may have looked before the step has counted a request, `[F4]`. To be called by the step.
    pub(crate) fn is_scope_late(&self) -> bool {
        self.has(SCOPE) && self.has(COUNTED)
    }

    /// There was a mark where the step began, `[F5]`. To be called by the step.
    pub(crate) fn began_marked(&self) -> bool {
        self.has(MARKED)
    }

    fn has(&self, bit: u8) -> bool {
        // ORDERING: Relaxed; the step itself has written it.
        self.this_step.load(Ordering::Relaxed) & bit != 0
    }

    fn set(&self, bit: u8, is_set: bool) -> bool {
        // ORDERING: Relaxed; who cancels needs no more than to see it some time.
        let before = self.this_step.load(Ordering::Relaxed);
        let now = if is_set { before | bit } else { before & !bit };
        self.this_step.store(now, Ordering::Relaxed);
        before & bit != 0
    }

    /// To be called by the step where it suspends in a yield; gives what the yield compares at its end, `[F4]`.
    pub(crate) fn begin_yield(&self) -> u8 {
        self.set_yielding(true);
        self.seen()
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

    /// Counts a request that was accepted; to be called under the cell's lock. `[F4]`
    pub(crate) fn count(&self) {
        let told = self.told.load(Ordering::Relaxed).wrapping_add(1);
        // ORDERING: Relaxed, both; the wake that follows orders it before the step that is to see it.
        self.told.store(told, Ordering::Relaxed);
    }

    /// The same by the step itself, which takes a mark: who is polled later in this step sees it.
    pub(crate) fn count_in_step(&self) {
        self.count();
        // ORDERING: Relaxed; the step's own.
        self.seen
            .store(self.seen().wrapping_add(1), Ordering::Relaxed);
        self.set(COUNTED, true);
    }

    /// The step's view of the count. To be called by the step.
    pub(crate) fn seen(&self) -> u8 {
        // ORDERING: Relaxed; the step itself has written it.
        self.seen.load(Ordering::Relaxed)
    }

    /// Suspended in a future that is not the facade's, which no cancel can reach. Asked under the cell's lock.
    pub(crate) fn is_in_foreign_future(&self) -> bool {
        // ORDERING: Acquire on the one that is written last; a step that begins just now is woken once too often.
        let this_step = self.this_step.load(Ordering::Acquire);
        this_step & (STARTED | YIELD) == STARTED && !self.is_running() && !self.has_waits()
    }
}
