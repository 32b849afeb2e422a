//! How heavy a task has turned out to be.
//!
//! A task is *heavy* after two polls in a row that took longer than the limit, or from birth if it
//! was spawned as a computation; four short ones in a row make it light again. One long poll is no
//! proof: the kernel may have taken the worker's processor away meanwhile, and a conversation may have
//! one long answer to give. But one that was spent on the processor, and after which the task wants to
//! go on at once, is: then a single short one makes it light again.
//!
//! After one such poll it is light, but spares leave it to the regular workers, or try it (`scheduler/suspects.rs`).
//!
//! Heavy tasks wait in a queue of their own and run when nothing light is ready (`scheduler.rs`).
//!
//! A task is *slow* if its last poll was, though it may be far from heavy: what it wakes is better run elsewhere.

use crate::budget::Length;
use crate::sync::AtomicU32;
use crate::sync::atomic::Ordering::Relaxed;

/// Light, and it has not waited for anything yet.
const NEWBORN: u32 = 0;
/// Light, and the last poll was short.
const LIGHT: u32 = 1;
/// Light, but the last poll was long.
const SUSPECT: u32 = 2;
/// Light, but the last poll was long, and spent on a processor.
const COMPUTED: u32 = 3;
/// Light by decree.
const FIXED_LIGHT: u32 = 4;
/// The least value that is heavy; above it, the short polls that are still forgiven.
const HEAVY: u32 = 5;
const FORGIVEN: u32 = 3;
/// Heavy because of where it was spawned, and it has not waited for anything yet.
const BORN_HEAVY: u32 = WEIGHT_MASK - 1;
/// Heavy by decree.
const FIXED: u32 = WEIGHT_MASK;

/// What the schedulers and the monitor make of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
pub(crate) struct Weight(
    /// The weight, above it whether the task is slow, and where the sites' table remembers its spawn site.
    AtomicU32,
);

const SITE_SHIFT: u32 = 16;
const SLOW: u32 = 1 << (SITE_SHIFT - 1);
const WEIGHT_MASK: u32 = SLOW - 1;

impl Weight {
    pub(crate) fn newborn() -> Self {
        Self(AtomicU32::new(NEWBORN))
    }

    /// That of a computation.
    pub(crate) fn declared() -> Self {
        Self(AtomicU32::new(FIXED))
    }

    #[inline]
    pub(crate) fn copy_from(&self, other: &Self) {
        self.0.store(other.0.load(Relaxed), Relaxed);
    }

    #[inline]
    fn get(&self) -> u32 {
        self.0.load(Relaxed) & WEIGHT_MASK
    }

    #[inline]
    fn set(&self, weight: u32) {
        let others = self.0.load(Relaxed) & !WEIGHT_MASK;
        self.0.store(others | weight, Relaxed);
    }

    /// Written before the task is published.
    pub(crate) fn set_site(&self, site: u16) {
        let site = u32::from(site) << SITE_SHIFT;
        self.0.store(site | self.get(), Relaxed);
    }

    /// The last poll was slow.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.0.load(Relaxed) & SLOW != 0
    }

    /// Light after a short poll, and as slow as said: another short one changes nothing.
    #[inline]
    pub(crate) fn is_settled(&self, slow: bool) -> bool {
        let settled = LIGHT | (u32::from(slow) * SLOW);
        self.0.load(Relaxed) & (SLOW | WEIGHT_MASK) == settled
    }

    pub(crate) fn set_slow(&self, slow: bool) {
        let old = self.0.load(Relaxed);
        let new = if slow { old | SLOW } else { old & !SLOW };
        if new != old {
            self.0.store(new, Relaxed);
        }
    }

    pub(crate) fn site(&self) -> u16 {
        (self.0.load(Relaxed) >> SITE_SHIFT) as u16
    }

    #[inline]
    #[cfg_attr(
        heist_no_monitor,
        expect(dead_code, reason = "the monitor asks for it")
    )]
    pub(crate) fn class(&self) -> Class {
        match self.get() {
            FIXED => Class::Declared,
            weight if weight >= HEAVY => Class::Heavy,
            _ => Class::Light,
        }
    }

    #[inline]
    pub(crate) fn is_heavy(&self) -> bool {
        self.get() >= HEAVY
    }

    /// Heavy, whatever its polls are like.
    pub(crate) fn fix_heavy(&self) {
        self.set(FIXED);
    }

    /// Light, whatever its polls are like.
    pub(crate) fn fix_light(&self) {
        self.set(FIXED_LIGHT);
    }

    /// Heavy until its polls say otherwise, unless it was fixed.
    pub(crate) fn begin_heavy(&self) {
        if matches!(self.get(), FIXED | FIXED_LIGHT) {
            return;
        }
        self.set(BORN_HEAVY);
    }

    /// Light, and not polled to an end yet.
    #[inline]
    pub(crate) fn is_newborn(&self) -> bool {
        self.get() == NEWBORN
    }

    /// Heavy because of its site alone.
    #[inline]
    pub(crate) fn is_born_heavy(&self) -> bool {
        self.get() == BORN_HEAVY
    }

    /// No poll has returned `Pending` yet: the task is a job rather than a conversation.
    #[inline]
    pub(crate) fn never_waited(&self) -> bool {
        matches!(self.get(), NEWBORN | BORN_HEAVY)
    }

    /// Light, but may turn out to compute: its last poll did.
    pub(crate) fn has_computed(&self) -> bool {
        self.get() == COMPUTED
    }

    /// A poll has returned `Pending`; `goes_on`: the task has woken itself. `true`: this made the task heavy.
    pub(crate) fn record(&self, length: Length, goes_on: bool) -> bool {
        let weight = self.get();
        let next = match (weight, length) {
            (LIGHT, Length::Short) => return false,
            (FIXED | FIXED_LIGHT, _) => return false,
            (NEWBORN | LIGHT, Length::Computed) if goes_on => HEAVY,
            (NEWBORN | LIGHT, Length::Computed) => COMPUTED,
            (NEWBORN | LIGHT, Length::Long) => SUSPECT,
            // One from a heavy site that waits after a short poll is no job.
            (NEWBORN | SUSPECT | COMPUTED | HEAVY | BORN_HEAVY, Length::Short) => LIGHT,
            (credit, Length::Short) => credit - 1,
            (_, Length::Long | Length::Computed) => HEAVY + FORGIVEN,
        };
        self.set(next);
        weight < HEAVY && next >= HEAVY
    }
}
