//! A mutex and a `VecDeque` with the API of crossbeam-deque, for loom.
//!
//! It is a verified fake: `scheduler/tests/queue.rs` runs the same properties on both.

use super::{Arc, Mutex};
use std::collections::VecDeque;

/// The outcome of a steal, as in crossbeam-deque. A mutexed queue never says `Retry`.
#[derive(Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "the real one has it, so matches on it must compile"
)]
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    Retry,
}

/// The owner's end of a FIFO queue.
#[derive(Debug)]
pub(crate) struct Worker<T>(Arc<Mutex<VecDeque<T>>>);

/// A thief's end.
#[derive(Debug)]
pub(crate) struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

/// A queue that anyone pushes to and anyone steals from.
#[derive(Debug)]
pub(crate) struct Injector<T>(Mutex<VecDeque<T>>);

#[allow(dead_code, reason = "the same API as the real one, used in part")]
impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())))
    }

    pub(crate) fn push(&self, item: T) {
        self.0.lock().push_back(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }
}

impl<T> Clone for Stealer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[allow(dead_code, reason = "the same API as the real one, used in part")]
impl<T> Stealer<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes half, at least one; the first is returned, the rest goes to `dest`.
    pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
        take_half(&mut self.0.lock(), dest)
    }
}

#[allow(dead_code, reason = "the same API as the real one, used in part")]
impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn push(&self, item: T) {
        self.0.lock().push_back(item);
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        match self.0.lock().pop_front() {
            Some(item) => Steal::Success(item),
            None => Steal::Empty,
        }
    }

    pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
        take_half(&mut self.0.lock(), dest)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn take_half<T>(from: &mut VecDeque<T>, dest: &Worker<T>) -> Steal<T> {
    let n = from.len().div_ceil(2);
    let mut taken: VecDeque<T> = from.drain(..n).collect();
    match taken.pop_front() {
        None => Steal::Empty,
        Some(first) => {
            dest.0.lock().extend(taken);
            Steal::Success(first)
        }
    }
}
