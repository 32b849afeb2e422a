//! Nothing holds IO, timers and light tasks up while a worker computes or blocks.
//!
//! A test that fails here hangs: what it waits for would come only after what it holds back.

use crate::support::workers;
use heist::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// Tasks that block their workers, each until it is let go.
struct Hostages {
    release: Vec<Sender<()>>,
    tasks: Vec<heist::task::JoinHandle<()>>,
}

impl Hostages {
    /// Blocks `n` workers; returns when all of them are blocked.
    fn take(runtime: &Runtime, n: usize) -> Self {
        let (entered, has_entered) = mpsc::channel();
        let (release, tasks) = (0..n)
            .map(|_| {
                let (release, released): (Sender<()>, Receiver<()>) = mpsc::channel();
                let entered = entered.clone();
                let task = runtime.spawn(async move {
                    entered.send(()).unwrap();
                    let _ = released.recv();
                });
                (release, task)
            })
            .unzip();
        for _ in 0..n {
            has_entered.recv().unwrap();
        }
        Self { release, tasks }
    }

    fn release(self, runtime: &Runtime) {
        drop(self.release);
        for task in self.tasks {
            runtime.block_on(task).unwrap();
        }
    }
}

/// A timer, a round trip over a socket and a spawn from outside, all of which end.
fn everything_goes_on(runtime: &Runtime) {
    runtime.block_on(async {
        heist::spawn(heist::time::sleep(Duration::from_millis(2)))
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = heist::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = [0; 4];
            stream.read_exact(&mut buf).await.unwrap();
            stream.write_all(&buf).await.unwrap();
        });
        heist::spawn(async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut buf = [0; 4];
            stream.read_exact(&mut buf).await.unwrap();
        })
        .await
        .unwrap();
        server.await.unwrap();
    });
}

#[test]
fn one_worker_of_several_blocks() {
    for n in [2, 4] {
        let runtime = workers(n);
        everything_goes_on(&runtime);
        let hostages = Hostages::take(&runtime, 1);
        everything_goes_on(&runtime);
        hostages.release(&runtime);
        everything_goes_on(&runtime);
    }
}

#[test]
fn every_worker_blocks() {
    for n in [1, 2] {
        let runtime = workers(n);
        for _ in 0..3 {
            let hostages = Hostages::take(&runtime, n);
            everything_goes_on(&runtime);
            hostages.release(&runtime);
            everything_goes_on(&runtime);
        }
    }
}

/// The spare is blocked as well, and the next ones.
#[test]
fn more_tasks_block_than_there_are_workers() {
    for n in [1, 2] {
        // It would learn that they come from a site that holds workers up, and let them wait.
        let runtime = Builder::new_multi_thread()
            .worker_threads(n)
            .learn_heavy(false)
            .build()
            .unwrap();
        for more in [1, 3, 1] {
            let hostages = Hostages::take(&runtime, n + more);
            everything_goes_on(&runtime);
            hostages.release(&runtime);
            everything_goes_on(&runtime);
        }
        let called = runtime.metrics().spare_workers;
        assert!((4..=8).contains(&called), "{called} spares were called");
    }
}

