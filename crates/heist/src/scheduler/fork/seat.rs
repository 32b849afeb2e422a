//! A thread's stack of forked jobs, private at the top and public at the bottom.
//!
//! ```text
//!   slots   0 ........ bottom ........ split ........ top
//!           stolen     public          private
//! ```
//!
//! The owner pushes and pops at the top. Below the split it must ask the word, which holds bottom,
//! split and the number of the execution; thieves change nothing but the bottom, the owner the rest.
//! While public and private part are empty, no thief changes the word, and the owner just stores.
//!
//! Slots below the bottom belong to jobs that were stolen, and whose `join` the owner has not come
//! back to. While a `join` waits for the youngest of them the top stays above its slot [F3].
//!
//! Rules [F1] to [F5], [F7] and [F8]: `fork.rs`. Tests: `parallel/tests/loom.rs`,
//! `tests/it/parallel.rs`.
#![expect(
    unsafe_code,
    reason = "jobs lie in the frames of their callers, behind erased pointers"
)]

use super::Forks;
use crate::budget;
use crate::scheduler::home::Home;
use crate::scheduler::park::Parker;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, CachePadded, fence};
use crate::task::{self, CurrentTask, Id};
use std::fmt;
use std::ptr::NonNull;

/// Jobs that a seat holds; whatever is forked deeper runs in sequence. Under loom, as few as do.
#[cfg(not(heist_loom))]
const CAPACITY: usize = 1024;
#[cfg(heist_loom)]
const CAPACITY: usize = 4;

/// Says in [`Job::state`] that the job is done.
const DONE: u64 = 1;
/// Says in [`Job::state`] that the owner blocks, or is about to.
const AWAITED: u64 = 2;

/// The front of every job: how to run it, and how far it is.
#[derive(Debug)]
pub(crate) struct Job {
    run: unsafe fn(NonNull<Job>),
    /// Nothing until it is stolen; then flags and the packed [`Execution`]. The thief and the owner
    /// set bits in it, each its own.
    state: AtomicU64,
}

/// A stolen job being run: by which seat's thread, under which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) seat: usize,
    pub(crate) number: u32,
}

impl Execution {
    /// Leaves the lowest bits for the flags.
    fn pack(self) -> u64 {
        (u64::from(self.number) << 32) | ((self.seat as u64 + 1) << 8)
    }

    pub(super) fn unpack(bits: u64) -> Option<Self> {
        let seat = ((bits >> 8) & 0xff_ffff) as usize;
        Some(Self {
            seat: seat.checked_sub(1)?,
            number: (bits >> 32) as u32,
        })
    }
}

impl Job {
    /// A job that `run` runs.
    ///
    /// # Safety
    ///
    /// `run`, called once with a pointer to this job while it lives, must not unwind, and must not
    /// touch the job after it has returned.
    #[inline]
    pub(crate) unsafe fn new(run: unsafe fn(NonNull<Job>)) -> Self {
        Self {
            run,
            state: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: Acquire pairs with the `fetch_or` in `Stolen::run_with`: the result is visible.
        self.state.load(Acquire) & DONE != 0
    }

    /// Who runs it, once that is known.
    pub(super) fn execution(&self) -> Option<Execution> {
        // ORDERING: Acquire pairs with the first `fetch_or` in `Stolen::run_with`: the seat's word
        // has the execution's number.
        Execution::unpack(self.state.load(Acquire))
    }

    /// Says that the owner will block. `false`: the job is done [F8].
    pub(super) fn announce_wait(&self) -> bool {
        // ORDERING: AcqRel: if the job is done its result is visible.
        self.state.fetch_or(AWAITED, AcqRel) & DONE == 0
    }
}

/// The word of a seat at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

const BOTTOM: u64 = 1;
const SPLIT: u64 = 1 << 16;
const NUMBER: u32 = 32;
const FIELD: u64 = 0xffff;

impl Word {
    pub(crate) fn new(number: u32, bottom: usize, split: usize) -> Self {
        debug_assert!(bottom <= split && split <= CAPACITY);
        Self((u64::from(number) << NUMBER) | (split as u64 * SPLIT) | (bottom as u64 * BOTTOM))
    }

    pub(crate) fn number(self) -> u32 {
        (self.0 >> NUMBER) as u32
    }

    pub(crate) fn bottom(self) -> usize {
        (self.0 & FIELD) as usize
    }

