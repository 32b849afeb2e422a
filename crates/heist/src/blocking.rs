//! The pool of threads for blocking calls, which also plays the workers.
//!
//! A blocking call is a task whose future calls the closure in its only poll; it is queued here in
//! the order of arrival and run by the next free thread. Threads are started when none is idle, up
//! to a hard cap, and stay warm for a while. A worker's *role* comes before any call and is not
//! counted towards the cap: a runtime must be able to run.
//!
//! - **\[B1\]** Under the lock, `idle` counts the threads that wait and that nobody has claimed. A
//!   submitter claims one by moving a unit from `idle` to `claimed`; a waiter that finds a claim
//!   takes it, one that times out without a claim leaves, and is counted out before anyone else has the
//!   lock. So a thread that is about to leave is never counted on, however long the user's hook takes then.
//! - **\[B2\]** What is in the queue has a claimed thread, a running thread, or a full pool before
//!   it; a thread that ends its work looks at the queue before it waits.
//!
//! Tests: `tests/it/blocking.rs`, `blocking/tests.rs`.

#[cfg(test)]
mod tests;

use crate::scheduler::Home;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};
use crate::task::{self, CurrentTask, Details, Id, JoinError, Runnable, Schedule, Weight};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Something to call on a thread.
pub(crate) type Role = Box<dyn FnOnce() + Send>;
/// Called on each thread of the pool around all its work.
pub(crate) type ThreadMain = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// How the pool behaves.
pub(crate) struct Config {
    pub(crate) cap: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    /// Called after each blocking call, once it no longer counts as in flight.
    pub(crate) after_call: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct State {
    roles: VecDeque<Role>,
    calls: VecDeque<Runnable>,
    /// Threads that have not decided to leave, and those that have not left.
    threads: usize,
    alive: usize,
    /// Roles that are played or queued, each of which takes a thread for itself.
    playing: usize,
    /// Calls that run now.
    running: usize,
    idle: usize,
    claimed: usize,
    started: usize,
    shut_down: bool,
}

impl State {
    /// Threads that run calls, or will come to them.
    fn for_calls(&self) -> usize {
        self.threads.saturating_sub(self.playing)
    }