/// They are of one kind, so spares only try them now and then; but they wait for each other.
#[test]
fn tasks_that_block_for_each_other_all_run() {
    for n in [1, 2] {
        let runtime = workers(n);
        let barrier = Arc::new(Barrier::new(n + 3));
        let tasks: Vec<_> = (0..n + 3)
            .map(|_| {
                let barrier = barrier.clone();
                runtime.spawn(async move {
                    barrier.wait();
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        everything_goes_on(&runtime);
    }
}

/// The last spare leaves the third to the worker, which waits for it. Holds to \[W5\].
#[test]
fn as_many_tasks_as_there_are_threads_may_block_for_each_other() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .spare_workers(2)
        .build()
        .unwrap();
    let barrier = Arc::new(Barrier::new(3));
    let wait = || {
        let barrier = barrier.clone();
        runtime.spawn(async move {
            barrier.wait();
        })
    };
    let tasks = [(); 3].map(|()| wait());
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    everything_goes_on(&runtime);
}

/// A computation is behind everything that is light, and here all that is light waits for it. Holds to \[W5\].
#[test]
fn blocked_polls_may_wait_for_computations() {
    for n in [1, 2] {
        let runtime = workers(n);
        let tasks: Vec<_> = (0..n)
            .map(|number| {
                runtime.spawn(async move {
                    let (tell, told) = mpsc::channel();
                    drop(heist::compute(move || tell.send(number)));
                    told.recv().unwrap()
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(runtime.block_on(task).unwrap(), number);
        }
        everything_goes_on(&runtime);
    }
}

/// The spare that takes the first is held up by it; the other one is the last, and takes nothing, until the first is free
/// again: then it has to be told.
#[test]
fn a_blocked_poll_may_wait_for_more_computations_than_there_are_spares() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .spare_workers(2)
        .build()
        .unwrap();
    let sum = runtime.spawn(async {
        let (tell, told) = mpsc::channel();
        for number in 0..4 {
            let tell = tell.clone();
            drop(heist::compute(move || {
                let begin = heist::time::Instant::now();
                while begin.elapsed() < Duration::from_millis(20) {
                    std::hint::spin_loop();
                }
                tell.send(number)
            }));
        }
        (0..4).map(|_| told.recv().unwrap()).sum::<i32>()
    });
    assert_eq!(runtime.block_on(sum).unwrap(), 6);
}

/// Timers on the wheel of a spare that another one has taken over from.
#[test]
fn timers_of_a_spare_that_stands_aside_fire() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .learn_heavy(false)
        .build()
        .unwrap();
    let hostages = Hostages::take(&runtime, 1);
    // Armed by the spare, which is then blocked; another one is in charge after that.
    let (armed, is_armed) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let sleeper = runtime.spawn(async move {
        armed.send(()).unwrap();
        let mut sleep = Box::pin(heist::time::sleep(Duration::from_millis(30)));
        std::future::poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        started.send(()).unwrap();
        sleep.await;
    });
    is_armed.recv().unwrap();
    has_started.recv().unwrap();
    let more = Hostages::take(&runtime, 2);
    // Nobody computes any more but spares, the one that armed the timer among them.
    hostages.release(&runtime);
    runtime.block_on(sleeper).unwrap();
    everything_goes_on(&runtime);
    more.release(&runtime);
    everything_goes_on(&runtime);
}

/// A poll that goes on after `block_in_place` may hold others up, as one that has not blocked before.
#[test]
fn a_poll_that_blocks_after_block_in_place_is_seen() {
    let runtime = workers(1);
    let (release, released) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let task = runtime.spawn(async move {
        heist::task::block_in_place(|| ());
        entered.send(()).unwrap();
        let _ = released.recv();
    });
    has_entered.recv().unwrap();
    everything_goes_on(&runtime);
    drop(release);
    runtime.block_on(task).unwrap();
}

#[test]
fn a_timer_that_a_stuck_task_armed_fires() {
    let runtime = workers(2);
    let (fired, has_fired) = mpsc::channel();
    let stuck = runtime.spawn(async move {
        // Armed on this worker's wheel by its first poll, in this very poll.
        let mut sleep = Box::pin(heist::time::sleep(Duration::from_millis(3)));
        struct Tell(Mutex<Sender<()>>);
        impl std::task::Wake for Tell {
            fn wake(self: Arc<Self>) {
                self.0.lock().unwrap().send(()).unwrap();
            }
        }
        let waker = std::task::Waker::from(Arc::new(Tell(Mutex::new(fired))));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        // This worker does nothing until its own timer has fired elsewhere.
        has_fired.recv().unwrap();
    });
    runtime.block_on(stuck).unwrap();
}

#[test]
fn computations_leave_io_and_timers_alone() {
    for n in [1, 2] {
        let runtime = workers(n);
        let (release, released): (Vec<_>, Vec<_>) =
            (0..n + 2).map(|_| mpsc::channel::<()>()).unzip();
        let _guard = runtime.enter();
        let calls: Vec<_> = released
            .into_iter()
            .map(|released| heist::compute(move || released.recv().is_err()))
            .collect();
        drop(_guard);
        everything_goes_on(&runtime);
        drop(release);
        for call in calls {
            assert!(runtime.block_on(call).unwrap());
        }
        everything_goes_on(&runtime);
    }
}

#[test]
fn a_timer_on_the_wheel_of_a_worker_that_computes_fires() {
    let runtime = workers(1);
    runtime.block_on(async {
        for _ in 0..5 {
            let (release, released) = mpsc::channel::<()>();
            // Armed on the only worker's wheel, which is then taken by the computation.
            let timer = heist::spawn(async move {
                heist::time::sleep(Duration::from_millis(2)).await;
                drop(release);
            });
            let computing = heist::compute(move || released.recv().is_err());
            // The computation ends only when the timer has fired.
            assert!(computing.await.unwrap());
            timer.await.unwrap();
        }
    });
}

#[test]
fn what_a_worker_has_queued_does_not_wait_for_its_computation() {
    for n in [1, 2] {
        let runtime = workers(n);
        for _ in 0..20 {
            let task = runtime.spawn(async {
                let (release, released) = mpsc::channel::<()>();
                let computing = heist::compute(move || released.recv().is_err());
                // Into the slot of the worker that takes the computation next.
                drop(heist::spawn(async move { drop(release) }));
                assert!(computing.await.unwrap());
            });
            runtime.block_on(task).unwrap();
        }
    }
}

/// The parent goes on only when the child, which lies in its worker's LIFO slot, has run; and then a
/// second one.
#[test]
fn the_child_of_a_blocked_parent_runs_elsewhere() {
    for n in [1, 2] {
        let runtime = workers(n);
        let parent = runtime.spawn(async {
            for _ in 0..2 {
                let (began, has_begun) = mpsc::channel();
                let child = heist::spawn(async move { began.send(()).unwrap() });
                has_begun.recv().unwrap();
                child.await.unwrap();
            }
        });
        runtime.block_on(parent).unwrap();
    }
}

/// Children that lie in the queue of a worker that blocks, and not in its slot.
#[test]
fn the_children_of_a_blocked_parent_run_elsewhere() {
    let runtime = workers(2);
    let parent = runtime.spawn(async {
        let (began, has_begun) = mpsc::channel();
        for _ in 0..10 {
            let began = began.clone();
            heist::spawn(async move { began.send(()).unwrap() });
        }
        (0..10).for_each(|_| has_begun.recv().unwrap());
    });
    runtime.block_on(parent).unwrap();
}

#[test]
fn a_timer_armed_by_an_outsider_while_a_worker_computes_fires() {
    for n in [1, 2] {
        let runtime = workers(n);
        let _guard = runtime.enter();
        let (release, released): (Vec<_>, Vec<_>) = (0..n).map(|_| mpsc::channel::<()>()).unzip();
        let (began, has_begun) = mpsc::channel();
        let computing: Vec<_> = released
            .into_iter()
            .map(|released| {
                let began = began.clone();
                heist::compute(move || {
                    began.send(()).unwrap();
                    released.recv().is_err()
                })
            })
            .collect();
        for _ in 0..n {
            has_begun.recv().unwrap();
        }
        for _ in 0..5 {
            runtime.block_on(heist::time::sleep(Duration::from_millis(2)));
        }
        drop(release);
        for task in computing {
            assert!(runtime.block_on(task).unwrap());
        }
    }
}

#[test]
fn a_computation_that_blocks_on_others_hands_its_worker_on() {
    let runtime = workers(1);
    runtime.block_on(async {
        for _ in 0..5 {
            let nested = heist::compute(|| {
                let inner = heist::spawn(async {
                    heist::task::yield_now().await;
                    3
                });
                heist::runtime::Handle::current().block_on(inner).unwrap()
            });
            assert_eq!(nested.await.unwrap(), 3);
            // The worker that was handed on queues for itself again.
            heist::spawn(async { heist::spawn(async {}).await.unwrap() })
                .await
                .unwrap();
        }
    });
}

#[test]
fn a_computation_that_never_began_can_be_aborted_and_panics_are_delivered() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let first = heist::compute(move || released.recv().is_err());
        let second = heist::compute(|| panic!("ran"));
        second.abort();
        drop(release);
        assert!(second.await.unwrap_err().is_aborted());
        assert!(first.await.unwrap());
        assert!(
            heist::compute(|| panic!("yes"))
                .await
                .unwrap_err()
                .is_panic()
        );
    });
    let local = crate::support::local();
    assert_eq!(
        local.block_on(async { heist::compute(|| 5).await.unwrap() }),
        5
    );
}

#[test]
fn computations_get_their_share_beside_light_tasks_that_never_rest() {
    let runtime = workers(1);
    runtime.block_on(async {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let busy = {
            let stop = stop.clone();
            heist::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    heist::task::yield_now().await;
                }
            })
        };
        for _ in 0..5 {
            heist::compute(|| ()).await.unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        busy.await.unwrap();
    });
}

