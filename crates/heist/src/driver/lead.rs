//! How long before its moment a thread asks to be woken.
//!
//! The kernel wakes a thread late: by the slack of its timers, by the interrupt, by the way to a processor. Nearly all of that
//! is the same each time, so it is taken off the next wait. What is taken off is less than most waits are late by: who wakes
//! too early has to wait for the rest, and does so without another sleep.
//!
//! Tests: `driver/tests/lead.rs`.

use crate::clock::Nanos;
use crate::sync::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;

/// The most that is taken off.
pub(super) const MOST: Nanos = 50_000;
/// How slowly it rises, and how fast it falls, as shifts: so about one wait in five ends too early, by a few microseconds.
const RISE: u32 = 5;
const FALL: u32 = 1;

/// That of one worker.
#[derive(Debug)]
pub(super) struct Lead(AtomicU64);

impl Lead {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What to take off a wait: no more than half of it, so that a short one is a sleep, too.
    pub(super) fn of(&self, wait: Nanos) -> Nanos {
        // Relaxed: its thread's own.
        self.0.load(Relaxed).min(wait / 2)
    }

    /// A wait was over so late.
    pub(super) fn note(&self, late: Nanos) {
        // Relaxed: its thread's own.
        let lead = self.0.load(Relaxed);
        let late = late.min(MOST);
        let next = match late > lead {
            true => lead + ((late - lead) >> RISE),
            false => lead - ((lead - late) >> FALL),
        };
        self.0.store(next, Relaxed);
    }
}
