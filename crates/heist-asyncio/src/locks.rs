//! `Lock`, `Event`, `Condition` (CPython's `locks.py`); the semaphores and the barrier have a file each.
//!
//! All are cheap clones of one object, linearizable on many threads, and first in first out as CPython promises.
//! Each waiter is a cell in a queue. Rule: `[P1]` who leaves the queue without having got what it was woken for hands
//! that on; this holds for a cancellation and for a drop.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::completion::Completion;
use crate::exceptions::{Result, runtime_error};
use crate::node::{CellRef, is_same_node, new_future};
use crate::wait::WaitNode;

pub(crate) type Waiter = CellRef<()>;

/// A waiter that was completed under its primitive's lock, to be scheduled after it.
pub(crate) type Woken = (Waiter, Completion);

pub(crate) fn dispatch(woken: impl IntoIterator<Item = Woken>) {
    for (waiter, completion) in woken {
        completion.dispatch(&waiter.into_node());
    }
}

/// Completes a waiter unless it is done.
pub(crate) fn wake(waiter: &Waiter) -> Option<Woken> {
    waiter
        .typed()
        .try_set_result(())
        .ok()
        .map(|completion| (waiter.clone(), completion))
}

pub(crate) fn remove(waiters: &mut VecDeque<Waiter>, waiter: &Waiter) {
    if let Some(idx) = waiters.iter().position(|other| is_same_node(other, waiter)) {
        waiters.remove(idx);
    }
}

/// A mutual exclusion lock for tasks (`asyncio.Lock`). A clone is the same lock.
///
/// It belongs to no task: any may release it. It is fair: a newcomer queues behind a woken waiter.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// asyncio::run(async {
///     let lock = asyncio::Lock::new();
///     let guard = lock.acquire().await?;
///     assert!(lock.locked());
///     drop(guard);
///     assert!(!lock.locked());
///     Ok(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Lock(Arc<Mutex<LockState>>);

#[derive(Default)]
struct LockState {
    locked: bool,
    waiters: VecDeque<Waiter>,
}

impl LockState {
    fn wake_up_first(&mut self) -> Option<Woken> {
        self.waiters.front().and_then(wake)
    }
}

impl Lock {
    /// A lock that is free.
    pub fn new() -> Lock {
        Lock::default()
    }

    /// True where it is acquired. False between a release and the woken waiter's turn.
    pub fn locked(&self) -> bool {
        self.0.lock().locked
    }

    /// Acquires the lock; the guard releases it. A free lock is acquired without suspending.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropping it gives the place in the queue up, and hands a turn that had come on.
    pub async fn acquire(&self) -> Result<LockGuard> {
        let waiter = {
            let mut state = self.0.lock();
            if !state.locked
                && state
                    .waiters
                    .iter()
                    .all(|waiter| waiter.core().is_cancelled())
            {
                state.locked = true;
                return Ok(LockGuard(Some(self.clone())));
            }
            let waiter = new_future();
            state.waiters.push_back(waiter.clone());
            waiter
        };
        let mut queued = LockQueued {
            lock: self,
            waiter: Some(waiter.clone()),
        };
        WaitNode::new(waiter.into_node()).await?;
        queued.take(true);
        Ok(LockGuard(Some(self.clone())))
    }

    /// Releases the lock and wakes the first in the queue.
    ///
    /// # Errors
    /// `RuntimeError` where it is not acquired.
    pub fn release(&self) -> Result<()> {
        let mut state = self.0.lock();
        if !state.locked {
            return Err(runtime_error("lock is not acquired"));
        }
        state.locked = false;
        let woken = state.wake_up_first();
        drop(state);
        dispatch(woken);
        Ok(())
    }

    /// How many wait.
    pub fn n_waiting(&self) -> usize {
        self.0.lock().waiters.len()
    }
}

/// A place in a lock's queue.
struct LockQueued<'a> {
    lock: &'a Lock,
    waiter: Option<Waiter>,
}

impl LockQueued<'_> {
    fn take(&mut self, acquired: bool) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let mut state = self.lock.0.lock();
        remove(&mut state.waiters, &waiter);
        let woken = if acquired {
            debug_assert!(!state.locked, "the woken head finds the lock free");
            state.locked = true;
            None
        } else if state.locked {
            None
        } else {
            // [P1]
            state.wake_up_first()
        };
        drop(state);
        dispatch(woken);
    }
}

