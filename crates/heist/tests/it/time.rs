//! Timers on the real clock: never early, none lost. How late they are is the benches' subject.

use crate::support::{on_all, workers};
use heist::time::{Duration, Instant, interval, sleep, sleep_until, timeout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn no_timer_is_early_and_none_is_lost() {
    on_all(|runtime| {
        let early = Arc::new(AtomicU64::new(0));
        runtime.block_on(async {
            let tasks: Vec<_> = (0..5000_u64)
                .map(|i| {
                    let early = early.clone();
                    heist::spawn(async move {
                        let deadline = Instant::now() + Duration::from_micros(i * 7 % 20_000);
                        sleep_until(deadline).await;
                        if Instant::now() < deadline {
                            early.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(early.load(Ordering::SeqCst), 0);
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn a_dropped_sleep_leaves_nothing_behind() {
    on_all(|runtime| {
        runtime.block_on(async {
            for _ in 0..1000 {
                let limited = timeout(Duration::from_secs(3600), heist::task::yield_now());
                limited.await.unwrap();
            }
        });
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn a_timer_armed_outside_the_workers_fires() {
    let runtime = workers(2);
    for _ in 0..50 {
        runtime.block_on(sleep(Duration::from_micros(200)));
    }
}

#[test]
fn an_earlier_timer_shortens_a_longer_sleep_of_the_driver() {
    let runtime = workers(1);
    let long = runtime.spawn(sleep(Duration::from_secs(3600)));
    let start = heist::time::Instant::now();
    runtime.block_on(sleep(Duration::from_millis(1)));
    assert!(start.elapsed() < Duration::from_secs(3000));
    long.abort();
}

#[test]
fn a_sleep_moves_between_tasks() {
    let runtime = workers(2);
    runtime.block_on(async {
        let mut sleep = Box::pin(sleep(Duration::from_millis(3)));
        let polled = futures_util::poll!(sleep.as_mut());
        assert!(polled.is_pending());
        heist::spawn(sleep).await.unwrap();
    });
}

#[test]
fn timeout_prefers_the_future() {
    on_all(|runtime| {
        runtime.block_on(async {
            assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
            let late = timeout(Duration::from_micros(100), std::future::pending::<()>()).await;
            let error = std::io::Error::from(late.unwrap_err());
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        });
    });
}

#[test]
fn absurd_durations_are_fine() {
    on_all(|runtime| {
        runtime.block_on(async {
            let mut forever = Box::pin(sleep(Duration::MAX));
            assert!(futures_util::poll!(forever.as_mut()).is_pending());
            let mut years = Box::pin(sleep(Duration::from_secs(86_400 * 365 * 20)));
            assert!(futures_util::poll!(years.as_mut()).is_pending());
            sleep(Duration::ZERO).await;
            let mut once = interval(Duration::MAX);
            once.tick().await;
            assert!(futures_util::poll!(Box::pin(once.tick())).is_pending());
            once.reset();
            once.reset_after(Duration::MAX);
            assert!(futures_util::poll!(Box::pin(once.tick())).is_pending());
        });
    });
}

#[test]
#[should_panic(expected = "an interval's period must not be zero")]
fn an_interval_of_nothing_is_refused() {
    drop(interval(Duration::ZERO));
}

#[test]
fn a_timer_outside_a_runtime_says_what_to_do() {
    let mut sleep = Box::pin(sleep(Duration::from_secs(1)));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = sleep.as_mut().poll(&mut cx);
    }));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("no heist runtime on this thread"),
        "{message}"
    );
}
