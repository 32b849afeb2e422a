//! Waiting for a stolen job: running what was forked below it, else blocking.
//!
//! The thief of the job is known by the job's state, and what the thief forks in that execution lies
//! on its seat: *leapfrogging*. Where the thief waits itself, for a job that another one has, that
//! one's seat is looked at, and so on.
//!
//! A thread that finds nothing goes on looking for as long as it would take to block and to come back,
//! and lets others have its core meanwhile; then it blocks. If something else that computes could
//! run instead, it hands its worker over as `block_in_place` does; if not it keeps it, since the
//! spare serves what is light.
//!
//! Rules [F6] to [F8]: `fork.rs`. Tests: `parallel/tests/loom.rs`, `tests/it/parallel.rs`.

use super::seat::{Execution, Job, Seat, Stolen};
#[cfg(not(heist_loom))]
use crate::clock::tsc::Scale;
use crate::clock::tsc::Ticks;
use crate::scheduler::home::Home;
use crate::scheduler::{current, worker};
use crate::sync::thread;
#[cfg(not(heist_loom))]
use std::time::Duration;

/// Looks before the thread lets others have its core between two.
#[cfg(not(heist_loom))]
const LOOKS: u32 = 100;
#[cfg(heist_loom)]
const LOOKS: u32 = 0;
/// How long it looks like that before it blocks.
#[cfg(not(heist_loom))]
const PATIENCE: Duration = Duration::from_micros(200);
/// How far it follows those who wait themselves.
const HOPS: u32 = 16;

impl Seat {
    /// Waits until the job at `place` is done, which was stolen, and frees its place.
    ///
    /// `help`: run meanwhile what was forked below it.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait(&'static self, place: usize, job: &Job, help: bool) {
        let mut looks = 0;
        let mut since = None;
        let mut visited = false;
        while !job.is_done() {
            let found = if help { self.leapfrog(job) } else { None };
            if let Some(stolen) = found {
                stolen.run_on(self);
                (looks, since, visited) = (0, None, false);
            } else if looks < LOOKS {
                looks += 1;
                std::hint::spin_loop();
            } else if is_patient(&mut since) {
                thread::yield_now();
            } else if help && !visited {
                // One more look follows [F7].
                if let Some(thief) = self.thief_of(job) {
                    thief.visit(self);
                }
                visited = true;
            } else {
                self.block(job);
                visited = false;
            }
        }
        self.set_waits_for(None);
        self.finish_wait(place);
    }

    fn thief_of(&self, job: &Job) -> Option<&'static Seat> {
        self.forks().seat(job.execution()?.seat)
    }

    /// Takes something that was forked below `job`, if there is anything [F6].
    fn leapfrog(&self, job: &Job) -> Option<Stolen> {
        let execution = job.execution()?;
        if self.waits_for() != Some(execution) {
            self.set_waits_for(Some(execution));
        }
        let thief = self.forks().seat(execution.seat)?;
        let seen = thief.look();
        let waits_for = thief.waits_for();
        // The thief goes on to other things only after it has said that the job is done. It had not
        // after our looks at word and wait; so both were of the job's execution.
        if job.is_done() {
            return None;
        }
        if let Some(stolen) = thief.steal_if(seen) {
            return Some(stolen);
        }
        thief.ask();
        self.follow(waits_for)
    }

    /// Takes something that was forked in `next`, or below that.
    fn follow(&self, mut next: Option<Execution>) -> Option<Stolen> {
        for _ in 0..HOPS {
            let execution = next?;
            let seat = self.forks().seat(execution.seat)?;
            let seen = seat.look();
            if seen.number() != execution.number {
                return None;
            }
            if let Some(stolen) = seat.steal_if(seen) {
                return Some(stolen);
            }
            seat.ask();
            next = seat.waits_for();
            // A wait that was read between two looks at the same number is of that execution, or of
            // one below it.
            if seat.look().number() != execution.number {
                return None;
            }
        }
        None
    }

    /// Blocks until something happens: the job is done, or its thief has something public.
    fn block(&'static self, job: &Job) {
        if !job.announce_wait() {
            return;
        }
        let park = || {
            self.parker.park(None);
        };
        match self.home() {
            Some(home) => aside(home, park),
            None => park(),
        }
    }
}

/// Whether it is too soon to block. `since`: when that was first asked.
#[cfg(not(heist_loom))]
fn is_patient(since: &mut Option<Ticks>) -> bool {
    let scale = Scale::get();
    let now = scale.ticks();
    now.since(*since.get_or_insert(now)) < scale.ticks_in(PATIENCE)
}

/// A model has no time.
#[cfg(heist_loom)]
fn is_patient(_since: &mut Option<Ticks>) -> bool {
    false
}

/// Blocks in `wait`, on a thread that may play a worker, of `home` as a rule. What is queued there must not
/// wait, too; and if something that computes could be run, another thread plays the worker.
pub(super) fn aside(home: &'static Home, wait: impl FnOnce()) {
    // The thread may play a worker of another home.
    let offered = current::with_worker(|core| core.offer_queue().then(|| core.home()));
    if let Some(other) = offered.flatten() {
        other.wake_after_local_push();
    }
    match home.has_heavy() || home.forks.has_work() {
        true => worker::block_in_place(wait),
        false => wait(),
    }
}