    pub(crate) fn split(self) -> usize {
        ((self.0 / SPLIT) & FIELD) as usize
    }

    pub(crate) fn n_public(self) -> usize {
        self.split() - self.bottom()
    }

    /// Nothing is public.
    pub(crate) fn is_empty(self) -> bool {
        self.n_public() == 0
    }
}

/// What the owner alone uses: Relaxed, since nobody else reads it.
struct Own {
    top: AtomicUsize,
    /// As in the word.
    split: AtomicUsize,
    /// Stolen jobs that were begun here, ever.
    n_executions: AtomicU64,
}

/// What is set when somebody takes the seat, and the same until he leaves it.
struct Terms {
    /// The fewest jobs that are public while there are private ones, as far as the owner comes to it:
    /// so that many workers can begin while the owner is in one long closure.
    keep: AtomicUsize,
}

/// What thieves look at.
struct Public {
    word: AtomicU64,
    /// The execution that the owner waits for in a `join`, packed; 0 while it does not wait. Written
    /// by the owner.
    waits_for: AtomicU64,
    /// The number, plus one, of a seat whose owner wants to be told of new public jobs; 0 for none.
    /// Written by whoever asks, taken by the owner.
    guest: AtomicUsize,
    /// The task that forks here. Written by the owner before it makes a job public, and the same for
    /// as long as a job of it is stolen.
    task: AtomicU64,
}

/// See the module.
pub(crate) struct Seat {
    own: CachePadded<Own>,
    /// The owner should look whether somebody wants something [F7]. Anyone sets it.
    attention: CachePadded<AtomicBool>,
    public: CachePadded<Public>,
    pub(super) parker: Parker,
    terms: Terms,
    index: usize,
    forks: &'static Forks,
    home: Option<&'static Home>,
    slots: [AtomicPtr<Job>; CAPACITY],
}

impl Seat {
    pub(super) fn new(index: usize, forks: &'static Forks, home: Option<&'static Home>) -> Self {
        Self {
            own: CachePadded::new(Own {
                top: AtomicUsize::new(0),
                split: AtomicUsize::new(0),
                n_executions: AtomicU64::new(0),
            }),
            attention: CachePadded::new(AtomicBool::new(true)),
            public: CachePadded::new(Public {
                word: AtomicU64::new(Word::new(0, 0, 0).0),
                waits_for: AtomicU64::new(0),
                guest: AtomicUsize::new(0),
                task: AtomicU64::new(0),
            }),
            parker: Parker::new(),
            terms: Terms {
                keep: AtomicUsize::new(1),
            },
            index,
            forks,
            home,
            slots: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
        }
    }

    /// Somebody takes the seat, and forks for `workers`.
    pub(super) fn set_terms(&self, workers: usize) {
        // Enough for each worker to get a part of what is halved again and again, and one more.
        let keep = workers.max(1).ilog2() as usize + 1;
        // Relaxed: thieves use it as a hint.
        self.terms.keep.store(keep, Relaxed);
    }

    fn keep(&self) -> usize {
        // Relaxed: as above.
        self.terms.keep.load(Relaxed)
    }

    pub(crate) fn forks(&self) -> &'static Forks {
        self.forks
    }

    pub(super) fn home(&self) -> Option<&'static Home> {
        self.home
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Pushes a job; the answer is its place, for `pop`. `None`: there is no room.
    ///
    /// # Safety
    ///
    /// 1. The calling thread has this seat.
    /// 2. The job stays where it is, alive, until `pop` has said that it was taken back or
    ///    [`finish_wait`](Self::finish_wait) was called after it was done.
    /// 3. Jobs are popped in the reverse order of their pushes.
    #[inline]
    pub(crate) unsafe fn push(&self, job: NonNull<Job>) -> Option<usize> {
        // Relaxed, all: the owner's own; `publish` makes the slot visible.
        let top = self.own.top.load(Relaxed);
        self.slots.get(top)?.store(job.as_ptr(), Relaxed);
        self.own.top.store(top + 1, Relaxed);
        // Relaxed: a sign to look, which `attend` does.
        if self.attention.load(Relaxed) {
            self.attend(top + 1);
        }
        Some(top)
    }

