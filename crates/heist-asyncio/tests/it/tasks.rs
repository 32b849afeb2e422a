//! Ported from CPython's `test_tasks.py`: tasks, cancellation, sleep, current task, contexts. The rest of that file is
//! in `tasks_many.rs`.

use std::sync::Arc;

use heist_asyncio as asyncio;

use asyncio::{ContextVar, Future};

use crate::support::{Oops, Record, ms, now_ms, passes, run, try_run};

/// CPython: test_tasks.BaseTaskTests.test_task_basics
#[test]
fn a_task_runs_coroutines_inside_coroutines() {
    async fn inner() -> asyncio::Result<i32> {
        Ok(1)
    }
    run(async {
        let task = asyncio::create_task(async { Ok(inner().await? + inner().await?) });
        assert_eq!(task.await?, 2);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_task_awaits_on_itself
/// Holds to [W2].
#[test]
fn a_task_that_awaits_itself_gets_an_error() {
    run(async {
        let own = Future::<Future<()>>::new();
        let me = own.clone();
        let task = asyncio::create_task(async move { me.await?.await });
        own.set_result(task.shared())?;
        assert!(task.await.unwrap_err().is::<asyncio::RuntimeError>());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_ensure_future_coroutine
#[test]
fn ensure_future_makes_a_task_of_a_coroutine() {
    run(async {
        let future = asyncio::ensure_future(async { Ok("ok") });
        assert!(!future.done());
        assert_eq!(future.await?, "ok");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_ensure_future_future
#[test]
fn ensure_future_gives_a_future_back() {
    run(async {
        let future = Future::new();
        assert!(asyncio::ensure_future(&future).is_same(&future));
        future.set_result("ok")?;
        assert_eq!(asyncio::ensure_future(future).await?, "ok");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_ensure_future_task
#[test]
fn ensure_future_gives_a_task_back() {
    run(async {
        let task = asyncio::create_task(async { Ok("ok") });
        assert!(asyncio::ensure_future(&task).is_same(&task.shared()));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_ensure_future_awaitable
#[test]
fn ensure_future_takes_any_awaitable() {
    run(async {
        let foreign = std::future::ready(Ok("ok"));
        assert_eq!(asyncio::ensure_future(foreign).await?, "ok");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_ensure_future_task_awaitable
#[test]
fn ensure_future_takes_a_boxed_coroutine() {
    run(async {
        let boxed: std::pin::Pin<
            Box<dyn std::future::Future<Output = asyncio::Result<i32>> + Send>,
        > = Box::pin(async { Ok(3) });
        assert_eq!(asyncio::ensure_future(boxed).await?, 3);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancelling
/// Holds to [K1].
#[test]
fn cancelling_counts_the_requests() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep(ms(10)));
        passes(1).await;
        assert_eq!(task.cancelling(), 0);
        assert!(task.cancel());
        assert_eq!(task.cancelling(), 1);
        assert!(task.cancel());
        assert_eq!(task.cancelling(), 2);
        assert!(task.await.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_uncancel_basic
#[test]
fn uncancel_takes_requests_back_one_by_one() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep(ms(10)));
        passes(1).await;
        task.cancel();
        task.cancel();
        assert_eq!(task.uncancel(), 1);
        assert_eq!(task.uncancel(), 0);
        assert_eq!(task.uncancel(), 0);
        assert!(task.await.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_uncancel_structured_blocks
#[test]
fn a_timeout_that_swallowed_its_cancel_leaves_the_outer_block_alone() {
    run(async {
        let task = asyncio::create_task(async {
            asyncio::timeout(ms(1000), async |_| {
                let inner = asyncio::timeout(ms(1), async |_| asyncio::sleep(ms(100)).await).await;
                assert!(inner.unwrap_err().is::<asyncio::TimeoutError>());
                asyncio::sleep(ms(10)).await
            })
            .await?;
            Ok(asyncio::current_task().unwrap().cancelling())
        });
        assert_eq!(task.await?, 0);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_uncancel_resets_must_cancel
#[test]
fn uncancel_to_none_undoes_a_pending_cancel() {
    run(async {
        let task = asyncio::create_task(async {
            let me = asyncio::current_task().unwrap();
            me.cancel();
            assert_eq!(me.uncancel(), 0);
            asyncio::yield_now().await?;
            Ok(42)
        });
        assert_eq!(task.await?, 42);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel
#[test]
fn a_cancelled_task_is_done_and_refuses_another_cancel() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep(ms(10_000)));
        passes(1).await;
        task.cancel();
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(task.done() && task.cancelled() && !task.cancel());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_with_message_then_future_result
#[test]
fn the_message_of_a_cancel_reaches_the_one_who_awaits() {
    run(async {
        for message in [None, Some("my message"), Some("")] {
            let outer = asyncio::create_task(async move {
                let inner = asyncio::create_task(asyncio::sleep(ms(1000)));
                passes(1).await;
                match message {
                    None => inner.cancel(),
                    Some(message) => inner.cancel_msg(message),
                };
                inner.await
            });
            let error = outer.await.unwrap_err();
            assert_eq!(error.cancel_message(), message);
        }
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_with_message_then_future_exception
#[test]
fn the_message_of_a_cancel_is_in_the_exception() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep(ms(1000)));
        passes(1).await;
        task.cancel_msg("my message");
        passes(2).await;
        assert_eq!(
            task.exception().unwrap_err().cancel_message(),
            Some("my message")
        );
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_with_message_before_starting_task
/// Holds to [S1].
#[test]
fn a_task_cancelled_before_its_start_never_runs() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        let task = asyncio::create_task(async move {
            inner.push("ran");
            Ok(())
        });
        task.cancel_msg("my message");
        assert_eq!(task.await.unwrap_err().cancel_message(), Some("my message"));
        assert!(log.get().is_empty());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_yield
/// Holds to [K2].
#[test]
fn a_cancel_is_delivered_at_a_bare_yield() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        let task = asyncio::create_task(async move {
            asyncio::yield_now().await?;
            inner.push(1);
            asyncio::yield_now().await?;
            inner.push(2);
            Ok(())
        });
        passes(2).await;
        task.cancel();
        assert!((&task).await.unwrap_err().is_cancelled());
        assert_eq!(log.get(), [1]);
        assert!(!task.cancel());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_inner_future
#[test]
fn a_cancelled_future_cancels_the_task_that_awaits_it() {
    run(async {
        let future = Future::<()>::new();
        let inner = future.clone();
        let task = asyncio::create_task(async move { inner.await });
        passes(1).await;
        future.cancel();
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_both_task_and_inner_future
/// Holds to [W4].
#[test]
fn task_and_future_may_both_be_cancelled() {
    run(async {
        let future = Future::<()>::new();
        let inner = future.clone();
        let task = asyncio::create_task(async move { inner.await });
        passes(1).await;
        future.cancel();
        task.cancel();
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(future.cancelled() && task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_task_catching
#[test]
fn a_task_may_swallow_its_cancellation() {
    run(async {
        let (fut1, fut2) = (Future::<()>::new(), Future::<()>::new());
        let (f1, f2) = (fut1.clone(), fut2.clone());
        let task = asyncio::create_task(async move {
            f1.await?;
            match f2.await {
                Err(error) if error.is_cancelled() => Ok(42),
                _ => Ok(0),
            }
        });
        passes(1).await;
        fut1.set_result(())?;
        passes(1).await;
        task.cancel();
        passes(1).await;
        assert!(fut2.cancelled());
        assert_eq!((&task).await?, 42);
        assert!(!task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_task_ignoring
#[test]
fn a_task_may_go_on_waiting_after_its_cancellation() {
    run(async {
        let (fut1, fut3) = (Future::<()>::new(), Future::<i32>::new());
        let (f1, f3) = (fut1.clone(), fut3.clone());
        let task = asyncio::create_task(async move {
            f1.await.ok();
            f3.await
        });
        passes(1).await;
        task.cancel();
        passes(1).await;
        assert!(fut1.cancelled() && !fut3.cancelled());
        fut3.set_result(42)?;
        assert_eq!((&task).await?, 42);
        assert!(!task.cancelled() && !fut3.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_current_task
/// Holds to [W3].
#[test]
fn a_task_may_cancel_itself() {
    run(async {
        let task: asyncio::Task<i32> = asyncio::create_task(async {
            let me = asyncio::current_task().unwrap();
            me.cancel();
            assert_eq!(me.cancelling(), 1);
            asyncio::sleep(ms(100)).await?;
            Ok(12)
        });
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(task.done() && task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_at_end
/// Holds to [S3].
#[test]
fn a_task_that_cancels_itself_at_its_end_is_cancelled() {
    run(async {
        let task = asyncio::create_task(async {
            asyncio::current_task().unwrap().cancel();
            Ok(12)
        });
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_awaited_task
#[test]
fn a_cancelled_task_passes_its_cancellation_to_the_one_who_awaits() {
    run(async {
        let (nested, awaiting) = (Record::new(), Record::new());
        let n = nested.clone();
        let inner = asyncio::create_task(async move {
            let result = asyncio::sleep(ms(1000)).await;
            n.push(result.is_err());
            result
        });
        let handle = inner.handle();
        let a = awaiting.clone();
        let outer = asyncio::create_task(async move {
            let result = inner.await;
            a.push(result.is_err());
            result
        });
        passes(2).await;
        handle.cancel();
        assert!((&outer).await.unwrap_err().is_cancelled());
        assert_eq!((nested.get(), awaiting.get()), (vec![true], vec![true]));
        assert_eq!(outer.cancelling(), 0);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_stop_while_run_in_complete
/// Holds to [L3].
#[test]
fn a_loop_that_is_stopped_does_not_complete_its_run() {
    let mut runner = asyncio::Runner::virtual_clock();
    let event_loop = runner.get_loop().unwrap();
    let result: asyncio::Result<()> = runner.run(async {
        for n in 0.. {
            asyncio::sleep(ms(100)).await?;
            if n == 2 {
                event_loop.stop();
            }
        }
        Ok(())
    });
    assert!(result.unwrap_err().is::<asyncio::RuntimeError>());
    assert_eq!(event_loop.time().as_nanos(), 300_000_000);
}

/// CPython: test_tasks.BaseTaskTests.test_sleep
/// Holds to [L4].
#[test]
fn sleep_gives_its_value_after_its_time() {
    run(async {
        assert_eq!(asyncio::sleep_with(ms(50), "yeah").await?, "yeah");
        assert_eq!(now_ms(), 50);
        Ok(())
    });
}

/// CPython: test_tasks.SleepTests.test_sleep_zero
#[test]
fn a_zero_sleep_yields_once() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        asyncio::get_running_loop()?.call_soon(move || inner.push("callback"));
        asyncio::sleep(ms(0)).await?;
        assert_eq!(log.get(), ["callback"]);
        assert_eq!(now_ms(), 0);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_sleep_when_delay_is_nan
#[test]
fn the_longest_delay_is_no_error() {
    // A delay that is no number does not exist here; the longest one must not overflow the clock.
    run(async {
        let task = asyncio::create_task(asyncio::sleep(std::time::Duration::MAX));
        passes(2).await;
        assert!(!task.done());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_sleep_cancel
#[test]
fn a_cancelled_sleep_takes_its_timer_along() {
    let error = try_run::<()>(async {
        let task = asyncio::create_task(asyncio::sleep(ms(10_000)));
        passes(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        // No timer is left: waiting for nothing is a deadlock at time zero.
        Future::new().await
    })
    .unwrap_err();
    assert!(error.is::<asyncio::DeadlockError>());
}

/// CPython: test_tasks.BaseTaskTests.test_task_cancel_sleeping_task
#[test]
fn a_sleeping_task_can_be_cancelled() {
    run(async {
        let sleeper = asyncio::create_task(asyncio::sleep(ms(10_000)));
        let handle = sleeper.handle();
        asyncio::get_running_loop()?.call_later(ms(100), move || {
            handle.cancel();
        });
        assert!(sleeper.await.unwrap_err().is_cancelled());
        assert_eq!(now_ms(), 100);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_task_cancel_waiter_future
#[test]
fn a_cancel_reaches_the_future_that_the_task_awaits() {
    run(async {
        let future = Future::<()>::new();
        let inner = future.clone();
        let task = asyncio::create_task(async move { inner.await });
        passes(1).await;
        task.cancel();
        assert!(future.cancelled());
        assert!(task.await.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_current_task
#[test]
fn the_current_task_is_the_one_that_runs() {
    run(async {
        let task = asyncio::create_task(async { Ok(asyncio::current_task().unwrap().id()) });
        let id = task.id();
        assert_eq!(task.await?, id);
        assert_ne!(asyncio::current_task().unwrap().id(), id);
        Ok(())
    });
    assert!(asyncio::current_task().is_none());
}

/// CPython: test_tasks.BaseTaskTests.test_current_task_with_interleaving_tasks
#[test]
fn each_of_two_interleaved_tasks_sees_itself() {
    run(async {
        let check = || async {
            let id = asyncio::current_task().unwrap().id();
            for _ in 0..3 {
                asyncio::yield_now().await?;
                assert_eq!(asyncio::current_task().unwrap().id(), id);
            }
            Ok(id)
        };
        let (a, b) = (asyncio::create_task(check()), asyncio::create_task(check()));
        assert_ne!(a.await?, b.await?);
        Ok(())
    });
}

/// CPython: test_tasks.BaseCurrentLoopTests.test_current_task_no_running_loop
#[test]
fn outside_a_loop_there_is_no_current_task() {
    assert!(asyncio::current_task().is_none());
}

/// CPython: test_tasks.BaseCurrentLoopTests.test_current_task_no_running_loop_implicit
#[test]
fn outside_a_loop_there_is_no_running_loop() {
    assert!(
        asyncio::get_running_loop()
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
    assert!(
        asyncio::all_tasks()
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_tasks.BaseCurrentLoopTests.test_current_task_with_implicit_loop
#[test]
fn inside_a_callback_there_is_a_loop_and_no_task() {
    run(async {
        let seen = Record::new();
        let inner = seen.clone();
        asyncio::get_running_loop()?.call_soon(move || {
            inner.push((
                asyncio::current_task().is_none(),
                asyncio::get_running_loop().is_ok(),
            ));
        });
        passes(1).await;
        assert_eq!(seen.get(), [(true, true)]);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_yield_future_passes_cancel
#[test]
fn an_error_that_replaces_the_cancellation_is_the_tasks() {
    run(async {
        let task = asyncio::create_task(async {
            let inner = async {
                asyncio::sleep(ms(1000))
                    .await
                    .map_err(|_| Oops("replaced"))?;
                Ok(())
            };
            inner.await
        });
        passes(1).await;
        task.cancel();
        assert!((&task).await.unwrap_err().is::<Oops>());
        assert!(!task.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_yield_wait_does_not_shield_cancel
#[test]
fn a_cancel_of_wait_leaves_what_is_waited_for() {
    run(async {
        let inner = asyncio::create_task(asyncio::sleep_with(ms(10), 1));
        let shared = inner.shared();
        let waiter = asyncio::create_task(async move {
            asyncio::wait([&shared], None, asyncio::ReturnWhen::AllCompleted).await?;
            Ok(())
        });
        passes(1).await;
        waiter.cancel();
        assert!(waiter.await.unwrap_err().is_cancelled());
        assert_eq!(inner.await?, 1);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_tb_logger_not_called_after_cancel
#[test]
fn the_error_of_a_task_that_was_cancelled_is_not_reported() {
    run(async {
        let errors = crate::support::record_errors(&asyncio::get_running_loop()?);
        let task: asyncio::Task<()> = asyncio::create_task(async { Err(Oops("unseen").into()) });
        passes(2).await;
        assert!(!task.cancel());
        drop(task);
        passes(1).await;
        assert!(errors.get().is_empty());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_create_task_with_async_function
#[test]
fn a_task_runs_on_the_loop_that_made_it() {
    run(async {
        let event_loop = asyncio::get_running_loop()?;
        let task = event_loop.create_task(async { Ok(1) })?;
        assert_eq!(task.handle().get_loop()?, event_loop);
        assert_eq!(task.await?, 1);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_bare_create_task
#[test]
fn create_task_makes_a_task_of_the_running_loop() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(1), 123));
        assert!(task.get_name().starts_with("Task-"));
        assert_eq!(task.await?, 123);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_bare_create_named_task
#[test]
fn create_task_takes_a_name() {
    run(async {
        let task = asyncio::create_named_task("No, thanks", async { Ok(()) });
        assert_eq!(&*task.get_name(), "No, thanks");
        task.set_name("later");
        assert_eq!(&*task.get_name(), "later");
        task.await
    });
}

fn var() -> Arc<ContextVar<&'static str>> {
    Arc::new(ContextVar::with_default("v", "nope"))
}

/// CPython: test_tasks.BaseTaskTests.test_context_1
#[test]
fn what_a_task_sets_stays_in_it() {
    run(async {
        let cvar = var();
        let inner = cvar.clone();
        let task = asyncio::create_task(async move {
            asyncio::sleep(ms(10)).await?;
            assert_eq!(inner.get()?, "nope");
            drop(inner.set("something else"));
            Ok(())
        });
        assert_eq!(cvar.get()?, "nope");
        drop(cvar.set("yes"));
        task.await?;
        assert_eq!(cvar.get()?, "yes");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_context_2
#[test]
fn a_done_callback_has_the_context_of_its_registration() {
    run(async {
        let (cvar, seen) = (var(), Record::new());
        let future = Future::<()>::new();
        drop(cvar.set("registered"));
        let (c, s) = (cvar.clone(), seen.clone());
        future.add_done_callback(move |_| s.push(c.get().unwrap()));
        drop(cvar.set("later"));
        future.set_result(())?;
        passes(1).await;
        assert_eq!(seen.get(), ["registered"]);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_context_3
#[test]
fn many_tasks_keep_their_values_apart() {
    run(async {
        let cvar = Arc::new(ContextVar::with_default("v", -1));
        let tasks = (0..20).map(|n| {
            let cvar = cvar.clone();
            async move {
                for k in 0..10 {
                    drop(cvar.set(n + k));
                    asyncio::yield_now().await?;
                    assert_eq!(cvar.get()?, n + k);
                }
                cvar.get()
            }
        });
        let values = asyncio::gather(tasks).await?;
        assert_eq!(values, (9..29).collect::<Vec<_>>());
        assert_eq!(cvar.get()?, -1);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_context_4
#[test]
fn a_task_may_run_in_a_given_context() {
    run(async {
        let cvar = var();
        let context = asyncio::copy_context();
        let inner = cvar.clone();
        let set = async move {
            drop(inner.set("in the context"));
            asyncio::yield_now().await?;
            inner.get()
        };
        let task = asyncio::Builder::new()
            .context(context.clone())
            .spawn(set)?;
        assert_eq!(task.await?, "in the context");
        assert_eq!(cvar.get_in(&context), Some("in the context"));
        assert_eq!(cvar.get()?, "nope");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_context_5
#[test]
fn create_task_on_a_loop_takes_a_context() {
    run(async {
        let cvar = var();
        let context = asyncio::copy_context();
        let inner = cvar.clone();
        let builder = asyncio::Builder::new()
            .on(asyncio::get_running_loop()?)
            .context(context.clone());
        builder
            .spawn(async move {
                drop(inner.set("set"));
                Ok(())
            })?
            .await?;
        assert_eq!(cvar.get_in(&context), Some("set"));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_context_6
#[test]
fn two_tasks_may_share_a_context() {
    run(async {
        let cvar = var();
        let context = asyncio::copy_context();
        let (one, two) = (cvar.clone(), cvar.clone());
        let build = || asyncio::Builder::new().context(context.clone());
        build()
            .spawn(async move {
                drop(one.set("shared"));
                Ok(())
            })?
            .await?;
        assert_eq!(build().spawn(async move { two.get() })?.await?, "shared");
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_get_context
#[test]
fn a_task_tells_its_context() {
    run(async {
        let context = asyncio::copy_context();
        let task = asyncio::Builder::new()
            .context(context.clone())
            .spawn(async { Ok(()) })?;
        assert!(task.get_context().is_same(&context));
        task.await
    });
}

/// A panic is an exception, [S5], and its payload can be taken out.
#[test]
fn a_panic_ends_its_task_with_an_exception() {
    run(async {
        let task: asyncio::Task<()> = asyncio::create_task(async { panic!("on purpose") });
        let error = task.await.unwrap_err();
        let panic = error.downcast_ref::<asyncio::PanicError>().unwrap();
        assert_eq!(panic.message(), "on purpose");
        assert!(panic.take_payload().is_some() && panic.take_payload().is_none());
        Ok(())
    });
}

/// A value whose destructor panics.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// Holds to [S3]: the value has nobody to go to.
#[test]
fn who_waits_is_told_although_the_value_cannot_be_dropped() {
    let main = || async {
        let task = asyncio::create_task(async {
            asyncio::current_task().unwrap().cancel();
            Ok(Bomb)
        });
        assert!(task.await.unwrap_err().is_cancelled());
        Ok(())
    };
    run(main());
    asyncio::Runner::new().run(main()).unwrap();
}
