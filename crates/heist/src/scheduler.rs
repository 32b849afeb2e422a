//! The schedulers: who polls which task next, on which thread.
//!
//! # Multi-thread, on a page
//!
//! A *worker* (`worker.rs`) is a slot with a local queue, a LIFO slot and counters; a thread plays
//! its role. A step of a worker is to pick a task and poll it. It looks in its
//! LIFO slot (the task woken last, whose data is hot; three times in a row at most), its local
//! queue, the injector, and then steals half of another's queue; but it fetches nothing from there
//! twice within four microseconds, and waits as one that searches until then. Every 61 steps it looks at the
//! injector first, so that busy queues do not starve what came from outside. Every 50 µs of work,
//! by the cycle counter and never by count, it gives the driver a turn.
//!
//! A worker that finds nothing then *parks*: in the driver if nobody else is there, else on a condition
//! variable with its own timers' deadline.
//!
//! # Rules
//!
//! - **\[S1\]** A runnable is in one queue or in one thread's hands.
//! - **\[S2\]** Before a worker blocks it says so in the idle word (`idle.rs`), and *after* that
//!   looks at the injector and every queue once more. Whoever pushes to the injector looks at the
//!   idle word *after* the push. Both are sequentially consistent, so one of the two sees the
//!   other: no wake is lost between "found nothing" and "parked".
//! - **\[S3\]** A push to the worker's own queue looks at the idle word without a fence: should it
//!   miss a parked peer, the task is not lost, since its worker is awake and comes to it. One that computes will not come
//!   for long, so what it pushes to an empty queue looks with a fence; for what it pushes after that somebody is on the way,
//!   or nobody is left, and what is missed as that one leaves, the monitor finds. For what a turn of the driver has queued a
//!   peer is woken where it is worth that (`room.rs`), for a poll that is known to be slow where anything is behind it.
//! - **\[S4\]** A push to the LIFO slot wakes nobody.
//! - **\[S5\]** At most one thread is woken at a time to search, or for forked jobs one for each that is
//!   public; it wakes the next when it finds work, so that a burst wakes as many as there is work for.
//! - **\[S6\]** Tasks point at their scheduler's [`Home`](home::Home), which is never freed, so a
//!   waker that outlives its runtime is harmless and no task counts references to its scheduler.
//! - **\[S7\]** Whoever pushes to the injector of a closed home helps to empty it, so that every
//!   task's future is dropped although no worker is left.
//! - **\[S8\]** A local task is run and dropped by the thread that owns its `LocalRuntime`.
//!
//! The current-thread scheduler is `local.rs`: one FIFO, no LIFO slot.
//!
//! This layer knows nothing of IO, timers or sockets: a worker parks on a [`Drive`].
//!
//! Tests: `scheduler/tests/`.

pub(crate) mod alarm;
pub(crate) mod current;
pub(crate) mod fork;
pub(crate) mod home;
mod idle;
pub(crate) mod local;
pub(crate) mod park;
pub(crate) mod queue;
#[cfg(not(heist_no_monitor))]
pub(crate) mod record;
#[cfg(heist_no_monitor)]
#[path = "scheduler/no_record.rs"]
pub(crate) mod record;
pub(crate) mod room;
pub(crate) mod shared;
pub(crate) mod sites;
pub(crate) mod slice;
pub(crate) mod spare;
pub(crate) mod suspects;
pub(crate) mod worker;
pub(crate) mod yield_now;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

pub(crate) use home::Home;

/// What a worker parks on, and gives a turn from time to time.
pub(crate) trait Drive: Send + Sync + 'static {
    /// Fires due timers of `worker` and takes what events there are, without blocking. The tasks
    /// that this wakes are scheduled on the calling thread.
    fn turn(&self, worker: usize);

    /// Fires due timers of `worker`, and no more.
    fn fire(&self, worker: usize);

    /// Blocks until `parker` is unparked, or only until a timer of `worker` is due: the driver is
    /// somebody else's.
    fn park_aside(&self, worker: usize, parker: &park::Parker);

    /// Blocks until `parker` is unparked, an event came, or a timer of `worker` is due.
    ///
    /// `watch`: some worker is in a long poll, so look after its timers too. It is asked by whoever has the driver already:
    /// a notification that says so could be taken by another before.
    fn park(&self, worker: usize, watch: &dyn Fn() -> bool, parker: &park::Parker) -> Parked;

    /// `worker` goes into a long poll: whoever blocks in the driver must look after its timers.
    fn entrust_timers(&self, worker: usize);

    /// Timers of `worker` are armed.
    fn has_timers(&self, worker: usize) -> bool;

    /// Interrupts the thread that blocks in the driver.
    fn notify(&self);

    /// How long until the thread that blocks in the driver wakes by itself, if it is known to.
    fn wakes_in(&self) -> Option<Duration>;

    /// It wakes at the moment that it has asked for, but for microseconds.
    fn is_exact(&self) -> bool;

    /// If the thread that blocks in the driver should have woken by itself so long ago, holds it there while `meanwhile` runs,
    /// with the worker that it plays, and what wakes it.
    fn hold_if_late(&self, by: Duration, meanwhile: &mut dyn FnMut(usize, &dyn Fn()));

    /// The worker that blocks in the driver now, who is woken last.
    fn poller(&self) -> Option<usize>;
}

/// How a worker came out of [`Drive::park`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    Woke,
    /// Under a virtual clock: no timer, no IO and no blocking call is left that could wake anyone.
    Deadlock,
}

/// How the workers of a runtime behave.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Work between two turns of the driver.
    pub(crate) event_interval: Duration,
    /// How many spare workers there are, at least one.
    pub(crate) n_spares: usize,
    /// Threads ask the kernel for time slices of their own (`slice.rs`).
    pub(crate) time_slices: bool,
}
