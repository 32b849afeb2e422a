//! Ported from CPython's `test_timeouts.py`.

use heist_asyncio as asyncio;

use asyncio::{Timeout, TimeoutError, timeout, timeout_at};

use crate::support::{Oops, ms, now_ms, passes, run};

async fn long_sleep() -> asyncio::Result<()> {
    asyncio::sleep(ms(10_000)).await
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_basic
/// Holds to [D1].
#[test]
fn a_block_that_takes_too_long_times_out() {
    run(async {
        let block = Timeout::after(ms(10))?;
        let error = block.run(async |_| long_sleep().await).await.unwrap_err();
        assert!(error.is::<TimeoutError>());
        assert!(error.cause().unwrap().is_cancelled());
        assert!(block.expired());
        assert_eq!(block.when().unwrap().as_nanos(), 10_000_000);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_at_basic
#[test]
fn a_block_may_have_an_absolute_deadline() {
    run(async {
        let deadline = asyncio::get_running_loop()?.time() + ms(10);
        let error = timeout_at(deadline, async |_| long_sleep().await)
            .await
            .unwrap_err();
        assert!(error.is::<TimeoutError>());
        assert_eq!(now_ms(), 10);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_nested_timeouts
#[test]
fn the_outer_of_two_blocks_times_out_when_its_time_has_come() {
    run(async {
        let (outer, inner) = (Timeout::after(ms(100))?, Timeout::after(ms(200))?);
        let nested = async |_| inner.run(async |_| long_sleep().await).await;
        let error = outer.run(nested).await.unwrap_err();
        assert!(error.is::<TimeoutError>());
        assert!(outer.expired() && !inner.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_waiter_cancelled
#[test]
fn the_block_sees_the_cancellation() {
    run(async {
        let mut cancelled = false;
        let result = timeout(ms(10), async |_| {
            let result = long_sleep().await;
            cancelled = matches!(&result, Err(error) if error.is_cancelled());
            result
        })
        .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert!(cancelled);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_not_called
#[test]
fn a_block_that_is_in_time_is_not_expired() {
    run(async {
        let block = Timeout::after(ms(10))?;
        block.run(async |_| asyncio::sleep(ms(1)).await).await?;
        assert!(!block.expired());
        assert_eq!(now_ms(), 1);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_disabled
#[test]
fn a_block_without_a_deadline_never_expires() {
    run(async {
        let block = Timeout::after(None)?;
        block.run(async |_| asyncio::sleep(ms(10)).await).await?;
        assert!(!block.expired() && block.when().is_none());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_at_disabled
#[test]
fn an_absolute_block_without_a_deadline_never_expires() {
    run(async { timeout_at(None, async |_| asyncio::sleep(ms(10)).await).await });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_zero
#[test]
fn a_zero_timeout_hits_the_first_wait() {
    run(async {
        let block = Timeout::after(ms(0))?;
        let error = block.run(async |_| long_sleep().await).await.unwrap_err();
        assert!(error.is::<TimeoutError>() && block.expired());
        assert_eq!(now_ms(), 0);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_zero_sleep_zero
#[test]
fn a_zero_timeout_hits_a_bare_yield() {
    run(async {
        let block = Timeout::after(ms(0))?;
        let error = block
            .run(async |_| asyncio::yield_now().await)
            .await
            .unwrap_err();
        assert!(error.is::<TimeoutError>() && block.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_in_the_past_sleep_zero
#[test]
fn a_deadline_in_the_past_hits_a_bare_yield() {
    run(async {
        let past = asyncio::get_running_loop()?.time() - ms(20);
        let block = Timeout::new(past);
        let error = block
            .run(async |_| asyncio::yield_now().await)
            .await
            .unwrap_err();
        assert!(error.is::<TimeoutError>() && block.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_foreign_exception_passed
#[test]
fn another_error_passes_through() {
    run(async {
        let block = Timeout::after(ms(10))?;
        let result: asyncio::Result<()> = block.run(async |_| Err(Oops("own").into())).await;
        assert!(result.unwrap_err().is::<Oops>());
        assert!(!block.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_exception_context
#[test]
fn the_timeout_error_is_caused_by_the_cancellation() {
    run(async {
        let error = timeout(ms(1), async |_| long_sleep().await)
            .await
            .unwrap_err();
        assert!(error.is::<TimeoutError>());
        assert!(error.cause().is_some_and(asyncio::Exception::is_cancelled));
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_foreign_exception_on_timeout
#[test]
fn an_error_raised_at_the_cancellation_wins() {
    run(async {
        let block = Timeout::after(ms(10))?;
        let result: asyncio::Result<()> = block
            .run(async |_| {
                long_sleep().await.ok();
                Err(Oops("cleanup").into())
            })
            .await;
        assert!(result.unwrap_err().is::<Oops>());
        assert!(block.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_foreign_exception_on_timeout_2
#[test]
fn an_error_that_replaces_another_at_the_cancellation_wins() {
    run(async {
        let result: asyncio::Result<()> = timeout(ms(10), async |_| {
            let first: asyncio::Result<()> = long_sleep().await.and(Err(Oops("never").into()));
            assert!(first.unwrap_err().is_cancelled());
            Err(Oops("second").into())
        })
        .await;
        assert_eq!(
            *result.unwrap_err().downcast_ref::<Oops>().unwrap(),
            Oops("second")
        );
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_foreign_cancel_doesnt_timeout_if_not_expired
#[test]
fn a_cancel_from_outside_is_no_timeout() {
    run(async {
        let result: asyncio::Result<()> =
            timeout(ms(1000), async |_| Err(asyncio::Exception::cancelled())).await;
        assert!(result.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_outer_task_is_not_cancelled
/// Holds to [D2].
#[test]
fn a_task_that_timed_out_is_not_cancelled() {
    run(async {
        let task = asyncio::create_task(async {
            let result = timeout(ms(1), async |_| long_sleep().await).await;
            assert!(result.unwrap_err().is::<TimeoutError>());
            Ok(())
        });
        (&task).await?;
        assert!(!task.cancelled() && task.done());
        assert_eq!(task.cancelling(), 0);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_nested_timeouts_concurrent
#[test]
fn of_two_blocks_that_expire_together_the_outer_times_out() {
    run(async {
        let inner = Timeout::after(ms(2))?;
        let outer = Timeout::after(ms(2))?;
        let mut inner_error = None;
        let result = outer
            .run(async |_| {
                let result = inner.run(async |_| long_sleep().await).await;
                inner_error = result.as_ref().err().cloned();
                result
            })
            .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        // Which timer is first decides: both have fired before the task runs, so the inner one lets the
        // cancellation pass.
        assert!(inner_error.unwrap().is_cancelled());
        assert!(outer.expired() && inner.expired());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_nested_timeouts_loop_busy
#[test]
fn the_inner_block_times_out_first_where_its_time_comes_first() {
    run(async {
        let outer = Timeout::after(ms(200))?;
        let result = outer
            .run(async |_| {
                let inner = timeout(ms(100), async |_| long_sleep().await).await;
                assert!(inner.unwrap_err().is::<TimeoutError>());
                long_sleep().await
            })
            .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert_eq!(now_ms(), 200);
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_reschedule
#[test]
fn a_block_may_move_its_deadline() {
    run(async {
        let event_loop = asyncio::get_running_loop()?;
        let started = event_loop.time();
        let block = Timeout::new(started + ms(1));
        let result = block
            .run(async |block| {
                block.reschedule(started + ms(100))?;
                assert_eq!(block.when(), Some(started + ms(100)));
                long_sleep().await
            })
            .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert_eq!(now_ms(), 100);
        assert!(
            block
                .reschedule(None)
                .unwrap_err()
                .is::<asyncio::RuntimeError>()
        );
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_nested_timeout_in_finally
#[test]
fn a_block_may_time_out_inside_the_cleanup_of_another() {
    run(async {
        let result = timeout(ms(1), async |_| {
            let outcome = asyncio::sleep(ms(1)).await.and(long_sleep().await);
            let cleanup = timeout(ms(10), async |_| long_sleep().await).await;
            assert!(cleanup.unwrap_err().is::<TimeoutError>());
            outcome
        })
        .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_after_cancellation
#[test]
fn a_block_may_time_out_after_a_cancel_that_was_swallowed() {
    run(async {
        asyncio::current_task().unwrap().cancel();
        assert!(long_sleep().await.unwrap_err().is_cancelled());
        let result = timeout(ms(1), async |_| long_sleep().await).await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_cancel_in_timeout_after_cancellation
#[test]
fn a_second_cancel_inside_a_block_passes_through() {
    run(async {
        asyncio::current_task().unwrap().cancel();
        assert!(long_sleep().await.unwrap_err().is_cancelled());
        let result = timeout(ms(1000), async |_| {
            asyncio::current_task().unwrap().cancel();
            long_sleep().await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_already_entered
#[test]
fn a_block_cannot_be_entered_inside_itself() {
    run(async {
        let block = Timeout::after(ms(10))?;
        let again = block.clone();
        block
            .run(async |_| {
                let result = again.run(async |_| Ok(())).await;
                assert!(result.unwrap_err().is::<asyncio::RuntimeError>());
                Ok(())
            })
            .await
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_double_enter
#[test]
fn a_block_cannot_be_entered_twice() {
    run(async {
        let block = Timeout::after(ms(10))?;
        block.run(async |_| Ok(())).await?;
        let result = block.run(async |_| Ok(())).await;
        assert!(result.unwrap_err().is::<asyncio::RuntimeError>());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_finished
#[test]
fn a_finished_block_cannot_be_rescheduled() {
    run(async {
        let block = Timeout::after(ms(10))?;
        block.run(async |_| Ok(())).await?;
        assert!(
            block
                .reschedule(None)
                .unwrap_err()
                .to_string()
                .contains("finished")
        );
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_expired
#[test]
fn an_expired_block_cannot_be_rescheduled() {
    run(async {
        let block = Timeout::after(ms(1))?;
        block.run(async |_| long_sleep().await).await.unwrap_err();
        assert!(
            block
                .reschedule(None)
                .unwrap_err()
                .to_string()
                .contains("expired")
        );
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_expiring
#[test]
fn an_expiring_block_cannot_be_rescheduled() {
    run(async {
        let result = timeout(ms(1), async |block| {
            let result = long_sleep().await;
            assert!(
                block
                    .reschedule(None)
                    .unwrap_err()
                    .to_string()
                    .contains("expiring")
            );
            result
        })
        .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_not_entered
#[test]
fn a_block_that_was_not_entered_cannot_be_rescheduled() {
    run(async {
        let block = Timeout::after(ms(1))?;
        assert!(
            block
                .reschedule(None)
                .unwrap_err()
                .to_string()
                .contains("has not been entered")
        );
        Ok(())
    });
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_without_task
#[test]
fn a_block_outside_a_task_is_an_error() {
    let result = futures_util::FutureExt::now_or_never(timeout(ms(1), async |_| Ok(())));
    assert!(result.unwrap().unwrap_err().is::<asyncio::RuntimeError>());
}

/// CPython: test_timeouts.TimeoutTests.test_timeout_taskgroup
#[test]
fn a_timeout_around_a_group_gives_the_groups_errors() {
    run(async {
        let result = timeout(ms(1), async |_| {
            asyncio::TaskGroup::scope(async |group| {
                group.create_task(async {
                    long_sleep().await.ok();
                    asyncio::Result::<()>::Err(Oops("late").into())
                })?;
                passes(1).await;
                long_sleep().await
            })
            .await
        })
        .await;
        let error = result.unwrap_err();
        let group = error.downcast_ref::<asyncio::ExceptionGroup>().unwrap();
        assert!(group.exceptions()[0].is::<Oops>());
        Ok(())
    });
}
