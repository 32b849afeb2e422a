//! Ids of tasks that were completed by others than the owner of their shard.
//!
//! Whoever completes such a task *gives in* its id: the entry, and with it a reference, stays until it is
//! collected: by those who insert, now and then; by who gives in where many wait; by the owner before it parks,
//! or by the monitor before it does. So completing takes no lock that spawning takes. And a
//! worker gives in many at a time, so that those who complete one spawner's tasks seldom meet.
//!
//! Tests: `task/tests/registry.rs`, `task/tests/loom.rs`.

use super::{Id, Shard, TaskRef};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{AtomicUsize, Mutex};

/// Ids given in that anybody collects.
pub(super) const MANY: usize = 1024;

/// What was given in and not collected.
#[derive(Debug, Default)]
pub(super) struct GivenIn {
    ids: Mutex<Vec<Id>>,
    /// Their number; a hint.
    count: AtomicUsize,
}

impl GivenIn {
    /// Answers how many there are now.
    pub(super) fn push(&self, given: &[Id]) -> usize {
        let mut ids = self.ids.lock();
        ids.extend_from_slice(given);
        // Relaxed: a hint.
        self.count.store(ids.len(), Relaxed);
        ids.len()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ids.lock().len()
    }

    /// There is something to collect, as far as is known without a lock.
    #[inline]
    pub(super) fn has_some(&self) -> bool {
        // Relaxed: a hint.
        self.count.load(Relaxed) > 0
    }

    /// Takes those entries out of their shard. The references are to be dropped elsewhere: that may
    /// run user code.
    pub(super) fn collect(&self, shard: &mut Shard) -> Vec<TaskRef> {
        let mut ids = self.ids.lock();
        // Relaxed: a hint.
        self.count.store(0, Relaxed);
        ids.drain(..)
            .filter_map(|id| shard.remove(id.index()))
            .collect()
    }
}
