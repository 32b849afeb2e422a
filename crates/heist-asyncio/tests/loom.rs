//! Models of what a task's step and a cancel on another thread see of each other, and of an exit that is raised while
//! its run waits. `cargo xtask loom` runs them.
#![cfg(heist_loom)]

#[expect(dead_code, reason = "the models call what a race is about")]
#[path = "../src/exits.rs"]
mod exits;

#[expect(dead_code, reason = "the models call what a race is about")]
#[path = "../src/step_flags.rs"]
mod step_flags;

/// What `exits.rs` carries here.
mod exceptions {
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Exception(pub(crate) u32);

    pub(crate) type Result<T> = std::result::Result<T, Exception>;

    impl Exception {
        pub(crate) fn is_same(&self, other: &Exception) -> bool {
            self == other
        }
    }
}

/// The primitives of both files here.
mod sync {
    use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
    use std::task::Waker;

    #[derive(Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    #[derive(Default)]
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }

    pub(crate) fn between_seq_cst() {
        fence(Ordering::SeqCst);
    }
}

use exceptions::Exception;
use exits::Exit;
use loom::sync::Arc;
use loom::thread;
use std::future::pending;
use std::pin::pin;
use step_flags::StepFlags;
use sync::Mutex;

/// A task with its lock, in a step.
#[derive(Default)]
struct Task {
    flags: StepFlags,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    n_waits: usize,
    /// How often what the task waits on was told of a cancel.
    told: usize,
    woken: bool,
}

impl Task {
    fn in_a_step() -> Arc<Task> {
        let task = Arc::new(Task::default());
        task.flags.begin();
        task
    }

    /// As `cancel.rs` asks a task. True where it is what the task waits on that is to be told.
    fn cancel(&self) -> bool {
        let mut state = self.state.lock();
        let is_suspended = !self.flags.mark_running();
        if is_suspended && state.n_waits > 0 {
            state.told += 1;
            return true;
        }
        self.flags.set_mark(true);
        state.woken = self.flags.is_in_foreign_future();
        false
    }

    /// As `wait.rs` registers a wait.
    fn wait(&self) {
        let mut state = self.state.lock();
        state.n_waits += 1;
        self.flags.set_has_waits(true);
    }

    /// As a yield resumes: true where it raises a cancel.
    fn resume(&self, told: u8) -> bool {
        let flags = &self.flags;
        if !flags.began_marked() && flags.seen() == told {
            return false;
        }
        let _state = self.state.lock();
        if !flags.began_marked() || !flags.take_mark() {
            return flags.seen() != told;
        }
        flags.count_in_step();
        true
    }

    /// As `cancel.rs` counts what was accepted.
    fn count(&self) {
        let _state = self.state.lock();
        self.flags.count();
    }

    /// As `step.rs` suspends a task that waits.
    fn suspend(&self) {
        if self.flags.end() {
            let mut state = self.state.lock();
            if self.flags.take_mark() {
                self.flags.count();
                state.told += state.n_waits;
            }
        }
    }
}

/// Holds to [F1], [F2].
#[test]
fn a_cancel_is_told_once_to_what_the_task_waits_on() {
    loom::model(|| {
        let task = Task::in_a_step();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || cancelled.cancel());
        task.wait();
        task.suspend();
        canceller.join().unwrap();
        assert_eq!(task.state.lock().told, 1);
        assert!(!task.flags.is_marked());
    });
}

/// Holds to [F1]: what a cancel in the middle of a step does not find is told where the step ends.
#[test]
fn a_cancel_between_two_waits_is_told_to_both() {
    loom::model(|| {
        let task = Task::in_a_step();
        task.wait();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || {
            let _state = cancelled.state.lock();
            !cancelled.flags.mark_running()
        });
        task.wait();
        task.suspend();
        let found_it_suspended = canceller.join().unwrap();
        let told = task.state.lock().told;
        assert_eq!(told, if found_it_suspended { 0 } else { 2 });
    });
}

