//! The end of a runtime.

use crate::support::{Drops, Leak, local, oneshot, workers};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Waker;
use std::time::Duration;

#[test]
fn every_future_is_dropped_exactly_once() {
    for runtime in [workers(1), workers(4)] {
        let drops = Drops::new();
        for i in 0..1000 {
            let token = drops.token();
            drop(runtime.spawn(async move {
                let _held = token;
                for _ in 0..i % 5 {
                    heist::task::yield_now().await;
                }
                std::future::pending::<()>().await;
            }));
        }
        let report = runtime.shutdown_timeout(Duration::from_secs(60));
        assert!(report.is_clean(), "{report}");
        assert_eq!(drops.count(), 1000);
    }
}

/// [S8]
#[test]
fn local_futures_are_dropped_on_their_thread() {
    struct Here(std::thread::ThreadId, Drops);
    impl Drop for Here {
        fn drop(&mut self) {
            assert_eq!(std::thread::current().id(), self.0);
            drop(self.1.token());
        }
    }
    let runtime = local();
    let drops = Drops::new();
    let (give, take) = mpsc::channel::<Waker>();
    for _ in 0..10 {
        let here = Here(std::thread::current().id(), drops.clone());
        let give = give.clone();
        runtime.spawn_local(async move {
            let _held = here;
            Leak(move |waker: &Waker| give.send(waker.clone()).unwrap()).await;
        });
    }
    runtime.block_on(heist::task::yield_now());
    let wakers: Vec<Waker> = (0..10).map(|_| take.recv().unwrap()).collect();
    // Woken by another thread while the runtime ends.
    let barrier = Arc::new(Barrier::new(2));
    let thread = {
        let barrier = barrier.clone();
        std::thread::Builder::new().spawn(move || {
            barrier.wait();
            wakers.into_iter().for_each(Waker::wake);
        })
    };
    barrier.wait();
    drop(runtime);
    assert_eq!(drops.count(), 10);
    thread.unwrap().join().unwrap();
}

#[test]
fn wakers_that_outlive_the_runtime_are_harmless() {
    for runtime in [workers(2), crate::support::workers(1)] {
        let kept: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let drops = Drops::new();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (kept, token) = (kept.clone(), drops.token());
                runtime.spawn(async move {
                    let _held = token;
                    Leak(move |waker: &Waker| kept.lock().unwrap().push(waker.clone())).await;
                })
            })
            .collect();
        runtime.block_on(crate::support::until(|| kept.lock().unwrap().len() >= 100));
        drop(runtime);
        assert_eq!(drops.count(), 100);
        for waker in kept.lock().unwrap().drain(..) {
            waker.wake_by_ref();
            drop(waker.clone());
            waker.wake();
        }
        for task in tasks {
            assert!(workers(1).block_on(task).unwrap_err().is_aborted());
        }
    }
}

#[test]
fn a_spawn_after_the_end_is_aborted_and_its_future_dropped() {
    for runtime in [workers(1), workers(2)] {
        let handle = runtime.handle().clone();
        drop(runtime);
        let drops = Drops::new();
        let token = drops.token();
        let task = handle.spawn(async move {
            let _held = token;
        });
        assert_eq!(drops.count(), 1);
        let token = drops.token();
        let call = handle.spawn_blocking(move || drop(token));
        let other = workers(1);
        assert!(other.block_on(task).unwrap_err().is_aborted());
        assert!(other.block_on(call).unwrap_err().is_aborted());
        assert_eq!(drops.count(), 2);
        assert!(handle.tasks().is_empty());
    }
}

#[test]
fn what_is_stuck_is_named_and_detached() {
    let runtime = workers(2);
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let started = Arc::new(Barrier::new(3));
    let _guard = runtime.enter();
    let task = {
        let (blocked, started) = (blocked.clone(), started.clone());
        heist::task::Builder::new()
            .name("stuck poll")
            .spawn(async move {
                started.wait();
                let _ = blocked.lock().unwrap().recv();
            })
    };
    let call = {
        let (blocked, started) = (blocked.clone(), started.clone());
        heist::task::Builder::new()
            .name("stuck call")
            .spawn_blocking(move || {
                started.wait();
                let _ = blocked.lock().unwrap().recv();
            })
    };
    started.wait();
    drop(_guard);
    let report = runtime.shutdown_timeout(Duration::from_millis(20));
    let mut names: Vec<_> = report.stuck().iter().map(|s| s.name().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["stuck call", "stuck poll"]);
    let text = report.to_string();
    assert!(text.contains("2 did not end in time"), "{text}");
    assert!(text.contains(file!()), "{text}");
    drop(unblock);
    // They end by themselves.
    let other = workers(1);
    other.block_on(async { (task.await.is_ok(), call.await.is_ok()) });
}

