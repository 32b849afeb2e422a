//! The current-thread flavour.

use crate::support::{local, oneshot, workers};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn tasks_run_in_strict_order() {
    let runtime = local();
    let log = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..3)
            .map(|i| {
                let log = log.clone();
                heist::task::spawn_local(async move {
                    for round in 0..3 {
                        log.borrow_mut().push((round, i));
                        heist::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let expected: Vec<_> = (0..3).flat_map(|r| (0..3).map(move |i| (r, i))).collect();
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn a_pass_runs_a_snapshot() {
    let runtime = local();
    let log = Rc::new(RefCell::new(Vec::new()));
    let say = |what: &'static str| {
        let log = log.clone();
        async move { log.borrow_mut().push(what) }
    };
    runtime.block_on(async {
        let parent = heist::task::spawn_local({
            let (child, log) = (say("child"), log.clone());
            async move {
                log.borrow_mut().push("parent");
                // Behind everything that is queued now.
                drop(heist::task::spawn_local(child));
            }
        });
        let sibling = heist::task::spawn_local(say("sibling"));
        parent.await.unwrap();
        sibling.await.unwrap();
        heist::task::yield_now().await;
    });
    assert_eq!(*log.borrow(), ["parent", "sibling", "child"]);
}

#[test]
fn a_wake_from_another_thread_arrives() {
    let runtime = local();
    for _ in 0..200 {
        let (send, receive) = oneshot::<u32>();
        let thread = std::thread::Builder::new()
            .spawn(move || send.send(9).unwrap())
            .unwrap();
        let task = runtime.spawn_local(async move { receive.await.unwrap() });
        assert_eq!(runtime.block_on(task).unwrap(), 9);
        thread.join().unwrap();
    }
}

/// [S8]: a `&LocalRuntime` reaches other threads as a `&Runtime`.
#[test]
fn another_thread_that_blocks_on_a_local_runtime_runs_none_of_its_tasks() {
    let local = local();
    let here = std::thread::current().id();
    let task = local.spawn_local(async move {
        assert_eq!(std::thread::current().id(), here);
        Rc::new(4)
    });
    let runtime: &heist::runtime::Runtime = &local;
    let answer = std::thread::scope(|scope| {
        let other = scope.spawn(|| runtime.block_on(async { 1 }));
        other.join().unwrap()
    });
    assert_eq!(answer, 1);
    assert!(!task.is_finished());
    assert_eq!(*local.block_on(task).unwrap(), 4);
}

#[test]
fn spawn_local_elsewhere_says_what_to_do() {
    let runtime = workers(1);
    let panic = runtime
        .block_on(runtime.spawn(async {
            drop(heist::task::spawn_local(async {}));
        }))
        .unwrap_err();
    assert!(panic.to_string().contains("build_local"), "{panic}");
    // Not on a current-thread runtime that may change threads, either.
    let runtime = heist::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let task = runtime.spawn(async { drop(heist::task::spawn_local(async {})) });
    assert!(runtime.block_on(task).unwrap_err().is_panic());
}

#[test]
fn tasks_stay_between_two_block_ons() {
    let runtime = local();
    let task = runtime.spawn_local(async {
        heist::task::yield_now().await;
        3
    });
    runtime.block_on(heist::task::yield_now());
    assert_eq!(runtime.block_on(task).unwrap(), 3);
}