    /// Takes the job at `place`, the youngest, back. `false`: it was stolen.
    #[inline]
    pub(crate) fn pop(&self, place: usize) -> bool {
        debug_assert_eq!(self.own.top.load(Relaxed), place + 1, "out of order [F1]");
        // Relaxed, both: the owner's own.
        if self.own.split.load(Relaxed) <= place {
            self.own.top.store(place, Relaxed);
            // Relaxed: a sign to look, which `attend` does.
            if self.attention.load(Relaxed) {
                self.attend(place);
            }
            return true;
        }
        self.take_back(place)
    }

    /// The job at `place` was public: the word says whether it still is [F2].
    #[cold]
    #[inline(never)]
    fn take_back(&self, place: usize) -> bool {
        // Relaxed: the exchange decides.
        let mut seen = Word(self.public.word.load(Relaxed));
        while seen.bottom() <= place {
            let less = Word::new(seen.number(), seen.bottom(), place);
            // ORDERING: Release as each of the owner's changes, so that whoever reads the word sees
            // the slots.
            let taken = self
                .public
                .word
                .compare_exchange(seen.0, less.0, Release, Relaxed);
            match taken {
                Ok(_) => {
                    // Relaxed, all: the owner's own, and a sign to itself.
                    self.own.split.store(place, Relaxed);
                    self.own.top.store(place, Relaxed);
                    if less.n_public() < self.keep() {
                        self.attention.store(true, Relaxed);
                    }
                    return true;
                }
                Err(now) => seen = Word(now),
            }
        }
        false
    }

    /// Somebody may want something: makes the oldest private job public if too few are, and wakes who would take
    /// it [F7]. Not more than that: in a large runtime somebody is always idle, and every fork would be public.
    #[cold]
    #[inline(never)]
    fn attend(&self, top: usize) {
        // ORDERING: Acquire pairs with whoever set the sign: what it did before is visible.
        fence(Acquire);
        // Relaxed, both: the owner's own; and a look at what thieves have left.
        let split = self.own.split.load(Relaxed);
        let n_public = Word(self.public.word.load(Relaxed)).n_public();
        if split < top && n_public < self.keep() {
            self.publish(split, 1);
        } else if n_public == 0 {
            return;
        }
        if self.is_wanted() {
            self.tell();
        }
        if self.own.split.load(Relaxed) < top {
            // Without private jobs there is nothing to gain from taking the sign down.
            self.calm_down();
        }
    }

    /// Enough is public, and whoever wanted something knows: pushes and pops need not look [F7].
    fn calm_down(&self) {
        if Word(self.public.word.load(Relaxed)).n_public() < self.keep() {
            return;
        }
        // Relaxed: the fence orders it.
        self.attention.store(false, Relaxed);
        // ORDERING: SeqCst fence between taking the sign down and the last look, pairs with the
        // one between taking a job, or saying that one is wanted, and setting the sign, in `steal_if` and
        // `visit`: [F7]. A worker that parks sees what is public, or was seen after it became so, in `publish`.
        fence(SeqCst);
        let n_public = Word(self.public.word.load(Relaxed)).n_public();
        if n_public < self.keep() {
            self.attention.store(true, Relaxed);
        }
        if self.has_guest() {
            self.tell();
        }
    }

    /// Makes `n` more jobs public. A look at who wants them comes after it [F7].
    fn publish(&self, split: usize, n: usize) {
        // Relaxed, both: the owner's own; and before the change that publishes.
        self.own.split.store(split + n, Relaxed);
        let task = task::try_id().map_or(0, Id::to_bits);
        self.public.task.store(task, Relaxed);
        // ORDERING: Release pairs with the Acquire in `steal_if`: slots and jobs are visible. SeqCst,
        // as the looks in `is_wanted`: this comes before them, and who wants something looks here
        // after the fence in `Idle::park` or `visit`; so one of the two sees the other.
        self.public.word.fetch_add(n as u64 * SPLIT, SeqCst);
        // loom knows no order but that of fences.
        #[cfg(heist_loom)]
        fence(SeqCst);
    }

    /// Makes everything public: the owner will not attend for a while.
    pub(crate) fn offer_all(&self) {
        // Relaxed, both: the owner's own.
        let top = self.own.top.load(Relaxed);
        let split = self.own.split.load(Relaxed);
        if split < top {
            self.publish(split, top - split);
        }
        if self.has_public() && self.is_wanted() {
            self.tell();
        }
    }

    /// Some worker is idle, or a `join` waits for jobs of this seat.
    fn is_wanted(&self) -> bool {
        self.has_guest() || self.home.is_some_and(|home| home.idle.wants_work())
    }

