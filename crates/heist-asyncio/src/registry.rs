//! The tasks of a loop that are not done, for `all_tasks` and for the end of a run.
//!
//! It holds them weakly: who owns a task is the loop that runs it. A task is listed before anybody else sees it, and
//! knows its place, so that neither listing nor removing it searches.

use std::sync::Weak;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use slab::Slab;

use crate::cell::{AnyCell, Node, TaskMeta};

/// The tasks that are not done, in shards; each knows its place.
#[derive(Default)]
pub(crate) struct Registry {
    shards: [Mutex<Slab<Weak<dyn AnyCell>>>; 8],
}

impl Registry {
    fn shard(&self, meta: &TaskMeta) -> &Mutex<Slab<Weak<dyn AnyCell>>> {
        &self.shards[usize::try_from(meta.id % 8).unwrap_or(0)]
    }

    /// Takes a new task in, before anybody else sees it.
    pub(crate) fn insert(&self, meta: &TaskMeta, task: Weak<dyn AnyCell>) {
        let place = self.shard(meta).lock().insert(task);
        // ORDERING: Relaxed; whoever removes the task was given it after this.
        meta.listed.store(place, Ordering::Relaxed);
    }

    /// Removes a task, once.
    pub(crate) fn remove(&self, meta: &TaskMeta) {
        // ORDERING: Relaxed; one removes the task, and was given it after `insert`.
        let place = meta.listed.load(Ordering::Relaxed);
        let removed = self.shard(meta).lock().try_remove(place);
        drop(removed);
    }

    /// The tasks that are not done, in the order of their creation.
    pub(crate) fn snapshot(&self) -> Vec<Node> {
        let mut found: Vec<Node> = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            found.extend(shard.iter().filter_map(|(_, weak)| weak.upgrade()));
        }
        found.sort_by_key(|node| node.core().meta.as_ref().map(|meta| meta.id));
        found.retain(|node| !node.core().is_done());
        found
    }
}
