//! Tasks that may turn out to compute: what spares put aside, and how often one of them is tried.
//!
//! A regular worker takes all of them at the end of a long poll. But that may be long in coming, and most of them may be
//! light; so now and then a spare tries one, and when that was light it takes the others, too. One that computes holds
//! the spare up, which then competes with the workers for their processors.
//!
//! So it depends on what is known of them. Where nothing from their site has shown itself light, tries are few, and twice
//! as far apart for each spare that is held up already. Where something has, or the task itself, which has had a single poll
//! that computed, the next try comes soon, and twice as late for each since one was light.
//!
//! All accesses are Relaxed, but for the queue's own: one try more than was meant is no harm.
//!
//! Tests: `scheduler/tests/suspects.rs`, `tests/it/rescue.rs`.

use super::home::take;
use crate::clock::tsc::{Scale, Ticks};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::deque::Injector;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize};
use crate::task::Runnable;
use std::time::Duration;

/// Between two tries of such as come by, at least.
const BETWEEN: Duration = Duration::from_millis(2);
/// How long one waits for a regular worker before a spare tries it, where nothing from its site was light.
const PATIENCE: Duration = Duration::from_millis(20);
/// So often either is doubled at most.
const MOST_DOUBLED: usize = 5;

/// See the module.
#[derive(Debug)]
pub(crate) struct Suspects {
    queue: Injector<Runnable>,
    /// Some of them are of a kind that was light before.
    may_be_light: AtomicBool,
    /// When a spare has tried one, or another one was found to be long, in ticks.
    tried_at: AtomicU64,
    /// A spare may try one that is there already; set by the monitor.
    may_try: AtomicBool,
    /// How many were taken.
    n_taken: AtomicUsize,
    /// Tries since one was light.
    n_tries: AtomicUsize,
}

impl Suspects {
    pub(super) fn new() -> Self {
        Self {
            queue: Injector::new(),
            may_be_light: AtomicBool::new(false),
            tried_at: AtomicU64::new(0),
            may_try: AtomicBool::new(false),
            n_taken: AtomicUsize::new(0),
            n_tries: AtomicUsize::new(0),
        }
    }

    /// Forgets all but the queue, which is empty.
    pub(super) fn reset(&self) {
        self.may_be_light.store(false, Relaxed);
        self.tried_at.store(0, Relaxed);
        self.may_try.store(false, Relaxed);
        self.n_taken.store(0, Relaxed);
        self.n_tries.store(0, Relaxed);
    }

    pub(super) fn queue(&self) -> &Injector<Runnable> {
        &self.queue
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&self, runnable: Runnable, may_be_light: bool) {
        if may_be_light {
            self.may_be_light.store(true, Relaxed);
        }
        self.queue.push(runnable);
    }

    pub(super) fn take(&self) -> Option<Runnable> {
        let taken = take(&self.queue)?;
        self.n_taken.fetch_add(1, Relaxed);
        Some(taken)
    }

    /// How many were taken so far; `None` where there are none.
    pub(crate) fn n_taken(&self) -> Option<usize> {
        if self.is_empty() {
            self.may_be_light.store(false, Relaxed);
            return None;
        }
        Some(self.n_taken.load(Relaxed))
    }

    /// A spare may try one.
    pub(crate) fn let_one_be_tried(&self) {
        self.may_try.store(true, Relaxed);
    }

    /// One for a spare, if it may try one.
    pub(super) fn try_one(&self) -> Option<Runnable> {
        if !self.may_try.load(Relaxed) {
            return None;
        }
        self.may_try.store(false, Relaxed);
        let tried = self.take()?;
        self.n_tries.fetch_add(1, Relaxed);
        Some(tried)
    }

    /// Whether there is one for a spare.
    pub(super) fn has_one_to_try(&self) -> bool {
        self.may_try.load(Relaxed) && !self.is_empty()
    }

    /// One was found to be long, or is tried: not the next one at once.
    pub(super) fn delay(&self, now: Ticks) {
        self.tried_at.store(now.0, Relaxed);
    }

    /// Whether a spare may try one that comes by, now that so many are held up; then it does.
    pub(super) fn tries(&self, may_be_light: bool, held_up: usize, now: Ticks) -> bool {
        let since = now.since(Ticks(self.tried_at.load(Relaxed)));
        let doubled = match may_be_light {
            true => self.n_tries.load(Relaxed),
            false => held_up,
        };
        let is_due = since >= ticks(BETWEEN, doubled);
        if is_due {
            self.delay(now);
            self.n_tries.fetch_add(1, Relaxed);
        }
        is_due
    }

    /// One that a spare has tried was light.
    pub(super) fn was_light(&self) {
        self.n_tries.store(0, Relaxed);
    }

    /// How many ticks those that are there have to wait for a regular worker before a spare tries one.
    pub(crate) fn patience(&self, held_up: usize) -> u64 {
        match self.may_be_light.load(Relaxed) {
            true => ticks(BETWEEN, self.n_tries.load(Relaxed)),
            false => ticks(PATIENCE, held_up),
        }
    }
}

fn ticks(duration: Duration, doubled: usize) -> u64 {
    Scale::get().ticks_in(duration) << doubled.min(MOST_DOUBLED)
}
