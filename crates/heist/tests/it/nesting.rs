//! `block_on` from anywhere.

use crate::support::{local, on_all, workers};
use heist::runtime::Handle;

#[test]
fn inside_a_task_of_the_same_runtime() {
    on_all(|runtime| {
        let handle = runtime.handle().clone();
        let answer = runtime.block_on(async move {
            heist::spawn(async move {
                let inner = heist::spawn(async {
                    heist::task::yield_now().await;
                    1
                });
                handle.block_on(inner).unwrap() + 1
            })
            .await
            .unwrap()
        });
        assert_eq!(answer, 2);
    });
}

#[test]
fn as_many_nested_as_there_are_workers_and_more() {
    for n in [1, 2, 4] {
        let runtime = workers(n);
        runtime.block_on(async move {
            let tasks: Vec<_> = (0..4 * n)
                .map(|_| heist::spawn(async { nest(5) }))
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 5);
            }
        });
    }
}

/// Each level waits for a task of the next.
fn nest(depth: u32) -> u32 {
    match depth {
        0 => 0,
        _ => {
            let inner = heist::spawn(async move { nest(depth - 1) });
            Handle::current().block_on(inner).unwrap() + 1
        }
    }
}

#[test]
fn nested_on_one_thread() {
    let runtime = local();
    let answer = runtime.block_on(async { heist::spawn(async { nest(50) }).await.unwrap() });
    assert_eq!(answer, 50);
}

#[test]
fn a_nested_future_may_be_ready_for_longer_than_a_poll_may_last() {
    on_all(|runtime| {
        let handle = runtime.handle().clone();
        runtime.block_on(async move {
            heist::spawn(async move {
                let start = heist::time::Instant::now();
                // Uses the outer poll's time up, and then awaits leaves that are ready.
                handle.block_on(async {
                    while start.elapsed() < std::time::Duration::from_millis(3) {
                        heist::time::sleep(std::time::Duration::ZERO).await;
                    }
                });
                handle.block_on(heist::time::sleep(std::time::Duration::ZERO));
            })
            .await
            .unwrap();
        });
    });
}

#[test]
fn of_another_runtime_inside_a_task() {
    let (outer, inner) = (workers(1), workers(1));
    let handle = inner.handle().clone();
    let answer = outer.block_on(outer.spawn(async move {
        let task = handle.spawn(async { 4 });
        handle.block_on(async { task.await.unwrap() + 1 })
    }));
    assert_eq!(answer.unwrap(), 5);
}

#[test]
fn of_a_fresh_local_runtime_inside_a_task() {
    let outer = workers(1);
    let answer = outer.block_on(outer.spawn(async {
        let other = heist::spawn(async { 2 });
        let nested =
            local().block_on(async { heist::task::spawn_local(async { 3 }).await.unwrap() });
        nested + other.await.unwrap()
    }));
    assert_eq!(answer.unwrap(), 5);
}

#[test]
fn from_several_threads_on_one_current_thread_runtime() {
    let runtime = heist::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for i in 0..8_u64 {
            let runtime = &runtime;
            scope.spawn(move || {
                for _ in 0..50 {
                    let answer = runtime.block_on(async {
                        let task = heist::spawn(async move {
                            heist::task::yield_now().await;
                            i
                        });
                        heist::time::sleep(std::time::Duration::from_micros(10)).await;
                        task.await.unwrap()
                    });
                    assert_eq!(answer, i);
                }
            });
        }
    });
}
