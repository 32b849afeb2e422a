//! The state word: six flags and a reference count, and the transitions on them.
//!
//! A [`Snapshot`] is a value; its transitions are pure functions from a snapshot to the next one
//! and an action. [`State`] is the atomic word; one generic loop applies a transition to it. The
//! rules that the flags stand for are in `task.rs`.
//!
//! Knows nothing of futures, queues or memory. Tests: `task/tests/state.rs`, which enumerates.

use crate::sync::AtomicUsize;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::fmt;

/// A thread polls the future or drops it, or the task is newborn.
const RUNNING: usize = 1 << 0;
/// The task was woken: a `Runnable` exists, or will when the current poll ends.
const SCHEDULED: usize = 1 << 1;
/// The future is gone for good.
const COMPLETE: usize = 1 << 2;
/// Someone asked that the future be dropped instead of polled again.
const ABORTED: usize = 1 << 3;
/// The join handle is alive.
const JOIN_INTEREST: usize = 1 << 4;
/// The joiner's waker is set and may be read.
const JOIN_WAKER: usize = 1 << 5;

const REF_ONE: usize = 1 << 6;
#[cfg(all(test, not(heist_loom)))]
const FLAGS: usize = REF_ONE - 1;
/// Above this the count has been leaked: stop before it can overflow.
const MAX_REFS: usize = isize::MAX as usize / REF_ONE;

/// The word at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Snapshot(usize);

/// Where a task is in its life, for listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Scheduled,
    Running,
    Complete,
}

/// After the transition to running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Poll,
    /// Drop the future instead.
    Cancel,
}

/// After a poll that returned `Pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// The task waits for a wake; the runnable's reference is gone.
    Waits,
    /// The same, and it was the last reference.
    Dealloc,
    /// It was woken meanwhile: the runnable goes back to a queue.
    Reschedule,
    /// It was aborted meanwhile: drop the future, still `RUNNING`.
    Cancel,
}

/// After the transition to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Nobody listens yet; the references are gone.
    Done,
    /// The same, and they were the last.
    Dealloc,
    /// The joiner's waker must be woken; the references are still held.
    WakeJoiner,
    /// The join handle is gone: drop the output first, then try again.
    DropOutput,
}

/// After a wake or an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Nothing,
    /// A runnable is born. By value it takes the waker's reference over, else it has its own.
    Schedule,
    /// By value: the waker's was the last reference.
    Dealloc,
}

/// After the join handle was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinDropped {
    /// The task is complete, and the output is ours; our reference is still held.
    Output,
    /// The joiner's waker is ours; our reference is still held.
    Waker,
    /// Our reference is gone.
    Done,
    /// The same, and it was the last.
    Dealloc,
}

impl Snapshot {
    /// A newborn task: registry, runnable and join handle hold a reference each.
    pub(super) const fn newborn() -> Self {
        Self(RUNNING | JOIN_INTEREST | (3 * REF_ONE))
    }

    /// A newborn task without a join handle: registry and runnable hold a reference each.
    pub(super) const fn newborn_detached() -> Self {
        Self(RUNNING | (2 * REF_ONE))
    }

    pub(super) fn is_running(self) -> bool {
        self.0 & RUNNING != 0
    }

    pub(super) fn is_scheduled(self) -> bool {
        self.0 & SCHEDULED != 0
    }

    pub(super) fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    pub(super) fn is_aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    pub(super) fn has_join_interest(self) -> bool {
        self.0 & JOIN_INTEREST != 0
    }

