//! What a worker does for the registry: takes in what is spawned here, and takes out what completes here.
//!
//! Its own tasks it takes out itself; of others' it remembers the ids and gives some in at once
//! (`task/registry/given_in.rs`).
//!
//! Tests: `tests/it/spawn.rs`, `task/tests/registry.rs`.

use super::Core;
use crate::scheduler::current::Newborn;
use crate::task::{Id, Own, TOGETHER, TaskRef};

impl Core {
    /// Gives in what it has completed of others', and answers what others have completed of its own. To be
    /// dropped where user code may run.
    pub(super) fn collect(&mut self) -> Vec<TaskRef> {
        let full = self.give_in();
        let mut completed = self.own.as_mut().map_or_else(Vec::new, Own::collect);
        if let Some(shard) = full {
            completed.extend(self.shared.home.registry.collect(shard));
        }
        completed
    }

    /// Registers and queues a light task that is spawned here. `true`: a peer may be wanted [S3].
    #[inline(always)]
    pub(in crate::scheduler) fn start(
        &mut self,
        epoch: u64,
        newborn: Newborn,
    ) -> Result<bool, Newborn> {
        let runnable = match &mut self.own {
            Some(own) if !self.computes => newborn.register(own, epoch)?,
            _ => return Err(newborn),
        };
        Ok(self.push(runnable))
    }

    /// Takes a task out of the registry that is about to complete here. `true`: its reference passes to the caller. And
    /// a shard that somebody should collect.
    #[inline]
    pub(in crate::scheduler) fn release(&mut self, id: Id) -> (bool, Option<usize>) {
        match &mut self.own {
            Some(own) if own.holds(id) => (own.release(id), None),
            _ if id.is_unregistered() => (false, None),
            _ => (false, self.complete_foreign(id)),
        }
    }

    /// A task that is not of its shard is about to complete here. The answer is a shard that somebody should
    /// collect.
    fn complete_foreign(&mut self, id: Id) -> Option<usize> {
        self.foreign.push(id);
        self.remote().counters.foreign.one_more();
        match self.foreign.len() < TOGETHER {
            true => None,
            false => self.give_in(),
        }
    }

    /// Gives in what it has completed of others'. The answer is a shard that somebody should collect; to ignore it is
    /// to leave that to the next.
    pub(super) fn give_in(&mut self) -> Option<usize> {
        if self.foreign.is_empty() {
            return None;
        }
        // First: whoever collects them sees that they are counted no more.
        self.remote().counters.foreign.given_in();
        let full = self.shared.home.registry.give_in(&self.foreign);
        self.foreign.clear();
        full
    }
}
