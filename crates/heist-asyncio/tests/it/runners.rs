//! Ported from CPython's `test_runners.py`.

use std::sync::Arc;

use heist_asyncio as asyncio;

use asyncio::{ContextVar, Runner};

use crate::support::{Oops, Record, ms, record_errors};

/// CPython: test_runners.RunTests.test_asyncio_run_return
#[test]
fn run_gives_mains_result() {
    assert_eq!(
        asyncio::run(async {
            asyncio::yield_now().await?;
            Ok(42)
        })
        .unwrap(),
        42
    );
}

/// CPython: test_runners.RunTests.test_asyncio_run_raises
#[test]
fn run_gives_mains_error() {
    let result: asyncio::Result<()> = asyncio::run(async {
        asyncio::yield_now().await?;
        Err(Oops("spam").into())
    });
    assert!(result.unwrap_err().is::<Oops>());
}

/// CPython: test_runners.RunTests.test_asyncio_run_debug
#[test]
fn a_run_may_be_in_debug_mode() {
    for debug in [true, false] {
        let mut runner = Runner::new().debug(debug);
        runner
            .run(async move {
                assert_eq!(asyncio::get_running_loop()?.get_debug(), debug);
                Ok(())
            })
            .unwrap();
    }
}

/// CPython: test_runners.RunTests.test_asyncio_run_from_running_loop
#[test]
fn run_inside_a_run_is_an_error() {
    asyncio::run(async {
        let nested = asyncio::run(async { Ok(()) });
        assert!(nested.unwrap_err().is::<asyncio::RuntimeError>());
        Ok(())
    })
    .unwrap();
}

/// CPython: test_runners.RunTests.test_asyncio_run_cancels_hanging_tasks
#[test]
fn tasks_that_main_leaves_are_cancelled_and_awaited() {
    for mut runner in [Runner::current_thread(), Runner::new()] {
        let log = Record::new();
        let inner = log.clone();
        let task = runner
            .run(async move {
                let started = asyncio::Event::new();
                let set = started.clone();
                let task = asyncio::create_task(async move {
                    set.set();
                    let result = asyncio::sleep(ms(1_000_000)).await;
                    asyncio::yield_now().await?;
                    inner.push("cleaned up");
                    result
                });
                started.wait().await?;
                Ok(task.handle())
            })
            .unwrap();
        runner.close().unwrap();
        assert!(task.cancelled());
        assert_eq!(log.get(), ["cleaned up"]);
    }
}

/// CPython: test_runners.RunTests.test_asyncio_run_reports_hanging_tasks_errors
#[test]
fn errors_of_tasks_that_main_leaves_are_reported() {
    for mut runner in [Runner::current_thread(), Runner::new()] {
        let errors = record_errors(&runner.get_loop().unwrap());
        runner
            .run(async {
                let started = asyncio::Event::new();
                let set = started.clone();
                asyncio::create_task(async move {
                    set.set();
                    asyncio::sleep(ms(1_000_000)).await.ok();
                    asyncio::Result::<()>::Err(Oops("cleanup").into())
                });
                started.wait().await
            })
            .unwrap();
        runner.close().unwrap();
        assert_eq!(
            errors.get(),
            ["unhandled exception during asyncio.run() shutdown"]
        );
    }
}

/// CPython: test_runners.RunTests.test_asyncio_run_loop_factory
#[test]
fn the_same_program_runs_on_every_kind_of_loop() {
    async fn program() -> asyncio::Result<Vec<u64>> {
        asyncio::gather([3_u64, 1, 2].map(|n| asyncio::sleep_with(ms(n), n))).await
    }
    for mut runner in [
        Runner::new(),
        Runner::current_thread(),
        Runner::virtual_clock(),
    ] {
        assert_eq!(runner.run(program()).unwrap(), [3, 1, 2]);
        runner.close().unwrap();
    }
}