    /// A `join` waits for something to become public.
    fn has_guest(&self) -> bool {
        // ORDERING: SeqCst, after the SeqCst change in `publish`, or a fence; pairs with the fence in `visit`.
        self.public.guest.load(SeqCst) != 0
    }

    /// There are public jobs: wakes who wants them.
    fn tell(&self) {
        if let Some(home) = self.home {
            // Relaxed: a hint.
            let n_public = Word(self.public.word.load(Relaxed)).n_public();
            home.wake_after_fork(n_public);
        }
        // Relaxed, both: a hint; it wakes somebody who looks for itself.
        if self.public.guest.load(Relaxed) != 0 {
            let guest = self.public.guest.swap(0, Relaxed);
            if let Some(seat) = guest.checked_sub(1).and_then(|seat| self.forks.seat(seat)) {
                seat.unpark();
            }
        }
    }

    /// Wants the owner to make a job public [F7].
    pub(super) fn ask(&self) {
        // Relaxed, both: a sign. The look keeps the line shared.
        if !self.attention.load(Relaxed) {
            self.attention.store(true, Relaxed);
        }
    }

    /// The owner of `guest` wants to be unparked when there is a public job here.
    pub(super) fn visit(&self, guest: &Seat) {
        // Relaxed: the fence orders it.
        self.public.guest.store(guest.index + 1, Relaxed);
        // ORDERING: SeqCst fence between saying who wants and the sign and the next look, pairs with
        // those in `attend` and `publish`: [F7].
        fence(SeqCst);
        self.ask();
    }

    fn unpark(&self) {
        // Nobody waits in a driver for a job.
        let _done = self.parker.unpark();
    }

    pub(crate) fn has_public(&self) -> bool {
        // Relaxed: a look; a steal decides.
        !Word(self.public.word.load(Relaxed)).is_empty()
    }

    /// Nothing is public or private; what was stolen does not count. For the owner.
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed, all: the owner's own.
        self.own.top.load(Relaxed) == self.own.split.load(Relaxed) && !self.has_public()
    }

    /// The owner will look at its next push or pop.
    #[cfg(all(test, heist_loom))]
    pub(crate) fn is_asked(&self) -> bool {
        // Relaxed: the test has joined everyone else.
        self.attention.load(Relaxed)
    }

    pub(super) fn look(&self) -> Word {
        // ORDERING: Acquire pairs with the owner's Release changes of the word: what it did before
        // is visible.
        Word(self.public.word.load(Acquire))
    }

    /// What the owner waits for.
    pub(super) fn waits_for(&self) -> Option<Execution> {
        // ORDERING: Acquire pairs with the Release stores in `set_waits_for`.
        Execution::unpack(self.public.waits_for.load(Acquire))
    }

    pub(super) fn set_waits_for(&self, execution: Option<Execution>) {
        // ORDERING: Release: whoever reads it sees what the owner did before, such as the end of
        // the execution in which it waited before.
        self.public
            .waits_for
            .store(execution.map_or(0, Execution::pack), Release);
    }

    /// Takes the oldest public job.
    pub(crate) fn steal(&'static self) -> Option<Stolen> {
        loop {
            let seen = self.look();
            if seen.is_empty() {
                return None;
            }
            if let Some(stolen) = self.steal_if(seen) {
                return Some(stolen);
            }
        }
    }

    /// Takes the oldest public job, if there is one and nothing has changed since `seen`.
    pub(super) fn steal_if(&'static self, seen: Word) -> Option<Stolen> {
        if seen.is_empty() {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `publish`: slot and job are visible.
        let taken = self
            .public
            .word
            .compare_exchange(seen.0, seen.0 + BOTTOM, AcqRel, Relaxed);
        taken.ok()?;
        // Relaxed: the exchange above made it visible, and by [F3] it holds our job.
        let job = self.slots[seen.bottom()].load(Relaxed);
        if seen.n_public() <= self.keep() {
            // ORDERING: SeqCst fence between taking it and the sign, pairs with the one in
            // `calm_down`: [F7].
            fence(SeqCst);
            self.ask();
        }
        Some(Stolen {
            // SAFETY: the slot below a split was filled by `push`, with a pointer that is not null.
            job: unsafe { NonNull::new_unchecked(job) },
            from: self,
        })
    }

    /// The job at `place`, which was stolen, is done: its place is free.
    pub(super) fn finish_wait(&self, place: usize) {
        // Relaxed, both: the owner's own.
        self.own.top.store(place, Relaxed);
        self.own.split.store(place, Relaxed);
        let number = Word(self.public.word.load(Relaxed)).number();
        // ORDERING: Release as each of the owner's changes. Nothing is public, so that nobody else
        // changes the word.
        let word = Word::new(number, place, place);
        self.public.word.store(word.0, Release);
    }

    /// The owner begins to run a stolen job [F5]. Its own stack is empty.
    fn begin(&self) -> (Execution, Outer) {
        debug_assert!(self.is_empty(), "takes a job on beside its own [F5]");
        let n = self.own.n_executions.load(Relaxed) + 1;
        // Relaxed: the owner's own.
        self.own.n_executions.store(n, Relaxed);
        // Zero is for polls. A number comes back after four milliards of thefts, by when nobody has
        // it in mind.
        let number = (n as u32).max(1);
        // Relaxed, both: written by the owner.
        let seen = Word(self.public.word.load(Relaxed));
        let waits_for = self.public.waits_for.load(Relaxed);
        // Before the word, so that nobody takes the outer execution's wait for one of this.
        self.set_waits_for(None);
        let word = Word::new(number, seen.bottom(), seen.split());
        // ORDERING: Release as each of the owner's changes; nothing is public.
        self.public.word.store(word.0, Release);
        let execution = Execution {
            seat: self.index,
            number,
        };
        (execution, Outer { seen, waits_for })
    }

    /// The stolen job is done, and was said to be.
    fn end(&self, outer: Outer) {
        debug_assert!(self.is_empty(), "every fork is joined [F1]");
        // ORDERING: Release as each of the owner's changes. After the job's end, so that whoever
        // sees this word sees that: it does not take what comes for a descendant of the job.
        self.public.word.store(outer.seen.0, Release);
        // ORDERING: Release, after the word: whoever sees the outer wait sees the outer number.
        self.public.waits_for.store(outer.waits_for, Release);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("index", &self.index)
            .field("word", &self.look())
            .finish_non_exhaustive()
    }
}

