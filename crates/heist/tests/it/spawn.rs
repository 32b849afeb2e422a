//! Spawning, joining, names and identities.

use crate::support::{Drops, on_all, oneshot, workers};
use heist::runtime::{Builder, Handle, TaskState};
use std::collections::HashSet;
use std::sync::{Arc, Barrier, Mutex};

#[test]
fn many_tasks_give_their_outputs() {
    on_all(|runtime| {
        let sum: u64 = runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000_u64)
                .map(|i| heist::spawn(async move { i }))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49_995_000);
    });
}

#[test]
fn a_spawn_from_outside_runs() {
    let runtime = workers(2);
    let tasks: Vec<_> = (0..1000).map(|i| runtime.spawn(async move { i })).collect();
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(runtime.block_on(task).unwrap(), i);
    }
}

#[test]
fn chains_of_spawns_end() {
    fn chain(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            match depth {
                0 => 0,
                _ => heist::spawn(chain(depth - 1)).await.unwrap() + 1,
            }
        })
    }
    on_all(|runtime| assert_eq!(runtime.block_on(chain(1000)), 1000));
}

#[test]
fn an_output_nobody_takes_is_dropped_once() {
    on_all(|runtime| {
        let drops = Drops::new();
        runtime.block_on(async {
            // Dropped before it is complete, after, and while.
            let token = drops.token();
            drop(heist::spawn(async move { token }));
            let token = drops.token();
            let task = heist::spawn(async move { token });
            crate::support::until(|| task.is_finished()).await;
            drop(task);
            crate::support::until(|| drops.count() == 2).await;
        });
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn the_future_is_dropped_before_the_output_is_seen() {
    on_all(|runtime| {
        runtime.block_on(async {
            let drops = Drops::new();
            let token = drops.token();
            heist::spawn(async move {
                let _held = token;
                heist::task::yield_now().await;
            })
            .await
            .unwrap();
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn ids_tell_tasks_apart() {
    on_all(|runtime| {
        runtime.block_on(async {
            let mut seen = HashSet::new();
            let mut held = Vec::new();
            for _ in 0..1000 {
                let (release, wait) = oneshot::<()>();
                let task = heist::spawn(async move {
                    let _ = wait.await;
                    heist::task::id()
                });
                assert!(seen.insert(task.id()));
                held.push((release, task));
            }
            for (release, task) in held {
                release.send(()).unwrap();
                let id = task.id();
                assert_eq!(task.await.unwrap(), id);
            }
            assert_eq!(heist::task::try_id(), None, "block_on's future is no task");
        });
    });
}

#[test]
fn the_listing_knows_name_site_and_state() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (release, wait) = oneshot::<()>();
            let (started, has_started) = oneshot::<()>();
            let line = line!() + 3;
            let task = heist::task::Builder::new()
                .name("waiter")
                .spawn(async move {
                    started.send(()).unwrap();
                    wait.await.unwrap();
                });
            has_started.await.unwrap();
            let find = || {
                let tasks = Handle::current().tasks();
                tasks.into_iter().find(|info| info.id() == task.id())
            };
            crate::support::until(|| find().unwrap().state() == TaskState::Waiting).await;
            let info = find().unwrap();
            assert_eq!(info.name(), Some("waiter"));
            assert_eq!(info.spawn_site().file(), file!());
            assert_eq!(info.spawn_site().line(), line);
            assert!(!info.is_blocking());
            assert!(info.to_string().contains("`waiter`, waiting, spawned at"));
            release.send(()).unwrap();
            task.await.unwrap();
        });
        assert_eq!(runtime.metrics().alive_tasks, 0);
    });
}

#[test]
fn a_spawn_outside_a_runtime_says_what_to_do() {
    let panic = std::panic::catch_unwind(|| heist::spawn(async {})).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("inside `block_on`"), "{message}");
    assert!(Handle::try_current().is_err());
}

#[test]
fn entering_makes_a_runtime_current_and_guards_nest() {
    let (a, b) = (workers(1), workers(1));
    let outer = a.enter();
    {
        let _inner = b.enter();
        assert!(Handle::try_current().is_ok());
    }
    let task = heist::spawn(async { 1 });
    drop(outer);
    assert!(Handle::try_current().is_err());
    assert_eq!(a.block_on(task).unwrap(), 1);
}

#[test]
fn bad_options_are_refused_with_advice() {
    let refused = [
        Builder::new_multi_thread()
            .worker_threads(0)
            .build()
            .map(drop),
        Builder::new_multi_thread()
            .worker_threads(2000)
            .build()
            .map(drop),
        Builder::new_current_thread()
            .worker_threads(2)
            .build()
            .map(drop),
        Builder::new_multi_thread()
            .max_blocking_threads(0)
            .build()
            .map(drop),
        Builder::new_multi_thread()
            .virtual_clock(true)
            .build()
            .map(drop),
        Builder::new_multi_thread().build_local().map(drop),
        Builder::new_multi_thread()
            .thread_name("a\0b")
            .build()
            .map(drop),
        Builder::new_multi_thread()
            .event_interval(std::time::Duration::from_secs(1))
            .build()
            .map(drop),
    ];
    let advice = [
        "worker_threads: must be between 1 and 1024",
        "worker_threads: must be between 1 and 1024",
        "worker_threads: a current-thread runtime has one",
        "max_blocking_threads: must be at least 1",
        "virtual_clock: works on a current-thread runtime only",
        "build_local: a multi-thread runtime moves tasks",
        "thread_name: must not contain a NUL",
        "event_interval: must be at most 100 ms",
    ];
    for (refused, advice) in refused.into_iter().zip(advice) {
        let message = refused.unwrap_err().to_string();
        assert!(message.starts_with(advice), "{message}");
    }
}

#[test]
fn join_handles_travel_between_runtimes() {
    let (a, b) = (workers(1), workers(1));
    let task = a.spawn(async { 5 });
    let sum = b.spawn(async move { task.await.unwrap() + 1 });
    assert_eq!(a.block_on(sum).unwrap(), 6);
}

/// In a debug build every call copies what it passes on.
#[test]
fn a_large_future_is_spawned_from_a_small_stack() {
    const SIZE: usize = 64 * 1024;
    let runtime = workers(1);
    let handle = runtime.handle().clone();
    let spawner = std::thread::Builder::new()
        .stack_size(8 * SIZE)
        .spawn(move || {
            handle.spawn(async {
                let bytes = [1_u8; SIZE];
                heist::task::yield_now().await;
                bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>()
            })
        });
    let task = spawner.unwrap().join().unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), SIZE);
}

/// Who pins threads goes by their numbers.
#[test]
fn the_first_threads_play_the_workers() {
    for _ in 0..20 {
        let names = Arc::new(Mutex::new(HashSet::new()));
        let runtime = Builder::new_multi_thread()
            .worker_threads(3)
            .thread_name("player")
            .build()
            .unwrap();
        runtime.block_on(async {
            // As many as there are workers, none of which ends before all have begun.
            let all = Arc::new(Barrier::new(3));
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let (names, all) = (names.clone(), all.clone());
                    heist::spawn(async move {
                        all.wait();
                        let name = std::thread::current().name().unwrap().to_owned();
                        names.lock().unwrap().insert(name);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let mut names: Vec<_> = names.lock().unwrap().drain().collect();
        names.sort();
        assert_eq!(names, ["player-0", "player-1", "player-2"]);
    }
}
