//! The set of live tasks: found again at shutdown, and listed.
//!
//! A task is in it from before it is scheduled until just before it completes, or until whoever completes
//! it elsewhere gives it in (`registry/given_in.rs`), and its entry holds a counted reference; its id says
//! its shard and slot. Shards are of two kinds. Each worker has one of its own (`registry/own.rs`), where
//! spawning and completing on that worker cost no locked operation. All other threads share some, each
//! behind a mutex, which a worker that completes one of their tasks does not take.
//!
//! - **\[R1\]** Closing and inserting exclude each other a shard at a time: an insert that comes
//!   after the close is refused, one that came before is found by the close. So no task outlives
//!   shutdown unseen.
//!
//! Tests: `task/tests/registry.rs`, `task/tests/loom.rs` (spawn against shutdown).

mod given_in;
mod own;

pub(crate) use own::Own;

use super::id::{self, Id};
use super::raw::TaskRef;
use super::state::Phase;
use crate::clock::tsc::Ticks;
use crate::sync::{CachePadded, Mutex, OnceLock};
use given_in::{GivenIn, MANY};
use own::Kept;
use slab::Slab;
use std::any::Any;
use std::collections::HashMap;
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

/// What is remembered of every task for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) site: &'static Location<'static>,
    /// When it was born, above two bits for its kind and whether it has a name: a million entries should be small.
    born: u64,
}

const IS_BLOCKING: u64 = 1;
const HAS_NAME: u64 = 2;
const BORN_SHIFT: u32 = 2;

impl Birth {
    #[inline]
    pub(crate) fn new(kind: Kind, site: &'static Location<'static>, born: Ticks) -> Self {
        Self {
            site,
            born: (born.0 << BORN_SHIFT) | (u64::from(kind == Kind::Blocking) * IS_BLOCKING),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.born & IS_BLOCKING {
            0 => Kind::Async,
            _ => Kind::Blocking,
        }
    }

    pub(crate) fn born(&self) -> Ticks {
        Ticks(self.born >> BORN_SHIFT)
    }
}

/// The same, and its name.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) birth: Birth,
    pub(crate) name: Option<Arc<str>>,
}

impl Details {
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Why a task was not taken in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// A million of them should be small: few tasks have a name, which is elsewhere.
#[derive(Debug)]
struct Entry {
    task: TaskRef,
    birth: Birth,
}

#[derive(Debug)]
struct Shard {
    idx: u8,
    entries: Slab<Entry>,
    /// Of those that have one, by their index.
    names: HashMap<usize, Arc<str>>,
    closed: bool,
    /// Which of the home's residents may insert: spawns through the handle of an earlier one are
    /// refused.
    epoch: u64,
    generation: u32,
}

impl Shard {
    fn new(idx: u8) -> Self {
        Self {
            idx,
            entries: Slab::new(),
            names: HashMap::new(),
            closed: true,
            epoch: 0,
            generation: 0,
        }
    }

    #[inline(always)]
    fn insert(&mut self, epoch: u64, task: TaskRef, birth: Birth) -> Result<Id, TaskRef> {
        if self.closed || self.epoch != epoch {
            return Err(task);
        }
        self.generation = id::generation_after(self.generation);
        let index = self.entries.insert(Entry { task, birth });
        let index = u32::try_from(index).expect("four billion tasks in one shard");
        Ok(Id::new(self.generation, self.idx, index))
    }

    /// The same for a task that may have a name.
    fn insert_named(&mut self, epoch: u64, task: TaskRef, details: Details) -> Result<Id, TaskRef> {
        let mut birth = details.birth;
        birth.born |= u64::from(details.name.is_some()) * HAS_NAME;
        let id = self.insert(epoch, task, birth)?;
        if let Some(name) = details.name {
            self.names.insert(id.index(), name);
        }
        Ok(id)
    }

    /// The entry's reference passes to the caller.
    #[inline]
    fn remove(&mut self, index: usize) -> Option<TaskRef> {
        let entry = self.entries.try_remove(index)?;
        if entry.birth.born & HAS_NAME != 0 {
            self.names.remove(&index);
        }
        Some(entry.task)
    }

    fn details(&self, index: usize, entry: &Entry) -> Details {
        Details {
            birth: entry.birth,
            name: self.names.get(&index).cloned(),
        }
    }

    /// Closed, and of all that is in it, those who completed it have given it in.
    fn is_drained(&self, given_in: &GivenIn) -> bool {
        self.closed && self.entries.len() == given_in.len()
    }

    fn is_of(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }
}

/// A copy of an entry.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    pub(crate) details: Details,
    pub(crate) phase: Phase,
}

/// A shard that threads share which have none of their own.
#[derive(Debug)]
struct Common {
    shard: Mutex<Shard>,
    given_in: CachePadded<GivenIn>,
}

