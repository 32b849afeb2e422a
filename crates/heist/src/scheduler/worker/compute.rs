//! What a worker computes: heavy tasks, and jobs that somebody's task has forked.
//!
//! Meanwhile nobody should wait for it: what it has queued is offered to others, its timers too, and where all workers
//! compute the spare is called.
//!
//! Tests: `tests/it/rescue.rs`, `tests/it/parallel.rs`.

use super::Core;
use super::current;
use crate::scheduler::fork::Work;
use crate::scheduler::shared::Shared;
use crate::scheduler::slice::Long;
use std::sync::Arc;

impl Core {
    /// The thread is about to block in a `join`, or to compute: what is queued here may be stolen. `true` if there
    /// is anything.
    pub(in crate::scheduler) fn offer_queue(&mut self) -> bool {
        self.give_in();
        self.queue.flush_lifo();
        self.queue.has_stealable()
    }

    /// What it computes has an end: it comes to what is queued from now on.
    pub(in crate::scheduler) fn end_heavy(&mut self) {
        self.computes = false;
    }

    /// It has just computed, and meanwhile a spare that is not held up has watched the driver. That one would find a turn
    /// taken, sleep aside, and be called again at once.
    pub(super) fn was_watched(&mut self) -> bool {
        let spare = &self.shared.home.spare;
        let has_computed = std::mem::take(&mut self.has_computed);
        has_computed && !self.is_spare && spare.works() && spare.held_up() == 0
    }

    /// A forked job, when there is nothing else to do; and whether to wake a peer before [S5].
    fn take_forked(&mut self) -> Option<(Work, bool)> {
        if self.is_spare {
            return None;
        }
        let home = self.shared.home;
        let work = home.forks.steal(self.rng as usize, home.any_computes())?;
        self.begin_forked(&work);
        Some((work, self.found_work()))
    }

    /// The same as `begin_poll` for a job of somebody's task.
    fn begin_forked(&mut self, work: &Work) {
        self.stamp = None;
        self.remote().record.begin_forked(work.task(), self.now);
    }
}

/// Runs a forked job, if there is one.
pub(super) fn serve(shared: &Arc<Shared>, slice: &mut Long) -> bool {
    let found = current::with_worker(Core::take_forked);
    let Some((work, wake_peer)) = found.flatten() else {
        return false;
    };
    if wake_peer {
        shared.home.wake_after_local_push();
    }
    run_heavy(shared, slice, || work.run());
    current::with_worker(|core| core.now = core.shared.scale.ticks());
    true
}

/// Runs what is heavy, with the spare at hand for everything else.
pub(super) fn run_heavy<R>(shared: &Arc<Shared>, slice: &mut Long, run: impl FnOnce() -> R) -> R {
    slice.begin();
    let set = |computes| {
        current::with_worker(|core| core.computes = computes);
    };
    set(true);
    // What waits here would wait for the whole poll: others may take it.
    let waits = current::with_worker(Core::offer_queue);
    if waits == Some(true) {
        shared.home.wake_after_local_push();
    }
    // [W3]: who pushed before we counted ourselves relied on us.
    if shared.home.begin_heavy()
        && !shared.call_spare()
        && current::with_worker(|core| core.sees_light_work(true)) == Some(true)
    {
        shared.home.wake_spare();
    }
    if let Some(idx) = current::with_worker(|core| core.idx) {
        shared.drive.entrust_timers(idx);
    }
    let result = run();
    shared.home.end_heavy();
    set(false);
    current::with_worker(|core| {
        // Heavy tasks get at least one part in eight of a worker's time.
        let now = core.shared.scale.ticks();
        let took = now.since(core.now).max(core.shared.budget_limit);
        core.heavy_waits = (now, 7 * took);
        core.has_computed = true;
    });
    result
}
