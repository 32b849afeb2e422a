//! Fork-join: who holds forked jobs, who takes them, and what a thread does that waits for one.
//!
//! A thread that forks has a [`Seat`](seat::Seat): a stack of jobs that live in its callers' frames
//! (`seat.rs`). The oldest of them are public, the rest private: a private job is pushed and popped
//! without an atomic read-modify-write, and becomes public when fewer than a handful are. Jobs that are spawned into a scope wait in a queue of that scope (`scoped.rs`).
//!
//! A seat belongs to a thread and not to a worker: `block_in_place` hands the worker on while jobs of
//! the old thread lie in its frames. So a thread takes a seat from its home when it first forks, and
//! gives it back when it stops playing the worker. A thread that is none of the runtime's may take one, too, and runs
//! jobs only while it waits for one of its own. Seats are never freed, as homes are not.
//!
//! # Rules
//!
//! - **\[F1\]** A job is pushed and popped by the thread that has the seat, the youngest first. It
//!   lives in the frame of the `join` that forked it, which does not end before the job was taken
//!   back or is done.
//! - **\[F2\]** Who is public, and who is stolen, is one word. Whoever changes it so that a public job
//!   is public no more has that job alone: a thief by moving the bottom up, the owner by moving the
//!   split down.
//! - **\[F3\]** The slot of a stolen job holds it until the job is done; so a thief reads the slot after
//!   the change that gave it the job.
//! - **\[F4\]** Whoever runs a stolen job says last that it is done, and touches it no more. Whom to wake
//!   it knows by the seat, which is never freed.
//! - **\[F5\]** The word also says what its thread executes: 0 for a poll, else a number of its own for
//!   each stolen job. A thread takes a job on only when its own stack has nothing public or private,
//!   so all that a seat offers under one number was forked below that execution.
//! - **\[F6\]** A `join` whose job was stolen runs nothing meanwhile but what was forked below that job.
//!   So a thread that holds a lock across a `join` waits only for what the lock's holder would have
//!   had to do itself.
//! - **\[F7\]** A public part that is too small, and a worker or a waiting `join` that finds nothing, ask for
//!   the owner's attention; the owner looks at every push and pop, and takes the sign down only while
//!   enough is public, with one more look after that. So nobody parks beside private jobs unless their
//!   owner knows.
//! - **\[F8\]** A thread that is about to block for a job says so in the job's state, and whoever
//!   completes the job reads that with the same operation that says that it is done.
//!
//! It knows nothing of closures: those are in `parallel/`.
//!
//! Tests: `parallel/tests/loom.rs`, `tests/it/parallel.rs`.

pub(crate) mod scoped;
pub(crate) mod seat;
mod wait;

use super::current;
use super::home::Home;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicUsize, Mutex, OnceLock};
use scoped::{Scoped, Scopes};
use seat::{Seat, Stolen};
use std::cell::Cell;
use std::fmt;

/// Threads that may have a seat at once; any more run what they fork themselves.
#[cfg(not(heist_loom))]
const SEATS: usize = 1024;
#[cfg(heist_loom)]
const SEATS: usize = 3;
/// How often a worker that finds nothing looks again while others compute: some microseconds, in
/// which an owner that forks often makes a job public.
const LOOKS: u32 = 40;

thread_local! {
    /// The calling thread's seat, while it may fork.
    static SEAT: Cell<Option<&'static Seat>> = const { Cell::new(None) };
}

/// The seats of a home, and the scopes that have jobs.
pub(crate) struct Forks {
    seats: OnceLock<Box<[OnceLock<&'static Seat>]>>,
    /// How many of them have been made.
    n_seats: AtomicUsize,
    free: Mutex<Vec<&'static Seat>>,
    pub(crate) scopes: Scopes,
}

/// What a worker found that has nothing else to do.
#[derive(Debug)]
pub(crate) enum Work {
    Forked(Stolen),
    Scoped(Scoped),
}

impl Forks {
    pub(crate) fn new() -> Self {
        Self {
            seats: OnceLock::new(),
            n_seats: AtomicUsize::new(0),
            free: Mutex::new(Vec::new()),
            scopes: Scopes::new(),
        }
    }

    /// A seat for the calling thread; `None` if too many have one. A model has no home.
    pub(crate) fn take_seat(&'static self, home: Option<&'static Home>) -> Option<&'static Seat> {
        let mut free = self.free.lock();
        let workers = home.map_or(1, |home| home.idle.workers());
        if let Some(seat) = free.pop() {
            seat.set_terms(workers);
            return Some(seat);
        }
        let seats = self
            .seats
            .get_or_init(|| (0..SEATS).map(|_| OnceLock::new()).collect());
        // Relaxed: written under the lock that we hold.
        let index = self.n_seats.load(Relaxed);
        let place = seats.get(index)?;
        let seat = *place.get_or_init(|| Box::leak(Box::new(Seat::new(index, self, home))));
        seat.set_terms(workers);
        // ORDERING: Release pairs with the Acquire in `seats`: whoever sees the number sees the seat.
        self.n_seats.store(index + 1, Release);
        Some(seat)
    }

    /// The thread forks no more.
    pub(crate) fn leave_seat(&self, seat: &'static Seat) {
        debug_assert!(seat.is_empty(), "jobs without their frames");
        self.free.lock().push(seat);
    }

