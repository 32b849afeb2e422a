//! Who is parked, who searches, whom to wake.
//!
//! One word counts the workers that are awake and those of them that search; the list of sleepers
//! is behind a lock that only parking and waking take. Rules \[S2\], \[S3\] and \[S5\] of
//! `scheduler.rs` live here.
//!
//! The transitions of the word are pure functions on [`Counts`]. Tests: `scheduler/tests/idle.rs`
//! enumerates them, `scheduler/tests/loom.rs` models the lost wake-up.

use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicUsize, Mutex, fence};

const SEARCHING: usize = 1;
const AWAKE: usize = 1 << 16;
const WORKERS: usize = 1 << 32;
const FIELD: usize = 0xffff;

/// The word at one moment: three counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts(usize);

impl Counts {
    pub(super) fn new(workers: usize, awake: usize, searching: usize) -> Self {
        debug_assert!(searching <= awake && awake <= workers && workers <= FIELD);
        Self(workers * WORKERS + awake * AWAKE + searching * SEARCHING)
    }

    pub(super) fn searching(self) -> usize {
        self.0 & FIELD
    }

    pub(super) fn awake(self) -> usize {
        (self.0 / AWAKE) & FIELD
    }

    pub(super) fn workers(self) -> usize {
        (self.0 / WORKERS) & FIELD
    }

    /// Someone sleeps, and nobody is on the way already \[S5\].
    pub(super) fn wants_wake(self) -> bool {
        self.wants_wakes(1)
    }

    /// Someone sleeps, and fewer than `n` are on the way.
    pub(super) fn wants_wakes(self, n: usize) -> bool {
        self.searching() < n && self.awake() < self.workers()
    }

    /// Someone sleeps or searches, and would take what is offered.
    pub(super) fn has_takers(self) -> bool {
        self.searching() > 0 || self.awake() < self.workers()
    }

    /// A sleeper is woken to search.
    pub(super) fn woken(self) -> Self {
        Self(self.0 + AWAKE + SEARCHING)
    }

    /// A sleeper woke by itself, for a timer or an event.
    pub(super) fn woke(self) -> Self {
        Self(self.0 + AWAKE)
    }

    /// A worker parks. The answer says whether it was the last one to search.
    pub(super) fn parked(self, searching: bool) -> (Self, bool) {
        let next = Self(self.0 - AWAKE - usize::from(searching) * SEARCHING);
        (next, searching && next.searching() == 0)
    }

    /// At most half of those awake search: more would only fight for the same queues.
    pub(super) fn may_search(self) -> bool {
        2 * self.searching() < self.awake()
    }
}

/// The idle state of one scheduler.
#[derive(Debug)]
pub(crate) struct Idle {
    word: AtomicUsize,
    /// Parked workers, the last one on top. The word changes together with it.
    sleepers: Mutex<Vec<usize>>,
}

