//! How long before its moment a thread asks to be woken.
//!
//! The kernel wakes a thread late: by the slack of its timers, by the interrupt, by the way to a processor. Nearly all of that
//! is the same each time, so it is taken off the next wait. What is taken off is less than most waits are late by: who wakes
//! too early has to wait for the rest, and does so without another sleep.
//!
//! Tests: `driver/tests/lead.rs`.

use crate::clock::{Clock, Nanos};
use crate::sync::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The most that is taken off.
pub(super) const MOST: Nanos = 50_000;
/// A shorter wait says nothing: it may be over before the thread has left the processor.
pub(super) const LEAST: Nanos = 10_000;
/// How slowly it rises, and how fast it falls, as shifts: so about one wait in five ends too early, by a few microseconds.
const RISE: u32 = 5;
const FALL: u32 = 1;

/// Until when a thread may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until {
    pub(crate) moment: Nanos,
    /// The timers that are due then come thick: the later it is, the more fire at once, so nothing is taken off.
    pub(super) is_thick: bool,
}

/// That of one worker.
#[derive(Debug)]
pub(super) struct Lead(AtomicU64);

impl Lead {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Blocks until then, or until something comes, which `block` says.
    pub(super) fn sleep(
        &self,
        clock: &Clock,
        until: Until,
        block: impl FnOnce(Option<Duration>) -> bool,
    ) {
        let now = clock.nanos();
        let wait = until.moment.saturating_sub(now);
        let asked = match until.is_thick {
            true => wait,
            false => wait - self.of(wait),
        };
        if block(Some(Duration::from_nanos(asked))) {
            return;
        }
        // Not every poller tells what has interrupted it.
        let Some(late) = clock.nanos().checked_sub(now + asked) else {
            return;
        };
        if asked >= LEAST {
            self.note(late);
        }
        while clock.nanos() < until.moment {
            std::hint::spin_loop();
        }
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
        let next = match lead {
            // The first one.
            0 => late / 2,
            _ if late > lead => lead + ((late - lead) >> RISE),
            _ => lead - ((lead - late) >> FALL),
        };
        self.0.store(next, Relaxed);
    }
}
