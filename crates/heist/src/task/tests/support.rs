//! A hand-made scheduler, for the cell alone.

use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::{AtomicUsize, Mutex};
use crate::task::{Details, Id, JoinError, JoinHandle, NewTask, Runnable, Schedule, Weight};
use std::collections::VecDeque;

#[cfg(heist_loom)]
use loom::sync::Arc;
#[cfg(not(heist_loom))]
use std::sync::Arc;

/// Queues what is scheduled; whoever wants to runs it. Its clones are counted, so that loom finds a
/// cell that is not freed.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    ready: Mutex<VecDeque<Runnable>>,
    unhandled: AtomicUsize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            ready: Mutex::new(VecDeque::new()),
            unhandled: AtomicUsize::new(0),
        }))
    }

    /// A new task, scheduled.
    pub(super) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let NewTask {
            runnable,
            registered,
            join,
        } = NewTask::new(future, self.clone());
        // No registry: its reference goes.
        drop(registered);
        self.schedule(runnable);
        JoinHandle::new(join)
    }

    pub(super) fn next(&self) -> Option<Runnable> {
        self.0.ready.lock().pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.ready.lock().len()
    }

    /// Polls once.
    pub(super) fn run(&self, runnable: Runnable) {
        if let Some(again) = runnable.run() {
            self.schedule(again);
        }
    }

    /// Runs until nothing is ready; the number of polls.
    pub(super) fn run_all(&self) -> usize {
        let mut polls = 0;
        while let Some(runnable) = self.next() {
            self.run(runnable);
            polls += 1;
        }
        polls
    }

    pub(super) fn unhandled(&self) -> usize {
        // ORDERING: SeqCst: a test's counter.
        self.0.unhandled.load(SeqCst)
    }

    /// References to the queue: one more for each cell.
    #[cfg(not(heist_loom))]
    pub(super) fn references(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Schedule for Queue {
    fn schedule(&self, runnable: Runnable) {
        self.0.ready.lock().push_back(runnable);
    }

    fn release(&self, _id: Id, _weight: &Weight) -> bool {
        false
    }

    fn details(&self, _id: Id) -> Option<Details> {
        None
    }

    fn unhandled_panic(&self, error: &JoinError) {
        assert!(error.is_panic());
        // ORDERING: SeqCst: a test's counter.
        self.0.unhandled.fetch_add(1, SeqCst);
    }
}

/// The scheduler of tasks that nobody wakes, lists or runs.
#[derive(Clone)]
pub(crate) struct Nowhere;

impl Schedule for Nowhere {
    fn schedule(&self, runnable: Runnable) {
        drop(runnable);
    }

    fn release(&self, _id: Id, _weight: &Weight) -> bool {
        false
    }

    fn details(&self, _id: Id) -> Option<Details> {
        None
    }

    fn unhandled_panic(&self, _error: &JoinError) {}
}
