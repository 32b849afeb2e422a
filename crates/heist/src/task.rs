//! A task: a future that the runtime owns, and the handles to it.
//!
//! One allocation, the *cell* (`cell.rs`), holds everything: a header that every reference can
//! read, the scheduler's address, and the *stage*, which is the future first and its output later.
//! All references are the same pointer with different rights:
//!
//! | reference | count | right |
//! |---|---|---|
//! | `Runnable` | one at most | to poll, or to drop the future |
//! | [`JoinHandle`] | one | to take the output; to write the joiner's waker |
//! | [`AbortHandle`], `Waker`, `TaskRef` | any | to set flags and to make the task runnable |
//! | the registry | one, until the task is complete | to find the task at shutdown |
//!
//! # The state word
//!
//! `state.rs` packs six flags and the reference count into one word. Its transitions are pure
//! functions; each answers with an action that says what the caller must now do.
//!
//! # Rules
//!
//! - **\[T1\]** The future is touched only by the holder of `RUNNING`, and `RUNNING` is held by one
//!   thread: it is set by the transition to running, by the claim of an idle task at shutdown, or
//!   by birth, and the `Runnable` that a new task is born with is the only one.
//! - **\[T2\]** A `Runnable` exists exactly while a task is `SCHEDULED` and not `RUNNING`, or is
//!   newborn or has woken itself. A wake that finds `SCHEDULED` makes none; a wake that finds `RUNNING` leaves
//!   `SCHEDULED` for the end of the poll, which makes one.
//! - **\[T3\]** Every wake writes the state word, even when it changes nothing, so that what the
//!   waker's thread did before is visible to the next poll.
//! - **\[T4\]** A newborn task is `RUNNING`: nobody has its waker, so the first poll needs no
//!   locked operation, but where the task was woken already through its state (`stateful.rs`).
//!   A task that wakes itself needs none either, by rule \[T10\], which is in `polled.rs`.
//! - **\[T5\]** `COMPLETE` is set once, after the future is gone and the output (or the error) is
//!   in the stage, and is never cleared. Where nobody has a reference but who completes, and there is
//!   no join handle, it is a plain store: who wakes or aborts the task through its state meanwhile
//!   changes nothing that counts.
//! - **\[T6\]** The output belongs to the completing thread until `COMPLETE`; then to the join
//!   handle if `JOIN_INTEREST` was set at that moment, else it is dropped before `COMPLETE`.
//! - **\[T7\]** The joiner's waker is written by the join handle alone, while `JOIN_WAKER` is clear
//!   and `COMPLETE` is clear. While `JOIN_WAKER` is set it is only read. After `COMPLETE` nobody
//!   writes it, and it is dropped with the cell.
//! - **\[T8\]** Whoever drops the last reference frees the cell. A complete task's cell holds
//!   neither future nor unowned output, so freeing it runs no user code but the drop of the
//!   joiner's waker. A state beside it (`stateful.rs`) goes with the last that holds it.
//! - **\[T9\]** User code (poll, drop, wake) that panics is caught where it is called; the state
//!   machine goes on as if it had returned.
//!
//! Tests: `task/tests/state.rs` enumerates every state and transition, `task/tests/cell.rs` runs
//! the whole on a hand-made scheduler, `task/tests/loom.rs` has a model for each race named above.

mod cell;
mod id;
mod join;
mod memory;
mod polled;
mod raw;
mod registry;
mod state;
mod stateful;
mod waker;
mod weight;

#[cfg(test)]
pub(crate) mod tests;

pub use id::{Id, id, try_id};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use stateful::{State, Stateful};

pub(crate) use id::CurrentTask;
pub(crate) use memory::give_back;
pub(crate) use raw::{NewTask, Runnable, TaskRef};
pub(crate) use registry::{Birth, Closed, Details, Kind, Listed, Own, Registry, TOGETHER};
pub(crate) use state::Phase;
pub(crate) use stateful::NewStateful;
pub(crate) use weight::{Class, Weight};

pub use crate::runtime::spawning::{
    Builder, block_in_place, spawn, spawn_blocking, spawn_local, spawn_stateful,
};
pub use crate::scheduler::yield_now::{YieldNow, yield_now};

/// What a task needs of whoever runs it.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Queues a task that was woken.
    fn schedule(&self, runnable: Runnable);

    /// A poll returned `Pending`; its runner still holds the task. `goes_on`: the task has woken itself.
    #[inline]
    fn polled(&self, _weight: &Weight, _goes_on: bool) {}

    /// Takes a task that is about to complete out of the registry. The answer says whether it was
    /// there, so that its reference can be dropped.
    fn release(&self, id: Id, weight: &Weight) -> bool;

    /// All that is left to do for a task is to wake its joiner: then its runner looks for more.
    #[inline]
    fn ends(&self, _weight: &Weight) {}

    /// What is known of a live task, for messages.
    fn details(&self, id: Id) -> Option<Details>;

    /// A task panicked and its output was dropped unread.
    fn unhandled_panic(&self, error: &JoinError);
}
