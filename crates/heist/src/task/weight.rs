//! How heavy a task has turned out to be.
//!
//! A task is *heavy* after two polls in a row that took longer than the limit, or from birth if it
//! was spawned as a computation; four short ones in a row make it light again. One long poll is no
//! proof: the kernel may have taken the worker's processor away meanwhile.
//!
//! Heavy tasks wait in a queue of their own and run when nothing light is ready (`scheduler.rs`).

use crate::sync::AtomicU32;
use crate::sync::atomic::Ordering::Relaxed;

/// Light, and it has not waited for anything yet.
const NEWBORN: u32 = 0;
/// Light, and the last poll was short.
const LIGHT: u32 = 1;
/// Light, but the last poll was long.
const SUSPECT: u32 = 2;
/// The least value that is heavy; above it, the short polls that are still forgiven.
const HEAVY: u32 = 3;
const FORGIVEN: u32 = 3;
/// Heavy because of where it was spawned, and it has not waited for anything yet.
const BORN_HEAVY: u32 = u32::MAX - 1;
/// Heavy by decree.
const FIXED: u32 = u32::MAX;

/// What the schedulers and the monitor make of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Light,
    /// Found out by its polls or its site.
    Heavy,
    /// Spawned as a computation.
    Declared,
}

/// A task's weight. Written by whoever runs the task; all accesses are Relaxed, since a reader who
/// sees an old value only takes the other queue.
#[derive(Debug)]
pub(crate) struct Weight {
    weight: AtomicU32,
    /// Where the sites' table remembers the task's spawn site.
    site: AtomicU32,
}

impl Weight {
    pub(super) fn newborn() -> Self {
        Self {
            weight: AtomicU32::new(NEWBORN),
            site: AtomicU32::new(0),
        }
    }

    /// Written before the task is published.
    pub(crate) fn set_site(&self, site: u32) {
        self.site.store(site, Relaxed);
    }

    pub(crate) fn site(&self) -> u32 {
        self.site.load(Relaxed)
    }

    #[inline]
    pub(crate) fn class(&self) -> Class {
        match self.weight.load(Relaxed) {
            FIXED => Class::Declared,
            weight if weight >= HEAVY => Class::Heavy,
            _ => Class::Light,
        }
    }

    #[inline]
    pub(crate) fn is_heavy(&self) -> bool {
        self.weight.load(Relaxed) >= HEAVY
    }

    /// Heavy, whatever its polls are like.
    pub(crate) fn fix_heavy(&self) {
        self.weight.store(FIXED, Relaxed);
    }

    /// Heavy until its polls say otherwise.
    pub(crate) fn begin_heavy(&self) {
        self.weight.store(BORN_HEAVY, Relaxed);
    }

    /// No poll has returned `Pending` yet: the task is a job rather than a conversation.
    #[inline]
    pub(crate) fn never_waited(&self) -> bool {
        matches!(self.weight.load(Relaxed), NEWBORN | BORN_HEAVY)
    }

    /// A poll has returned `Pending`. `true`: this made the task heavy.
    #[inline]
    pub(crate) fn record(&self, long: bool) -> bool {
        let weight = self.weight.load(Relaxed);
        let next = match (weight, long) {
            (LIGHT, false) => return false,
            (FIXED, _) => return false,
            (NEWBORN | LIGHT, true) => SUSPECT,
            (NEWBORN | SUSPECT | HEAVY, false) => LIGHT,
            (BORN_HEAVY, false) => HEAVY + FORGIVEN - 1,
            (_, true) => HEAVY + FORGIVEN,
            (credit, false) => credit - 1,
        };
        self.weight.store(next, Relaxed);
        weight < HEAVY && next >= HEAVY
    }
}
