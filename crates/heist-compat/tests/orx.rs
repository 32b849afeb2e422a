//! orx-parallel's iterators on heist's workers.

use heist::runtime::{Builder, Runtime};
use heist_compat::HeistPool;
use orx_parallel::*;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Barrier, Mutex};
use std::thread;

fn workers(n: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(n).build().unwrap()
}

/// How a computation is spread over the workers of the runtime that it runs on.
fn on_heist() -> impl ParRunner {
    Runner::adaptive_with_pool(HeistPool::current())
}

/// Runs a computation on this runtime's workers.
fn compute<R: Send + 'static>(runtime: &Runtime, f: impl FnOnce() -> R + Send + 'static) -> R {
    runtime.block_on(async { heist::compute(f).await.unwrap() })
}

#[test]
fn results_come_in_order_and_may_borrow() {
    for n in [1, 2, 4] {
        let words = compute(&workers(n), || {
            let numbers: Vec<u32> = (0..10_000).collect();
            let even = numbers.par().runner(on_heist());
            let even = even.filter(|number| *number % 2 == 0);
            even.map(|number| number.to_string()).collect::<Vec<_>>()
        });
        let expected: Vec<_> = (0..10_000).step_by(2).map(|n| n.to_string()).collect();
        assert_eq!(words, expected);
    }
}

/// Two items that wait for each other need two threads.
#[test]
fn it_is_parallel() {
    let threads = compute(&workers(2), || {
        let (meet, seen) = (Barrier::new(2), Mutex::new(HashSet::new()));
        let items = (0..2).into_par().runner(on_heist());
        items.chunk_size(1).for_each(|_| {
            meet.wait();
            seen.lock().unwrap().insert(thread::current().id());
        });
        seen.into_inner().unwrap()
    });
    assert_eq!(threads.len(), 2);
    assert!(!threads.contains(&thread::current().id()));
}

#[test]
fn a_panic_is_the_callers() {
    let runtime = workers(2);
    let payload = compute(&runtime, || {
        let items = (0..1_000).into_par().runner(on_heist());
        let panics = AssertUnwindSafe(|| items.for_each(|n| assert_ne!(n, 500, "planned")));
        catch_unwind(panics).unwrap_err()
    });
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("planned"), "{message}");
    assert_eq!(compute(&runtime, || 1), 1);
}

#[test]
fn outside_a_runtime_it_runs_on_the_caller() {
    let here = thread::current().id();
    let items = (0..100).into_par().runner(on_heist());
    let count = items.map(|_| usize::from(thread::current().id() == here));
    assert_eq!(count.sum(), 100);
}

#[test]
fn tasks_of_the_pool_may_borrow() {
    let sum = compute(&workers(2), || {
        let (mut a, mut b) = (0, 0);
        HeistPool::current().run_all(tasks![|| a = 1, || b = 2]);
        a + b
    });
    assert_eq!(sum, 3);
}
