//! The virtual clock.

use crate::support::simulated;
use heist::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn a_year_passes_at_once_and_exactly() {
    let runtime = simulated();
    runtime.block_on(async {
        let start = Instant::now();
        let year = Duration::from_secs(86_400 * 365) + Duration::from_nanos(1);
        sleep(year).await;
        assert_eq!(start.elapsed(), year);
    });
}

#[test]
fn time_stands_still_while_anything_is_ready() {
    let runtime = simulated();
    runtime.block_on(async {
        let start = Instant::now();
        let busy = heist::spawn(async {
            for _ in 0..10_000 {
                heist::task::yield_now().await;
            }
            Instant::now()
        });
        let timer = heist::spawn(sleep(Duration::from_nanos(1)));
        assert_eq!(busy.await.unwrap(), start);
        timer.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_nanos(1));
    });
}

#[test]
fn timers_fire_in_the_order_of_deadlines_then_of_arming() {
    let runtime = simulated();
    let log = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let tasks: Vec<_> = [
            (5, 'a'),
            (3, 'b'),
            (5, 'c'),
            (3, 'd'),
            (70_000, 'e'),
            (69_999, 'f'),
        ]
        .into_iter()
        .map(|(nanos, name)| {
            let log = log.clone();
            heist::task::spawn_local(async move {
                sleep(Duration::from_nanos(nanos)).await;
                log.borrow_mut().push(name);
            })
        })
        .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(log.borrow().iter().collect::<String>(), "bdacfe");
}

#[test]
fn a_deadlock_is_reported_with_who_waits() {
    let runtime = simulated();
    let deadlock = runtime
        .try_block_on(async {
            let stuck = heist::task::Builder::new()
                .name("stuck")
                .spawn(std::future::pending::<()>());
            stuck.await.unwrap();
        })
        .unwrap_err();
    let text = deadlock.to_string();
    assert!(text.starts_with("deadlock:"), "{text}");
    assert!(text.contains("`stuck`, waiting, spawned at"), "{text}");
    // The runtime can be used again.
    assert_eq!(runtime.block_on(async { 1 }), 1);
}

#[test]
fn blocking_calls_hold_the_clock() {
    let runtime = simulated();
    runtime.block_on(async {
        let start = Instant::now();
        let timer = heist::spawn(sleep(Duration::from_secs(1)));
        let (give, take) = std::sync::mpsc::channel();
        let call = heist::task::spawn_blocking(move || take.recv().unwrap());
        // Everything waits for the call, and nothing jumps.
        let helper = std::thread::Builder::new().spawn(move || give.send(()).unwrap());
        call.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        helper.unwrap().join().unwrap();
        timer.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    });
}

#[test]
fn io_wakes_a_simulated_runtime() {
    let runtime = simulated();
    runtime.block_on(async {
        use heist::io::{AsyncReadExt, AsyncWriteExt};
        let listener = heist::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let client = heist::spawn(async move {
            let mut stream = heist::net::TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"x").await.unwrap();
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buf = [0; 1];
        stream.read_exact(&mut buf).await.unwrap();
        client.await.unwrap();
    });
}

#[test]
fn timeouts_expire_on_virtual_time() {
    let runtime = simulated();
    runtime.block_on(async {
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, std::future::pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), hour);
        // Done in time.
        assert!(
            timeout(hour, sleep(hour - Duration::from_nanos(1)))
                .await
                .is_ok()
        );
    });
}

/// The offsets, in ms, at which ticks of 10 ms come when the first is taken 25 ms late.
fn ticks(behavior: MissedTickBehavior) -> Vec<u128> {
    simulated().block_on(async {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(behavior);
        ticks.tick().await;
        sleep(Duration::from_millis(35)).await;
        let mut offsets = Vec::new();
        for _ in 0..4 {
            ticks.tick().await;
            offsets.push(start.elapsed().as_millis());
        }
        offsets
    })
}

#[test]
fn missed_ticks_burst_delay_or_skip() {
    assert_eq!(ticks(MissedTickBehavior::Burst), [35, 35, 35, 40]);
    assert_eq!(ticks(MissedTickBehavior::Delay), [35, 45, 55, 65]);
    assert_eq!(ticks(MissedTickBehavior::Skip), [35, 40, 50, 60]);
}

#[test]
fn an_interval_can_be_reset() {
    simulated().block_on(async {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(10));
        assert_eq!(ticks.tick().await, start);
        sleep(Duration::from_millis(5)).await;
        ticks.reset();
        ticks.tick().await;
        assert_eq!(start.elapsed(), Duration::from_millis(15));
        ticks.reset_after(Duration::from_millis(1));
        ticks.tick().await;
        assert_eq!(start.elapsed(), Duration::from_millis(16));
        ticks.reset_immediately();
        ticks.tick().await;
        assert_eq!(start.elapsed(), Duration::from_millis(16));
    });
}

/// A call that ends while the scheduler looks for a reason to wait is one.
#[test]
fn calls_that_end_at_once_are_no_deadlock() {
    simulated().block_on(async {
        for number in 0..2_000 {
            let call = heist::task::spawn_blocking(move || number);
            assert_eq!(call.await.unwrap(), number);
        }
    });
}