impl Drop for LockQueued<'_> {
    fn drop(&mut self) {
        self.take(false);
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Lock")
            .field("locked", &state.locked)
            .field("waiters", &state.waiters.len())
            .finish()
    }
}

/// Releases its lock when it goes (`async with lock`).
#[must_use = "dropping the guard releases the lock"]
#[derive(Debug)]
pub struct LockGuard(Option<Lock>);

impl LockGuard {
    /// Leaves the lock acquired: [`Lock::release`] is then up to you, as in Python.
    pub fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(lock) = self.0.take() {
            // Someone may have released it already: any task may.
            let _ = lock.release();
        }
    }
}

/// A flag that tasks wait for (`asyncio.Event`). A clone is the same event.
#[derive(Clone, Default)]
pub struct Event(Arc<Mutex<EventState>>);

#[derive(Default)]
struct EventState {
    set: bool,
    waiters: VecDeque<Waiter>,
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Event {
        Event::default()
    }

    /// True where it is set.
    pub fn is_set(&self) -> bool {
        self.0.lock().set
    }

    /// Sets it and wakes all who wait.
    pub fn set(&self) {
        dispatch(self.mark_set());
    }

    /// Sets it, and leaves the waking to the caller.
    pub(crate) fn mark_set(&self) -> Vec<Woken> {
        let mut state = self.0.lock();
        if state.set {
            return Vec::new();
        }
        state.set = true;
        state.waiters.iter().filter_map(wake).collect()
    }

    /// Clears it. Those who were woken return all the same.
    pub fn clear(&self) {
        self.0.lock().set = false;
    }

    /// Waits until it is set; returns at once where it is.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropping it leaves the event as it is.
    pub async fn wait(&self) -> Result<()> {
        let waiter = {
            let mut state = self.0.lock();
            if state.set {
                return Ok(());
            }
            let waiter = new_future();
            state.waiters.push_back(waiter.clone());
            waiter
        };
        let _queued = EventQueued {
            event: self,
            waiter: waiter.clone(),
        };
        WaitNode::new(waiter.into_node()).await
    }

    /// How many wait.
    pub fn n_waiting(&self) -> usize {
        self.0.lock().waiters.len()
    }
}

struct EventQueued<'a> {
    event: &'a Event,
    waiter: Waiter,
}

impl Drop for EventQueued<'_> {
    fn drop(&mut self) {
        remove(&mut self.event.0.lock().waiters, &self.waiter);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Event")
            .field("set", &state.set)
            .field("waiters", &state.waiters.len())
            .finish()
    }
}

/// A condition variable (`asyncio.Condition`). A clone is the same condition.
#[derive(Clone, Default)]
pub struct Condition {
    lock: Lock,
    waiters: Arc<Mutex<VecDeque<Waiter>>>,
}

impl Condition {
    /// A condition with a lock of its own.
    pub fn new() -> Condition {
        Condition::default()
    }

    /// A condition on a lock that others use too.
    pub fn with_lock(lock: Lock) -> Condition {
        Condition {
            lock,
            waiters: Arc::default(),
        }
    }

    /// The lock.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// As [`Lock::locked`].
    pub fn locked(&self) -> bool {
        self.lock.locked()
    }

    /// Acquires the lock; the guard releases it, and can wait.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// As [`Lock::acquire`].
    pub async fn acquire(&self) -> Result<ConditionGuard> {
        let guard = self.lock.acquire().await?;
        Ok(ConditionGuard {
            condition: self.clone(),
            guard: Some(guard),
        })
    }

    /// As [`Lock::release`].
    ///
    /// # Errors
    /// As there.
    pub fn release(&self) -> Result<()> {
        self.lock.release()
    }