/// What the owner was at before it began to run a stolen job.
struct Outer {
    seen: Word,
    waits_for: u64,
}

/// A job that was taken from a seat, and the right to run it \[F2\].
#[derive(Debug)]
#[must_use = "its owner waits for it"]
pub(crate) struct Stolen {
    job: NonNull<Job>,
    from: &'static Seat,
}

// SAFETY: the pointer is to a job that is alive until it is done [F1], which only this token can
// make it; jobs are made of what may be sent, by the duty of `Job::new`'s callers.
unsafe impl Send for Stolen {}

impl Stolen {
    /// Runs it on the calling thread, which has `seat`.
    pub(crate) fn run_on(self, seat: &'static Seat) {
        let (execution, outer) = seat.begin();
        let wake = self.run_with(Some(execution));
        seat.end(outer);
        if let Some(owner) = wake {
            owner.unpark();
        }
    }

    /// Runs it on a thread that could get no seat.
    pub(crate) fn run_unseated(self) {
        if let Some(owner) = self.run_with(None) {
            owner.unpark();
        }
    }

    /// The task that forked it, as bits.
    pub(super) fn task(&self) -> u64 {
        // Relaxed: written before the change that made the job public.
        self.from.public.task.load(Relaxed)
    }

    /// The answer is whom to wake.
    fn run_with(self, execution: Option<Execution>) -> Option<&'static Seat> {
        let task = CurrentTask::enter(Id::from_bits(self.task()));
        let Self { job, from } = self;
        let unlimited = budget::lift();
        // SAFETY: the job is alive until it is done [F1], and the token makes it ours.
        let state = unsafe { &(*job.as_ptr()).state };
        // ORDERING: Release pairs with the Acquire in `execution`: the word has the number.
        state.fetch_or(execution.map_or(0, Execution::pack), Release);
        // SAFETY: as above.
        let run = unsafe { (*job.as_ptr()).run };
        // SAFETY: the token is consumed, so that it is called once; the job is alive.
        unsafe { run(job) };
        drop(unlimited);
        drop(task);
        // ORDERING: Release pairs with the Acquire in `is_done`: the result is visible. Acquire, for
        // the owner's announcement, [F8]. From here on the job may be gone [F4].
        let before = state.fetch_or(DONE, AcqRel);
        (before & AWAITED != 0).then_some(from)
    }
}