/// CPython: test_runners.RunnerTests.test_non_debug
#[test]
fn a_runner_is_not_in_debug_mode_where_told_so() {
    assert!(!Runner::new().debug(false).get_loop().unwrap().get_debug());
}

/// CPython: test_runners.RunnerTests.test_debug
#[test]
fn a_runner_is_in_debug_mode_where_told_so() {
    assert!(Runner::new().debug(true).get_loop().unwrap().get_debug());
}

/// CPython: test_runners.RunnerTests.test_custom_factory
#[test]
fn a_runner_shows_its_loop() {
    let mut runner = Runner::virtual_clock();
    let event_loop = runner.get_loop().unwrap();
    runner
        .run(async move {
            assert_eq!(asyncio::get_running_loop()?, event_loop);
            Ok(())
        })
        .unwrap();
}

/// CPython: test_runners.RunnerTests.test_run
#[test]
fn a_runner_runs_one_coroutine_after_the_other() {
    let mut runner = Runner::new();
    assert_eq!(runner.run(async { Ok("done") }).unwrap(), "done");
    let event_loop = runner.get_loop().unwrap();
    runner.close().unwrap();
    assert!(event_loop.is_closed());
    assert!(runner.get_loop().unwrap_err().is::<asyncio::RuntimeError>());
}

