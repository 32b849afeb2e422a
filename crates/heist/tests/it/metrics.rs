//! The counters.

use crate::support::{on_all, until, workers};

#[test]
fn polls_are_counted_and_timed() {
    on_all(|runtime| {
        runtime.block_on(async {
            heist::spawn(async {
                for _ in 0..99 {
                    heist::task::yield_now().await;
                }
            })
            .await
            .unwrap();
        });
        // The last poll is counted after the joiner was woken.
        runtime.block_on(until(|| runtime.metrics().polls() >= 100));
        let metrics = runtime.metrics();
        assert_eq!(metrics.poll_time().count(), metrics.polls());
        assert!(metrics.poll_time().quantile(0.5) > std::time::Duration::ZERO);
        assert!(
            metrics.wake_to_run().count() >= 1,
            "a wake from outside is always timed"
        );
        assert!((0.0..=1.0).contains(&metrics.busy_share()));
        assert!(metrics.uptime > std::time::Duration::ZERO);
    });
}

#[test]
fn tasks_sources_and_timers_are_counted_while_they_live() {
    let runtime = workers(1);
    let socket = runtime
        .block_on(heist::net::UdpSocket::bind("127.0.0.1:0"))
        .unwrap();
    assert_eq!(runtime.metrics().io_sources, 1);
    let sleeper = runtime.spawn(heist::time::sleep(std::time::Duration::from_secs(3600)));
    runtime.block_on(until(|| runtime.metrics().timers == 1));
    assert_eq!(runtime.metrics().alive_tasks, 1);
    sleeper.abort();
    assert!(runtime.block_on(sleeper).is_err());
    drop(socket);
    let metrics = runtime.metrics();
    assert_eq!(
        (metrics.io_sources, metrics.timers, metrics.alive_tasks),
        (0, 0, 0)
    );
}

#[test]
fn an_idle_worker_is_not_busy() {
    let runtime = workers(2);
    runtime.block_on(until(|| {
        runtime.metrics().workers().iter().all(|w| w.parks > 0)
    }));
    let before = runtime.metrics();
    let waited = heist::time::Instant::now();
    while waited.elapsed() < std::time::Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let after = runtime.metrics();
    let busy = |metrics: &heist::runtime::RuntimeMetrics| -> std::time::Duration {
        metrics.workers().iter().map(|w| w.busy).sum()
    };
    assert!(busy(&after) - busy(&before) < std::time::Duration::from_millis(20));
}
