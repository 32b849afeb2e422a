//! Every state and every transition of the state word, enumerated.

use crate::task::state::{Finish, Idle, JoinDropped, Snapshot, Wake};
use std::collections::{HashSet, VecDeque};

/// Who holds what beside the word itself: the rights that the actions hand out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    word: Snapshot,
    /// A `Runnable` exists.
    runnable: bool,
    /// A thread holds RUNNING.
    runner: bool,
    /// The runner has finished the future.
    finished: bool,
    /// The output is in the stage.
    stored: bool,
    /// The join handle lives.
    joiner: bool,
    wakers: usize,
    registered: bool,
    freed: bool,
}

const MAX_WAKERS: usize = 2;

impl World {
    fn newborn() -> Self {
        Self {
            word: Snapshot::newborn(),
            runnable: true,
            runner: false,
            finished: false,
            stored: false,
            joiner: true,
            wakers: 0,
            registered: true,
            freed: false,
        }
    }

    /// The references that those who hold rights must have.
    fn references(&self) -> usize {
        usize::from(self.runnable)
            + usize::from(self.runner)
            + usize::from(self.joiner)
            + usize::from(self.registered)
            + self.wakers
    }

    fn check(&self) {
        if self.freed {
            // [T8]: freed once nobody refers to it, complete, with nothing left in the stage.
            assert_eq!(self.references(), 0, "{self:?}");
            assert!(self.word.is_complete() && !self.stored, "{self:?}");
            return;
        }
        assert_eq!(self.word.refs(), self.references(), "{self:?}");
        assert!(self.references() > 0, "leaked: {self:?}");
        // [T1]: RUNNING has one holder: a thread, or the runnable of a newborn task.
        assert!(!(self.runner && self.runnable), "{self:?}");
        if self.runner {
            assert!(
                self.word.is_running() && !self.word.is_complete(),
                "{self:?}"
            );
        }
        // [T2]: a runnable is newborn, or SCHEDULED and not RUNNING; and such a task has one.
        if self.runnable {
            assert!(
                self.word.is_running() || self.word.is_scheduled(),
                "{self:?}"
            );
        }
        if self.word.is_scheduled() && !self.word.is_running() {
            assert!(self.runnable, "{self:?}");
        }
        // [T5]: complete is the end: nobody runs it, nobody queues it.
        if self.word.is_complete() {
            assert!(!self.runner && !self.runnable && self.finished, "{self:?}");
        }
        assert_eq!(self.word.has_join_interest(), self.joiner, "{self:?}");
    }

    fn free(mut self) -> Self {
        self.freed = true;
        self
    }

    /// The runner gives its references up.
    fn runner_done(mut self) -> Self {
        self.runner = false;
        self.registered = false;
        self
    }

    /// What the world can become.
    fn steps(self) -> Vec<Self> {
        let mut next = Vec::new();
        if self.freed {
            return next;
        }
        if self.runnable {
            next.extend(self.start());
        }
        if self.runner && !self.finished {
            next.extend(self.poll());
        }
        if self.runner && self.finished {
            next.push(self.complete());
        }
        if self.wakers > 0 {
            next.extend(self.wake());
        }
        if self.joiner {
            next.extend(self.join());
        }
        if !self.word.is_complete() && self.registered {
            next.push(self.shut_down());
        }
        next
    }

    fn start(mut self) -> Vec<Self> {
        // As `State::transition_to_running`: a newborn is RUNNING already ([T4]), and so is a task
        // that woke itself ([T10]).
        self.word = match self.word.is_running() {
            true => self.word.forget_wake(),
            false => self.word.flip_to_running(),
        };
        self.runnable = false;
        self.runner = true;
        vec![self]
    }

    fn poll(self) -> Vec<Self> {
        let mut next = Vec::new();
        // The future keeps a waker, or is done.
        if self.wakers < MAX_WAKERS {
            let mut kept = self;
            kept.word = kept.word.add_waker();
            kept.wakers += 1;
            next.push(kept);
        }
        let mut done = self;
        (done.finished, done.stored) = (true, true);
        next.push(done);
        let (word, idle) = self.word.transition_to_idle();
        let mut pending = Self { word, ..self };
        match idle {
            Idle::Waits => pending.runner = false,
            Idle::Reschedule => (pending.runner, pending.runnable) = (false, true),
            Idle::Cancel => (pending.finished, pending.stored) = (true, true),
            Idle::Dealloc => unreachable!("the registry holds a reference: {self:?}"),
        }
        next.push(pending);
        if !self.word.is_aborted() {
            // [T10]: it woke itself.
            let mut queued = self;
            (queued.runner, queued.runnable) = (false, true);
            next.push(queued);
        }
        next
    }

