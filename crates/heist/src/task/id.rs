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

impl Id {
    pub(super) fn new(generation: u32, shard: u8, index: u32) -> Self {
        // The lowest generation is 1, so no id is 0.
        let generation = u64::from(generation % ((1 << 24) - 1) + 1);
        Self(
            (generation << GENERATION_SHIFT) | (u64::from(shard) << SHARD_SHIFT) | u64::from(index),
        )
    }

    /// The task was refused by its registry: it has no slot.
    pub(crate) fn is_unregistered(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn shard(self) -> usize {
        ((self.0 >> SHARD_SHIFT) & 0xff) as usize
    }

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
