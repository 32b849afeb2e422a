//! `install`: a computation on the calling thread, with the workers' help.
//!
//! Tests: `tests/it/install.rs`.

use super::{Runtime, Scheduler};
use crate::scheduler::fork;
use crate::scheduler::worker::{block_in_place, plays_worker_of};

impl Runtime {
    /// Calls `f` right here, and has the workers take part in what it forks with [`parallel`](crate::parallel).
    ///
    /// For threads that are none of the runtime's: `main`, one of your own, a pool's. The caller begins at once and
    /// wakes nobody unless there is something to share, so that a small computation takes no longer than it would
    /// in sequence; [`compute`](crate::compute) first wakes a worker, and then the caller. From async code `compute` is
    /// the one to take, since this holds its caller up. The runtime is current meanwhile.
    ///
    /// On a worker of this runtime, and within another `install`, it just calls `f`, which forks there anyway; a worker
    /// of another runtime is handed to another thread first. A current-thread runtime has no workers to help.
    ///
    /// # Panics
    ///
    /// If `f` panics.
    ///
    /// ```
    /// use heist::parallel::{Split, par_reduce};
    ///
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let values = vec![1_u64; 100_000];
    /// let sum = runtime.install(|| {
    ///     par_reduce(
    ///         values.at_least(1_024),
    ///         |part| part.into_iter().sum::<u64>(),
    ///         |left, right| left + right,
    ///     )
    /// });
    /// assert_eq!(sum, 100_000);
    /// # Ok::<(), heist::runtime::BuildError>(())
    /// ```
    pub fn install<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        let _current = self.enter();
        let home = self.handle.parts.home;
        match self.handle.parts.scheduler {
            Scheduler::CurrentThread(_) => f(),
            Scheduler::MultiThread(_) if fork::takes_part(home) || plays_worker_of(home) => f(),
            Scheduler::MultiThread(_) => block_in_place(|| {
                let _seat = fork::take_part(home);
                f()
            }),
        }
    }
}