    /// The next call, unless as many run as may. Those that run will come to it then.
    fn next_call(&mut self, cap: usize) -> Option<Runnable> {
        match self.running < cap {
            true => self.calls.pop_front(),
            false => None,
        }
    }
}

struct Shared {
    config: Config,
    around: Box<ThreadMain>,
    state: Mutex<State>,
    work: Condvar,
    left: Condvar,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

/// What the pool is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) threads: usize,
    pub(crate) queued: usize,
    pub(crate) in_flight: usize,
}

impl Pool {
    pub(crate) fn new(config: Config, around: Box<ThreadMain>) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                around,
                state: Mutex::new(State::default()),
                work: Condvar::new(),
                left: Condvar::new(),
            }),
        }
    }

    /// Queues a blocking call. After shutdown it is dropped, which aborts its task.
    ///
    /// # Errors
    ///
    /// If there is no thread for it and the operating system gives none.
    pub(crate) fn call(&self, call: Runnable) -> std::io::Result<()> {
        let mut state = self.shared.state.lock();
        if state.shut_down {
            // The closure's drop is user code.
            drop(state);
            drop(call);
            return Ok(());
        }
        state.calls.push_back(call);
        let full = state.for_calls() >= self.shared.config.cap;
        let result = self.engage(&mut state, full);
        if result.is_err() && state.for_calls() > 0 {
            // Those that there are will come to it.
            return Ok(());
        }
        let refused = match result.is_err() {
            true => state.calls.pop_back(),
            false => None,
        };
        drop(state);
        drop(refused);
        result
    }

    /// Has a thread call `role` soon.
    ///
    /// # Errors
    ///
    /// If no thread is idle and the operating system gives none.
    pub(crate) fn play(&self, role: Role) -> std::io::Result<()> {
        let mut state = self.shared.state.lock();
        // From now on, so that the thread that is engaged for it is not taken for one that will
        // come to the calls.
        state.playing += 1;
        if self.claim(&mut state) {
            state.roles.push_back(role);
            return Ok(());
        }
        let started = self.start(&mut state, Some(role));
        if started.is_err() {
            state.playing -= 1;
        }
        started
    }

    /// Claims an idle thread, or starts one unless the pool is `full`.
    fn engage(&self, state: &mut MutexGuard<'_, State>, full: bool) -> std::io::Result<()> {
        if self.claim(state) {
            return Ok(());
        }
        match full {
            true => Ok(()),
            false => self.start(state, None),
        }
    }

    /// Claims an idle thread, if there is one. It comes when the lock is free.
    fn claim(&self, state: &mut State) -> bool {
        if state.idle == 0 {
            return false;
        }
        state.idle -= 1;
        state.claimed += 1;
        self.shared.work.notify_one();
        true
    }

    /// Starts a thread. Its first role is its own, so that a runtime's first threads have the numbers of the workers that
    /// they play: whoever pins threads goes by that.
    fn start(&self, state: &mut State, mut role: Option<Role>) -> std::io::Result<()> {
        let config = &self.shared.config;
        let name = format!("{}-{}", config.thread_name, state.started);
        let pool = self.clone();
        let main = move || {
            let shared = pool.shared.clone();
            (shared.around)(&mut || pool.work(role.take()));
            let mut state = shared.state.lock();
            state.alive -= 1;
            drop(state);
            shared.left.notify_all();
        };
        let handle = thread::spawn_named(name, config.stack_size, main)?;
        // Detached: `wait_until_left` counts.
        drop(handle);
        state.threads += 1;
        state.alive += 1;
        state.started += 1;
        Ok(())
    }

    /// A thread's life.
    fn work(&self, mut own: Option<Role>) {
        let shared = &*self.shared;
        let mut state = shared.state.lock();
        loop {
            if let Some(role) = own.take().or_else(|| state.roles.pop_front()) {
                drop(state);
                // PANIC: a worker catches its tasks' panics; should one of ours escape, the
                // thread goes on and the hook has reported it.
                let _ = catch_unwind(AssertUnwindSafe(role));
                state = shared.state.lock();
                state.playing -= 1;
                continue;
            }
            if let Some(call) = state.next_call(shared.config.cap) {
                state.running += 1;
                drop(state);
                let id = CurrentTask::enter(call.id());
                let again = call.run();
                debug_assert!(again.is_none(), "a call is done when it returns");
                drop(id);
                task::give_back();
                state = shared.state.lock();
                state.running -= 1;
                if let Some(after_call) = &shared.config.after_call {
                    drop(state);
                    after_call();
                    state = shared.state.lock();
                }
                continue;
            }
            if state.shut_down {
                state.threads -= 1;
                return;
            }
            match self.wait(state) {
                Some(back) => state = back,
                None => return,
            }
        }
    }

    /// Waits for a claim \[B1\]. `None`: the thread should leave, and is counted out.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        let shared = &*self.shared;
        state.idle += 1;
        loop {
            let (back, timed_out) = shared.work.wait_for(state, shared.config.keep_alive);
            state = back;
            if state.claimed > 0 {
                state.claimed -= 1;
                return Some(state);
            }
            if state.shut_down || timed_out {
                state.idle -= 1;
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Takes no more calls, and drops those that have not begun.
    pub(crate) fn shut_down(&self) {
        let mut state = self.shared.state.lock();
        state.shut_down = true;
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        self.shared.work.notify_all();
        // Closures are dropped here: user code, not under the lock.
        drop(calls);
    }

    /// Waits until every thread has left; `false` if the deadline came first.
    pub(crate) fn wait_until_left(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.shared.state.lock();
        while state.alive > 0 {
            match deadline {
                None => state = self.shared.left.wait(state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(crate::clock::real_now());
                    if left.is_zero() {
                        return false;
                    }
                    state = self.shared.left.wait_for(state, left).0;
                }
            }
        }
        true
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.shared.state.lock();
        Load {
            threads: state.for_calls(),
            queued: state.calls.len(),
            in_flight: state.calls.len() + state.running,
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("load", &self.load()).finish()
    }
}

/// The future of a blocking call: done in its first poll.
pub(crate) struct Call<F>(Option<F>);

impl<F> Call<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> R, R> Future for Call<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        let f = self.0.take().expect("a blocking call is polled once");
        Poll::Ready(f())
    }
}

/// The scheduler of blocking calls: they are never woken, so it only keeps the registry.
#[derive(Clone, Debug)]
pub(crate) struct CallSchedule(pub(crate) &'static Home);

impl Schedule for CallSchedule {
    fn schedule(&self, _runnable: Runnable) {
        unreachable!("a blocking call is done in its first poll: nobody has its waker");
    }

    fn release(&self, id: Id, _weight: &Weight) -> bool {
        self.0.registry.release(id)
    }

    fn details(&self, id: Id) -> Option<Details> {
        self.0.registry.details(id)
    }

    fn unhandled_panic(&self, error: &JoinError) {
        Schedule::unhandled_panic(&self.0, error);
    }
}
