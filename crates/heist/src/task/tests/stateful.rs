//! Tasks with a state, on a hand-made scheduler and one thread.

use super::support::Queue;
use crate::task::{NewStateful, Schedule, Stateful, TaskRef};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Counts its drops.
#[derive(Clone, Debug, Default)]
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Token {
    fn drops(count: &Arc<AtomicUsize>) -> usize {
        count.load(Ordering::SeqCst)
    }
}

/// What a maker has.
type Made<S, F> = Pin<Arc<Stateful<S, F, Queue>>>;

/// What a future holds of its own task.
type Own<S> = Pin<Arc<dyn AsRef<S> + Send + Sync>>;

fn state_of<S>(own: &Own<S>) -> &S {
    own.as_ref().get_ref().as_ref()
}

/// Spawned on the queue. The registry's reference is the test's: until the task is complete somebody has to hold it.
fn spawn<S, F>(queue: &Queue, state: S, make: impl FnOnce(Made<S, F>) -> F) -> (Made<S, F>, TaskRef)
where
    S: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let new = NewStateful::unlisted(state, queue.clone(), make);
    queue.schedule(new.runnable);
    (new.task, new.registered)
}

#[test]
fn the_state_outlives_the_future_and_goes_with_the_last_that_holds_it() {
    let queue = Queue::new();
    let (state, future) = (Token::default(), Token::default());
    let (states, futures) = (state.0.clone(), future.0.clone());
    let (task, registered) = spawn(&queue, state, |_| async move { drop(future) });
    assert!(!task.is_finished());
    assert_eq!(queue.run_all(), 1);
    assert!(task.is_finished());
    assert_eq!((Token::drops(&states), Token::drops(&futures)), (0, 1));
    // The registry may keep its reference for a while: that is none to the state.
    drop(task);
    assert_eq!(Token::drops(&states), 1);
    assert_eq!(queue.references(), 2);
    // [T8]
    drop(registered);
    assert_eq!(queue.references(), 1);
}

#[test]
fn a_task_goes_on_without_its_state() {
    let queue = Queue::new();
    let (state, future) = (Token::default(), Token::default());
    let (states, futures) = (state.0.clone(), future.0.clone());
    let (task, registered) = spawn(&queue, state, |_| {
        let mut polls = 0;
        poll_fn(move |cx| {
            let _held = &future;
            polls += 1;
            cx.waker().wake_by_ref();
            match polls {
                3 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
    });
    drop(task);
    assert_eq!(Token::drops(&states), 1);
    assert_eq!(queue.run_all(), 3);
    assert_eq!(Token::drops(&futures), 1);
    drop(registered);
    assert_eq!(queue.references(), 1);
}

#[test]
fn a_waker_of_its_own_does_not_keep_the_state() {
    let queue = Queue::new();
    let state = (Mutex::new(None), Token::default());
    let states = state.1.0.clone();
    let (task, registered) = spawn(&queue, state, |task| {
        let own: Own<(Mutex<Option<Waker>>, Token)> = task.clone();
        poll_fn(move |cx| {
            *state_of(&own).0.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(())
        })
    });
    queue.run_all();
    drop(registered);
    assert_eq!((Token::drops(&states), queue.references()), (0, 2));
    // The waker in it is then the last reference to the task.
    drop(task);
    assert_eq!((Token::drops(&states), queue.references()), (1, 1));
}

#[test]
fn a_future_may_hold_its_own_task() {
    let queue = Queue::new();
    let state = Token::default();
    let states = state.0.clone();
    let (task, registered) = spawn(&queue, state, |task| {
        let own: Own<Token> = task.clone();
        async move {
            assert_eq!(Token::drops(&state_of(&own).0), 0);
        }
    });
    drop(task);
    queue.run_all();
    assert_eq!(Token::drops(&states), 1);
    drop(registered);
    assert_eq!(queue.references(), 1);
}

#[test]
fn a_wake_by_the_state_polls_again_and_one_after_the_end_does_nothing() {
    let queue = Queue::new();
    let (task, registered) = spawn(&queue, AtomicUsize::new(0), |task| {
        let own: Own<AtomicUsize> = task.clone();
        poll_fn(
            move |_| match state_of(&own).fetch_add(1, Ordering::SeqCst) {
                2 => Poll::Ready(()),
                _ => Poll::Pending,
            },
        )
    });
    assert_eq!(queue.run_all(), 1);
    task.wake();
    // [T2]: it is scheduled already.
    task.wake();
    assert_eq!(queue.run_all(), 1);
    task.wake();
    assert_eq!(queue.run_all(), 1);
    assert!(task.is_finished());
    drop(registered);
    task.wake();
    assert_eq!(queue.run_all(), 0);
    assert_eq!(task.state().load(Ordering::SeqCst), 3);
}

#[test]
fn an_abort_drops_the_future_and_keeps_the_state() {
    let queue = Queue::new();
    let future = Token::default();
    let futures = future.0.clone();
    let (task, registered) = spawn(&queue, 7, |_| async move {
        let _kept = future;
        pending().await
    });
    queue.run_all();
    task.abort();
    assert_eq!(Token::drops(&futures), 0);
    queue.run_all();
    assert_eq!(Token::drops(&futures), 1);
    assert!(task.is_finished());
    drop(registered);
    assert_eq!(*task.state(), 7);
    assert_eq!(queue.references(), 1);
}

#[test]
fn a_panic_is_reported_since_nobody_can_join() {
    let queue = Queue::new();
    let (task, registered) = spawn(&queue, (), |_| async { panic!("told to") });
    queue.run_all();
    assert!(task.is_finished());
    drop(registered);
    assert_eq!(queue.unhandled(), 1);
}

#[test]
fn woken_before_it_has_a_future_it_is_polled_once() {
    let queue = Queue::new();
    let (task, registered) = spawn(&queue, AtomicUsize::new(0), |task| {
        task.wake();
        let own: Own<AtomicUsize> = task.clone();
        poll_fn(move |_| {
            state_of(&own).fetch_add(1, Ordering::SeqCst);
            Poll::Pending
        })
    });
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.run_all(), 1);
    assert_eq!(task.state().load(Ordering::SeqCst), 1);
    task.abort();
    queue.run_all();
    assert!(task.is_finished());
    drop(registered);
}

#[test]
fn a_maker_that_panics_leaves_nothing() {
    let queue = Queue::new();
    let state = Token::default();
    let states = state.0.clone();
    let mut kept: Option<Made<Token, std::future::Ready<()>>> = None;
    let made = catch_unwind(AssertUnwindSafe(|| {
        spawn(&queue, state, |task| {
            kept = Some(task.clone());
            panic!("told to")
        })
    }));
    assert!(made.is_err());
    let task = kept.take().unwrap();
    // It was never scheduled, and never will be.
    task.wake();
    task.abort();
    assert_eq!(queue.len(), 0);
    assert!(!task.is_finished());
    drop(task);
    assert_eq!(Token::drops(&states), 1);
}

#[test]
fn a_runnable_that_is_dropped_drops_the_future() {
    let queue = Queue::new();
    let future = Token::default();
    let futures = future.0.clone();
    let (task, registered) = spawn(&queue, (), |_| async move {
        let _kept = future;
        pending().await
    });
    drop(queue.next().unwrap());
    assert_eq!(Token::drops(&futures), 1);
    assert!(task.is_finished());
    drop(registered);
    assert_eq!(queue.references(), 1);
}