    pub(super) fn has_join_waker(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    pub(super) fn refs(self) -> usize {
        self.0 / REF_ONE
    }

    pub(super) fn phase(self) -> Phase {
        if self.is_complete() {
            Phase::Complete
        } else if self.is_running() {
            Phase::Running
        } else if self.is_scheduled() {
            Phase::Scheduled
        } else {
            Phase::Waiting
        }
    }

    fn is_idle(self) -> bool {
        self.0 & (RUNNING | SCHEDULED | COMPLETE) == 0
    }

    fn with(self, flags: usize) -> Self {
        Self(self.0 | flags)
    }

    fn without(self, flags: usize) -> Self {
        Self(self.0 & !flags)
    }

    fn add_ref(self) -> Self {
        assert!(self.refs() < MAX_REFS, "a task's wakers are being leaked");
        Self(self.0 + REF_ONE)
    }

    fn sub_refs(self, n: usize) -> Self {
        debug_assert!(self.refs() >= n, "a reference was dropped twice");
        Self(self.0 - n * REF_ONE)
    }

    /// The end of a poll that returned `Pending`.
    pub(super) fn transition_to_idle(self) -> (Self, Idle) {
        debug_assert!(self.is_running() && !self.is_complete());
        if self.is_aborted() {
            return (self, Idle::Cancel);
        }
        let next = self.without(RUNNING);
        if self.is_scheduled() {
            return (next, Idle::Reschedule);
        }
        let next = next.sub_refs(1);
        match next.refs() {
            0 => (next, Idle::Dealloc),
            _ => (next, Idle::Waits),
        }
    }

    /// The future is gone, its output is stored. `refs` are those that the caller gives up: its
    /// own, and the registry's if it has just taken the task out.
    pub(super) fn transition_to_complete(self, refs: usize, output_stored: bool) -> (Self, Finish) {
        debug_assert!(self.is_running() && !self.is_complete());
        if output_stored && !self.has_join_interest() {
            return (self, Finish::DropOutput);
        }
        let next = self.without(RUNNING | SCHEDULED).with(COMPLETE);
        if self.has_join_waker() {
            return (next, Finish::WakeJoiner);
        }
        let next = next.sub_refs(refs);
        match next.refs() {
            0 => (next, Finish::Dealloc),
            _ => (next, Finish::Done),
        }
    }

    /// `Waker::wake`: gives the waker's reference up, to a new runnable where there is one.
    pub(super) fn wake_by_value(self) -> (Self, Wake) {
        if self.is_idle() {
            return (self.with(SCHEDULED), Wake::Schedule);
        }
        let next = match self.is_complete() {
            true => self,
            false => self.with(SCHEDULED),
        };
        let next = next.sub_refs(1);
        match next.refs() {
            0 => (next, Wake::Dealloc),
            _ => (next, Wake::Nothing),
        }
    }

    /// `Waker::wake_by_ref`: a new runnable has a reference of its own.
    pub(super) fn wake_by_ref(self) -> (Self, Wake) {
        if self.is_idle() {
            return (self.with(SCHEDULED).add_ref(), Wake::Schedule);
        }
        match self.is_complete() {
            true => (self, Wake::Nothing),
            false => (self.with(SCHEDULED), Wake::Nothing),
        }
    }

    /// An abort from outside: the runnable that is queued, or the poll that runs, will see it; an
    /// idle task is scheduled so that someone does.
    pub(super) fn abort(self) -> (Self, Wake) {
        if self.is_complete() {
            return (self, Wake::Nothing);
        }
        let next = self.with(ABORTED);
        if self.is_idle() {
            return (next.with(SCHEDULED).add_ref(), Wake::Schedule);
        }
        (next, Wake::Nothing)
    }

    /// Shutdown: an idle task is claimed by the caller (`true`), who must then drop the future; the
    /// claim takes a reference, as a runnable would have. Any other sees the abort later.
    pub(super) fn claim_for_shutdown(self) -> (Self, bool) {
        if self.is_complete() {
            return (self, false);
        }
        let next = self.with(ABORTED);
        match self.is_idle() {
            true => (next.with(RUNNING).add_ref(), true),
            false => (next, false),
        }
    }

    /// The joiner's waker was written. `false`: the task is complete, the flag was not set.
    pub(super) fn set_join_waker(self) -> (Self, bool) {
        debug_assert!(self.has_join_interest() && !self.has_join_waker());
        match self.is_complete() {
            true => (self, false),
            false => (self.with(JOIN_WAKER), true),
        }
    }

    /// The join handle wants to write another waker. `false`: the task is complete.
    pub(super) fn unset_join_waker(self) -> (Self, bool) {
        debug_assert!(self.has_join_interest() && self.has_join_waker());
        match self.is_complete() {
            true => (self, false),
            false => (self.without(JOIN_WAKER), true),
        }
    }

    /// The join handle is dropped before it took the output. Its reference goes too, unless it has
    /// something to drop first.
    pub(super) fn drop_join_handle(self) -> (Self, JoinDropped) {
        debug_assert!(self.has_join_interest());
        if self.is_complete() {
            return (self.without(JOIN_INTEREST), JoinDropped::Output);
        }
        let next = self.without(JOIN_INTEREST | JOIN_WAKER);
        if self.has_join_waker() {
            return (next, JoinDropped::Waker);
        }
        let next = next.sub_refs(1);
        match next.refs() {
            0 => (next, JoinDropped::Dealloc),
            _ => (next, JoinDropped::Done),
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("running", &self.is_running())
            .field("scheduled", &self.is_scheduled())
            .field("complete", &self.is_complete())
            .field("aborted", &self.is_aborted())
            .field("join_interest", &self.has_join_interest())
            .field("join_waker", &self.has_join_waker())
            .field("refs", &self.refs())
            .finish()
    }
}

/// The atomic word.
pub(super) struct State(AtomicUsize);

impl State {
    pub(super) fn newborn() -> Self {
        Self(AtomicUsize::new(Snapshot::newborn().0))
    }

    pub(super) fn newborn_detached() -> Self {
        Self(AtomicUsize::new(Snapshot::newborn_detached().0))
    }

    /// What the word says now; what it was published with is visible.
    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        // ORDERING: pairs with the release half of `update`; makes the output visible to whoever
        // sees COMPLETE.
        Snapshot(self.0.load(Acquire))
    }

    /// Applies a transition. It always writes, changed or not ([T3]).
    #[inline]
    pub(super) fn update<A>(&self, transition: impl Fn(Snapshot) -> (Snapshot, A)) -> A {
        // Relaxed: the exchange below validates the value.
        let mut current = self.0.load(Relaxed);
        loop {
            let (next, action) = transition(Snapshot(current));
            // ORDERING: pairs with every other update and load of the word. Release publishes the
            // stage and the joiner's waker as the rules say; Acquire makes visible what the thread
            // that gave us the right wrote.
            match self
                .0
                .compare_exchange_weak(current, next.0, AcqRel, Relaxed)
            {
                Ok(_) => return action,
                Err(seen) => current = seen,
            }
        }
    }

    /// The holder of the `Runnable` begins to run the task.
    #[inline]
    pub(super) fn transition_to_running(&self) -> Start {
        let seen = self.load();
        let seen = match seen.is_running() {
            // [T10]: what the wakers did is visible to the poll.
            // ORDERING: Acquire pairs with the wake that set SCHEDULED ([T3]).
            true if seen.is_scheduled() => Snapshot(self.0.fetch_and(!SCHEDULED, Acquire)),
            // [T4, T10]: newborn, or it woke itself.
            true => seen,
            false => {
                debug_assert!(seen.is_scheduled() && !seen.is_complete());
                // While we hold the runnable nobody else changes these two flags, so flipping
                // them is exact.
                // ORDERING: pairs with the wake that set SCHEDULED ([T3]).
                Snapshot(self.0.fetch_xor(RUNNING | SCHEDULED, AcqRel))
            }
        };
        match seen.is_aborted() {
            true => Start::Cancel,
            false => Start::Poll,
        }
    }

    #[inline]
    pub(super) fn add_ref(&self) {
        // Relaxed: the new reference is made from one that is alive, and handed on by other means.
        let before = Snapshot(self.0.fetch_add(REF_ONE, Relaxed));
        assert!(before.refs() < MAX_REFS, "a task's wakers are being leaked");
    }

    /// The transition to complete where nobody waits for the output, which is gone, and the caller's references are all that
    /// there are. `false`: it is not so, and nothing has changed.
    #[inline]
    pub(super) fn complete_alone(&self, refs: usize) -> bool {
        let seen = self.load();
        debug_assert!(seen.is_running() && !seen.is_complete());
        if seen.has_join_interest() || seen.refs() != refs {
            return false;
        }
        // As in `sub_refs`, no locked operation is needed. Whoever wakes or aborts a task through its `Arc` counts no
        // reference while the task runs, and then finds it complete.
        // ORDERING: Release, as in `update`.
        self.0.store(COMPLETE, Release);
        true
    }

    /// Drops references; `true`: they were the last.
    #[inline]
    pub(super) fn sub_refs(&self, n: usize) -> bool {
        // A reference is made from one that is alive: if all that there are are the caller's, nobody
        // can make another, and no locked operation is needed.
        if self.load().refs() == n {
            return true;
        }
        // ORDERING: as in `Arc`: Release makes our use of the cell happen before its end, Acquire
        // lets the last one see every other's use.
        let before = Snapshot(self.0.fetch_sub(n * REF_ONE, AcqRel));
        debug_assert!(before.refs() >= n, "a reference was dropped twice");
        before.refs() == n
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

#[cfg(all(test, not(heist_loom)))]
impl Snapshot {
    /// What the flip in `transition_to_running` does.
    pub(super) fn flip_to_running(self) -> Self {
        assert!(self.is_scheduled() && !self.is_running());
        Self(self.0 ^ (RUNNING | SCHEDULED))
    }

    /// What the start of a run does that finds `RUNNING`, \[T4, T10\].
    pub(super) fn forget_wake(self) -> Self {
        assert!(self.is_running());
        self.without(SCHEDULED)
    }

    pub(super) fn add_waker(self) -> Self {
        self.add_ref()
    }

    pub(super) fn drop_refs(self, n: usize) -> Self {
        self.sub_refs(n)
    }

    /// Every combination of flags with a given count, for the enumeration.
    pub(super) fn all(refs: usize) -> impl Iterator<Item = Self> {
        (0..=FLAGS).map(move |flags| Self(flags | (refs * REF_ONE)))
    }
}
