//! For how much work a peer is woken after a turn of the driver.
//!
//! What the turn has queued are tasks that waited, and the worker knows how long its polls usually are. A peer takes
//! some tens of microseconds to come, and its wake costs the waker ten of them, an interrupt of another processor; so it
//! is not woken for less than it costs. Where no processor is left for it, because other programs use them, it takes
//! one from somebody or waits for one, and then it is not woken for less than a long poll: an HTTP server beside the
//! process that asks it, on two cores, answers a quarter more requests so.
//!
//! A worker whose polls were long lately wakes a peer for one task, as anybody does who spawns: nobody knows how long a
//! new task is; and one wakes a peer for anything that waits behind a task whose last poll was slow. Should the worker be
//! held up after all, the monitor gives away what it has queued.
//!
//! Tests: `scheduler/tests/room.rs`, `scheduler/tests/workers.rs`.

use crate::budget;
use crate::clock::tsc::Scale;
use crate::sync::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Work that is worth a wake where a processor is free for it.
pub(super) const WORTH: Duration = Duration::from_micros(20);
/// The same where none is.
pub(super) const WORTH_WITHOUT_ROOM: Duration = budget::LIMIT;

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    /// How many processors others leave to the workers, as the monitor sees it.
    processors: AtomicUsize,
    /// Both in ticks.
    worth: u64,
    worth_without_room: u64,
}

impl Room {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            processors: AtomicUsize::new(usize::MAX),
            worth: scale.ticks_in(WORTH),
            worth_without_room: scale.ticks_in(WORTH_WITHOUT_ROOM),
        }
    }

    pub(crate) fn set(&self, processors: usize) {
        // Relaxed: a hint.
        self.processors.store(processors, Relaxed);
    }

    /// Work of so many ticks waits in the queue of one of the workers that are awake.
    pub(super) fn is_worth_a_wake(&self, ticks: u64, awake: usize) -> bool {
        // Relaxed: a hint.
        let has_room = awake < self.processors.load(Relaxed);
        let worth = match has_room {
            true => self.worth,
            false => self.worth_without_room,
        };
        ticks >= worth
    }
}

/// How long the polls of a worker are, in ticks: an average over its last looks at the driver, between which it polls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usual(u64);

/// What the polls between two of them weigh in it, as a shift.
const SHIFT: u32 = 4;

impl Usual {
    /// Long, until polls have shown otherwise.
    pub(super) fn new(scale: &Scale) -> Self {
        Self(scale.ticks_in(budget::LIMIT))
    }

    #[inline]
    pub(super) fn note(&mut self, ticks: u64) {
        self.0 = self.0 - (self.0 >> SHIFT) + (ticks >> SHIFT);
    }

    /// How long so many polls will take.
    pub(super) fn of(self, polls: usize) -> u64 {
        self.0.saturating_mul(polls as u64)
    }
}
