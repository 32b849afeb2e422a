//! Ported from CPython's `test_futures.py`.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use heist_asyncio as asyncio;
use parking_lot::Mutex;

use asyncio::{Future, InvalidStateError};

use crate::support::{Oops, Record, passes, record_errors, run};

/// CPython: test_futures.BaseFutureTests.test_initial_state
#[test]
fn a_new_future_is_pending() {
    let future = Future::<()>::new();
    assert!(!future.cancelled() && !future.done());
    future.cancel();
    assert!(future.cancelled());
}

/// CPython: test_futures.BaseFutureTests.test_constructor_without_loop
#[test]
fn a_future_needs_no_loop() {
    let future = Future::new();
    future.set_result(1).unwrap();
    assert_eq!(future.result().unwrap(), 1);
}

/// CPython: test_futures.BaseFutureTests.test_constructor_use_running_loop
#[test]
fn a_future_made_in_a_loop_is_completed_by_it() {
    run(async {
        let future = Future::new();
        let setter = future.clone();
        asyncio::get_running_loop()?.call_soon(move || setter.set_result(1).unwrap());
        assert_eq!(future.await?, 1);
        Ok(())
    });
}

/// CPython: test_futures.BaseFutureTests.test_cancel
#[test]
fn a_cancelled_future_refuses_everything() {
    let future = Future::<i32>::new();
    assert!(future.cancel());
    assert!(future.cancelled() && future.done());
    assert!(future.result().unwrap_err().is_cancelled());
    assert!(future.exception().unwrap_err().is_cancelled());
    assert!(future.set_result(1).unwrap_err().is::<InvalidStateError>());
    assert!(
        future
            .set_exception(Oops("late"))
            .unwrap_err()
            .is::<InvalidStateError>()
    );
    assert!(!future.cancel());
}

/// CPython: test_futures.BaseFutureTests.test_result
#[test]
fn a_result_is_set_once() {
    let future = Future::new();
    assert!(future.result().unwrap_err().is::<InvalidStateError>());
    future.set_result(42).unwrap();
    assert!(!future.cancelled() && future.done());
    assert_eq!(future.result().unwrap(), 42);
    assert!(future.exception().unwrap().is_none());
    assert!(future.set_result(43).unwrap_err().is::<InvalidStateError>());
    assert!(
        future
            .set_exception(Oops("late"))
            .unwrap_err()
            .is::<InvalidStateError>()
    );
    assert!(!future.cancel());
}

/// CPython: test_futures.BaseFutureTests.test_exception
#[test]
fn an_exception_is_set_once() {
    let future = Future::<i32>::new();
    assert!(future.exception().unwrap_err().is::<InvalidStateError>());
    future.set_exception(Oops("set")).unwrap();
    assert!(future.done() && !future.cancelled());
    assert!(future.result().unwrap_err().is::<Oops>());
    assert!(
        future
            .exception()
            .unwrap()
            .unwrap()
            .is_same(&future.result().unwrap_err())
    );
    assert!(future.set_result(1).unwrap_err().is::<InvalidStateError>());
    assert!(!future.cancel());
}