/// CPython: test_runners.RunnerTests.test_explicit_close
#[test]
fn a_closed_runner_has_a_closed_loop() {
    let mut runner = Runner::new();
    let event_loop = runner.get_loop().unwrap();
    runner.close().unwrap();
    assert!(event_loop.is_closed());
    assert!(
        runner
            .run(async { Ok(()) })
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_runners.RunnerTests.test_double_close
#[test]
fn a_runner_may_be_closed_twice() {
    let mut runner = Runner::new();
    runner.get_loop().unwrap();
    runner.close().unwrap();
    runner.close().unwrap();
}

/// CPython: test_runners.RunnerTests.test_second_with_block_raises
#[test]
fn a_closed_runner_runs_nothing() {
    let mut runner = Runner::new();
    runner.run(async { Ok(()) }).unwrap();
    runner.close().unwrap();
    assert!(runner.run(async { Ok(()) }).is_err());
}

/// CPython: test_runners.RunnerTests.test_run_keeps_context
#[test]
fn variables_set_in_one_run_are_there_in_the_next() {
    let cvar = Arc::new(ContextVar::with_default("cvar", -1));
    let mut runner = Runner::new();
    let step = |value| {
        let cvar = cvar.clone();
        async move {
            let old = cvar.get()?;
            drop(cvar.set(value));
            Ok(old)
        }
    };
    assert_eq!(runner.run(step(1)).unwrap(), -1);
    assert_eq!(runner.run(step(2)).unwrap(), 1);
    let context = asyncio::copy_context();
    assert_eq!(runner.run_with(context.clone(), step(3)).unwrap(), -1);
    assert_eq!(cvar.get_in(&context), Some(3));
    assert_eq!(runner.run(step(4)).unwrap(), 2);
}

/// CPython: test_runners.RunnerTests.test_recursive_run
#[test]
fn a_run_inside_a_runner_is_an_error() {
    let mut runner = Runner::new();
    runner
        .run(async {
            let nested = Runner::new().run(async { Ok(()) });
            assert!(nested.unwrap_err().is::<asyncio::RuntimeError>());
            Ok(())
        })
        .unwrap();
}

/// Runs what interrupts itself, one at a time: the process has one Ctrl-C. Gives what is raised on each kind of loop.
#[cfg(unix)]
fn interrupted(
    main: impl Fn() -> futures_util::future::BoxFuture<'static, asyncio::Result<()>>,
) -> [asyncio::Exception; 2] {
    static ONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _one = ONE.lock();
    [Runner::current_thread(), Runner::new().worker_threads(2)].map(|runner| {
        let mut runner = runner.catch_interrupts(true);
        let error = runner.run(main()).unwrap_err();
        runner.close().unwrap();
        error
    })
}

#[cfg(unix)]
fn is_interrupt(error: &asyncio::Exception) -> bool {
    error.is::<asyncio::KeyboardInterrupt>()
}

#[cfg(unix)]
fn interrupt() {
    signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
}

/// CPython: test_runners.RunnerTests.test_interrupt_call_soon
#[cfg(unix)]
#[test]
fn ctrl_c_cancels_a_busy_main() {
    let errors = interrupted(|| {
        Box::pin(async {
            interrupt();
            loop {
                asyncio::yield_now().await?;
            }
        })
    });
    assert!(errors.iter().all(is_interrupt), "{errors:?}");
}

/// CPython: test_runners.RunnerTests.test_interrupt_wait
#[cfg(unix)]
#[test]
fn ctrl_c_cancels_a_waiting_main() {
    let errors = interrupted(|| {
        Box::pin(async {
            asyncio::get_running_loop()?.call_soon(interrupt);
            let future = asyncio::Future::<()>::new();
            let result = future.clone().await;
            assert!(future.cancelled());
            result
        })
    });
    assert!(errors.iter().all(is_interrupt), "{errors:?}");
}

/// CPython: test_runners.RunnerTests.test_interrupt_cancelled_task
#[cfg(unix)]
#[test]
fn ctrl_c_beside_another_cancel_is_a_cancellation() {
    let errors = interrupted(|| {
        Box::pin(async {
            let main = asyncio::current_task().unwrap();
            let seen = main.clone();
            asyncio::create_task(async move {
                main.cancel();
                interrupt();
                Ok(())
            });
            let result = asyncio::Future::<()>::new().await;
            // The signal comes in its own time.
            while seen.cancelling() < 2 {
                asyncio::yield_now().await.ok();
            }
            result
        })
    });
    let is_cancellation = asyncio::Exception::is_cancelled;
    assert!(errors.iter().all(is_cancellation), "{errors:?}");
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_ends_a_main_that_swallowed_the_first() {
    let errors = interrupted(|| {
        Box::pin(async {
            interrupt();
            asyncio::Future::<()>::new().await.ok();
            interrupt();
            asyncio::Future::<()>::new().await
        })
    });
    assert!(errors.iter().all(is_interrupt), "{errors:?}");
}

/// On which thread a coroutine goes on once it has waited for a task.
async fn thread_after_a_wait() -> asyncio::Result<std::thread::ThreadId> {
    asyncio::create_task(asyncio::yield_now()).await?;
    Ok(std::thread::current().id())
}

#[test]
fn main_is_a_task_of_the_workers_unless_it_is_told_to_stay() {
    let here = std::thread::current().id();
    let mut runner = Runner::new().worker_threads(2);
    assert_ne!(runner.run(thread_after_a_wait()).unwrap(), here);
    let not_send = std::rc::Rc::new(());
    let local = async {
        let there = thread_after_a_wait().await;
        drop(not_send);
        there
    };
    assert_eq!(runner.run_local(local).unwrap(), here);
    let mut runner = Runner::current_thread();
    assert_eq!(runner.run(thread_after_a_wait()).unwrap(), here);
}

/// The coroutine is gone when the run is over, on whatever thread it was; so it may borrow.
#[test]
fn main_is_dropped_where_an_exit_ends_the_run() {
    for workers in [1, 2] {
        let mut runner = Runner::new().worker_threads(workers);
        let mut reached = Vec::new();
        let result: asyncio::Result<()> = runner.run(async {
            asyncio::create_task::<(), _>(async {
                asyncio::yield_now().await?;
                Err(asyncio::SystemExit(3).into())
            });
            reached.push("waits");
            let cancelled = asyncio::Future::<()>::new().await;
            reached.push("cleans up");
            asyncio::yield_now().await?;
            reached.push("ends");
            cancelled
        });
        assert!(result.unwrap_err().is::<asyncio::SystemExit>());
        assert_eq!(reached, ["waits", "cleans up", "ends"]);
    }
}
