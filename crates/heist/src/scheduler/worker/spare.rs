//! What a spare worker does that others do not.
//!
//! One worker more than was asked for exists to keep IO, timers and light tasks going while every
//! regular worker computes or is stuck. It takes nothing heavy, is not on the list of sleepers, and
//! is called when the last regular worker begins a heavy poll, or by the monitor. While anyone
//! computes it watches over the driver and everybody's timers; afterwards it *rests*: it gives the
//! driver to a regular worker and sleeps aside, so that it costs nothing. When it is held up itself,
//! another one takes over, and it stands aside as soon as it can.
//!
//! It puts tasks aside that were not polled yet and come from a suspect site (`scheduler/sites.rs`), and while there is
//! another spare those whose last poll computed. They may be
//! light: a regular worker takes all of them at the end of a long poll. Now and then a spare tries one that is about to
//! join them, or one that has waited for too long, and when that was light it takes the others itself.
//!
//! Its protocol is in `scheduler/spare.rs`. Tests: `tests/it/rescue.rs`, `scheduler/tests/home.rs`.

use super::{Core, current};
use crate::budget;
use crate::scheduler::shared::Shared;
use crate::task::{Runnable, Weight};
use std::sync::Arc;

impl Core {
    /// Another spare is in charge, or this one never was [W4].
    pub(super) fn is_relieved(&mut self) -> bool {
        let relieved = self.idx != self.shared.spare_idx();
        if relieved {
            self.end_poll();
            self.remote().record.forget();
        }
        relieved
    }

    /// What it has queued, for others to take.
    fn give_away(&mut self) -> Vec<Runnable> {
        std::iter::from_fn(|| self.queue.pop()).collect()
    }

    /// A spare is about to poll a task. `true`: it should be put behind the others, because it is heavy by now, or may
    /// turn out to be.
    fn refuses(&mut self, weight: &Weight) -> bool {
        let home = self.shared.home;
        let refuses = match home.is_suspect(weight) {
            true => {
                self.probes = self.probes
                    || self.owes_suspects
                    || self.may_take_heavy()
                    || home.tries(weight, self.now);
                !self.probes
            }
            false => weight.is_heavy() && !self.may_take_heavy(),
        };
        if refuses {
            (self.in_poll, self.owes_suspects) = (false, false);
            self.now = self.shared.scale.ticks();
            self.remote().record.forget();
            budget::end_poll();
        }
        refuses
    }

    /// A task that was put aside, if the monitor finds that it has waited for too long.
    pub(super) fn try_suspect(&mut self) -> Option<Runnable> {
        let tried = self.shared.home.suspects.try_one()?;
        self.shared.home.suspects.delay(self.now);
        self.probes = true;
        Some(tried)
    }

    /// The poll that has ended was long, or a try.
    #[cold]
    pub(super) fn look_back(&mut self, long: bool) {
        match (self.is_spare, std::mem::take(&mut self.probes)) {
            (false, _) => self.owes_suspects |= long,
            (true, false) => {}
            (true, true) => {
                self.owes_suspects = !long;
                if !long {
                    self.shared.home.suspects.was_light();
                }
            }
        }
    }
}

/// Whether this thread, which plays a spare, leaves the task to others.
pub(super) fn refuses(runnable: &Runnable) -> bool {
    current::with_worker(|core| core.refuses(runnable.weight())) == Some(true)
}

/// The spare found nothing: it watches while anyone computes, else it rests.
pub(super) fn park_spare(shared: &Arc<Shared>) {
    let Some(idx) = begin_spare_sleep() else {
        return;
    };
    if shared.home.any_computes() {
        shared.home.spare.announce_sleep();
        // [W3]: whoever pushes from now on leaves us the token.
        if current::with_worker(|core| core.sees_work(true)) == Some(false) {
            // PANIC: wakers are user code; the driver catches what they throw.
            let parker = &shared.remotes[idx].parker;
            shared.drive.park(idx, &|| true, parker);
        }
        shared.home.spare.announce_wake();
        end_spare_sleep();
        if idx != shared.spare_idx() {
            // [W4]: the wake may have been meant for that one.
            shared.unpark_worker(shared.spare_idx());
        }
    } else {
        rest(shared, idx);
        end_spare_sleep();
        hand_over(shared);
    }
    // One of them it runs itself; it may take long.
    if current::with_worker(|core| core.queue.len() > 1) == Some(true) {
        shared.home.wake_after_local_push();
    }
}

/// What is woken from now on is queued. Answers which spare this thread plays.
fn begin_spare_sleep() -> Option<usize> {
    current::with_worker(|core| {
        core.in_turn = true;
        core.idx
    })
}

fn end_spare_sleep() {
    current::with_worker(|core| {
        core.in_turn = false;
        core.now = core.shared.scale.ticks();
        core.last_turn = core.now;
        budget::forget_cpu();
        budget::note_cpu(core.now);
    });
}

/// Sleeps aside until called [W1, W2].
fn rest(shared: &Arc<Shared>, idx: usize) {
    shared.home.spare.announce_rest();
    let called = shared.home.all_compute() || shared.is_shut_down();
    let work = current::with_worker(|core| core.queue.len() > 0);
    // One that was relieved just now does not call itself off: it is unparked [W4].
    if !called && work == Some(false) {
        shared.man_the_driver();
        // PANIC: wakers are user code; the driver catches what they throw.
        shared.drive.park_aside(idx, &shared.remotes[idx].parker);
    }
    shared.home.spare.announce_work();
}

/// A spare that only looks after its own timers runs none of what they wake: it could be held up by that.
pub(super) fn hand_over(shared: &Arc<Shared>) {
    let given_away = current::with_worker(Core::give_away);
    for runnable in given_away.unwrap_or_default() {
        shared.home.schedule_elsewhere(runnable);
    }
}

/// Another spare is in charge [W4]. Stands by; `true`: it is not needed any more, and leaves.
pub(super) fn stand_aside(shared: &Arc<Shared>) -> bool {
    // PANIC: the drop of a joiner's waker is user code; the task's end catches what it throws.
    drop(current::with_worker(Core::collect));
    hand_over(shared);
    let Some(idx) = begin_spare_sleep() else {
        return false;
    };
    let leaves = !shared.drive.has_timers(idx) && !shared.home.spare.stands_by();
    if !leaves {
        shared.spare_is_free(idx);
        // Whoever dismisses those that are free may have missed this one.
        if shared.drive.has_timers(idx) || shared.home.spare.stands_by() {
            // PANIC: wakers are user code; the driver catches what they throw.
            shared.drive.park_aside(idx, &shared.remotes[idx].parker);
        }
    }
    end_spare_sleep();
    leaves
}
