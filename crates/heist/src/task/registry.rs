//! The set of live tasks: found again at shutdown, and listed.
//!
//! Sharded, so that workers seldom meet; a task's id says its shard and slot. A task is in it from
//! before it is scheduled until just before it completes, and its entry holds a counted reference.
//!
//! - **\[R1\]** Closing and inserting exclude each other a shard at a time: an insert that comes
//!   after the close is refused, one that came before is found by the close. So no task outlives
//!   shutdown unseen.
//!
//! Tests: `task/tests/registry.rs`, `task/tests/loom.rs` (spawn against shutdown).

use super::id::Id;
use super::raw::TaskRef;
use super::state::Phase;
use crate::clock::tsc::Ticks;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicUsize, CachePadded, Mutex};
use slab::Slab;
use std::panic::Location;
use std::sync::Arc;

/// What runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A worker polls it.
    Async,
    /// A thread of the pool calls it.
    Blocking,
}

/// What is remembered of a task for people.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) kind: Kind,
    pub(crate) site: &'static Location<'static>,
    pub(crate) born: Ticks,
    /// Behind a thin pointer: most tasks have no name, and the entry should be small.
    #[expect(clippy::rc_buffer, reason = "a thin pointer in every entry")]
    pub(crate) name: Option<Arc<String>>,
}

impl Details {
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| name.as_str())
    }
}

/// Why a task was not taken in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

#[derive(Debug)]
struct Entry {
    task: TaskRef,
    details: Details,
}

#[derive(Debug, Default)]
struct Shard {
    entries: Slab<Entry>,
    closed: bool,
    /// Which of the home's residents may insert: spawns through the handle of an earlier one are
    /// refused.
    epoch: u64,
    generation: u32,
}

/// A copy of an entry.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    pub(crate) details: Details,
    pub(crate) phase: Phase,
}

/// The set.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    /// Entries removed by a thread other than a shard's usual one still land in that shard; this
    /// counts shards that are not yet empty after the close, so that shutdown can ask cheaply.
    open_or_full: AtomicUsize,
}

impl Registry {
    /// Closed and empty; `n_shards` is at most 256.
    pub(crate) fn new(n_shards: usize) -> Self {
        assert!(
            (1..=256).contains(&n_shards),
            "an id has 8 bits for the shard"
        );
        Self {
            shards: (0..n_shards)
                .map(|_| {
                    let closed = Shard {
                        closed: true,
                        ..Shard::default()
                    };
                    CachePadded::new(Mutex::new(closed))
                })
                .collect(),
            open_or_full: AtomicUsize::new(0),
        }
    }

    /// Takes a task in. `hint` picks the shard: the same thread should always give the same.
    pub(crate) fn insert(
        &self,
        hint: usize,
        epoch: u64,
        task: TaskRef,
        details: Details,
    ) -> Result<Id, Closed> {
        let idx = hint % self.shards.len();
        let mut shard = self.shards[idx].lock();
        if shard.closed || shard.epoch != epoch {
            drop(shard);
            return Err(Closed);
        }
        shard.generation = shard.generation.wrapping_add(1);
        let index = shard.entries.insert(Entry { task, details });
        let index = u32::try_from(index).expect("four billion tasks in one shard");
        let shard_idx = u8::try_from(idx).expect("at most 256 shards");
        Ok(Id::new(shard.generation, shard_idx, index))
    }

    /// Takes a task out that is about to complete. Its reference passes to the caller, uncounted:
    /// the completing transition drops it.
    ///
    /// Answers where it was spawned; `None` if it was not here.
    pub(crate) fn release(&self, id: Id) -> Option<&'static Location<'static>> {
        if id.is_unregistered() {
            return None;
        }
        let mut shard = self.shards[id.shard()].lock();
        let entry = shard.entries.try_remove(id.index())?;
        let emptied = shard.closed && shard.entries.is_empty();
        drop(shard);
        let Entry { task, details } = entry;
        std::mem::forget(task);
        if emptied {
            // ORDERING: pairs with the load in `is_drained`.
            self.open_or_full.fetch_sub(1, Release);
        }
        Some(details.site)
    }

    pub(crate) fn details(&self, id: Id) -> Option<Details> {
        if id.is_unregistered() {
            return None;
        }
        let shard = self.shards.get(id.shard())?.lock();
        let entry = shard.entries.get(id.index())?;
        Some(entry.details.clone())
    }

    /// Refuses new tasks from now on and aborts every one that is in. Idle tasks are dropped by
    /// this very call, on this thread; the others when their runnable is run or dropped.
    pub(crate) fn close_and_abort_all(&self) {
        for shard in &self.shards {
            let tasks: Vec<TaskRef> = {
                let mut shard = shard.lock();
                if !shard.closed {
                    shard.closed = true;
                    if shard.entries.is_empty() {
                        // ORDERING: pairs with the load in `is_drained`.
                        self.open_or_full.fetch_sub(1, Release);
                    }
                }
                shard.entries.iter().map(|(_, e)| e.task.clone()).collect()
            };
            // User code runs in these drops: not under the lock.
            for task in tasks {
                task.shutdown();
            }
        }
    }

    /// Closed, and every task has completed.
    pub(crate) fn is_drained(&self) -> bool {
        // ORDERING: pairs with the Release of the last removal: what completing threads did to
        // their tasks is visible.
        self.open_or_full.load(Acquire) == 0
    }

    /// Opens a drained registry again, for inserts of the next epoch, which is the answer.
    pub(crate) fn reopen(&self) -> u64 {
        debug_assert!(self.is_drained());
        let mut epoch = 0;
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.closed = false;
            shard.epoch += 1;
            epoch = shard.epoch;
        }
        // Relaxed: the registry is handed on under a lock.
        self.open_or_full.store(self.shards.len(), Relaxed);
        epoch
    }

    /// How many tasks of this epoch are alive.
    pub(crate) fn len(&self, epoch: u64) -> usize {
        let count = |shard: &Shard| match shard.epoch == epoch {
            true => shard.entries.len(),
            false => 0,
        };
        self.shards.iter().map(|shard| count(&shard.lock())).sum()
    }

    /// The tasks that are not blocking calls.
    pub(crate) fn n_async(&self) -> usize {
        let count = |shard: &Shard| {
            let kinds = shard.entries.iter().map(|(_, entry)| entry.details.kind);
            kinds.filter(|&kind| kind == Kind::Async).count()
        };
        self.shards.iter().map(|shard| count(&shard.lock())).sum()
    }

    /// A copy of every entry of this epoch, a shard at a time.
    pub(crate) fn list(&self, epoch: u64) -> Vec<Listed> {
        let mut listed = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            if shard.epoch != epoch {
                continue;
            }
            listed.extend(shard.entries.iter().map(|(_, entry)| Listed {
                id: entry.task.id(),
                details: entry.details.clone(),
                phase: entry.task.phase(),
            }));
        }
        listed
    }
}
