//! Ported from CPython's `test_tasks.py`: wait, as_completed, gather, shield, run_coroutine_threadsafe.

use heist_asyncio as asyncio;

use asyncio::{Future, ReturnWhen, as_completed, gather, gather_return_exceptions, shield, wait};

use crate::support::{Oops, Record, ms, now_ms, passes, run};

async fn fail<T>(delay: u64, error: &'static str) -> asyncio::Result<T> {
    asyncio::sleep(ms(delay)).await?;
    Err(Oops(error).into())
}

fn sleeper(delay: u64) -> asyncio::Task<u64> {
    asyncio::create_task(asyncio::sleep_with(ms(delay), delay))
}

/// CPython: test_tasks.BaseTaskTests.test_wait
#[test]
fn wait_waits_for_all() {
    run(async {
        let tasks = [sleeper(100), sleeper(150)];
        let (done, pending) = wait(&tasks, None, ReturnWhen::AllCompleted).await?;
        assert_eq!((done.len(), pending.len(), now_ms()), (2, 0, 150));
        let (done, _) = wait(&tasks, None, ReturnWhen::AllCompleted).await?;
        assert_eq!((done.len(), now_ms()), (2, 150));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_errors
#[test]
fn wait_for_nothing_is_an_error() {
    run(async {
        let none: [&asyncio::TaskHandle; 0] = [];
        assert!(
            wait(none, None, ReturnWhen::AllCompleted)
                .await
                .unwrap_err()
                .is::<asyncio::ValueError>()
        );
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_first_completed
#[test]
fn wait_may_return_with_the_first() {
    run(async {
        let tasks = [sleeper(10_000), sleeper(100)];
        let (done, pending) = wait(&tasks, None, ReturnWhen::FirstCompleted).await?;
        assert_eq!(
            (done[0].id(), pending[0].id()),
            (tasks[1].id(), tasks[0].id())
        );
        assert_eq!(now_ms(), 100);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_really_done
#[test]
fn wait_gives_all_that_are_done_when_it_runs() {
    run(async {
        let quick = |n: usize| {
            asyncio::create_task(async move {
                passes(n).await;
                Ok(())
            })
        };
        let tasks = [quick(2), quick(2)];
        let (done, pending) = wait(&tasks, None, ReturnWhen::FirstCompleted).await?;
        assert_eq!((done.len(), pending.len()), (2, 0));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_first_exception
#[test]
fn wait_may_return_with_the_first_exception() {
    run(async {
        let tasks = [sleeper(10_000), asyncio::create_task(fail(0, "err"))];
        let (done, pending) = wait(&tasks, None, ReturnWhen::FirstException).await?;
        assert_eq!(
            (done[0].id(), pending[0].id()),
            (tasks[1].id(), tasks[0].id())
        );
        assert_eq!(now_ms(), 0);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_first_exception_in_wait
#[test]
fn wait_for_the_first_exception_waits_for_it() {
    run(async {
        let tasks = [sleeper(10_000), asyncio::create_task(fail(10, "err"))];
        let (done, _) = wait(&tasks, None, ReturnWhen::FirstException).await?;
        assert_eq!((done.len(), now_ms()), (1, 10));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_with_exception
#[test]
fn wait_raises_nothing_of_theirs() {
    run(async {
        let tasks = [sleeper(100), asyncio::create_task(fail(150, "err"))];
        let (done, _) = wait(&tasks, None, ReturnWhen::AllCompleted).await?;
        let n_failed = done
            .iter()
            .filter(|task| task.exception().unwrap().is_some())
            .count();
        assert_eq!((done.len(), n_failed), (2, 1));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_with_timeout
#[test]
fn wait_gives_up_after_its_time() {
    run(async {
        let tasks = [sleeper(100), sleeper(150)];
        let (done, pending) = wait(&tasks, ms(110), ReturnWhen::AllCompleted).await?;
        assert_eq!(
            (done[0].id(), pending[0].id()),
            (tasks[0].id(), tasks[1].id())
        );
        assert_eq!(now_ms(), 110);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_wait_concurrent_complete
#[test]
fn what_completes_together_with_the_timeout_is_done_or_pending() {
    run(async {
        let tasks = [sleeper(100), sleeper(150)];
        let (done, pending) = wait(&tasks, ms(100), ReturnWhen::AllCompleted).await?;
        assert_eq!(done.len() + pending.len(), 2);
        assert!(pending.iter().any(|task| task.id() == tasks[1].id()));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed
#[test]
fn as_completed_gives_results_as_they_come() {
    run(async {
        let mut results = as_completed([sleeper(100), sleeper(10), sleeper(150)], None);
        let mut seen = Vec::new();
        while let Some(result) = results.next().await {
            seen.push(result?);
        }
        assert_eq!((seen, now_ms()), (vec![10, 100, 150], 150));
        Ok(())
    });
}

#[test]
fn a_wait_for_the_next_that_is_dropped_skips_none() {
    run(async {
        let mut results = as_completed([sleeper(100), sleeper(10)], None);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut first = Box::pin(results.next());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert_eq!(results.len(), 2);
        assert_eq!(results.next().await.unwrap()?, 10);
        assert_eq!(results.next().await.unwrap()?, 100);
        assert!(results.next().await.is_none());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_same_tasks_in_as_out
#[test]
fn as_completed_gives_the_tasks_themselves() {
    run(async {
        let tasks = [sleeper(20), sleeper(10)];
        let mut futures = as_completed(&tasks, None);
        let first = futures.next_future().await.unwrap()?;
        assert!(first.is_same(&tasks[1].shared()));
        let second = futures.next_future().await.unwrap()?;
        assert!(second.is_same(&tasks[0].shared()));
        assert!(futures.next_future().await.is_none());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_with_timeout
#[test]
fn after_its_time_as_completed_gives_timeouts() {
    run(async {
        let mut results = as_completed([sleeper(100), sleeper(150)], ms(120));
        assert_eq!(results.next().await.unwrap()?, 100);
        assert!(
            results
                .next()
                .await
                .unwrap()
                .unwrap_err()
                .is::<asyncio::TimeoutError>()
        );
        assert!(results.next().await.is_none());
        assert_eq!(now_ms(), 120);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_with_unused_timeout
#[test]
fn a_limit_that_is_not_needed_does_no_harm() {
    run(async {
        let mut results = as_completed([asyncio::create_task(async { Ok("a") })], ms(60_000));
        assert_eq!(results.next().await.unwrap()?, "a");
        assert_eq!(now_ms(), 0);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_resume_iterator
#[test]
fn the_walk_over_as_completed_may_be_resumed() {
    run(async {
        let mut results = as_completed([1, 2, 3].map(|n| async move { Ok(n) }), None);
        assert_eq!(results.len(), 3);
        let first = results.next().await.unwrap()?;
        let rest = [
            results.next().await.unwrap()?,
            results.next().await.unwrap()?,
        ];
        assert_eq!((first, rest), (1, [2, 3]));
        assert!(results.is_empty());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_reverse_wait
#[test]
fn results_come_in_the_order_of_completion_however_late_they_are_asked_for() {
    run(async {
        let mut results = as_completed([sleeper(50), sleeper(100)], None);
        asyncio::sleep(ms(200)).await?;
        assert_eq!(results.next().await.unwrap()?, 50);
        assert_eq!(results.next().await.unwrap()?, 100);
        assert_eq!(now_ms(), 200);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_concurrent
#[test]
fn those_who_complete_together_both_come() {
    run(async {
        let mut results = as_completed([1, 2].map(|n| asyncio::sleep_with(ms(50), n)), None);
        let mut seen = vec![
            results.next().await.unwrap()?,
            results.next().await.unwrap()?,
        ];
        seen.sort_unstable();
        assert_eq!((seen, now_ms()), (vec![1, 2], 50));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_coroutine_use_running_loop
#[test]
fn as_completed_starts_coroutines() {
    run(async {
        let mut results = as_completed([async { Ok(42) }], None);
        assert_eq!(results.next().await.unwrap()?, 42);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_as_completed_coroutine_without_loop
#[test]
#[should_panic(expected = "no running event loop")]
fn as_completed_outside_a_loop_starts_nothing() {
    drop(as_completed([async { Ok(42) }], None));
}

/// CPython: test_tasks.GatherTestsBase.test_success
#[test]
fn gather_gives_results_in_the_order_of_its_arguments() {
    run(async {
        let (a, b, c) = (Future::new(), Future::new(), Future::new());
        let all = gather([&a, &b, &c]);
        passes(1).await;
        b.set_result(1)?;
        a.set_result(2)?;
        passes(1).await;
        assert!(!all.done());
        c.set_result(3)?;
        assert_eq!(all.await?, [2, 1, 3]);
        Ok(())
    });
}

/// The message went to what the children were awaiting, and they have swallowed it.
#[test]
fn a_cancelled_gather_of_children_that_return_has_no_message() {
    run(async {
        let task = asyncio::create_task(async {
            let child = || async {
                asyncio::sleep(ms(1)).await.ok();
                Ok(1)
            };
            gather([child(), child()]).await
        });
        asyncio::yield_now().await?;
        asyncio::yield_now().await?;
        assert!(task.cancel_msg("stop"));
        let error = task.await.unwrap_err();
        assert_eq!((error.is_cancelled(), error.cancel_message()), (true, None));
        Ok(())
    });
}

/// CPython: test_tasks.GatherTestsBase.test_result_exception_success
#[test]
fn gather_may_give_exceptions_as_results() {
    run(async {
        let (a, b) = (Future::<i32>::new(), Future::new());
        let all = gather_return_exceptions([&a, &b]);
        a.set_exception(Oops("a"))?;
        b.set_result(2)?;
        let results = all.await?;
        assert!(results[0].as_ref().unwrap_err().is::<Oops>());
        assert_eq!(*results[1].as_ref().unwrap(), 2);
        Ok(())
    });
}

/// CPython: test_tasks.GatherTestsBase.test_one_exception
#[test]
fn the_first_exception_ends_a_gather() {
    run(async {
        let futures: Vec<Future<i32>> = (0..3).map(|_| Future::new()).collect();
        let all = gather(&futures);
        futures[0].set_result(1)?;
        futures[1].set_exception(Oops("one"))?;
        assert!(all.await.unwrap_err().is::<Oops>());
        // The others go on unharmed.
        futures[2].set_exception(Oops("later"))?;
        passes(1).await;
        Ok(())
    });
}

/// CPython: test_tasks.GatherTestsBase.test_return_exceptions
#[test]
fn gather_waits_for_all_where_exceptions_are_results() {
    run(async {
        let futures: Vec<Future<i32>> = (0..4).map(|_| Future::new()).collect();
        let all = gather_return_exceptions(&futures);
        futures[1].set_exception(Oops("zero"))?;
        futures[3].set_exception(Oops("err"))?;
        futures[2].set_result(3)?;
        passes(1).await;
        assert!(!all.done());
        futures[0].set_result(1)?;
        let kinds: Vec<bool> = all.await?.iter().map(Result::is_ok).collect();
        assert_eq!(kinds, [true, false, true, false]);
        Ok(())
    });
}

/// CPython: test_tasks.FutureGatherTests.test_constructor_empty_sequence_use_running_loop
#[test]
fn gather_of_nothing_is_done_at_once() {
    run(async {
        let none: [Future<i32>; 0] = [];
        let all = gather(none);
        assert!(all.done());
        assert!(all.await?.is_empty());
        Ok(())
    });
}

/// CPython: test_tasks.FutureGatherTests.test_constructor_empty_sequence_without_loop
#[test]
fn gather_of_nothing_needs_no_loop() {
    let none: [Future<i32>; 0] = [];
    assert!(gather(none).done());
}

/// CPython: test_tasks.FutureGatherTests.test_constructor_homogenous_futures
#[test]
fn a_future_listed_twice_gives_its_result_twice() {
    run(async {
        let future = Future::new();
        let all = gather([&future, &future]);
        future.set_result(7)?;
        assert_eq!(all.await?, [7, 7]);
        Ok(())
    });
}

/// CPython: test_tasks.FutureGatherTests.test_constructor_heterogenous_futures
#[test]
fn futures_tasks_and_coroutines_may_be_gathered_together() {
    run(async {
        let (future, task) = (Future::new(), sleeper(1));
        future.set_result(5)?;
        let items = [
            asyncio::Item::from(&future),
            asyncio::Item::from(&task),
            asyncio::Item::coroutine(async { Ok(9) }),
        ];
        assert_eq!(gather(items).await?, [5, 1, 9]);
        Ok(())
    });
}

/// CPython: test_tasks.FutureGatherTests.test_one_cancellation
#[test]
fn a_cancelled_child_fails_a_gather_that_is_not_cancelled() {
    run(async {
        let (a, b) = (Future::<i32>::new(), Future::<i32>::new());
        let all = gather([&a, &b]);
        let shared = all.shared();
        a.cancel();
        assert!(all.await.unwrap_err().is_cancelled());
        assert!(!shared.cancelled() && !b.done());
        Ok(())
    });
}

/// CPython: test_tasks.FutureGatherTests.test_result_exception_one_cancellation
#[test]
fn a_cancelled_child_may_be_a_result() {
    run(async {
        let (a, b) = (Future::<i32>::new(), Future::new());
        let all = gather_return_exceptions([&a, &b]);
        a.cancel();
        b.set_result(1)?;
        let results = all.await?;
        assert!(results[0].as_ref().unwrap_err().is_cancelled());
        assert_eq!(*results[1].as_ref().unwrap(), 1);
        Ok(())
    });
}

/// CPython: test_tasks.CoroutineGatherTests.test_constructor_use_running_loop
#[test]
fn gather_starts_coroutines_even_if_nobody_awaits_it() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        let all = gather([async move {
            inner.push("ran");
            Ok(())
        }]);
        passes(1).await;
        assert_eq!(log.get(), ["ran"]);
        all.await?;
        Ok(())
    });
}

/// CPython: test_tasks.CoroutineGatherTests.test_constructor_without_loop
#[test]
#[should_panic(expected = "no running event loop")]
fn gather_outside_a_loop_starts_nothing() {
    drop(gather([async { Ok(1) }]));
}

/// CPython: test_tasks.CoroutineGatherTests.test_cancellation_broadcast
#[test]
fn a_cancelled_gather_cancels_its_children() {
    run(async {
        let children = Record::new();
        let inner = children.clone();
        let outer = asyncio::create_task(async move {
            let tasks = [sleeper(1000), sleeper(2000)];
            tasks.iter().for_each(|task| inner.push(task.handle()));
            gather(tasks).await
        });
        passes(2).await;
        assert!(outer.cancel());
        assert!(outer.await.unwrap_err().is_cancelled());
        assert!(children.get().iter().all(asyncio::TaskHandle::cancelled));
        Ok(())
    });
}

/// CPython: test_tasks.CoroutineGatherTests.test_exception_marking
#[test]
fn later_errors_of_a_failed_gather_count_as_seen() {
    run(async {
        let errors = crate::support::record_errors(&asyncio::get_running_loop()?);
        let result = gather([fail::<()>(10, "first"), fail(20, "second")]).await;
        assert!(result.unwrap_err().is::<Oops>());
        asyncio::sleep(ms(50)).await?;
        assert!(errors.get().is_empty());
        Ok(())
    });
}

/// CPython: test_tasks.CoroutineGatherTests.test_issue46672
#[test]
fn a_gather_of_eager_children_is_done_at_once() {
    run(async {
        asyncio::get_running_loop()?.set_eager(true);
        let all = gather([1, 1].map(|n| async move { Ok(n) }));
        assert!(all.done());
        assert_eq!(all.await?, [1, 1]);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_gather_1
#[test]
fn a_gather_whose_child_swallows_the_cancel_is_cancelled_all_the_same() {
    run(async {
        let child = asyncio::create_task(async {
            asyncio::sleep(ms(1000)).await.ok();
            Ok(1)
        });
        let inner = child.shared();
        let outer = asyncio::create_task(async move { gather_return_exceptions([&inner]).await });
        passes(2).await;
        outer.cancel();
        assert!(outer.await.unwrap_err().is_cancelled());
        assert_eq!(child.await?, 1);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_cancel_gather_2
#[test]
fn the_message_of_a_cancelled_gather_arrives() {
    run(async {
        let outer = asyncio::create_task(async { gather([asyncio::sleep(ms(1000))]).await });
        passes(2).await;
        outer.cancel_msg("my message");
        assert_eq!(
            outer.await.unwrap_err().cancel_message(),
            Some("my message")
        );
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_result
#[test]
fn a_shield_gives_the_result() {
    run(async {
        let inner = Future::new();
        let outer = shield(&inner);
        inner.set_result(42)?;
        assert_eq!(outer.await?, 42);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_exception
#[test]
fn a_shield_gives_the_exception() {
    run(async {
        let inner = Future::<()>::new();
        let outer = shield(&inner);
        passes(1).await;
        inner.set_exception(Oops("inner"))?;
        assert!(outer.await.unwrap_err().is::<Oops>());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_cancel_inner
#[test]
fn a_shield_is_cancelled_with_what_is_inside() {
    run(async {
        let inner = Future::<()>::new();
        let outer = shield(&inner).shared();
        passes(1).await;
        inner.cancel();
        passes(1).await;
        assert!(outer.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_cancel_outer
#[test]
fn what_is_inside_a_shield_survives_its_cancel() {
    run(async {
        let inner = Future::new();
        let outer = shield(&inner).shared();
        passes(1).await;
        assert!(outer.cancel() && outer.cancelled());
        passes(2).await;
        assert!(!inner.done());
        inner.set_result(1)
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_shortcut
#[test]
fn a_shield_of_something_done_is_that() {
    run(async {
        let inner = Future::new();
        inner.set_result(42)?;
        assert!(shield(&inner).shared().is_same(&inner));
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_effect
#[test]
fn a_shielded_task_goes_on_after_the_one_who_awaits_is_cancelled() {
    run(async {
        let proof = Record::new();
        let p = proof.clone();
        let outer = asyncio::create_task(async move {
            shield(async move {
                asyncio::sleep(ms(10)).await?;
                p.push("inner");
                Ok(())
            })
            .await
        });
        passes(2).await;
        outer.cancel();
        assert!(outer.await.unwrap_err().is_cancelled());
        asyncio::sleep(ms(20)).await?;
        assert_eq!(proof.get(), ["inner"]);
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_gather
#[test]
fn a_gather_may_be_shielded() {
    run(async {
        let (a, b) = (Future::new(), Future::new());
        let outer = shield(gather([&a, &b])).shared();
        passes(1).await;
        outer.cancel();
        a.set_result(0)?;
        b.set_result(1)?;
        passes(2).await;
        assert!(outer.cancelled() && !a.cancelled() && !b.cancelled());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_gather_shield
#[test]
fn shields_may_be_gathered() {
    run(async {
        let (a, b) = (Future::<i32>::new(), Future::<i32>::new());
        let all = gather([shield(&a), shield(&b)]);
        passes(1).await;
        all.cancel();
        assert!(all.await.unwrap_err().is_cancelled());
        assert!(!a.done() && !b.done());
        Ok(())
    });
}

/// CPython: test_tasks.BaseTaskTests.test_shield_coroutine_without_loop
#[test]
#[should_panic(expected = "no running event loop")]
fn shield_outside_a_loop_starts_nothing() {
    drop(shield(async { Ok(1) }));
}

/// CPython: test_tasks.BaseTaskTests.test_shield_coroutine_use_running_loop
#[test]
fn shield_starts_a_coroutine() {
    run(async {
        assert_eq!(shield(async { Ok(42) }).await?, 42);
        Ok(())
    });
}

/// Runs a function on a thread of its own beside a loop of the current thread.
fn beside_a_loop(thread: impl FnOnce(asyncio::EventLoop) + Send + 'static) {
    let mut runner = asyncio::Runner::current_thread();
    runner
        .run(async {
            let event_loop = asyncio::get_running_loop()?;
            asyncio::to_thread(move || {
                thread(event_loop);
                Ok(())
            })
            .await
        })
        .unwrap();
    runner.close().unwrap();
}

/// CPython: test_tasks.RunCoroutineThreadsafeTests.test_run_coroutine_threadsafe
#[test]
fn another_thread_may_run_a_coroutine_on_the_loop() {
    beside_a_loop(|event_loop| {
        let future =
            asyncio::run_coroutine_threadsafe(asyncio::sleep_with(ms(1), 3), &event_loop).unwrap();
        assert_eq!(future.result(None).unwrap(), 3);
        assert!(future.done());
    });
}

/// What it waits for is queued on the only worker.
#[test]
fn a_worker_may_block_for_a_coroutine_of_its_loop() {
    let mut runner = asyncio::Runner::new().worker_threads(1);
    let main = async {
        let event_loop = asyncio::get_running_loop()?;
        let three = asyncio::sleep_with(ms(1), 3);
        let future = asyncio::run_coroutine_threadsafe(three, &event_loop)?;
        future.result(None)
    };
    assert_eq!(runner.run(main).unwrap(), 3);
    runner.close().unwrap();
}

/// CPython: test_tasks.RunCoroutineThreadsafeTests.test_run_coroutine_threadsafe_with_exception
#[test]
fn an_exception_crosses_the_threads() {
    beside_a_loop(|event_loop| {
        let future = asyncio::run_coroutine_threadsafe(fail::<()>(1, "fail"), &event_loop).unwrap();
        assert!(future.result(None).unwrap_err().is::<Oops>());
    });
}

/// CPython: test_tasks.RunCoroutineThreadsafeTests.test_run_coroutine_threadsafe_with_timeout
#[test]
fn a_limit_of_the_waiting_thread_cancels_nothing() {
    beside_a_loop(|event_loop| {
        let future =
            asyncio::run_coroutine_threadsafe(asyncio::sleep(ms(60_000)), &event_loop).unwrap();
        assert!(
            future
                .result(ms(0))
                .unwrap_err()
                .is::<asyncio::TimeoutError>()
        );
        assert!(!future.done());
        assert!(future.cancel());
        assert!(future.result(None).unwrap_err().is_cancelled());
    });
}

/// CPython: test_tasks.RunCoroutineThreadsafeTests.test_run_coroutine_threadsafe_task_cancelled
#[test]
fn a_cancelled_task_is_seen_by_the_other_thread() {
    beside_a_loop(|event_loop| {
        let coroutine = async {
            asyncio::current_task().unwrap().cancel();
            asyncio::yield_now().await
        };
        let future = asyncio::run_coroutine_threadsafe(coroutine, &event_loop).unwrap();
        assert!(future.result(None).unwrap_err().is_cancelled());
    });
}

/// CPython: test_tasks.RunCoroutineThreadsafeTests.test_run_coroutine_threadsafe_task_factory_exception
#[test]
fn a_closed_loop_runs_nothing_for_another_thread() {
    let mut runner = asyncio::Runner::current_thread();
    let event_loop = runner.get_loop().unwrap();
    runner.close().unwrap();
    let refused = asyncio::run_coroutine_threadsafe(async { Ok(1) }, &event_loop);
    assert!(refused.unwrap_err().is::<asyncio::RuntimeError>());
}
