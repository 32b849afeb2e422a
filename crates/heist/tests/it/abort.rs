//! Aborting tasks.

use crate::support::{Drops, on_all, oneshot, until};
use std::task::Poll;

#[test]
fn an_idle_task_is_dropped() {
    on_all(|runtime| {
        let drops = Drops::new();
        runtime.block_on(async {
            let token = drops.token();
            let (started, has_started) = oneshot::<()>();
            let task = heist::spawn(async move {
                let _held = token;
                started.send(()).unwrap();
                std::future::pending::<()>().await;
            });
            has_started.await.unwrap();
            task.abort();
            let error = task.await.unwrap_err();
            assert!(error.is_aborted() && !error.is_panic());
            assert_eq!(drops.count(), 1, "the future is gone when the joiner knows");
        });
    });
}

#[test]
fn a_task_that_was_never_polled_is_dropped_unpolled() {
    let runtime = crate::support::local();
    runtime.block_on(async {
        let drops = Drops::new();
        let token = drops.token();
        let task = heist::spawn(async move {
            let _held = token;
            panic!("polled");
        });
        task.abort();
        assert!(task.await.unwrap_err().is_aborted());
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_task_that_aborts_itself_ends_at_its_next_yield() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (give, take) = oneshot::<heist::task::AbortHandle>();
            let (reached, has_reached) = oneshot::<()>();
            let task = heist::spawn(async move {
                take.await.unwrap().abort();
                reached.send(()).unwrap();
                heist::task::yield_now().await;
                unreachable!("polled after the abort");
            });
            give.send(task.abort_handle()).unwrap();
            has_reached.await.unwrap();
            assert!(task.await.unwrap_err().is_aborted());
        });
    });
}

#[test]
fn a_complete_task_keeps_its_output() {
    on_all(|runtime| {
        runtime.block_on(async {
            let task = heist::spawn(async { 3 });
            until(|| task.is_finished()).await;
            task.abort();
            assert_eq!(task.await.unwrap(), 3);
        });
    });
}

#[test]
fn a_future_that_is_ready_in_the_poll_of_the_abort_completes() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (give, take) = oneshot::<heist::task::AbortHandle>();
            let task = heist::spawn(async move {
                take.await.unwrap().abort();
                7
            });
            give.send(task.abort_handle()).unwrap();
            assert_eq!(task.await.unwrap(), 7);
        });
    });
}

#[test]
fn aborting_from_many_threads_at_once_drops_once() {
    let runtime = crate::support::workers(2);
    for _ in 0..200 {
        let drops = Drops::new();
        let token = drops.token();
        let task = runtime.spawn(async move {
            let _held = token;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        });
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| task.abort());
            }
        });
        assert!(runtime.block_on(task).unwrap_err().is_aborted());
        assert_eq!(drops.count(), 1);
    }
}
