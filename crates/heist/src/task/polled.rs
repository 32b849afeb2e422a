//! Which task this thread polls, so that it can wake itself without touching its state word.
//!
//! - **\[T10\]** A task that wakes itself through its own waker, by reference, on the thread that polls
//!   it, only leaves a note for that thread. If the poll then returns `Pending` the thread queues the
//!   task again and keeps `RUNNING`, as for a newborn. Everybody else's wake meanwhile leaves
//!   `SCHEDULED`, which the next run takes away as it begins.
//!
//! Tests: `task/tests/cell.rs`, `task/tests/loom.rs`.

use std::cell::Cell;

crate::sync::thread_local! {
    /// The address of the header, 0 outside a poll; and whether the task has woken itself.
    static POLLED: Cell<(usize, bool)> = Cell::new((0, false));
}

/// A poll within which the thread may poll other tasks.
#[derive(Debug)]
pub(super) struct Polled {
    outer: (usize, bool),
}

impl Polled {
    #[inline]
    pub(super) fn enter(header: usize) -> Self {
        Self {
            outer: POLLED.with(|polled| polled.replace((header, false))),
        }
    }

    /// The poll is over: has the task woken itself?
    #[inline]
    pub(super) fn leave(self) -> bool {
        POLLED.with(|polled| polled.replace(self.outer)).1
    }
}

/// Takes note of a wake of this task, if this thread polls it right now.
#[inline]
pub(super) fn wakes_itself(header: usize) -> bool {
    POLLED.with(|polled| {
        let own = polled.get().0 == header;
        if own {
            polled.set((header, true));
        }
        own
    })
}