/// Inserts after which a shared shard is rid of what was given in.
const SOME: u32 = 64;
/// So many that it has completed of others a worker gives in together.
pub(crate) const TOGETHER: usize = 32;

impl Common {
    fn new(idx: u8) -> Self {
        Self {
            shard: Mutex::new(Shard::new(idx)),
            given_in: CachePadded::new(GivenIn::default()),
        }
    }

    fn is_drained(&self) -> bool {
        self.shard.lock().is_drained(&self.given_in)
    }

    /// Visits the shard, after what was given in has left it.
    fn visit<R>(&self, visit: impl FnOnce(&mut Shard) -> R) -> R {
        let mut shard = self.shard.lock();
        let completed = self.given_in.collect(&mut shard);
        let result = visit(&mut shard);
        drop(shard);
        // Apart from all locks: the last reference drops the joiner's waker.
        drop(completed);
        result
    }
}

/// An id has eight bits for the shard.
const MAX_SHARDS: usize = 256;

/// The set.
#[derive(Debug)]
pub(crate) struct Registry {
    shared: Box<[CachePadded<Common>]>,
    /// The workers' own, made when first lent.
    kept: Box<[OnceLock<Box<Kept>>]>,
}

impl Registry {
    /// Closed and empty, with this many shared shards, at most 128.
    pub(crate) fn new(n_shared: usize) -> Self {
        assert!((1..=MAX_SHARDS / 2).contains(&n_shared));
        Self {
            shared: (0..n_shared)
                .map(|idx| CachePadded::new(Common::new(idx as u8)))
                .collect(),
            kept: (n_shared..MAX_SHARDS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The shard of this worker's own, until [`Own::give_back`]. `None` where it is lent already, or
    /// there are more workers than shards: then the worker shares.
    pub(crate) fn lend(&self, worker: usize) -> Option<Own> {
        let kept = self.kept.get(worker)?.get_or_init(|| {
            let like = self.shared[0].shard.lock();
            let mut shard = Shard::new((self.shared.len() + worker) as u8);
            (shard.closed, shard.epoch) = (like.closed, like.epoch);
            Box::new(Kept::new(shard))
        });
        kept.lend()
    }

    pub(crate) fn take_back(&self, own: Own) {
        if let Some(kept) = self.kept(own.idx()) {
            kept.take_back(own);
        }
    }

    /// Takes a task in, from a thread that has no shard of its own. `hint` picks one.
    pub(crate) fn insert(
        &self,
        hint: usize,
        epoch: u64,
        task: TaskRef,
        details: Details,
    ) -> Result<Id, Closed> {
        let common = &self.shared[hint % self.shared.len()];
        let mut shard = common.shard.lock();
        let inserted = shard.insert_named(epoch, task, details);
        let due = shard.generation % SOME == 0 && common.given_in.has_some();
        let completed = due.then(|| common.given_in.collect(&mut shard));
        drop(shard);
        // Apart from the lock, as a refused task's reference: user code may run in this drop.
        drop(completed);
        inserted.map_err(|_refused| Closed)
    }

    /// Tasks that a worker completes and that are not of its own shard; their references stay with the entries.
    /// The answer is a shard in which so many wait that somebody should [`collect`](Self::collect) them.
    pub(crate) fn give_in(&self, ids: &[Id]) -> Option<usize> {
        let mut full = None;
        for ids in ids.chunk_by(|a, b| a.shard() == b.shard()) {
            let shard = ids[0].shard();
            let many = match self.shared.get(shard) {
                Some(common) => common.given_in.push(ids) >= MANY,
                None => self.kept(shard).is_some_and(|kept| kept.give_in(ids)),
            };
            if many {
                full = Some(shard);
            }
        }
        full
    }

    /// What was given in to a shard. To be dropped where user code may run.
    pub(crate) fn collect(&self, shard: usize) -> Vec<TaskRef> {
        match self.shared.get(shard) {
            Some(common) => common.given_in.collect(&mut common.shard.lock()),
            None => self.kept(shard).map_or_else(Vec::new, Kept::collect),
        }
    }

    /// A worker's shard, by the number that ids have.
    fn kept(&self, shard: usize) -> Option<&Kept> {
        let kept = self.kept.get(shard.checked_sub(self.shared.len())?)?;
        kept.get().map(|kept| &**kept)
    }

    /// What was given in to any shard, whose worker may not come for it soon. To be dropped where user code may run.
    pub(crate) fn collect_all(&self) -> Vec<TaskRef> {
        let shared = self.shared.iter().map(|common| &*common.given_in);
        let kept = self
            .kept
            .iter()
            .map_while(|kept| Some(kept.get()?.given_in()));
        let full = (shared.chain(kept).enumerate()).filter(|(_, given_in)| given_in.has_some());
        full.flat_map(|(shard, _)| self.collect(shard)).collect()
    }

    /// Takes a task out that is about to complete, on a thread that does not own its shard. `true`:
    /// its reference passes to the caller, uncounted, to be dropped by the completing transition.
    pub(crate) fn release(&self, id: Id) -> bool {
        if id.is_unregistered() {
            return false;
        }
        if let Some(shard) = self.shared.get(id.shard()) {
            let task = shard.shard.lock().remove(id.index());
            return task.map(std::mem::forget).is_some();
        }
        if self.give_in(&[id]).is_some() {
            drop(self.collect(id.shard()));
        }
        false
    }

    pub(crate) fn details(&self, id: Id) -> Option<Details> {
        if id.is_unregistered() {
            return None;
        }
        let find = |shard: &mut Shard| {
            let entry = shard.entries.get(id.index())?;
            (entry.task.id() == id).then(|| shard.details(id.index(), entry))
        };
        if let Some(shard) = self.shared.get(id.shard()) {
            return shard.visit(find);
        }
        self.kept(id.shard())?.visit(find)
    }

    /// Visits every shard, one at a time; what has completed is out of it.
    fn visit_all(&self, mut visit: impl FnMut(&mut Shard)) {
        for shard in &self.shared {
            shard.visit(&mut visit);
        }
        for kept in self.kept.iter().filter_map(OnceLock::get) {
            kept.visit(&mut visit);
        }
    }

    /// Refuses new tasks from now on and aborts every one that is in. Idle tasks are dropped by
    /// this very call, on this thread; the others when their runnable is run or dropped.
    pub(crate) fn close_and_abort_all(&self) {
        let mut tasks: Vec<TaskRef> = Vec::new();
        self.visit_all(|shard| {
            shard.closed = true;
            tasks.extend(shard.entries.iter().map(|(_, entry)| entry.task.clone()));
        });
        // User code runs in these drops: not under a lock.
        for task in tasks {
            task.shutdown();
        }
    }

    /// Closed, and every task has completed. Nothing is collected: the caller may hold a lock.
    pub(crate) fn is_drained(&self) -> bool {
        let mut kept = self.kept.iter().filter_map(OnceLock::get);
        self.shared.iter().all(|common| common.is_drained()) && kept.all(|kept| kept.is_drained())
    }

    /// Opens a drained registry again, for inserts of the next epoch, which is the answer.
    pub(crate) fn reopen(&self) -> u64 {
        debug_assert!(self.is_drained());
        let mut epoch = 0;
        self.visit_all(|shard| {
            debug_assert!(shard.entries.is_empty(), "collected by the visit");
            shard.closed = false;
            shard.epoch += 1;
            epoch = shard.epoch;
        });
        epoch
    }

    /// How many tasks of this epoch are alive, and of those that are not, how many no worker has given in yet.
    pub(crate) fn len(&self, epoch: u64) -> usize {
        let mut len = 0;
        self.visit_all(|shard| len += usize::from(shard.is_of(epoch)) * shard.entries.len());
        len
    }

    /// The tasks that are not blocking calls.
    pub(crate) fn n_async(&self) -> usize {
        let mut n_async = 0;
        self.visit_all(|shard| {
            let kinds = shard.entries.iter().map(|(_, entry)| entry.birth.kind());
            n_async += kinds.filter(|&kind| kind == Kind::Async).count();
        });
        n_async
    }

    /// Adds the tasks of this epoch that have a state to a list of its maker's.
    pub(crate) fn list_stateful(&self, epoch: u64, list: &mut dyn Any) {
        let mut tasks: Vec<TaskRef> = Vec::new();
        self.visit_all(|shard| {
            if shard.is_of(epoch) {
                tasks.extend(shard.entries.iter().map(|(_, entry)| entry.task.clone()));
            }
        });
        // User code, and so not under a lock. What is complete may wait to be given in.
        for task in tasks.iter().filter(|task| !task.is_complete()) {
            task.list(list);
        }
    }

    /// A copy of the entry of every task of this epoch that is alive, a shard at a time.
    pub(crate) fn list(&self, epoch: u64) -> Vec<Listed> {
        let mut listed = Vec::new();
        self.visit_all(|shard| {
            let entries = shard.entries.iter().filter(|_| shard.is_of(epoch));
            listed.extend(entries.filter_map(|(index, entry)| {
                let phase = entry.task.phase();
                // It may wait to be given in.
                (phase != Phase::Complete).then(|| Listed {
                    id: entry.task.id(),
                    details: shard.details(index, entry),
                    phase,
                })
            }));
        });
        listed
    }
}
