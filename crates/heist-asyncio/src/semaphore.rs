//! `Semaphore` and `BoundedSemaphore` (CPython's `locks.py`).
//!
//! A permit is taken from the counter when its waiter is woken, so no newcomer can take it; the first rule of `locks.rs`
//! holds: who leaves with a permit gives it back.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::exceptions::{Result, value_error};
use crate::locks::{Waiter, Woken, dispatch, remove, wake};
use crate::node::new_future;
use crate::wait::WaitNode;

/// A counter of permits (`asyncio.Semaphore`). A clone is the same semaphore.
///
/// It is fair: a permit goes to the first in the queue, and a newcomer cannot take it.
#[derive(Clone)]
pub struct Semaphore(Arc<SemaphoreShared>);

struct SemaphoreShared {
    state: Mutex<SemaphoreState>,
    /// A bounded semaphore's.
    bound: Option<usize>,
}

struct SemaphoreState {
    value: usize,
    waiters: VecDeque<Waiter>,
}

impl SemaphoreState {
    fn locked(&self) -> bool {
        self.value == 0
            || self
                .waiters
                .iter()
                .any(|waiter| !waiter.core().is_cancelled())
    }

    /// Gives a permit to the first who waits.
    fn wake_up_next(&mut self) -> Option<Woken> {
        debug_assert!(self.value > 0);
        let woken = self.waiters.iter().find_map(wake)?;
        self.value -= 1;
        Some(woken)
    }
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub fn new(value: usize) -> Semaphore {
        Semaphore::with_bound(value, None)
    }

    fn with_bound(value: usize, bound: Option<usize>) -> Semaphore {
        Semaphore(Arc::new(SemaphoreShared {
            state: Mutex::new(SemaphoreState {
                value,
                waiters: VecDeque::new(),
            }),
            bound,
        }))
    }

    /// True where a newcomer would have to wait.
    pub fn locked(&self) -> bool {
        self.0.state.lock().locked()
    }

    /// Acquires a permit; the guard releases it.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropping it gives the place in the queue up, and a permit that had come back.
    pub async fn acquire(&self) -> Result<SemaphoreGuard> {
        let waiter = {
            let mut state = self.0.state.lock();
            if !state.locked() {
                state.value -= 1;
                return Ok(SemaphoreGuard(Some(self.clone())));
            }
            let waiter = new_future();
            state.waiters.push_back(waiter.clone());
            waiter
        };
        let mut queued = SemaphoreQueued {
            semaphore: self,
            waiter: Some(waiter.clone()),
        };
        WaitNode::new(waiter.into_node()).await?;
        queued.take(true);
        Ok(SemaphoreGuard(Some(self.clone())))
    }

    /// Gives a permit back and wakes the first in the queue.
    ///
    /// # Errors
    /// `ValueError` on a bounded semaphore, where all permits are there.
    pub fn release(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        if self.0.bound.is_some_and(|bound| state.value >= bound) {
            return Err(value_error("BoundedSemaphore released too many times"));
        }
        state.value += 1;
        let woken = state.wake_up_next();
        drop(state);
        dispatch(woken);
        Ok(())
    }

    /// How many permits are free.
    pub fn value(&self) -> usize {
        self.0.state.lock().value
    }

    /// How many wait.
    pub fn n_waiting(&self) -> usize {
        self.0.state.lock().waiters.len()
    }
}

/// A place in a semaphore's queue.
struct SemaphoreQueued<'a> {
    semaphore: &'a Semaphore,
    waiter: Option<Waiter>,
}

impl SemaphoreQueued<'_> {
    fn take(&mut self, acquired: bool) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let mut state = self.semaphore.0.state.lock();
        remove(&mut state.waiters, &waiter);
        let (is_done, is_cancelled) = (waiter.core().is_done(), waiter.core().is_cancelled());
        if !acquired && is_done && !is_cancelled {
            // [P1]: the permit was ours.
            state.value += 1;
        }
        // Others may have come meanwhile and had to wait for their turn.
        let mut woken = Vec::new();
        while state.value > 0 {
            match state.wake_up_next() {
                Some(next) => woken.push(next),
                None => break,
            }
        }
        drop(state);
        dispatch(woken);
    }
}

impl Drop for SemaphoreQueued<'_> {
    fn drop(&mut self) {
        self.take(false);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Semaphore")
            .field("value", &state.value)
            .field("waiters", &state.waiters.len())
            .finish()
    }
}

/// Gives its permit back when it goes (`async with semaphore`).
#[must_use = "dropping the guard gives the permit back"]
#[derive(Debug)]
pub struct SemaphoreGuard(Option<Semaphore>);

impl SemaphoreGuard {
    /// Keeps the permit: [`Semaphore::release`] is then up to you, as in Python.
    pub fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        if let Some(semaphore) = self.0.take() {
            // A bounded semaphore may be full: any task may release.
            let _ = semaphore.release();
        }
    }
}

/// A semaphore that refuses to be released more often than acquired (`asyncio.BoundedSemaphore`).
#[derive(Clone, Debug)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// A semaphore with so many permits at most.
    pub fn new(value: usize) -> BoundedSemaphore {
        BoundedSemaphore(Semaphore::with_bound(value, Some(value)))
    }
}

impl std::ops::Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}
