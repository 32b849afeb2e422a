//! The queues of scopes: closures that were spawned into a scope and wait to be run.
//!
//! The thread that opened the scope runs them when its own closure has returned, the youngest first;
//! workers with nothing to do take the oldest. A scope with jobs is on a list, which idle workers
//! look through; one that they find empty they strike off.
//!
//! - **\[Q1\]** A closure is taken once, and counts as running from then until it has been dropped.
//!   [`ScopeQueue::run_all`] returns when none is queued or running.
//! - **\[Q2\]** The thread that waits in `run_all` is told of every closure that comes meanwhile: it is
//!   the one that may always run it.
//!
//! Closures have their lifetime erased by whoever makes them, `parallel/scope.rs`, which leans on the
//! first rule.
//!
//! Tests: `parallel/tests/loom.rs`, `tests/it/parallel.rs`.

use super::{here, wait};
use crate::scheduler::home::Home;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicUsize, Condvar, Mutex, fence};
use crate::task::{self, CurrentTask, Id};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// What is spawned into a scope. It catches its panics.
pub(crate) type Closure = Box<dyn FnOnce() + Send>;

/// Looks before the opener of a scope blocks.
#[cfg(not(heist_loom))]
const LOOKS: u32 = 100;
#[cfg(heist_loom)]
const LOOKS: u32 = 0;

/// The queue of one scope.
pub(crate) struct ScopeQueue {
    state: Mutex<State>,
    changed: Condvar,
    /// Whose workers help; none outside of a worker.
    home: Option<&'static Home>,
    /// The task that opened the scope.
    task: u64,
}

struct State {
    jobs: VecDeque<Closure>,
    /// Closures that were taken and are not yet dropped [Q1].
    running: usize,
    /// The opener blocks [Q2].
    waiting: bool,
    /// It is on its home's list, or about to be.
    listed: bool,
}

/// A closure on its way to be run.
pub(crate) struct Scoped {
    job: Closure,
    queue: Arc<ScopeQueue>,
}

impl Scoped {
    pub(crate) fn run(self) {
        let task = CurrentTask::enter(Id::from_bits(self.task()));
        self.queue.run(self.job);
        drop(task);
    }

    /// The task that opened the scope, as bits.
    pub(super) fn task(&self) -> u64 {
        self.queue.task
    }
}

impl fmt::Debug for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

impl ScopeQueue {
    /// The queue of a scope that the calling thread opens.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                running: 0,
                waiting: false,
                listed: false,
            }),
            changed: Condvar::new(),
            home: here().and_then(|seat| seat.home()),
            task: task::try_id().map_or(0, Id::to_bits),
        })
    }

    /// Queues a closure, and wakes whoever could run it.
    pub(crate) fn push(self: &Arc<Self>, job: Closure) {
        let mut state = self.state.lock();
        state.jobs.push_back(job);
        let list = self.home.is_some() && !std::mem::replace(&mut state.listed, true);
        let waiting = state.waiting;
        drop(state);
        if waiting {
            self.changed.notify_one();
        }
        let Some(home) = self.home else { return };
        if list {
            home.forks.scopes.add(self.clone());
        }
        // ORDERING: SeqCst fence between the push and the look at the idle word, pairs with the one
        // in `Idle::park`: [S2].
        fence(SeqCst);
        home.wake_after_local_push();
    }

    /// Runs what is queued, and waits for what others run. Afterwards there is nothing left [Q1].
    pub(crate) fn run_all(&self) {
        let mut looks = 0;
        loop {
            let mut state = self.state.lock();
            if let Some(job) = state.jobs.pop_back() {
                state.running += 1;
                drop(state);
                self.run(job);
                looks = 0;
                continue;
            }
            if state.running == 0 {
                break;
            }
            drop(state);
            if looks < LOOKS {
                looks += 1;
                std::hint::spin_loop();
                continue;
            }
            self.block();
        }
        if let Some(home) = self.home {
            home.forks.scopes.remove(self);
        }
    }

    /// Blocks until there is something to run, or nothing is left.
    fn block(&self) {
        let wait = || {
            let mut state = self.state.lock();
            state.waiting = true;
            while state.jobs.is_empty() && state.running > 0 {
                state = self.changed.wait(state);
            }
            state.waiting = false;
        };
        if let Some(seat) = here() {
            seat.offer_all();
        }
        match self.home {
            Some(home) => wait::aside(home, wait),
            None => wait(),
        }
    }

    // PANIC: the closure catches what it throws.
    fn run(&self, job: Closure) {
        job();
        let mut state = self.state.lock();
        state.running -= 1;
        let tell = state.waiting && state.running == 0;
        drop(state);
        if tell {
            self.changed.notify_one();
        }
    }

    /// The oldest closure. One that has none is off the list.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Scoped> {
        let mut state = self.state.lock();
        match state.jobs.pop_front() {
            Some(job) => {
                state.running += 1;
                let queue = self.clone();
                Some(Scoped { job, queue })
            }
            None => {
                state.listed = false;
                None
            }
        }
    }
}

impl fmt::Debug for ScopeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeQueue").finish_non_exhaustive()
    }
}

/// The scopes of a home that have jobs, or had some a moment ago.
pub(crate) struct Scopes {
    list: Mutex<VecDeque<Arc<ScopeQueue>>>,
    /// How many are on the list; changed under its lock.
    n_listed: AtomicUsize,
}

impl Scopes {
    pub(super) fn new() -> Self {
        Self {
            list: Mutex::new(VecDeque::new()),
            n_listed: AtomicUsize::new(0),
        }
    }

    fn add(&self, queue: Arc<ScopeQueue>) {
        let mut list = self.list.lock();
        list.push_back(queue);
        // Relaxed: the pusher's fence orders it.
        self.n_listed.store(list.len(), Relaxed);
    }

    /// The scope ends.
    fn remove(&self, queue: &ScopeQueue) {
        if !queue.state.lock().listed {
            return;
        }
        let mut list = self.list.lock();
        list.retain(|listed| !std::ptr::eq(&**listed, queue));
        // Relaxed: under the lock.
        self.n_listed.store(list.len(), Relaxed);
    }

    pub(super) fn has_work(&self) -> bool {
        // Relaxed: after the fence in `Idle::park`, or a look that need not be exact.
        self.n_listed.load(Relaxed) > 0
    }

    /// Takes a closure of some scope; the scopes take turns.
    pub(super) fn take(&self) -> Option<Scoped> {
        if !self.has_work() {
            return None;
        }
        let mut list = self.list.lock();
        while let Some(queue) = list.pop_front() {
            if let Some(scoped) = queue.take() {
                list.push_back(queue);
                return Some(scoped);
            }
            // Relaxed: under the lock.
            self.n_listed.store(list.len(), Relaxed);
        }
        None
    }
}
