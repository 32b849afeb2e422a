//! Tasks with a state of their maker's.

use heist::runtime::{Builder, Runtime};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts its drops.
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ten_thousand_count_in_their_states() {
    for runtime in [
        Builder::new_multi_thread()
            .worker_threads(4)
            .build()
            .unwrap(),
        Builder::new_current_thread().build().unwrap(),
    ] {
        let sum = runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000)
                .map(|n| {
                    heist::task::spawn_stateful(AtomicUsize::new(0), |task| {
                        let own: Arc<dyn AsRef<AtomicUsize> + Send + Sync> = task.clone();
                        async move {
                            heist::task::yield_now().await;
                            (*own).as_ref().store(n, Ordering::Release);
                        }
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                while !task.is_finished() {
                    heist::task::yield_now().await;
                }
                sum += task.state().load(Ordering::Acquire);
            }
            sum
        });
        assert_eq!(sum, 10_000 * 9_999 / 2);
    }
}

#[test]
fn shutdown_drops_the_future_and_leaves_the_state() {
    let runtime = Runtime::new().unwrap();
    let (futures, states) = (Arc::default(), Arc::default());
    let (future, state) = (Token(Arc::clone(&futures)), Token(Arc::clone(&states)));
    let spawner = runtime.handle().spawner();
    let task = spawner.spawn_stateful(state, |_| async move {
        let _held = future;
        pending().await
    });
    drop(runtime);
    assert!(task.is_finished());
    assert_eq!(futures.load(Ordering::SeqCst), 1);
    assert_eq!(states.load(Ordering::SeqCst), 0);
    drop(task);
    assert_eq!(states.load(Ordering::SeqCst), 1);
}

#[test]
fn after_the_shutdown_it_is_dropped_unpolled() {
    let runtime = Runtime::new().unwrap();
    let spawner = runtime.handle().spawner();
    drop(runtime);
    let futures: Arc<AtomicUsize> = Arc::default();
    let future = Token(futures.clone());
    let task = spawner.spawn_stateful((), |_| async move {
        let _held = future;
        panic!("polled after the shutdown")
    });
    assert!(task.is_finished());
    assert_eq!(futures.load(Ordering::SeqCst), 1);
    assert!(spawner.spawn(async {}).is_finished());
}

#[test]
fn an_abort_reaches_a_task_that_waits() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let futures: Arc<AtomicUsize> = Arc::default();
        let future = Token(futures.clone());
        let task = heist::task::spawn_stateful((), |_| async move {
            let _held = future;
            pending().await
        });
        task.abort();
        while !task.is_finished() {
            heist::task::yield_now().await;
        }
        assert_eq!(futures.load(Ordering::SeqCst), 1);
    });
}
