//! The shard that a worker has for itself.
//!
//! The worker inserts and removes with plain loads and stores (`sync/biased.rs`). Whoever completes
//! one of its tasks elsewhere *gives in* the task's id (`given_in.rs`).
//!
//! The part that tells who is who:
//!
//! | | where | who |
//! |---|---|---|
//! | [`Own`] | in the worker's core | the thread that plays the worker |
//! | [`Kept`] | in the registry | everybody |
//!
//! Tests: `task/tests/registry.rs`, `task/tests/loom.rs`.

use super::given_in::{GivenIn, MANY};
use super::{Birth, Details, Id, Shard, TaskRef};
use crate::sync::biased::{Guest, Owner, biased};
use crate::sync::{CachePadded, Mutex};
use std::sync::Arc;

/// Spawns after which the worker collects.
const SOME: u32 = 64;
/// The worker's side. It goes back to its registry when the worker ends.
#[derive(Debug)]
pub(crate) struct Own {
    idx: u8,
    shard: Owner<Shard>,
    /// Spawns since it last looked at what was given in.
    spawned: u32,
    given_in: Arc<CachePadded<GivenIn>>,
}

impl Own {
    pub(super) fn idx(&self) -> usize {
        usize::from(self.idx)
    }

    /// Takes a task in, or gives it back where the shard is closed.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        epoch: u64,
        task: TaskRef,
        birth: Birth,
    ) -> Result<Id, TaskRef> {
        self.spawned += 1;
        self.shard.with(|shard| shard.insert(epoch, task, birth))
    }

    /// The same for a task that may have a name.
    pub(crate) fn insert_named(
        &mut self,
        epoch: u64,
        task: TaskRef,
        details: Details,
    ) -> Result<Id, TaskRef> {
        self.spawned += 1;
        self.shard
            .with(|shard| shard.insert_named(epoch, task, details))
    }

    #[inline]
    pub(crate) fn holds(&self, id: Id) -> bool {
        !id.is_unregistered() && id.shard() == self.idx()
    }

    /// Takes a task out that it holds and that is about to complete: its reference passes to the
    /// caller, uncounted.
    #[inline]
    pub(crate) fn release(&mut self, id: Id) -> bool {
        let task = self.shard.with(|shard| shard.remove(id.index()));
        task.map(std::mem::forget).is_some()
    }

    /// Asked before every insert: the worker should collect first. It looks seldom: how many were given in is in a
    /// cache line that thieves write.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.spawned >= SOME
    }

    /// What was given in. To be dropped where user code may run.
    #[cold]
    pub(crate) fn collect(&mut self) -> Vec<TaskRef> {
        self.spawned = 0;
        match self.given_in.has_some() {
            false => Vec::new(),
            true => self.shard.with(|shard| self.given_in.collect(shard)),
        }
    }
}

/// Everybody's side.
#[derive(Debug)]
pub(super) struct Kept {
    guest: Guest<Shard>,
    given_in: Arc<CachePadded<GivenIn>>,
    /// While no worker has it.
    own: Mutex<Option<Own>>,
}

impl Kept {
    pub(super) fn new(shard: Shard) -> Self {
        let idx = shard.idx;
        let given_in = Arc::new(CachePadded::new(GivenIn::default()));
        let (owner, guest) = biased(shard);
        let own = Own {
            idx,
            shard: owner,
            spawned: 0,
            given_in: given_in.clone(),
        };
        Self {
            guest,
            given_in,
            own: Mutex::new(Some(own)),
        }
    }

    pub(super) fn lend(&self) -> Option<Own> {
        self.own.lock().take()
    }

    pub(super) fn take_back(&self, own: Own) {
        *self.own.lock() = Some(own);
    }

    /// Tasks that complete; their references stay with the entries. `true`: so many wait that somebody should
    /// collect them.
    pub(super) fn give_in(&self, ids: &[Id]) -> bool {
        self.given_in.push(ids) >= MANY
    }

    pub(super) fn is_drained(&self) -> bool {
        let look = |shard: &mut Shard| shard.is_drained(&self.given_in);
        match &mut *self.own.lock() {
            Some(own) => own.shard.with(look),
            None => self.guest.with(look),
        }
    }

    pub(super) fn given_in(&self) -> &GivenIn {
        &self.given_in
    }

    /// What was given in. To be dropped where user code may run.
    pub(super) fn collect(&self) -> Vec<TaskRef> {
        let collect = |shard: &mut Shard| self.given_in.collect(shard);
        match &mut *self.own.lock() {
            Some(own) => own.shard.with(collect),
            None => self.guest.with(collect),
        }
    }

    /// Visits the shard, after what was given in has left it.
    pub(super) fn visit<R>(&self, visit: impl FnOnce(&mut Shard) -> R) -> R {
        let visit = |shard: &mut Shard| (self.given_in.collect(shard), visit(shard));
        let (completed, result) = match &mut *self.own.lock() {
            Some(own) => own.shard.with(visit),
            None => self.guest.with(visit),
        };
        // Apart from all locks: the last reference drops the joiner's waker.
        drop(completed);
        result
    }
}
