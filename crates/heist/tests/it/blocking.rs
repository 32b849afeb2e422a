//! Blocking calls.

use crate::support::{on_all, workers};
use heist::runtime::Builder;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};

#[test]
fn a_call_gives_its_result_and_may_borrow_the_context() {
    on_all(|runtime| {
        let answer = runtime.block_on(async {
            let call = heist::task::spawn_blocking(|| {
                let inner = heist::spawn(async { 20 });
                heist::runtime::Handle::current().block_on(inner).unwrap() + 1
            });
            // On the current thread the inner task runs while this waits.
            call.await.unwrap()
        });
        assert_eq!(answer, 21);
    });
}

/// Counts how many are inside at once, and lets them out together.
#[derive(Default)]
struct Gate {
    state: Mutex<(usize, usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        state.1 = state.1.max(state.0);
        self.changed.notify_all();
        while !state.2 {
            state = self.changed.wait(state).unwrap();
        }
        state.0 -= 1;
    }

    fn wait_for(&self, inside: usize) {
        let mut state = self.state.lock().unwrap();
        while state.0 < inside {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn open(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.2 = true;
        self.changed.notify_all();
        state.1
    }
}

#[test]
fn the_cap_is_hard_and_no_call_is_lost() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(3)
        .build()
        .unwrap();
    let gate = Arc::new(Gate::default());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let gate = gate.clone();
            runtime.spawn_blocking(move || gate.pass())
        })
        .collect();
    gate.wait_for(3);
    let metrics = runtime.metrics();
    assert_eq!(
        (metrics.blocking_threads, metrics.blocking_queue_depth),
        (3, 47)
    );
    let most = gate.open();
    for call in calls {
        runtime.block_on(call).unwrap();
    }
    assert_eq!(most, 3);
}

#[test]
fn calls_run_in_the_order_of_arrival() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..100)
        .map(|i| {
            let order = order.clone();
            runtime.spawn_blocking(move || order.lock().unwrap().push(i))
        })
        .collect();
    for call in calls {
        runtime.block_on(call).unwrap();
    }
    assert!(order.lock().unwrap().iter().copied().eq(0..100));
}

#[test]
fn many_producers_lose_nothing() {
    let runtime = workers(2);
    let done = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let done = done.clone();
                    drop(runtime.spawn_blocking(move || done.fetch_add(1, Ordering::SeqCst)));
                }
            });
        }
    });
    runtime.block_on(crate::support::until(|| {
        done.load(Ordering::SeqCst) == 4000
    }));
}

#[test]
fn a_call_that_waits_can_be_aborted() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (unblock, blocked) = mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || blocked.recv());
    let second = runtime.spawn_blocking(|| panic!("ran"));
    second.abort();
    drop(unblock);
    assert!(runtime.block_on(second).unwrap_err().is_aborted());
    assert!(runtime.block_on(first).unwrap().is_err());
}

#[test]
fn block_in_place_lets_the_others_go_on() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (give, take) = mpsc::channel();
        let blocked =
            heist::spawn(async move { heist::task::block_in_place(move || take.recv().unwrap()) });
        // The only worker is blocked; another thread plays it.
        heist::spawn(async move { give.send(5).unwrap() })
            .await
            .unwrap();
        assert_eq!(blocked.await.unwrap(), 5);
    });
}

#[test]
fn block_in_place_survives_a_panic_and_many_turns() {
    let runtime = workers(2);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|i| {
                heist::spawn(async move {
                    heist::task::yield_now().await;
                    heist::task::block_in_place(|| assert_ne!(i % 10, 0));
                    heist::task::yield_now().await;
                    i
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            match task.await {
                Ok(done) => assert_eq!(done, i),
                Err(error) => assert!(error.is_panic() && i % 10 == 0),
            }
        }
    });
}