#[test]
fn tasks_that_compute_again_and_again_step_aside_by_themselves() {
    let runtime = workers(1);
    runtime.block_on(async {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let hogs: Vec<_> = (0..4)
            .map(|_| {
                let stop = stop.clone();
                heist::spawn(async move {
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        let start = heist::time::Instant::now();
                        while start.elapsed() < Duration::from_millis(2) {
                            std::hint::spin_loop();
                        }
                        heist::task::yield_now().await;
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            heist::spawn(heist::time::sleep(Duration::from_millis(1)))
                .await
                .unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for hog in hogs {
            hog.await.unwrap();
        }
    });
}

#[test]
fn fresh_tasks_from_a_site_that_computes_step_aside_too() {
    let runtime = workers(1);
    runtime.block_on(async {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let loops: Vec<_> = (0..4)
            .map(|_| {
                let stop = stop.clone();
                heist::spawn(async move {
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        // A fresh task each time, polled once.
                        heist::spawn(async {
                            let start = heist::time::Instant::now();
                            while start.elapsed() < Duration::from_millis(2) {
                                std::hint::spin_loop();
                            }
                        })
                        .await
                        .unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            heist::spawn(heist::time::sleep(Duration::from_millis(1)))
                .await
                .unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for task in loops {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_stall_is_reported_once_while_it_lasts() {
    let (report, reports) = mpsc::channel();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_stall(Duration::from_millis(20), move |stall| {
            report.send(stall.clone()).unwrap();
        })
        .build()
        .unwrap();
    let (release, released) = mpsc::channel::<()>();
    let _guard = runtime.enter();
    let stuck = heist::task::Builder::new().name("stuck").spawn(async move {
        let _ = released.recv();
    });
    drop(_guard);
    // The task still blocks when the report comes.
    let stall = reports.recv().unwrap();
    assert_eq!((stall.name(), stall.task()), (Some("stuck"), stuck.id()));
    assert_eq!(stall.spawn_site().unwrap().file(), file!());
    assert!(stall.lasted() >= Duration::from_millis(20) && stall.worker() < 2);
    assert!(stall.to_string().contains("`stuck`, spawned at"), "{stall}");
    drop(release);
    runtime.block_on(stuck).unwrap();
    drop(runtime);
    assert!(reports.recv().is_err(), "one report for one stall");
}
