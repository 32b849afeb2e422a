//! Ported from CPython's `test_waitfor.py`.

use heist_asyncio as asyncio;

use asyncio::{Future, TimeoutError, wait_for};

use crate::support::{Oops, Record, ms, now_ms, passes, run};

/// CPython: test_waitfor.AsyncioWaitForTest.test_asyncio_wait_for_cancelled
#[test]
fn a_cancelled_wait_for_is_cancelled() {
    run(async {
        let task = asyncio::create_task(async { wait_for(asyncio::sleep(ms(100)), ms(50)).await });
        passes(1).await;
        task.cancel();
        assert!((&task).await.unwrap_err().is_cancelled());
        assert!(task.cancelled());
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_asyncio_wait_for_timeout
#[test]
fn wait_for_times_out() {
    run(async {
        assert!(
            wait_for(asyncio::sleep(ms(100)), ms(50))
                .await
                .unwrap_err()
                .is::<TimeoutError>()
        );
        assert_eq!(now_ms(), 50);
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_timeout_less_then_0_or_0_future_done
#[test]
fn a_zero_limit_gives_what_is_done() {
    run(async {
        let future = Future::new();
        future.set_result("done")?;
        assert_eq!(wait_for(&future, ms(0)).await?, "done");
        assert_eq!(now_ms(), 0);
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started
#[test]
fn a_zero_limit_never_starts_a_coroutine() {
    run(async {
        let mut started = false;
        let result = wait_for(
            async {
                started = true;
                Ok(())
            },
            ms(0),
        )
        .await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert!(!started);
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_timeout_less_then_0_or_0
#[test]
fn a_zero_limit_cancels_what_is_not_done() {
    run(async {
        let started = Record::new();
        let task = {
            let started = started.clone();
            asyncio::create_task(async move {
                started.push(true);
                asyncio::sleep(ms(200)).await
            })
        };
        passes(1).await;
        assert!(
            wait_for(&task, ms(0))
                .await
                .unwrap_err()
                .is::<TimeoutError>()
        );
        assert_eq!(started.get(), [true]);
        assert!(task.done() && task.cancelled());
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for
#[test]
fn wait_for_cancels_its_task_when_the_time_is_over() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(100), "slow"));
        assert!(
            wait_for(&task, ms(10))
                .await
                .unwrap_err()
                .is::<TimeoutError>()
        );
        assert!(task.cancelled());
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_blocking
#[test]
fn wait_for_without_a_limit_waits() {
    run(async {
        assert_eq!(
            wait_for(asyncio::sleep_with(ms(10), "done"), None).await?,
            "done"
        );
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_race_condition
#[test]
fn a_result_in_time_wins() {
    run(async {
        let future = Future::new();
        let setter = future.clone();
        asyncio::get_running_loop()?.call_later(ms(100), move || setter.set_result("ok").unwrap());
        assert_eq!(wait_for(&future, ms(200)).await?, "ok");
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_cancellation_race_condition
#[test]
fn a_cancel_is_not_lost_where_the_inner_one_ends_at_once() {
    run(async {
        let task = asyncio::create_task(async {
            let inner = async {
                asyncio::sleep(ms(100)).await.ok();
                Ok(1)
            };
            wait_for(inner, ms(1000)).await
        });
        passes(1).await;
        task.cancel();
        // The inner one swallows it and returns: so does wait_for.
        assert_eq!((&task).await?, 1);
        assert_eq!(task.cancelling(), 1);
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_waits_for_task_cancellation
#[test]
fn wait_for_waits_until_the_cancelled_task_has_ended() {
    run(async {
        let ended = Record::new();
        let task = {
            let ended = ended.clone();
            asyncio::create_task(async move {
                let result = asyncio::sleep(ms(10_000)).await;
                asyncio::sleep(ms(100)).await?;
                ended.push(now_ms());
                result
            })
        };
        assert!(
            wait_for(&task, ms(10))
                .await
                .unwrap_err()
                .is::<TimeoutError>()
        );
        assert_eq!(ended.get(), [110]);
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_waits_for_task_cancellation_w_timeout_0
#[test]
fn a_zero_limit_too_waits_until_the_cancelled_task_has_ended() {
    run(async {
        let task = asyncio::create_task(async {
            let result = asyncio::sleep(ms(10_000)).await;
            asyncio::sleep(ms(100)).await?;
            result
        });
        passes(1).await;
        assert!(
            wait_for(&task, ms(0))
                .await
                .unwrap_err()
                .is::<TimeoutError>()
        );
        assert_eq!(now_ms(), 100);
        assert!(task.done());
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_reraises_exception_during_cancellation
#[test]
fn an_error_raised_at_the_cancellation_is_raised() {
    run(async {
        let inner = async {
            asyncio::sleep(ms(200)).await.ok();
            asyncio::Result::<()>::Err(Oops("cleanup").into())
        };
        assert!(wait_for(inner, ms(10)).await.unwrap_err().is::<Oops>());
        Ok(())
    });
}

async fn cancel_wait_for(limit: std::time::Duration) {
    let future = Future::<()>::new();
    let task = {
        let future = future.clone();
        asyncio::create_task(async move { wait_for(&future, limit).await })
    };
    passes(1).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(future.cancelled());
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_cancel_blocking_wait_for
#[test]
fn a_cancel_reaches_what_a_long_wait_for_waits_on() {
    run(async {
        cancel_wait_for(ms(1_000_000)).await;
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_cancel_wait_for
#[test]
fn a_cancel_reaches_what_wait_for_waits_on() {
    run(async {
        cancel_wait_for(ms(60)).await;
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_cancel_suppressed
#[test]
fn a_value_returned_at_the_cancellation_is_returned() {
    run(async {
        let inner = async {
            asyncio::sleep(ms(10_000)).await.ok();
            Ok("value")
        };
        assert_eq!(wait_for(inner, ms(10)).await?, "value");
        Ok(())
    });
}

/// CPython: test_waitfor.AsyncioWaitForTest.test_wait_for_issue86296
#[test]
fn a_cancel_after_the_inner_one_was_done_is_delivered_later() {
    run(async {
        let result = Record::new();
        let task = {
            let result = result.clone();
            asyncio::create_task(async move {
                let me = asyncio::current_task().unwrap();
                let inner = async move {
                    me.cancel();
                    Ok("inner")
                };
                result.push(wait_for(inner, ms(1000)).await?);
                asyncio::sleep(ms(100)).await
            })
        };
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(result.get(), ["inner"]);
        Ok(())
    });
}

/// CPython: test_waitfor.WaitForShieldTests.test_zero_timeout
#[test]
fn a_zero_limit_leaves_a_shielded_task_alone() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(10), "done"));
        let result = wait_for(asyncio::shield(&task), ms(0)).await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert!(!task.done() && !task.cancelled());
        assert_eq!(task.await?, "done");
        Ok(())
    });
}

/// CPython: test_waitfor.WaitForShieldTests.test_none_timeout
#[test]
fn a_shielded_task_is_waited_for_without_a_limit() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(10), "done"));
        assert_eq!(wait_for(asyncio::shield(&task), None).await?, "done");
        assert!(task.done());
        Ok(())
    });
}

/// CPython: test_waitfor.WaitForShieldTests.test_shielded_timeout
#[test]
fn a_shielded_task_outlives_the_limit() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(100), "done"));
        let result = wait_for(asyncio::shield(&task), ms(10)).await;
        assert!(result.unwrap_err().is::<TimeoutError>());
        assert!(!task.done());
        assert_eq!(task.await?, "done");
        Ok(())
    });
}
