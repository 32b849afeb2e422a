//! `Barrier`: tasks that wait for each other (CPython's `locks.py`).

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::exceptions::{BrokenBarrierError, Result, value_error};
use crate::locks::Condition;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    Draining,
    Resetting,
    Broken,
}

/// A meeting point of a fixed number of tasks (`asyncio.Barrier`). A clone is the same barrier.
#[derive(Clone)]
pub struct Barrier(Arc<Shared>);

struct Shared {
    condition: Condition,
    n_parties: usize,
    progress: Mutex<Progress>,
}

struct Progress {
    state: State,
    count: usize,
}

impl Barrier {
    /// A barrier for so many tasks.
    ///
    /// # Errors
    /// `ValueError` for none.
    pub fn new(parties: usize) -> Result<Barrier> {
        if parties < 1 {
            return Err(value_error("parties must be > 0"));
        }
        let progress = Mutex::new(Progress {
            state: State::Filling,
            count: 0,
        });
        Ok(Barrier(Arc::new(Shared {
            condition: Condition::new(),
            n_parties: parties,
            progress,
        })))
    }

    /// Waits for the others, and gives each its own index from 0 on. A task that is cancelled just leaves; the
    /// barrier goes on filling.
    ///
    /// # Errors
    /// [`BrokenBarrierError`] where the barrier is broken, or is aborted or reset meanwhile; the cancellation.
    ///
    /// # Cancel safety
    /// As a cancellation.
    pub async fn wait(&self) -> Result<usize> {
        let mut guard = self.0.condition.acquire().await?;
        // A barrier that is drained or reset takes nobody in.
        guard
            .wait_for(|| !matches!(self.state(), State::Draining | State::Resetting))
            .await?;
        if self.state() == State::Broken {
            return Err(BrokenBarrierError("barrier aborted").into());
        }
        let inside = {
            let mut progress = self.0.progress.lock();
            let index = progress.count;
            progress.count += 1;
            Inside {
                barrier: self,
                index,
            }
        };
        if inside.index + 1 == self.0.n_parties {
            self.0.progress.lock().state = State::Draining;
            self.0.condition.wake(usize::MAX);
        } else {
            guard.wait_for(|| self.state() != State::Filling).await?;
            if matches!(self.state(), State::Broken | State::Resetting) {
                return Err(BrokenBarrierError("abort or reset of barrier").into());
            }
        }
        Ok(inside.index)
    }

    fn state(&self) -> State {
        self.0.progress.lock().state
    }

    /// Makes the barrier new again. Those who wait get [`BrokenBarrierError`].
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have done nothing.
    pub async fn reset(&self) -> Result<()> {
        let guard = self.0.condition.acquire().await?;
        {
            let mut progress = self.0.progress.lock();
            progress.state = if progress.count > 0 {
                State::Resetting
            } else {
                State::Filling
            };
        }
        guard.notify_all();
        Ok(())
    }

    /// Breaks the barrier, until it is reset. Those who wait and those who come get [`BrokenBarrierError`].
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have done nothing.
    pub async fn abort(&self) -> Result<()> {
        let guard = self.0.condition.acquire().await?;
        self.0.progress.lock().state = State::Broken;
        guard.notify_all();
        Ok(())
    }

    /// How many tasks the barrier takes.
    pub fn parties(&self) -> usize {
        self.0.n_parties
    }

    /// How many tasks wait while it fills.
    pub fn n_waiting(&self) -> usize {
        let progress = self.0.progress.lock();
        if progress.state == State::Filling {
            progress.count
        } else {
            0
        }
    }

    /// True where it was aborted.
    pub fn broken(&self) -> bool {
        self.state() == State::Broken
    }
}

/// A task inside the barrier. It leaves before it gives the lock back, so the guard must have been made first.
struct Inside<'a> {
    barrier: &'a Barrier,
    index: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let is_last = {
            let mut progress = self.barrier.0.progress.lock();
            progress.count -= 1;
            let is_last = progress.count == 0;
            if is_last && matches!(progress.state, State::Resetting | State::Draining) {
                progress.state = State::Filling;
            }
            is_last
        };
        if is_last {
            self.barrier.0.condition.wake(usize::MAX);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.0.progress.lock();
        f.debug_struct("Barrier")
            .field("state", &progress.state)
            .field("count", &progress.count)
            .field("parties", &self.0.n_parties)
            .finish()
    }
}
