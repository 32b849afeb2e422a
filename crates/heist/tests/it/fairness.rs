//! Nobody starves: queues, the LIFO slot, leaves that are always ready.

use crate::support::{local, oneshot, until, workers};
use heist::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

/// Never waits, and never lets its worker's queue run empty.
fn spin(stop: &Arc<AtomicBool>) -> heist::task::JoinHandle<()> {
    let stop = stop.clone();
    heist::spawn(async move {
        while !stop.load(Ordering::SeqCst) {
            heist::task::yield_now().await;
        }
    })
}

#[test]
fn what_comes_from_outside_runs_beside_a_busy_queue() {
    for runtime in [workers(1), workers(2)] {
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = runtime.enter();
        let spinners: Vec<_> = (0..4).map(|_| spin(&stop)).collect();
        let outside = runtime.spawn(async {});
        runtime.block_on(outside).unwrap();
        stop.store(true, Ordering::SeqCst);
        for spinner in spinners {
            runtime.block_on(spinner).unwrap();
        }
    }
}

/// [D1]: a worker that turns the driver and one that blocks in it exclude each other.
#[test]
fn timers_and_io_go_on_beside_a_busy_queue() {
    let multi = workers(1);
    let local = local();
    for runtime in [&multi, &*local] {
        runtime.block_on(async {
            let stop = Arc::new(AtomicBool::new(false));
            let spinners: Vec<_> = (0..4).map(|_| spin(&stop)).collect();
            heist::spawn(heist::time::sleep(Duration::from_millis(1)))
                .await
                .unwrap();
            let (a, b) = socket_pair().await;
            heist::spawn(async move {
                a.send(b"x").await.unwrap();
            })
            .await
            .unwrap();
            let mut buf = [0; 8];
            heist::spawn(async move { b.recv(&mut buf).await.unwrap() })
                .await
                .unwrap();
            stop.store(true, Ordering::SeqCst);
            for spinner in spinners {
                spinner.await.unwrap();
            }
        });
    }
}

async fn socket_pair() -> (UdpSocket, UdpSocket) {
    let a = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let b = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    a.connect(b.local_addr().unwrap()).await.unwrap();
    b.connect(a.local_addr().unwrap()).await.unwrap();
    (a, b)
}

/// Whoever waits for readiness and does not read finds it again and again.
#[test]
fn readiness_that_is_always_there_lets_others_go_on() {
    let multi = workers(1);
    let local = local();
    for runtime in [&multi, &*local] {
        runtime.block_on(async {
            let (a, b) = socket_pair().await;
            a.send(b"x").await.unwrap();
            let other = heist::spawn(heist::time::sleep(Duration::from_millis(1)));
            while !other.is_finished() {
                b.readable().await.unwrap();
            }
        });
    }
}

#[test]
fn two_tasks_that_wake_each_other_do_not_hold_the_slot() {
    let runtime = workers(1);
    runtime.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        // Each wakes the other into the LIFO slot, for ever.
        let (a_sends, mut b_receives) = futures_channel::mpsc::channel::<()>(1);
        let (mut b_sends, mut a_receives) = futures_channel::mpsc::channel::<()>(1);
        let mut a_sends = a_sends;
        let (stop_a, stop_b) = (stop.clone(), stop.clone());
        use futures_util::{SinkExt, StreamExt};
        let a = heist::spawn(async move {
            while !stop_a.load(Ordering::SeqCst) {
                let _ = a_sends.send(()).await;
                let _ = a_receives.next().await;
            }
        });
        let b = heist::spawn(async move {
            while !stop_b.load(Ordering::SeqCst) {
                let _ = b_receives.next().await;
                let _ = b_sends.send(()).await;
            }
        });
        let other = heist::spawn(async {});
        other.await.unwrap();
        stop.store(true, Ordering::SeqCst);
        a.await.unwrap();
        b.await.unwrap();
    });
}

#[test]
fn leaves_that_are_always_ready_make_their_task_yield() {
    // One thread: without the budget, the first task would never let the second run.
    let runtime = local();
    runtime.block_on(async {
        let (mut a, mut b) = {
            let listener = heist::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = heist::net::TcpStream::connect(addr);
            let (client, server) = futures_util::future::join(client, listener.accept()).await;
            (client.unwrap(), server.unwrap().0)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopper = {
            let stop = stop.clone();
            heist::spawn(async move { stop.store(true, Ordering::SeqCst) })
        };
        // Always ready: what is written fits, and is there to be read at once.
        let mut buf = [0; 1];
        while !stop.load(Ordering::SeqCst) {
            a.write_all(b"x").await.unwrap();
            b.read_exact(&mut buf).await.unwrap();
        }
        stopper.await.unwrap();
    });
}

#[test]
fn a_join_loop_that_is_always_ready_yields() {
    let runtime = local();
    runtime.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let stopper = {
            let stop = stop.clone();
            heist::spawn(async move { stop.store(true, Ordering::SeqCst) })
        };
        while !stop.load(Ordering::SeqCst) {
            heist::time::sleep(Duration::ZERO).await;
        }
        stopper.await.unwrap();
    });
}

