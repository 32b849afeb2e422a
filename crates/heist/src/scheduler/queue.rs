//! A worker's own queue: a FIFO deque that others steal from, and the LIFO slot before it.
//!
//! The slot holds the task that was woken last, so that a message is handled while it is in the
//! cache. Three tenants in a row may go before the queue gets its turn. A task that is woken again by those who are
//! queued waits behind them: one that awaits what it has spawned, or serves them all, would else be polled once for each.
//!
//! Thieves take from the deque. The slot's tenant is taken only from a worker that has been in one poll
//! for long ([`Aged`]).
//!
//! Tests: `scheduler/tests/queue.rs` holds the deque and its twin to a `VecDeque`.

#[cfg(not(heist_plain_slot))]
#[path = "queue/slot.rs"]
mod slot;

#[cfg(heist_plain_slot)]
#[path = "queue/plain_slot.rs"]
mod slot;

pub(crate) use slot::Aged;

use crate::sync::deque::{Injector, Steal, Stealer, Worker};
use crate::task::{Id, Runnable};
use slot::Slot;
use std::fmt;

/// Tenants of the slot that may run in a row.
const MAX_LIFO_STREAK: u32 = 3;

/// See the module.
pub(crate) struct LocalQueue {
    deque: Worker<Runnable>,
    lifo: Slot,
    lifo_streak: u32,
    /// The slot's last tenant; at first one that is nobody's.
    last: Id,
}

impl LocalQueue {
    /// The queue, and its slot as others see it.
    pub(crate) fn new() -> (Self, Aged) {
        let (lifo, aged) = Slot::new();
        let queue = Self {
            deque: Worker::new_fifo(),
            lifo,
            lifo_streak: 0,
            last: Id::from_bits(0),
        };
        (queue, aged)
    }

    pub(crate) fn stealer(&self) -> Stealer<Runnable> {
        self.deque.stealer()
    }

    /// Into the slot; its tenant moves to the queue. Behind those that are queued, if it was the slot's last tenant: one
    /// of them has woken it again. `true` if anything was queued.
    #[inline]
    pub(crate) fn push_lifo(&mut self, runnable: Runnable) -> bool {
        if self.last == runnable.id() && self.has_stealable() {
            self.deque.push(runnable);
            return true;
        }
        match self.lifo.replace(runnable) {
            None => false,
            Some(tenant) => {
                self.deque.push(tenant);
                true
            }
        }
    }

    #[inline]
    pub(crate) fn push_back(&self, runnable: Runnable) {
        self.deque.push(runnable);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Runnable> {
        if self.lifo_streak < MAX_LIFO_STREAK {
            if let Some(runnable) = self.lifo.take() {
                self.lifo_streak += 1;
                self.last = runnable.id();
                return Some(runnable);
            }
        }
        self.lifo_streak = 0;
        self.deque.pop().or_else(|| self.lifo.take())
    }

    /// Moves the slot's tenant to where others can steal it. `true` if there was one.
    pub(crate) fn flush_lifo(&mut self) -> bool {
        match self.lifo.take() {
            None => false,
            Some(tenant) => {
                self.deque.push(tenant);
                true
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.deque.len() + usize::from(self.lifo.is_occupied())
    }

    /// Something that others could steal.
    #[inline]
    pub(crate) fn has_stealable(&self) -> bool {
        !self.deque.is_empty()
    }

    /// Takes a batch from the injector; the first is returned.
    pub(crate) fn take_from(&self, injector: &Injector<Runnable>) -> Option<Runnable> {
        loop {
            match injector.steal_batch_and_pop(&self.deque) {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => return None,
            }
        }
    }

    /// Takes half of another's queue; the first is returned.
    pub(crate) fn steal_from(&self, stealer: &Stealer<Runnable>) -> Option<Runnable> {
        loop {
            match stealer.steal_batch_and_pop(&self.deque) {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => return None,
            }
        }
    }
}

impl fmt::Debug for LocalQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQueue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