/// Drops a future in a loop after this was done to it, and gives what was reported.
fn reported(act: impl FnOnce(&Future<i32>)) -> Vec<String> {
    run(async {
        let errors = record_errors(&asyncio::get_running_loop()?);
        let future = Future::new();
        act(&future);
        drop(future);
        passes(2).await;
        Ok(errors.get())
    })
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_abandoned
#[test]
fn an_abandoned_future_is_not_reported() {
    assert!(reported(|_| {}).is_empty());
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_not_called_after_cancel
#[test]
fn an_error_that_a_cancel_has_seen_is_not_reported() {
    assert!(
        reported(|future| {
            future.set_exception(Oops("seen")).unwrap();
            future.cancel();
        })
        .is_empty()
    );
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_result_unretrieved
#[test]
fn a_result_that_nobody_reads_is_not_reported() {
    assert!(reported(|future| future.set_result(42).unwrap()).is_empty());
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_result_retrieved
#[test]
fn a_result_that_was_read_is_not_reported() {
    assert!(
        reported(|future| {
            future.set_result(42).unwrap();
            assert_eq!(future.result().unwrap(), 42);
        })
        .is_empty()
    );
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_exception_retrieved
#[test]
fn an_exception_that_was_asked_for_is_not_reported() {
    assert!(
        reported(|future| {
            future.set_exception(Oops("read")).unwrap();
            assert!(future.exception().unwrap().is_some());
        })
        .is_empty()
    );
}

/// CPython: test_futures.BaseFutureTests.test_tb_logger_exception_result_retrieved
#[test]
fn an_exception_that_was_raised_is_not_reported() {
    assert!(
        reported(|future| {
            future.set_exception(Oops("raised")).unwrap();
            assert!(future.result().is_err());
        })
        .is_empty()
    );
}

/// CPython: test_futures.BaseFutureTests.test_future_exception_never_retrieved
#[test]
fn an_exception_that_nobody_saw_is_reported() {
    let errors = reported(|future| future.set_exception(Oops("unseen")).unwrap());
    assert_eq!(errors, ["Future exception was never retrieved"]);
}

/// What a task's end ends in turn, and what a call in a thread raises, is completed away from the loop.
#[test]
fn on_many_threads_too_what_nobody_saw_is_reported() {
    async fn fails() -> asyncio::Result<()> {
        Err(Oops("unseen").into())
    }
    let errors = asyncio::Runner::new()
        .worker_threads(2)
        .run(async {
            let errors = record_errors(&asyncio::get_running_loop()?);
            drop(asyncio::gather([fails()]));
            while errors.get().is_empty() {
                asyncio::sleep(std::time::Duration::ZERO).await?;
            }
            drop(asyncio::run_in_executor(|| {
                Err::<(), _>(Oops("unseen").into())
            })?);
            while errors.get().len() < 2 {
                asyncio::sleep(std::time::Duration::ZERO).await?;
            }
            Ok(errors.get())
        })
        .unwrap();
    assert_eq!(errors, ["Future exception was never retrieved"; 2]);
}

/// CPython: test_futures.BaseFutureTests.test_future_exception_never_retrieved_debug
#[test]
fn in_debug_mode_too_an_unseen_exception_is_reported() {
    let mut runner = asyncio::Runner::virtual_clock().debug(true);
    let errors = runner
        .run(async {
            let errors = record_errors(&asyncio::get_running_loop()?);
            let task: asyncio::Task<()> =
                asyncio::create_task(async { Err(Oops("unseen").into()) });
            drop(task);
            passes(2).await;
            Ok(errors.get())
        })
        .unwrap();
    assert_eq!(errors, ["Task exception was never retrieved"]);
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future
#[test]
fn a_threads_result_becomes_a_future() {
    run(async {
        let future = asyncio::run_in_executor(|| Ok("from a thread"))?;
        assert_eq!(future.await?, "from a thread");
        Ok(())
    });
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future_future
#[test]
fn a_future_is_its_own_wrapping() {
    run(async {
        let future = Future::<()>::new();
        assert!(asyncio::ensure_future(&future).is_same(&future));
        Ok(())
    });
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future_without_loop
#[test]
fn a_threads_future_needs_a_loop() {
    assert!(
        asyncio::run_in_executor(|| Ok(1))
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future_use_running_loop
#[test]
fn a_core_task_can_be_awaited_in_a_task() {
    run(async {
        let handle = heist::spawn(async { 5 });
        let task = asyncio::create_task(async move { Ok(handle.await?) });
        assert_eq!(task.await?, 5);
        Ok(())
    });
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future_cancel
#[test]
fn a_cancel_reaches_the_wait_for_a_thread() {
    let mut runner = asyncio::Runner::current_thread();
    runner
        .run(async {
            let (release, released) = std::sync::mpsc::channel::<()>();
            let future = asyncio::run_in_executor(move || Ok(released.recv().is_ok()))?;
            future.cancel();
            assert!((&future).await.unwrap_err().is_cancelled());
            drop(release);
            Ok(())
        })
        .unwrap();
}

/// CPython: test_futures.BaseFutureTests.test_wrap_future_cancel2
#[test]
fn a_result_that_comes_after_the_cancel_is_dropped() {
    let mut runner = asyncio::Runner::current_thread();
    runner
        .run(async {
            let (release, released) = std::sync::mpsc::channel::<()>();
            let future = asyncio::run_in_executor(move || Ok(released.recv().is_ok()))?;
            let task = asyncio::create_task(asyncio::to_thread(|| Ok(7)));
            future.cancel();
            drop(release);
            assert_eq!(task.await?, 7);
            assert!(future.cancelled());
            Ok(())
        })
        .unwrap();
}

/// CPython: test_futures.BaseFutureTests.test_set_result_unless_cancelled
#[test]
fn a_timer_does_not_touch_a_cancelled_future() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep(crate::support::ms(5)));
        passes(1).await;
        task.cancel();
        asyncio::sleep(crate::support::ms(10)).await?;
        assert!(task.cancelled());
        Ok(())
    });
}

/// Three callbacks on a future, of which some are removed before it completes; what was called.
fn called(remove: &'static [usize], complete: impl FnOnce(&Future<&'static str>)) -> Vec<usize> {
    run(async {
        let (future, log) = (Future::new(), Record::new());
        let ids: Vec<_> = (0..3)
            .map(|n| {
                let log = log.clone();
                future.add_done_callback(move |_| log.push(n))
            })
            .collect();
        for n in remove {
            assert!(future.remove_done_callback(ids[*n]));
            assert!(!future.remove_done_callback(ids[*n]));
        }
        complete(&future);
        assert!(log.get().is_empty());
        passes(1).await;
        Ok(log.get())
    })
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_callbacks_remove_first_callback
#[test]
fn the_first_callback_may_be_removed() {
    assert_eq!(
        called(&[0], |future| future.set_result("x").unwrap()),
        [1, 2]
    );
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_callbacks_remove_first_and_second_callback
#[test]
fn the_first_two_callbacks_may_be_removed() {
    assert_eq!(
        called(&[0, 1], |future| future.set_result("x").unwrap()),
        [2]
    );
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_callbacks_remove_third_callback
#[test]
fn the_last_callback_may_be_removed() {
    assert_eq!(
        called(&[2], |future| future.set_result("x").unwrap()),
        [0, 1]
    );
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_callbacks_invoked_on_set_result
/// Holds to [C2].
#[test]
fn callbacks_are_called_after_a_result() {
    assert_eq!(
        called(&[], |future| future.set_result("x").unwrap()),
        [0, 1, 2]
    );
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_callbacks_invoked_on_set_exception
#[test]
fn callbacks_are_called_after_an_exception() {
    assert_eq!(
        called(&[], |future| future.set_exception(Oops("x")).unwrap()),
        [0, 1, 2]
    );
}

/// CPython: test_futures.BaseFutureDoneCallbackTests.test_remove_done_callback
#[test]
fn a_scheduled_callback_cannot_be_removed() {
    run(async {
        let (future, log) = (Future::new(), Record::new());
        let inner = log.clone();
        let id = future.add_done_callback(move |_| inner.push(1));
        future.set_result("done")?;
        assert!(!future.remove_done_callback(id));
        passes(1).await;
        assert_eq!(log.get(), [1]);
        Ok(())
    });
}

/// A value whose clone is made by this function.
struct Cloned(Arc<dyn Fn() + Send + Sync>);

impl Clone for Cloned {
    fn clone(&self) -> Cloned {
        (self.0)();
        Cloned(self.0.clone())
    }
}

/// Holds to [C1].
#[test]
fn a_clone_of_the_value_may_look_at_its_future() {
    let future = Future::<Cloned>::new();
    let own = future.clone();
    let look = move || assert!(own.done() && !own.cancel());
    future.set_result(Cloned(Arc::new(look))).unwrap();
    assert!(future.result().is_ok());
}

#[test]
fn a_clone_that_panics_leaves_the_value() {
    let future = Future::new();
    let is_first = AtomicBool::new(true);
    let clone = move || assert!(!is_first.swap(false, Ordering::Relaxed), "a planted panic");
    future.set_result(Cloned(Arc::new(clone))).unwrap();
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| future.result().map(drop)));
    assert!(panicked.is_err());
    assert!(future.result().is_ok());
}

/// Holds to [C4].
#[test]
fn who_takes_the_value_waits_for_one_who_clones_it() {
    let future = Future::new();
    let (cloning, begun) = mpsc::channel();
    let (go_on, gone_on) = mpsc::channel();
    let gone_on = Mutex::new(gone_on);
    let clone = move || {
        cloning.send(()).unwrap();
        gone_on.lock().recv().unwrap();
    };
    future.set_result(Cloned(Arc::new(clone))).unwrap();
    thread::scope(|scope| {
        let cloned = scope.spawn(|| future.result().is_ok());
        begun.recv().unwrap();
        // Most of the time it finds the value lent, and must not take it for moved out.
        let taken = scope.spawn(|| {
            go_on.send(()).unwrap();
            future.take_result().is_ok()
        });
        assert!(taken.join().unwrap() && cloned.join().unwrap());
    });
}