#[test]
fn an_idle_worker_steals_from_a_busy_one() {
    let runtime = workers(2);
    runtime.block_on(async {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let parent = heist::spawn(async move {
            // Two children: one for the slot, one for the queue, where it can be stolen.
            let queued = heist::spawn(async move { release.send(()).unwrap() });
            let in_slot = heist::spawn(async {});
            // This worker is busy until the first child has run elsewhere.
            wait.recv().unwrap();
            queued.await.unwrap();
            in_slot.await.unwrap();
        });
        parent.await.unwrap();
    });
}

#[test]
fn a_task_woken_while_it_runs_is_polled_again() {
    for runtime in [workers(1), workers(2)] {
        runtime.block_on(async {
            let mut polls = 0;
            let task = heist::spawn(std::future::poll_fn(move |cx| {
                polls += 1;
                match polls {
                    10 => Poll::Ready(polls),
                    _ => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                }
            }));
            assert_eq!(task.await.unwrap(), 10);
        });
    }
}

#[test]
fn wakes_from_many_threads_reach_every_task() {
    let runtime = workers(2);
    for _ in 0..20 {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| oneshot::<usize>()).unzip();
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|receiver| runtime.spawn(async move { receiver.await.unwrap() }))
            .collect();
        let senders = std::sync::Mutex::new(senders.into_iter().enumerate());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let next = senders.lock().unwrap().next();
                        let Some((i, sender)) = next else { break };
                        sender.send(i).unwrap();
                    }
                });
            }
        });
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(runtime.block_on(task).unwrap(), i);
        }
    }
    runtime.block_on(until(|| runtime.metrics().alive_tasks == 0));
}

/// A peer that were woken for it would find nothing, again and again.
#[test]
fn a_task_that_yields_alone_wakes_nobody() {
    let runtime = crate::support::workers(2);
    let parks = || -> u64 {
        runtime
            .metrics()
            .workers()
            .iter()
            .map(|worker| worker.parks)
            .sum()
    };
    let yields = async {
        for _ in 0..100 {
            heist::task::yield_now().await;
        }
    };
    // By then everybody sleeps or searches for the last time.
    runtime.block_on(runtime.spawn(yields)).unwrap();
    let before = parks();
    let yields = async {
        for _ in 0..20_000 {
            heist::task::yield_now().await;
        }
    };
    runtime.block_on(runtime.spawn(yields)).unwrap();
    let parked = parks() - before;
    assert!(parked < 1_000, "{parked} parks beside 20,000 yields");
}

/// What a task wakes whose polls are slow is run by another worker, long before the monitor would look.
#[test]
fn what_a_slow_task_wakes_does_not_wait_for_its_poll() {
    let runtime = workers(2);
    let burn = |duration: Duration, done: &dyn Fn() -> bool| {
        let start = heist::time::Instant::now();
        while start.elapsed() < duration && !done() {
            std::hint::spin_loop();
        }
        start.elapsed()
    };
    let task = runtime.spawn(async move {
        for _ in 0..1_000 {
            burn(Duration::from_micros(200), &|| false);
            heist::task::yield_now().await;
            let ran = Arc::new(AtomicBool::new(false));
            let runs = ran.clone();
            let child = heist::spawn(async move { runs.store(true, Ordering::SeqCst) });
            let took = burn(Duration::from_micros(900), &|| ran.load(Ordering::SeqCst));
            child.await.unwrap();
            if took < Duration::from_micros(900) {
                return true;
            }
        }
        false
    });
    assert!(runtime.block_on(task).unwrap());
}

/// A worker that is to look at the driver at every step runs tasks all the same.
#[test]
fn an_event_interval_of_zero_runs_tasks() {
    let runtime = heist::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .event_interval(Duration::ZERO)
        .build()
        .unwrap();
    let answer = runtime.block_on(async { heist::spawn(async { 42 }).await.unwrap() });
    assert_eq!(answer, 42);
}