/// Holds to [F4], [F5]: a cancel that comes while one branch is suspended in a yield and another waits, and while a step
/// begins, is raised by that yield or by the next one, and by one of them.
#[test]
fn a_cancel_reaches_the_yield_beside_a_wait() {
    loom::model(|| {
        let task = Task::in_a_step();
        task.wait();
        let first = task.flags.begin_yield();
        task.suspend();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || {
            if cancelled.cancel() {
                // The wait has accepted.
                cancelled.count();
            }
        });
        task.flags.begin();
        let by_first = task.resume(first);
        let second = task.flags.begin_yield();
        task.suspend();
        canceller.join().unwrap();
        task.flags.begin();
        let by_second = task.resume(second);
        assert_eq!(u8::from(by_first) + u8::from(by_second), 1);
    });
}

/// Holds to [F5]: the same where nothing waits beside the yield.
#[test]
fn a_cancel_reaches_the_yield_beside_nothing_else() {
    loom::model(|| {
        let task = Task::in_a_step();
        let first = task.flags.begin_yield();
        task.flags.end_yielding();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || cancelled.cancel());
        task.flags.begin();
        let by_first = task.resume(first);
        let second = task.flags.begin_yield();
        task.flags.end_yielding();
        canceller.join().unwrap();
        task.flags.begin();
        let by_second = task.resume(second);
        assert_eq!(u8::from(by_first) + u8::from(by_second), 1);
    });
}

/// Holds to [F3].
#[test]
fn a_cancel_wakes_a_task_in_a_foreign_future_or_is_found_by_its_step() {
    loom::model(|| {
        let task = Task::in_a_step();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || cancelled.cancel());
        let is_dropped = {
            let _state = task.state.lock();
            task.flags.end();
            task.flags.is_in_foreign_future() && task.flags.take_mark()
        };
        canceller.join().unwrap();
        assert_ne!(is_dropped, task.state.lock().woken);
    });
}

/// Holds to [F1]: a cancel whose first target was done, and that comes back to a task which goes on meanwhile, is
/// taken by the step that goes on, or told to all that the task waits on next.
#[test]
fn a_cancel_that_comes_back_is_a_mark_or_told_to_all() {
    loom::model(|| {
        let task = Task::in_a_step();
        task.wait();
        task.suspend();
        let cancelled = task.clone();
        let canceller = thread::spawn(move || {
            // As `cancel.rs` marks a task after a refusal.
            let mut state = cancelled.state.lock();
            let is_suspended = !cancelled.flags.mark_running();
            let waits_on_others = state.n_waits == 2;
            if is_suspended && waits_on_others {
                state.told += 2;
                return;
            }
            cancelled.flags.set_mark(true);
        });
        task.flags.begin();
        let taken = {
            let mut state = task.state.lock();
            state.n_waits = 0;
            task.flags.set_has_waits(false);
            task.flags.take_mark()
        };
        task.wait();
        task.wait();
        task.suspend();
        canceller.join().unwrap();
        let told = task.state.lock().told;
        assert_eq!(told, if taken { 0 } else { 2 });
        assert!(!task.flags.is_marked());
    });
}

/// Holds to [X1]: a run that waits for ever is left all the same, with one exit, and the same one passed on is no other.
#[test]
fn an_exit_wakes_the_run_that_waits() {
    loom::model(|| {
        let exit = Arc::new(Exit::default());
        let raisers = [1, 1].map(|status| {
            let exit = exit.clone();
            thread::spawn(move || exit.raise(Exception(status)))
        });
        let waiting = async {
            let forever = pin!(pending::<()>());
            exit.unless_raised(forever).await
        };
        assert_eq!(loom::future::block_on(waiting), Err(Exception(1)));
        for raiser in raisers {
            raiser.join().unwrap();
        }
        assert_eq!(exit.take(), Ok(()));
    });
}
