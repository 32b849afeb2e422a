//! The tasks of a loop that are not done, for `all_tasks` and for the end of a run.
//!
//! On the parallel loop the core knows its tasks, and is asked. The others are listed here: those of the exact loop, and
//! those that were started eagerly. They are held weakly: who owns a task is who runs it. A task is listed before anybody
//! else sees it, in a shard of the thread that creates it. Nobody takes it out when it is done: whoever lists one looks at
//! two that are listed already, and takes out what is gone. What a burst leaves behind is taken out by later ones, or by
//! a look at all.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use heist::runtime::Spawner;
use parking_lot::Mutex;

use crate::cell::TaskMeta;
use crate::node::{Lone, Node};

/// So many threads have a shard for themselves.
const SHARDS: usize = 16;
/// Places that are looked at for each task that is listed.
const LOOKS: usize = 2;
/// Numbers that a thread takes at once.
const BLOCK: u64 = 64;

thread_local! {
    /// Numbers for the tasks that this thread creates: the next one, and where they end.
    static IDS: std::cell::Cell<(u64, u64)> = const { std::cell::Cell::new((0, 0)) };
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // ORDERING: Relaxed; only that threads differ matters.
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The number of a new task. `in_order`: later than any given before, on whatever thread; else only than those of this
/// thread.
pub(crate) fn next_id(in_order: bool) -> u64 {
    if in_order {
        // ORDERING: Relaxed; only the number matters.
        return NEXT_ID.fetch_add(1, Ordering::Relaxed);
    }
    let from_block = |ids: &std::cell::Cell<(u64, u64)>| {
        let (mut next, mut end) = ids.get();
        if next == end {
            // ORDERING: as above.
            next = NEXT_ID.fetch_add(BLOCK, Ordering::Relaxed);
            end = next + BLOCK;
        }
        ids.set((next + 1, end));
        next
    };
    IDS.try_with(from_block).unwrap_or_else(|_| next_id(true))
}

#[derive(Default)]
struct Shard {
    tasks: Vec<Weak<dyn Lone>>,
    /// The place that is looked at next.
    next: usize,
}

impl Shard {
    /// What was in a task that is gone is gone, too: taking it out only frees its memory.
    fn look(&mut self) {
        match self.tasks.get(self.next) {
            None => self.next = 0,
            Some(task) if task.strong_count() > 0 => self.next += 1,
            Some(_) => drop(self.tasks.swap_remove(self.next)),
        }
    }
}

/// The tasks that are not done, and some that are.
#[derive(Default)]
pub(crate) struct Registry {
    shards: [Apart; SHARDS],
}

/// In cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Apart(Mutex<Shard>);

impl Registry {
    /// Takes a new task in, before anybody else sees it.
    pub(crate) fn insert(&self, task: Weak<dyn Lone>) {
        let place = SHARD.try_with(|shard| *shard).unwrap_or(0);
        let mut shard = self.shards[place].0.lock();
        (0..LOOKS).for_each(|_| shard.look());
        shard.tasks.push(task);
    }

    /// A task that will never be done, and that nobody should be told of.
    pub(crate) fn forget(&self, meta: &TaskMeta) {
        // ORDERING: Relaxed; a flag of its own.
        meta.forgotten.store(true, Ordering::Relaxed);
    }

    /// The tasks that are not done, in the order of their creation; on many threads, in that of each thread.
    /// `spawner`: that of the core's tasks, on the parallel loop.
    pub(crate) fn snapshot(&self, spawner: Option<Spawner>) -> Vec<Node> {
        let mut found: Vec<Node> = Vec::new();
        if let Some(spawner) = spawner {
            spawner.list_stateful(&mut found);
        }
        for shard in &self.shards {
            let mut shard = shard.0.lock();
            shard.tasks.retain(|task| task.strong_count() > 0);
            let left = shard.tasks.iter().filter_map(Weak::upgrade);
            found.extend(left.map(Lone::into_node));
        }
        found.sort_by_key(|node| node.core().meta.as_ref().map(|meta| meta.id));
        found.retain(|node| {
            let meta = node.core().meta.as_ref();
            // ORDERING: Relaxed; a flag of its own.
            let forgotten = meta.is_none_or(|meta| meta.forgotten.load(Ordering::Relaxed));
            !forgotten && !node.core().is_done()
        });
        found
    }
}