#[test]
fn a_call_that_has_not_begun_is_dropped() {
    let runtime = heist::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (unblock, blocked) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let first = runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        let _ = blocked.recv();
    });
    has_started.recv().unwrap();
    let drops = Drops::new();
    let token = drops.token();
    let second = runtime.spawn_blocking(move || drop(token));
    runtime.shutdown_background();
    assert_eq!(drops.count(), 1);
    drop(unblock);
    let other = workers(1);
    assert!(other.block_on(second).unwrap_err().is_aborted());
    other.block_on(first).unwrap();
}

#[test]
fn a_runtime_dropped_by_its_own_task_does_not_hang() {
    let runtime = workers(2);
    let handle = runtime.handle().clone();
    let (done, is_done) = mpsc::channel();
    drop(handle.spawn(async move {
        drop(runtime);
        done.send(()).unwrap();
    }));
    is_done.recv().unwrap();
}

#[test]
fn futures_that_spawn_and_wake_while_they_are_dropped() {
    struct Busy(Option<futures_channel::oneshot::Sender<()>>);
    impl Drop for Busy {
        fn drop(&mut self) {
            if let Ok(handle) = heist::runtime::Handle::try_current() {
                drop(handle.spawn(async {}));
            }
            let _ = self.0.take().unwrap().send(());
        }
    }
    for runtime in [workers(2), workers(1)] {
        for _ in 0..100 {
            let (wake, woken) = oneshot();
            drop(runtime.spawn(async move {
                let _busy = Busy(Some(wake));
                std::future::pending::<()>().await;
            }));
            drop(runtime.spawn(async move {
                let _ = woken.await;
                std::future::pending::<()>().await;
            }));
        }
        assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
    }
}

#[test]
fn io_that_outlives_its_runtime_fails_instead_of_hanging() {
    let runtime = workers(1);
    let listener = runtime
        .block_on(heist::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    drop(runtime);
    let error = workers(1).block_on(listener.accept()).unwrap_err();
    assert!(error.to_string().contains("has shut down"), "{error}");
}

/// Homes go from runtime to runtime: the end of one must not touch the next.
#[test]
fn runtimes_that_come_and_go_side_by_side() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let runtime = workers(2);
                    runtime.block_on(async {
                        let tasks: Vec<_> = (0..20_u32)
                            .map(|i| {
                                heist::spawn(async move {
                                    heist::task::yield_now().await;
                                    i
                                })
                            })
                            .collect();
                        for (i, task) in (0..).zip(tasks) {
                            assert_eq!(task.await.unwrap(), i);
                        }
                    });
                }
            });
        }
    });
}

/// In a process of its own, where no other test opens descriptors or starts threads meanwhile.
#[test]
#[cfg(target_os = "linux")]
fn a_thousand_runtimes_leak_neither_descriptor_nor_thread() {
    const CHILD: &str = "HEIST_LEAK_TEST";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--test-threads=1"])
            .arg("shutdown::a_thousand_runtimes_leak_neither_descriptor_nor_thread")
            .env(CHILD, "1")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let count = |what: &str| {
        let entries = std::fs::read_dir(format!("/proc/self/{what}"));
        entries.unwrap().count()
    };
    let (fds, threads) = (count("fd"), count("task"));
    for i in 0..1000 {
        let runtime = match i % 3 {
            0 => workers(2),
            1 => workers(1),
            _ => heist::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        };
        runtime.block_on(async {
            heist::spawn(async {}).await.unwrap();
            drop(heist::spawn(std::future::pending::<()>()));
            let _ = heist::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            heist::task::spawn_blocking(|| ()).await.unwrap();
        });
    }
    assert_eq!(count("fd"), fds);
    // A thread that has left the runtime may still be on its way out of the system.
    while count("task") > threads {
        std::thread::yield_now();
    }
}
