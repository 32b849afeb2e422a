//! Tasks with a state of their maker's.

use heist::runtime::{Builder, Handle, Runtime};
use heist::task::{State, Stateful};
use std::any::Any;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts its drops.
struct Token(Arc<AtomicUsize>);

impl State for Token {}

/// A number that the task leaves.
#[derive(Default)]
struct Number(AtomicUsize);

fn number(task: &Pin<Arc<dyn AsRef<Number> + Send + Sync>>) -> &AtomicUsize {
    &task.as_ref().get_ref().as_ref().0
}

impl State for Number {
    fn list<F>(task: &Pin<Arc<Stateful<Number, F>>>, list: &mut dyn Any)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(numbers) = list.downcast_mut::<Vec<usize>>() {
            numbers.push(task.state().0.load(Ordering::SeqCst));
        }
    }
}

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
                    heist::task::spawn_stateful(Number::default(), |task| {
                        let own: Pin<Arc<dyn AsRef<Number> + Send + Sync>> = task.clone();
                        async move {
                            heist::task::yield_now().await;
                            number(&own).store(n, Ordering::Release);
                        }
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                while !task.is_finished() {
                    heist::task::yield_now().await;
                }
                sum += task.state().0.load(Ordering::Acquire);
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
    let task = spawner.spawn_stateful(Number::default(), |_| async move {
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
        let task = heist::task::spawn_stateful(Number::default(), |_| async move {
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

/// The numbers of the tasks that the runtime lists.
fn listed(handle: &Handle) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    handle.list_stateful(&mut numbers);
    numbers.sort_unstable();
    numbers
}

#[test]
fn tasks_with_a_state_are_listed_while_they_are_alive() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let spawn =
        |number| heist::task::spawn_stateful(Number(AtomicUsize::new(number)), |_| pending::<()>());
    let _other = Runtime::new().unwrap().spawn(pending::<()>());
    runtime.block_on(async {
        // Of no list: without a state, and with one that adds itself to none.
        let _plain = heist::spawn(pending::<()>());
        let token = Token(Arc::default());
        let _silent = heist::task::spawn_stateful(token, |_| pending());
        let here = spawn(1);
        let elsewhere = std::thread::scope(|scope| {
            let spawning = scope.spawn(|| {
                let _inside = handle.enter();
                spawn(2)
            });
            spawning.join().unwrap()
        });
        let by_task = heist::spawn(async move { spawn(3) }).await.unwrap();
        assert_eq!(listed(&handle), [1, 2, 3]);
        // A list of another type.
        let mut numbers: Vec<u8> = Vec::new();
        handle.list_stateful(&mut numbers);
        assert!(numbers.is_empty());
        elsewhere.abort();
        while !elsewhere.is_finished() {
            heist::task::yield_now().await;
        }
        assert_eq!(listed(&handle), [1, 3]);
        // Its state goes with the last that holds it, and the task goes on without.
        drop(by_task);
        assert_eq!(listed(&handle), [1]);
        drop(here);
    });
    assert_eq!(runtime.metrics().alive_tasks, 4);
    drop(runtime);
    assert!(listed(&handle).is_empty());
}
