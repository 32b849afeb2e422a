//! Ported from CPython's `test_eager_task_factory.py` and `test_staggered.py`.

use heist_asyncio as asyncio;

use crate::support::{Oops, Record, ms, now_ms, passes, run};

/// Runs a coroutine on loops whose tasks are eager, of one thread and of many.
fn eagerly<F: Future<Output = asyncio::Result<()>> + Send>(main: impl Fn() -> F) {
    for mut runner in [
        asyncio::Runner::virtual_clock(),
        asyncio::Runner::new().worker_threads(2),
    ] {
        runner.get_loop().unwrap().set_eager(true);
        runner.run(main()).unwrap();
        runner.close().unwrap();
    }
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_eager_task_factory_set
#[test]
fn a_loop_can_be_told_to_be_eager() {
    eagerly(|| async {
        assert!(asyncio::get_running_loop()?.is_eager());
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_await_future_during_eager_step
/// Holds to [W1].
#[test]
fn a_future_set_before_the_eager_step_is_no_wait() {
    eagerly(|| async {
        let future = asyncio::Future::new();
        future.set_result("done")?;
        let task = asyncio::create_task(async move { future.await });
        assert!(task.done());
        assert_eq!(task.await?, "done");
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_eager_completion
#[test]
fn a_task_that_does_not_wait_is_done_at_once() {
    eagerly(|| async {
        let task = asyncio::create_task(async { Ok("hello") });
        assert!(task.done());
        assert_eq!(task.await?, "hello");
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_block_after_eager_step
#[test]
fn a_task_that_waits_goes_on_later() {
    eagerly(|| async {
        let future = asyncio::Future::new();
        let awaited = future.clone();
        let task = asyncio::create_task(async move {
            awaited.await?;
            Ok("finished after blocking")
        });
        assert!(!task.done());
        future.set_result(())?;
        assert_eq!(task.await?, "finished after blocking");
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_cancellation_after_eager_completion
#[test]
fn a_task_that_is_done_at_once_refuses_a_cancel() {
    eagerly(|| async {
        let task = asyncio::create_task(async { Ok("hello") });
        assert!(!task.cancel() && !task.cancelled());
        assert_eq!(task.await?, "hello");
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_cancellation_after_eager_step_blocks
#[test]
fn a_task_that_waits_can_be_cancelled() {
    eagerly(|| async {
        let task = asyncio::create_task(async { asyncio::Future::<()>::new().await });
        assert!(task.cancel_msg("cancelled"));
        assert_eq!(task.cancelling(), 1);
        let error = (&task).await.unwrap_err();
        assert_eq!(error.cancel_message(), Some("cancelled"));
        assert!(task.cancelled());
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_current_task
#[test]
fn an_eager_task_is_the_current_one_in_its_step() {
    eagerly(|| async {
        let main = asyncio::current_task().unwrap().id();
        let task = asyncio::create_task(async { Ok(asyncio::current_task().unwrap().id()) });
        assert_eq!(task.result()?, task.id());
        assert_eq!(asyncio::current_task().unwrap().id(), main);
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_all_tasks_with_eager_completion
#[test]
fn an_eager_task_is_listed_during_its_step() {
    eagerly(|| async {
        let task = asyncio::create_task(async { Ok(asyncio::all_tasks()?.len()) });
        assert_eq!(task.await?, 2);
        assert_eq!(asyncio::all_tasks()?.len(), 1);
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_all_tasks_with_blocking
#[test]
fn eager_tasks_that_wait_stay_listed() {
    eagerly(|| async {
        let event = asyncio::Event::new();
        let inner = event.clone();
        let task = asyncio::create_task(async move { inner.wait().await });
        assert_eq!(asyncio::all_tasks()?.len(), 2);
        event.set();
        task.await?;
        assert_eq!(asyncio::all_tasks()?.len(), 1);
        Ok(())
    });
}

/// CPython: test_eager_task_factory.EagerTaskFactoryLoopTests.test_context_vars
#[test]
fn what_an_eager_step_sets_does_not_leak() {
    eagerly(|| async {
        let cvar = std::sync::Arc::new(asyncio::ContextVar::with_default("cv", 0));
        drop(cvar.set(1));
        let (gate, steps) = (asyncio::Future::new(), Record::new());
        let (inner, awaited, seen) = (cvar.clone(), gate.clone(), steps.clone());
        let task = asyncio::create_task(async move {
            seen.push(inner.get()?);
            drop(inner.set(2));
            awaited.await?;
            seen.push(inner.get()?);
            drop(inner.set(3));
            seen.push(inner.get()?);
            Ok(())
        });
        assert_eq!((steps.get(), cvar.get()?), (vec![1], 1));
        gate.set_result(())?;
        task.await?;
        assert_eq!((steps.get(), cvar.get()?), (vec![1, 2, 3], 1));
        Ok(())
    });
}

type Boxed<T> = std::pin::Pin<Box<dyn Future<Output = asyncio::Result<T>> + Send>>;

/// A tree of gathers; its leaves count one each.
fn tree(depth: usize, log: Record<usize>) -> Boxed<usize> {
    Box::pin(async move {
        log.push(depth);
        if depth == 0 {
            return Ok(1);
        }
        let children = (0..2).map(|_| tree(depth - 1, log.clone()));
        Ok(asyncio::gather(children).await?.into_iter().sum())
    })
}

/// CPython: test_eager_task_factory.BaseTaskCountingTests.test_recursive_gather
#[test]
fn gathers_in_gathers_run_each_coroutine_once() {
    for eager in [false, true] {
        run(async move {
            asyncio::get_running_loop()?.set_eager(eager);
            let log = Record::new();
            assert_eq!(tree(4, log.clone()).await?, 16);
            assert_eq!(log.get().len(), 31);
            Ok(())
        });
    }
}

/// CPython: test_eager_task_factory.BaseTaskCountingTests.test_recursive_taskgroups
#[test]
fn groups_in_groups_run_each_coroutine_once() {
    fn nested(depth: usize, log: Record<usize>) -> Boxed<()> {
        Box::pin(async move {
            log.push(depth);
            if depth == 0 {
                return Ok(());
            }
            asyncio::TaskGroup::scope(async |group| {
                for _ in 0..2 {
                    group.create_task(nested(depth - 1, log.clone()))?;
                }
                Ok(())
            })
            .await
        })
    }
    for eager in [false, true] {
        run(async move {
            asyncio::get_running_loop()?.set_eager(eager);
            let log = Record::new();
            nested(4, log.clone()).await?;
            assert_eq!(log.get().len(), 31);
            Ok(())
        });
    }
}

/// CPython: test_eager_task_factory.BaseTaskCountingTests.test_awaitables_chain
#[test]
fn a_chain_of_tasks_gives_its_sum() {
    for eager in [false, true] {
        run(async move {
            asyncio::get_running_loop()?.set_eager(eager);
            let mut last = asyncio::create_task(async { Ok(1) });
            for _ in 0..10 {
                last = asyncio::create_task(async move { Ok(last.await? + 1) });
            }
            assert_eq!(last.await?, 11);
            Ok(())
        });
    }
}

/// CPython: test_staggered.StaggeredTests.test_empty
#[test]
fn a_race_of_nobody_has_no_winner() {
    run(async {
        let none: [std::future::Ready<asyncio::Result<i32>>; 0] = [];
        let race = asyncio::staggered_race(none, None).await?;
        assert!(race.winner.is_none() && race.exceptions.is_empty());
        Ok(())
    });
}

/// An entrant that takes its time and then wins or fails.
async fn entrant(index: usize, delay: u64, wins: bool) -> asyncio::Result<String> {
    asyncio::sleep(ms(delay)).await?;
    if wins {
        Ok(format!("Res: {index}"))
    } else {
        Err(Oops("failed").into())
    }
}

/// CPython: test_staggered.StaggeredTests.test_one_successful
#[test]
fn the_first_entrant_wins_and_the_second_never_starts() {
    run(async {
        let race =
            asyncio::staggered_race([entrant(0, 0, true), entrant(1, 0, true)], None).await?;
        assert_eq!(race.winner.unwrap(), ("Res: 0".to_owned(), 0));
        assert_eq!(race.exceptions.len(), 1);
        Ok(())
    });
}

/// CPython: test_staggered.StaggeredTests.test_first_error_second_successful
#[test]
fn a_failure_starts_the_next() {
    run(async {
        let race =
            asyncio::staggered_race([entrant(0, 0, false), entrant(1, 0, true)], None).await?;
        assert_eq!(race.winner.unwrap().1, 1);
        assert!(race.exceptions[0].as_ref().unwrap().is::<Oops>() && race.exceptions[1].is_none());
        Ok(())
    });
}

/// CPython: test_staggered.StaggeredTests.test_first_timeout_second_successful
#[test]
fn the_delay_starts_the_next() {
    run(async {
        let race =
            asyncio::staggered_race([entrant(0, 1000, true), entrant(1, 0, true)], ms(10)).await?;
        assert_eq!(race.winner.unwrap().1, 1);
        assert!(
            race.exceptions[0].as_ref().unwrap().is_cancelled() && race.exceptions[1].is_none()
        );
        assert_eq!(now_ms(), 10);
        Ok(())
    });
}

/// CPython: test_staggered.StaggeredTests.test_none_successful
#[test]
fn a_race_may_have_no_winner() {
    run(async {
        let race =
            asyncio::staggered_race([entrant(0, 0, false), entrant(1, 0, false)], None).await?;
        assert!(race.winner.is_none());
        assert!(
            race.exceptions
                .iter()
                .all(|error| error.as_ref().unwrap().is::<Oops>())
        );
        passes(1).await;
        Ok(())
    });
}