    fn complete(self) -> Self {
        let refs = 1 + usize::from(self.registered);
        let (word, finish) = self.word.transition_to_complete(refs, self.stored);
        let mut next = Self { word, ..self };
        match finish {
            Finish::Done => next.runner_done(),
            Finish::Dealloc => next.runner_done().free(),
            Finish::DropOutput => {
                // [T6]: nobody will come for it.
                assert!(!next.joiner && next.stored);
                next.stored = false;
                next
            }
            Finish::WakeJoiner => {
                // The joiner is woken; then the references go.
                next.word = next.word.drop_refs(refs);
                let last = next.word.refs() == 0;
                let next = next.runner_done();
                if last { next.free() } else { next }
            }
        }
    }

    fn wake(self) -> Vec<Self> {
        let mut next = Vec::new();
        let (word, action) = self.word.wake_by_value();
        let mut woken = Self { word, ..self };
        woken.wakers -= 1;
        next.push(match action {
            Wake::Nothing => woken,
            Wake::Schedule => Self {
                runnable: true,
                ..woken
            },
            Wake::Dealloc => woken.free(),
        });
        let (word, action) = self.word.wake_by_ref();
        let woken = Self { word, ..self };
        next.push(match action {
            Wake::Nothing => woken,
            Wake::Schedule => Self {
                runnable: true,
                ..woken
            },
            Wake::Dealloc => unreachable!("by reference nothing is given up"),
        });
        // Dropped without a wake.
        let word = self.word.drop_refs(1);
        let dropped = Self {
            word,
            wakers: self.wakers - 1,
            ..self
        };
        next.push(if word.refs() == 0 {
            dropped.free()
        } else {
            dropped
        });
        next
    }

    fn join(self) -> Vec<Self> {
        let mut next = Vec::new();
        let (word, action) = self.word.abort();
        let aborted = Self { word, ..self };
        next.push(match action {
            Wake::Nothing => aborted,
            Wake::Schedule => Self {
                runnable: true,
                ..aborted
            },
            Wake::Dealloc => unreachable!("by reference nothing is given up"),
        });
        // [T7]: the waker is written only while the flag is clear and the task is not complete.
        if self.word.has_join_waker() {
            let (word, unset) = self.word.unset_join_waker();
            assert_eq!(unset, !self.word.is_complete());
            next.push(Self { word, ..self });
        } else {
            let (word, set) = self.word.set_join_waker();
            assert_eq!(set, !self.word.is_complete());
            next.push(Self { word, ..self });
        }
        // Dropped with the output in it.
        let (word, dropped) = self.word.drop_join_handle();
        assert_eq!(dropped == JoinDropped::Output, self.word.is_complete());
        let mut gone = Self {
            word,
            joiner: false,
            ..self
        };
        if dropped == JoinDropped::Output {
            // [T6]: complete while the interest was there, so the output is the handle's.
            assert!(gone.stored);
            gone.stored = false;
        }
        if matches!(dropped, JoinDropped::Output | JoinDropped::Waker) {
            gone.word = gone.word.drop_refs(1);
        }
        let freed = gone.word.refs() == 0;
        assert!(freed || dropped != JoinDropped::Dealloc);
        next.push(if freed { gone.free() } else { gone });
        next
    }

    fn shut_down(self) -> Self {
        let (word, claimed) = self.word.claim_for_shutdown();
        let mut next = Self { word, ..self };
        if claimed {
            assert!(
                !self.runnable && !self.runner,
                "[T1]: claimed while held: {self:?}"
            );
            next.runner = true;
            (next.finished, next.stored) = (true, true);
        }
        next
    }
}

#[test]
fn every_reachable_world_keeps_the_rules() {
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([World::newborn()]);
    let (mut freed, mut idle) = (0, 0);
    while let Some(world) = queue.pop_front() {
        if !seen.insert(world) {
            continue;
        }
        world.check();
        freed += usize::from(world.freed);
        idle += usize::from(!world.runner && !world.runnable && !world.word.is_complete());
        queue.extend(world.steps());
    }
    // The enumeration went somewhere: a hundred worlds and more, some of them idle, some at their end.
    assert!(seen.len() > 100, "{} worlds", seen.len());
    assert!(freed > 0 && idle > 0);
}

#[test]
fn complete_is_for_ever() {
    for refs in 1..4 {
        for word in Snapshot::all(refs).filter(|word| word.is_complete()) {
            assert_eq!(word.wake_by_ref(), (word, Wake::Nothing));
            assert_eq!(word.abort(), (word, Wake::Nothing));
            assert_eq!(word.claim_for_shutdown(), (word, false));
            assert!(word.wake_by_value().0.is_complete());
        }
    }
}

#[test]
fn a_wake_of_a_running_task_is_kept_for_the_end_of_the_poll() {
    for word in Snapshot::all(3).filter(|word| word.is_running() && !word.is_complete()) {
        let (woken, action) = word.wake_by_ref();
        assert_eq!(action, Wake::Nothing);
        if !word.is_aborted() {
            assert_eq!(woken.transition_to_idle().1, Idle::Reschedule);
        }
    }
}
