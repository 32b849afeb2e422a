//! `run`: a future that borrows, as a task.

use crate::support::{Drops, on_all, workers};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};

/// Holds to [U1].
#[test]
fn it_borrows_and_returns_what_it_borrowed() {
    on_all(|runtime| {
        let words = ["a".to_owned(), "bcd".to_owned(), "ef".to_owned()];
        let mut visited = 0;
        let longest: &String = runtime.run(async {
            for word in &words {
                let length = word.len();
                let task = heist::spawn(async move { length });
                visited += usize::from(task.await.unwrap() > 0);
            }
            words.iter().max_by_key(|word| word.len()).unwrap()
        });
        assert_eq!((longest.as_str(), visited), ("bcd", 3));
    });
}

#[test]
fn it_is_a_task_of_a_worker() {
    let runtime = workers(2);
    let here = std::thread::current().id();
    let (id, there) = runtime.run(async { (heist::task::try_id(), std::thread::current().id()) });
    assert!(id.is_some());
    assert_ne!(there, here);
}

#[test]
fn its_panic_is_the_callers() {
    on_all(|runtime| {
        let (drops, mut reached) = (Drops::new(), false);
        let token = drops.token();
        let panics = AssertUnwindSafe(|| {
            runtime.run(async {
                let _held = token;
                reached = true;
                heist::task::yield_now().await;
                panic!("planned");
            })
        });
        let payload = catch_unwind(panics).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"planned"));
        assert_eq!((drops.count(), reached), (1, true));
        // Nothing is left of it.
        assert_eq!(runtime.run(async { 1 }), 1);
    });
}

/// Holds to [U3]: more callers that are workers than there are workers.
#[test]
fn it_works_inside_a_task() {
    for n in [1, 2] {
        let runtime = Arc::new(workers(n));
        let tasks = (0..2 * n).map(|_| {
            let inside = runtime.clone();
            runtime.spawn(async move {
                let one = 1;
                inside.run(async {
                    heist::task::yield_now().await;
                    heist::spawn(async move { one }).await.unwrap() + 1
                })
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for task in tasks {
            assert_eq!(runtime.run(task).unwrap(), 2);
        }
    }
}

/// Holds to [U2]: a waker that outlives the call finds nothing of it.
#[test]
fn its_waker_may_outlive_it() {
    let runtime = workers(2);
    let (give, take) = mpsc::channel::<Waker>();
    let mut woken = 0;
    runtime.run(async {
        poll_fn(|cx| {
            woken += 1;
            give.send(cx.waker().clone()).unwrap();
            Poll::Ready(())
        })
        .await;
    });
    take.recv().unwrap().wake();
    // Whatever the wake was to cause is over.
    runtime.run(heist::task::yield_now());
    assert_eq!(woken, 1);
}

#[test]
fn a_task_that_waits_for_ever_keeps_nobody_who_runs_beside_it() {
    on_all(|runtime| {
        let idle = runtime.spawn(pending::<()>());
        assert_eq!(runtime.run(async { 4 }), 4);
        idle.abort();
    });
}