    fn seats(&self) -> impl Iterator<Item = &'static Seat> {
        // ORDERING: Acquire pairs with the Release in `take_seat`.
        let n = self.n_seats.load(Acquire);
        let seats = self.seats.get().map_or(&[][..], |seats| &seats[..n]);
        seats.iter().filter_map(|seat| seat.get().copied())
    }

    fn seat(&self, index: usize) -> Option<&'static Seat> {
        self.seats.get()?.get(index)?.get().copied()
    }

    /// Takes a job, the oldest of some seat's, or one of a scope. `patient`: others compute and may
    /// offer something soon. `start`: where to begin.
    pub(crate) fn steal(&self, start: usize, patient: bool) -> Option<Work> {
        // Relaxed: one that comes into being now has nothing to offer yet.
        let n = self.n_seats.load(Relaxed);
        let looks = if patient && n > 0 { LOOKS } else { 1 };
        for look in 0..looks {
            for _ in 0..8 * look.min(1) {
                std::hint::spin_loop();
            }
            if let Some(scoped) = self.scopes.take() {
                return Some(Work::Scoped(scoped));
            }
            for offset in 0..n {
                let seat = self.seat((start % n + offset) % n)?;
                if let Some(stolen) = seat.steal() {
                    return Some(Work::Forked(stolen));
                }
                seat.ask();
            }
        }
        None
    }

    /// There is something to steal; and if not, whoever has private jobs knows that somebody would
    /// steal [F7].
    pub(crate) fn look_before_parking(&self) -> bool {
        self.seats().for_each(Seat::ask);
        self.has_work()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.scopes.has_work() || self.seats().any(Seat::has_public)
    }
}

impl fmt::Debug for Forks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: for the reader's eyes.
        f.debug_struct("Forks")
            .field("n_seats", &self.n_seats.load(Relaxed))
            .finish_non_exhaustive()
    }
}

impl Work {
    /// The task that forked it, as bits.
    pub(super) fn task(&self) -> u64 {
        match self {
            Work::Forked(stolen) => stolen.task(),
            Work::Scoped(scoped) => scoped.task(),
        }
    }

    /// Runs it on a thread that plays a worker.
    // PANIC: a job catches what its closure throws.
    pub(crate) fn run(self) {
        match (self, here()) {
            (Work::Forked(stolen), Some(seat)) => stolen.run_on(seat),
            // Without a seat its own forks are run in sequence.
            (Work::Forked(stolen), None) => stolen.run_unseated(),
            (Work::Scoped(scoped), _) => scoped.run(),
        }
    }
}

/// The calling thread's seat; `None` where nobody would take a job: on threads that play no worker and take no part.
#[inline]
pub(crate) fn here() -> Option<&'static Seat> {
    match SEAT.try_with(Cell::get) {
        Ok(Some(seat)) => Some(seat),
        Ok(None) => sit_down(),
        // In a destructor of another thread-local ours may be gone.
        Err(_) => None,
    }
}

/// A number of the calling thread's seat; 0 without one.
pub(crate) fn seat_number() -> usize {
    here().map_or(0, |seat| seat.index() + 1)
}

/// How many workers there are for what the calling thread forks; 0 if it has no seat.
pub(crate) fn n_workers_here() -> usize {
    let home = here().and_then(Seat::home);
    home.map_or(0, |home| home.idle.workers())
}

#[cold]
#[inline(never)]
fn sit_down() -> Option<&'static Seat> {
    let home = current::with_worker(|core| core.home())?;
    let seat = home.forks.take_seat(Some(home))?;
    SEAT.set(Some(seat));
    Some(seat)
}

/// The calling thread forks for the workers of `home` already.
pub(crate) fn takes_part(home: &'static Home) -> bool {
    let seated = SEAT.get().and_then(Seat::home);
    seated.is_some_and(|seated| std::ptr::eq(seated, home))
}

/// The calling thread, which plays no worker of `home`, forks for its workers.
pub(crate) fn take_part(home: &'static Home) -> Role {
    Role {
        outer: SEAT.replace(home.forks.take_seat(Some(home))),
    }
}

/// The thread stops playing a worker, or taking part, when this is dropped.
#[derive(Debug)]
pub(crate) struct Role {
    outer: Option<&'static Seat>,
}

/// A thread begins to play a worker.
pub(crate) fn begin_role() -> Role {
    Role {
        outer: SEAT.replace(None),
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(seat) = SEAT.replace(self.outer) {
            seat.forks().leave_seat(seat);
        }
    }
}

/// While this lives the thread has no seat: it blocks, or drives another scheduler.
#[derive(Debug)]
pub(crate) struct Stood(Option<&'static Seat>);

/// Leaves the seat for a while. What lies there can be stolen meanwhile.
pub(crate) fn stand_up() -> Stood {
    let seat = SEAT.try_with(|seat| seat.replace(None)).unwrap_or(None);
    if let Some(seat) = seat {
        seat.offer_all();
    }
    Stood(seat)
}

impl Drop for Stood {
    fn drop(&mut self) {
        // In a waker that the driver's turn calls, the thread plays its worker all the while, and may
        // have taken another one.
        if let Ok(Some(other)) = SEAT.try_with(|seat| seat.replace(self.0)) {
            other.forks().leave_seat(other);
        }
    }
}
