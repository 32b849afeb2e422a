//! Panics in polls, drops, wakers and hooks.

use crate::support::{on_all, workers};
use heist::runtime::Builder;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in drop");
        }
    }
}

/// [T9]
#[test]
fn a_panic_is_delivered_to_the_joiner() {
    on_all(|runtime| {
        runtime.block_on(async {
            let task = heist::task::Builder::new().name("bad").spawn(async {
                heist::task::yield_now().await;
                panic!("number {}", std::hint::black_box(7));
            });
            let error = task.await.unwrap_err();
            assert!(error.is_panic());
            let text = error.to_string();
            assert!(text.contains("`bad` spawned at"), "{text}");
            assert!(text.ends_with("panicked: number 7"), "{text}");
            assert_eq!(
                *error.into_panic().downcast::<String>().unwrap(),
                "number 7"
            );
        });
        // The runtime goes on.
        assert_eq!(
            runtime.block_on(async { heist::spawn(async { 1 }).await.unwrap() }),
            1
        );
    });
}

#[test]
fn a_panic_in_the_drop_of_a_finished_future_is_delivered() {
    on_all(|runtime| {
        runtime.block_on(async {
            struct Bad(PanicsOnDrop);
            impl Future for Bad {
                type Output = ();
                fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                    let _ = &self.0;
                    Poll::Ready(())
                }
            }
            assert!(
                heist::spawn(Bad(PanicsOnDrop))
                    .await
                    .unwrap_err()
                    .is_panic()
            );
        });
    });
}

#[test]
fn a_panic_in_the_drop_of_an_aborted_future_is_delivered() {
    on_all(|runtime| {
        runtime.block_on(async {
            let task = heist::spawn(async {
                let _bad = PanicsOnDrop;
                std::future::pending::<()>().await;
            });
            heist::task::yield_now().await;
            task.abort();
            let error = task.await.unwrap_err();
            // Dropped before its first poll, the future held nothing.
            assert!(error.is_panic() || error.is_aborted());
        });
    });
}

#[test]
fn a_panic_that_nobody_joins_is_reported_once() {
    let (report, reports) = mpsc::channel();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_unhandled_panic(move |error| report.send(error.to_string()).unwrap())
        .build()
        .unwrap();
    // Detached before it panics.
    drop(runtime.spawn(async { panic!("first") }));
    assert!(reports.recv().unwrap().ends_with("panicked: first"));
    // Detached after it has panicked.
    let task = runtime.spawn(async { panic!("second") });
    runtime.block_on(crate::support::until(|| task.is_finished()));
    drop(task);
    assert!(reports.recv().unwrap().ends_with("panicked: second"));
    // Joined: no report.
    assert!(
        runtime
            .block_on(runtime.spawn(async { panic!("third") }))
            .is_err()
    );
    drop(runtime);
    assert!(
        reports.recv().is_err(),
        "one report each, none for the joined"
    );
}

#[test]
fn a_hook_that_panics_does_no_harm() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_unhandled_panic(|_| panic!("in the hook"))
        .build()
        .unwrap();
    drop(runtime.spawn(async { panic!("in the task") }));
    assert_eq!(runtime.block_on(runtime.spawn(async { 2 })).unwrap(), 2);
}

#[test]
fn thread_hooks_that_panic_do_no_harm() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| panic!("at the start"))
        .on_thread_stop(|| panic!("at the end"))
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(runtime.spawn(async { 3 })).unwrap(), 3);
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 4)).unwrap(), 4);
    assert!(
        runtime
            .shutdown_timeout(std::time::Duration::from_secs(60))
            .is_clean()
    );
}

struct BadWaker;

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("in the waker");
    }
}

#[test]
fn a_waker_that_panics_does_not_take_the_completing_thread_down() {
    let runtime = workers(1);
    let (release, wait) = crate::support::oneshot::<()>();
    let mut task = Box::pin(runtime.spawn(async move {
        wait.await.unwrap();
        4
    }));
    let waker = Waker::from(Arc::new(BadWaker));
    let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    release.send(()).unwrap();
    runtime.block_on(crate::support::until(|| task.is_finished()));
    assert_eq!(runtime.block_on(task).unwrap(), 4);
}

#[test]
fn a_timer_waker_that_panics_does_not_take_the_driver_down() {
    let runtime = workers(1);
    let _guard = runtime.enter();
    let mut sleep = Box::pin(heist::time::sleep(std::time::Duration::from_millis(1)));
    let waker = Waker::from(Arc::new(BadWaker));
    assert!(
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    runtime.block_on(heist::time::sleep(std::time::Duration::from_millis(5)));
    let after =
        runtime.spawn(async { heist::time::sleep(std::time::Duration::from_millis(1)).await });
    runtime.block_on(after).unwrap();
}

#[test]
fn block_on_passes_the_panic_on_and_can_be_used_again() {
    on_all(|runtime| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { panic!("root") })
        }));
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "root");
        assert_eq!(
            runtime.block_on(async { heist::spawn(async { 1 }).await.unwrap() }),
            1
        );
    });
}