impl Idle {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::new()),
        }
    }

    /// Begins a run with `workers` workers, all awake.
    pub(crate) fn reset(&self, workers: usize) {
        self.sleepers.lock().clear();
        // ORDERING: SeqCst like every access to the word; the runtime is published later.
        self.word.store(Counts::new(workers, workers, 0).0, SeqCst);
    }

    /// After a push to the worker's own queue: a sleeper to unpark, if one is wanted. `n`: how many may be on
    /// their way at once.
    #[inline]
    pub(crate) fn after_local_push(
        &self,
        n: usize,
        avoid: impl FnOnce() -> Option<usize>,
    ) -> Option<usize> {
        // Relaxed: [S3].
        match Counts(self.word.load(Relaxed)).wants_wakes(n) {
            true => self.wake_one(n, avoid()),
            false => None,
        }
    }

    /// After a push to the injector: a sleeper to unpark, if one is wanted.
    #[inline]
    pub(crate) fn after_remote_push(&self, avoid: impl FnOnce() -> Option<usize>) -> Option<usize> {
        // ORDERING: SeqCst fence between the push and the look at the word, paired with the SeqCst
        // change of the word in `park` and the look at the queues after it: [S2].
        fence(SeqCst);
        match Counts(self.word.load(Relaxed)).wants_wake() {
            true => self.wake_one(1, avoid()),
            false => None,
        }
    }

    #[cold]
    fn wake_one(&self, n: usize, avoid: Option<usize>) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        // Relaxed: with the lock held the number of sleepers stands still.
        let counts = Counts(self.word.load(Relaxed));
        if !counts.wants_wakes(n) {
            return None;
        }
        let position = sleepers
            .iter()
            .rposition(|&worker| Some(worker) != avoid)
            .or_else(|| sleepers.len().checked_sub(1))?;
        let worker = sleepers.remove(position);
        // ORDERING: SeqCst, for the single order of the word.
        self.word.fetch_add(AWAKE + SEARCHING, SeqCst);
        debug_assert_eq!(counts.woken().awake(), counts.awake() + 1);
        Some(worker)
    }

    /// Any parked worker, which stays on the list: to be sent to the driver.
    pub(crate) fn any_sleeper(&self) -> Option<usize> {
        self.sleepers.lock().last().copied()
    }

    /// Nobody is awake.
    pub(crate) fn all_parked(&self) -> bool {
        // ORDERING: SeqCst: the monitor's last look before its deep sleep.
        Counts(self.word.load(SeqCst)).awake() == 0
    }

    /// The same as [`wants_work`](Self::wants_work), as a hint.
    #[inline]
    pub(crate) fn has_takers(&self) -> bool {
        // Relaxed: a hint.
        Counts(self.word.load(Relaxed)).has_takers()
    }

    /// How many regular workers are awake, as a hint.
    #[inline]
    pub(crate) fn awake(&self) -> usize {
        // Relaxed: a hint.
        Counts(self.word.load(Relaxed)).awake()
    }

    /// How many regular workers there are.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        // Relaxed: set when the runtime moves in.
        Counts(self.word.load(Relaxed)).workers()
    }

    /// `worker` is about to block. `true`: it was the last one to search, and must look at every
    /// queue once more. Everyone must look at the injector once more \[S2\].
    pub(crate) fn park(&self, worker: usize, searching: bool) -> bool {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(worker);
        let change = AWAKE + usize::from(searching) * SEARCHING;
        // ORDERING: SeqCst: the word changes before the caller looks at the queues again, pairs
        // with the fence in `after_remote_push`: [S2].
        let before = Counts(self.word.fetch_sub(change, SeqCst));
        // A fence of our own: the queues are read with weaker orders.
        fence(SeqCst);
        before.parked(searching).1
    }

    /// `worker` stopped blocking, for whatever reason. `true`: someone woke it to search.
    pub(crate) fn unpark(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(position) = sleepers.iter().position(|&sleeper| sleeper == worker) else {
            // A waker took it off the list, and counted it as searching.
            return true;
        };
        sleepers.remove(position);
        // ORDERING: SeqCst, for the single order of the word.
        let before = Counts(self.word.fetch_add(AWAKE, SeqCst));
        debug_assert!(before.woke().awake() <= before.workers());
        false
    }

    /// Some worker is parked or searches: what could be stolen should be offered.
    #[inline]
    pub(crate) fn wants_work(&self) -> bool {
        // ORDERING: SeqCst: after the caller's SeqCst change of what it offers, or its fence; pairs
        // with the change of the word in `park`.
        Counts(self.word.load(SeqCst)).has_takers()
    }

    /// A worker found its own queue empty and wants to steal.
    pub(crate) fn start_searching(&self) -> bool {
        // Relaxed: only a limit on how many search.
        if !Counts(self.word.load(Relaxed)).may_search() {
            return false;
        }
        // ORDERING: SeqCst, for the single order of the word.
        self.word.fetch_add(SEARCHING, SeqCst);
        true
    }

    /// A searcher found work. `true`: it was the last one, and must wake the next \[S5\].
    pub(crate) fn stop_searching(&self) -> bool {
        // ORDERING: SeqCst, for the single order of the word.
        let before = Counts(self.word.fetch_sub(SEARCHING, SeqCst));
        before.searching() == 1
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> Counts {
        // ORDERING: SeqCst, for the single order of the word.
        Counts(self.word.load(SeqCst))
    }
}