    /// Releases the lock, waits to be notified, and acquires the lock again, through any number of cancellations.
    /// It may return without a notification.
    ///
    /// # Errors
    /// `RuntimeError` where nobody holds the lock; the last cancellation, the lock being held all the same.
    ///
    /// # Cancel safety
    /// Dropped, it does not hold the lock, and hands a notification on. [`ConditionGuard::wait`] knows that and is the
    /// better choice where a wait may be dropped.
    pub async fn wait(&self) -> Result<()> {
        if !self.locked() {
            return Err(runtime_error("cannot wait on un-acquired lock"));
        }
        let waiter = new_future();
        // In line before the lock is free: on many threads a notification may come at once.
        self.waiters.lock().push_back(waiter.clone());
        let mut queued = ConditionQueued {
            condition: self,
            waiter: Some(waiter.clone()),
            hand_on: false,
        };
        self.lock.release()?;
        queued.hand_on = true;
        let mut result = WaitNode::new(waiter.into_node()).await;
        queued.leave();
        loop {
            match self.lock.acquire().await {
                Ok(guard) => {
                    guard.forget();
                    break;
                }
                // Only a cancellation comes out of an acquire.
                Err(error) => result = Err(error),
            }
        }
        queued.hand_on = result.is_err();
        drop(queued);
        result
    }

    /// Waits until the predicate is true, and gives nothing else: it is called with the lock held
    /// (`condition.wait_for`).
    ///
    /// # Errors
    /// As [`Condition::wait`].
    ///
    /// # Cancel safety
    /// As [`Condition::wait`].
    pub async fn wait_for(&self, mut predicate: impl FnMut() -> bool) -> Result<()> {
        while !predicate() {
            self.wait().await?;
        }
        Ok(())
    }

    /// Wakes up to `n` who wait. They return once they have the lock.
    ///
    /// # Errors
    /// `RuntimeError` where nobody holds the lock.
    pub fn notify(&self, n: usize) -> Result<()> {
        if !self.locked() {
            return Err(runtime_error("cannot notify on un-acquired lock"));
        }
        self.wake(n);
        Ok(())
    }

    /// Wakes all who wait.
    ///
    /// # Errors
    /// As [`Condition::notify`].
    pub fn notify_all(&self) -> Result<()> {
        self.notify(usize::MAX)
    }

    /// How many wait.
    pub fn n_waiting(&self) -> usize {
        self.waiters.lock().len()
    }

    pub(crate) fn wake(&self, n: usize) {
        let woken: Vec<Woken> = self
            .waiters
            .lock()
            .iter()
            .filter_map(wake)
            .take(n)
            .collect();
        dispatch(woken);
    }
}

/// A place among those who wait for a condition.
struct ConditionQueued<'a> {
    condition: &'a Condition,
    waiter: Option<Waiter>,
    /// Left by an error: a notification may have been meant for this one, `[P1]`.
    hand_on: bool,
}

impl ConditionQueued<'_> {
    fn leave(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            remove(&mut self.condition.waiters.lock(), &waiter);
        }
    }
}

impl Drop for ConditionQueued<'_> {
    fn drop(&mut self) {
        self.leave();
        if self.hand_on {
            self.condition.wake(1);
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("locked", &self.locked())
            .field("waiters", &self.n_waiting())
            .finish()
    }
}

/// Holds a condition's lock (`async with condition`).
#[must_use = "dropping the guard releases the lock"]
#[derive(Debug)]
pub struct ConditionGuard {
    condition: Condition,
    /// Away while a wait is under way: then the lock is not ours.
    guard: Option<LockGuard>,
}

impl ConditionGuard {
    /// As [`Condition::wait`].
    ///
    /// # Errors
    /// The last cancellation.
    ///
    /// # Cancel safety
    /// Dropped, the guard does not hold the lock any more, and knows it.
    pub async fn wait(&mut self) -> Result<()> {
        if let Some(guard) = self.guard.take() {
            guard.forget();
        }
        let result = self.condition.wait().await;
        self.guard = Some(LockGuard(Some(self.condition.lock.clone())));
        result
    }

    /// As [`Condition::wait_for`].
    ///
    /// # Errors
    /// The last cancellation.
    ///
    /// # Cancel safety
    /// As [`ConditionGuard::wait`].
    pub async fn wait_for(&mut self, mut predicate: impl FnMut() -> bool) -> Result<()> {
        while !predicate() {
            self.wait().await?;
        }
        Ok(())
    }

    /// As [`Condition::notify`].
    pub fn notify(&self, n: usize) {
        self.condition.wake(n);
    }

    /// As [`Condition::notify_all`].
    pub fn notify_all(&self) {
        self.condition.wake(usize::MAX);
    }

    /// Leaves the lock acquired, as [`LockGuard::forget`].
    pub fn forget(mut self) {
        if let Some(guard) = self.guard.take() {
            guard.forget();
        }
    }
}
