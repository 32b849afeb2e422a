//! The identity of a task, and which one runs on this thread.

use std::cell::Cell;
use std::fmt;

/// Identifies a task among all that are alive in its runtime.
///
/// Shown as a number. Ids of finished tasks come back, but not before some millions of others.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::spawn(async { heist::task::id() });
/// let id = task.id();
/// assert_eq!(task.await.unwrap(), id);
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

/// Where the index of the registry's slot ends and its shard begins.
const SHARD_SHIFT: u32 = 32;
/// Where the shard ends and the generation begins.
const GENERATION_SHIFT: u32 = 40;
const LAST_GENERATION: u32 = (1 << (u64::BITS - GENERATION_SHIFT)) - 1;

/// The generation after this one: from 1 on, so that no id is 0, as far as there is room for it.
#[inline]
pub(super) fn generation_after(generation: u32) -> u32 {
    match generation {
        LAST_GENERATION => 1,
        generation => generation + 1,
    }
}

impl Id {
    #[inline]
    pub(super) fn new(generation: u32, shard: u8, index: u32) -> Self {
        debug_assert!((1..=LAST_GENERATION).contains(&generation));
        let generation = u64::from(generation);
        Self(
            (generation << GENERATION_SHIFT) | (u64::from(shard) << SHARD_SHIFT) | u64::from(index),
        )
    }

    /// The task was refused by its registry: it has no slot.
    #[inline]
    pub(crate) fn is_unregistered(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) fn shard(self) -> usize {
        ((self.0 >> SHARD_SHIFT) & 0xff) as usize
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Marks a task as the one that runs on this thread, until dropped.
#[derive(Debug)]
pub(crate) struct CurrentTask {
    previous: u64,
}

impl CurrentTask {
    #[inline]
    pub(crate) fn enter(id: Id) -> Self {
        Self {
            previous: CURRENT.replace(id.0),
        }
    }
}

impl Drop for CurrentTask {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.previous);
    }
}

/// The id of the task that calls this.
///
/// # Panics
///
/// Outside a task; the future of `block_on` is none. [`try_id`] answers `None` there.
#[track_caller]
pub fn id() -> Id {
    try_id().expect("task::id() was called outside a task; use task::try_id() there")
}

/// The id of the task that calls this, or `None` outside a task.
pub fn try_id() -> Option<Id> {
    match CURRENT.get() {
        0 => None,
        bits => Some(Id(bits)),
    }
}
