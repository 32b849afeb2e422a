//! Ported from CPython's `test_asyncgen.py`: what asynchronous generators do beside asyncio.

use futures_util::{StreamExt, TryStreamExt};
use heist_asyncio as asyncio;

use crate::support::{Oops, Record, ms, passes, record_errors, run, try_run};

/// Runs a body that is in a `try`, and then its `finally`.
async fn finally(
    body: impl Future<Output = asyncio::Result<()>>,
    cleanup: impl Future<Output = asyncio::Result<()>>,
) -> asyncio::Result<()> {
    let result = body.await;
    cleanup.await?;
    result
}

/// Yields 1 and 2, and fails when it is closed.
fn fails_to_close() -> asyncio::AsyncGenerator<i32> {
    asyncio::async_generator(|y| async move {
        let body = async {
            y.yield_(1).await?;
            y.yield_(2).await?;
            Ok(())
        };
        finally(body, async { Err(Oops("cleanup").into()) }).await
    })
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_01
#[test]
fn a_generator_is_a_stream_that_awaits() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            for n in [1, 2] {
                y.yield_(n).await?;
                asyncio::sleep(ms(10)).await?;
            }
            Ok(())
        });
        assert_eq!(items.try_collect::<Vec<_>>().await?, [1, 2]);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_02
#[test]
fn an_exception_ends_the_generator() {
    run(async {
        let mut items = asyncio::async_generator(|y| async move {
            y.yield_(1).await?;
            asyncio::sleep(ms(10)).await?;
            Err(Oops("division").into())
        });
        assert_eq!(items.next().await.unwrap()?, 1);
        assert!(items.next().await.unwrap().unwrap_err().is::<Oops>());
        assert!(items.next().await.is_none());
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_anext_04
#[test]
fn an_item_may_be_asked_for_by_any_task() {
    run(async {
        let items = std::sync::Arc::new(asyncio::async_generator(|y| async move {
            for n in 0..3 {
                asyncio::sleep(ms(1)).await?;
                y.yield_(n).await?;
            }
            Ok(())
        }));
        for n in 0..3 {
            let shared = items.clone();
            let task = asyncio::create_task(async move { shared.anext().await });
            assert_eq!(task.await?, Some(n));
        }
        assert_eq!(items.anext().await?, None);
        assert_eq!(items.anext().await?, None);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_aclose_06
/// Holds to [A2].
#[test]
fn a_body_that_yields_while_it_is_closed_is_an_error() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            let cleanup = async {
                asyncio::sleep(ms(10)).await?;
                y.yield_(12).await?;
                Ok(())
            };
            finally(async { y.yield_(1).await.map(drop) }, cleanup).await
        });
        items.anext().await?;
        let error = items.aclose().await.unwrap_err();
        assert_eq!(error.to_string(), "async generator ignored GeneratorExit");
        assert_eq!(items.anext().await?, None);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_aclose_07
#[test]
fn a_body_that_is_closed_may_await_its_cleanup() {
    run(async {
        let (log, inner) = (Record::new(), Record::new());
        let told = inner.clone();
        let items = asyncio::async_generator(|y| async move {
            let body = async {
                y.yield_(1).await?;
                told.push("after the yield");
                Ok(())
            };
            let cleanup = async {
                asyncio::sleep(ms(10)).await?;
                asyncio::sleep(ms(10)).await?;
                told.push("cleaned up");
                Ok(())
            };
            finally(body, cleanup).await
        });
        items.anext().await?;
        items.aclose().await?;
        log.push(());
        assert_eq!(inner.get(), ["cleaned up"]);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_gc_aclose_09
/// Holds to [A3].
#[test]
fn a_generator_that_is_dropped_is_closed_by_a_task() {
    run(async {
        let log = Record::new();
        let told = log.clone();
        let items = asyncio::async_generator(|y| async move {
            let body = async {
                loop {
                    y.yield_(1).await?;
                }
            };
            let cleanup = async {
                asyncio::yield_now().await?;
                told.push("done");
                Ok(())
            };
            finally(body, cleanup).await
        });
        items.anext().await?;
        items.anext().await?;
        drop(items);
        // The callback that makes the task, the task, its await.
        passes(3).await;
        assert_eq!(log.get(), ["done"]);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_aclose_10
#[test]
fn a_body_may_swallow_its_close_and_return() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            let exit = y.yield_(()).await.unwrap_err();
            assert!(exit.is::<asyncio::GeneratorExit>() && exit.is_base());
            Ok(())
        });
        items.anext().await?;
        items.aclose().await
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_aclose_11
#[test]
fn a_body_may_not_swallow_its_close_and_go_on() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            y.yield_(()).await.ok();
            y.yield_(()).await?;
            unreachable!("it is dropped at the second yield");
        });
        items.anext().await?;
        assert!(
            items
                .aclose()
                .await
                .unwrap_err()
                .is::<asyncio::RuntimeError>()
        );
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_aclose_12
#[test]
fn a_cleanup_may_await_a_task_that_fails() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            let task = asyncio::create_task(async {
                asyncio::sleep(ms(10)).await?;
                asyncio::Result::<()>::Err(Oops("target").into())
            });
            let result = y.yield_(1).await;
            assert!(task.await.unwrap_err().is::<Oops>());
            result.map(drop)
        });
        items.anext().await?;
        items.aclose().await
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_asend_01
#[test]
fn a_yield_gives_what_is_sent() {
    run(async {
        let items = asyncio::two_way_generator(|y| async move {
            asyncio::sleep(ms(10)).await?;
            let sent: i32 = y.yield_(1).await?.unwrap();
            asyncio::sleep(ms(10)).await?;
            assert_eq!(y.yield_(sent * 2).await?, None);
            Ok(())
        });
        let early = items.asend(7).await.unwrap_err();
        assert!(early.is::<asyncio::RuntimeError>());
        assert_eq!(items.anext().await?, Some(1));
        assert_eq!(items.asend(100).await?, Some(200));
        assert_eq!(items.anext().await?, None);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_asend_03
#[test]
fn a_cancellation_inside_the_body_is_raised_there() {
    let log = Record::new();
    let told = log.clone();
    let result = try_run(async move {
        let items = asyncio::async_generator(|y| async move {
            let body = async {
                y.yield_(1).await?;
                asyncio::sleep(ms(10)).await?;
                told.push("not reached");
                Ok(())
            };
            let cleanup = async {
                asyncio::sleep(ms(10)).await?;
                told.push("cleaned up");
                Ok(())
            };
            finally(body, cleanup).await
        });
        items.anext().await?;
        let main = asyncio::current_task().unwrap();
        asyncio::get_running_loop()?.call_later(ms(5), move || {
            main.cancel();
        });
        items.anext().await
    });
    assert!(result.unwrap_err().is_cancelled());
    assert_eq!(log.get(), ["cleaned up"]);
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_athrow_01
#[test]
fn an_exception_may_be_thrown_in() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            let thrown = y.yield_(1).await.unwrap_err();
            asyncio::sleep(ms(10)).await?;
            assert!(thrown.is::<Oops>());
            y.yield_(1000).await?;
            Ok(())
        });
        assert_eq!(items.anext().await?, Some(1));
        assert_eq!(items.athrow(Oops("in")).await?, Some(1000));
        assert_eq!(items.anext().await?, None);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_athrow_02
#[test]
fn an_exception_thrown_before_the_start_is_raised_at_once() {
    run(async {
        let items = asyncio::async_generator(|y| async move { y.yield_(1).await.map(drop) });
        assert!(items.athrow(Oops("early")).await.unwrap_err().is::<Oops>());
        assert_eq!(items.anext().await?, None);
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenTest.test_async_gen_asend_throw_concurrent_with_send
/// Holds to [A1].
#[test]
fn two_calls_at_once_are_an_error() {
    run(async {
        let items = std::sync::Arc::new(asyncio::async_generator(|y| async move {
            asyncio::sleep(ms(10)).await?;
            y.yield_(1).await.map(drop)
        }));
        let shared = items.clone();
        let first = asyncio::create_task(async move { shared.anext().await });
        asyncio::yield_now().await?;
        assert!(items.is_running());
        for error in [
            items.anext().await.unwrap_err(),
            items.aclose().await.unwrap_err(),
        ] {
            assert!(error.to_string().ends_with("is already running"), "{error}");
        }
        assert_eq!(first.await?, Some(1));
        assert!(!items.is_running());
        Ok(())
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_01
#[test]
fn generators_inside_cancelled_tasks_clean_up() {
    let log = Record::new();
    let mut runner = asyncio::Runner::virtual_clock();
    let told = log.clone();
    runner
        .run(async move {
            for _ in 0..2 {
                let told = told.clone();
                asyncio::create_task(async move {
                    let items = asyncio::async_generator(|y| async move {
                        let body = async {
                            asyncio::sleep(ms(1000)).await?;
                            y.yield_(1).await.map(drop)
                        };
                        let cleanup = async {
                            asyncio::yield_now().await?;
                            told.push("finalized");
                            Ok(())
                        };
                        finally(body, cleanup).await
                    });
                    items.try_collect::<Vec<_>>().await
                });
            }
            asyncio::sleep(ms(100)).await
        })
        .unwrap();
    runner.close().unwrap();
    assert_eq!(log.get(), ["finalized"; 2]);
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_exception_01
/// Holds to [A4].
#[test]
fn the_runner_closes_a_generator_that_is_still_held() {
    for mut runner in [
        asyncio::Runner::virtual_clock(),
        asyncio::Runner::new().worker_threads(2),
    ] {
        let errors = record_errors(&runner.get_loop().unwrap());
        let held = runner
            .run(async {
                let items = fails_to_close();
                assert_eq!(items.anext().await?, Some(1));
                Ok(items)
            })
            .unwrap();
        runner.close().unwrap();
        assert_eq!(
            errors.get(),
            ["an error occurred during closing of asynchronous generator"]
        );
        drop(held);
    }
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_asyncio_shutdown_exception_02
#[test]
fn a_dropped_generator_that_fails_to_close_is_reported() {
    let mut runner = asyncio::Runner::virtual_clock();
    let errors = record_errors(&runner.get_loop().unwrap());
    runner
        .run(async {
            let items = fails_to_close();
            items.anext().await?;
            drop(items);
            passes(3).await;
            Ok(())
        })
        .unwrap();
    runner.close().unwrap();
    assert_eq!(errors.get(), ["Task exception was never retrieved"]);
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_asyncgen_nonstarted_hooks_are_cancellable
#[test]
fn a_generator_dropped_at_the_very_end_is_quiet() {
    let mut runner = asyncio::Runner::virtual_clock();
    let errors = record_errors(&runner.get_loop().unwrap());
    runner
        .run(async {
            let items = asyncio::async_generator(|y| async move {
                y.yield_(1).await?;
                y.yield_(2).await.map(drop)
            });
            items.anext().await.map(drop)
        })
        .unwrap();
    runner.close().unwrap();
    assert!(errors.get().is_empty());
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_aclose_twice_with_different_coros
#[test]
fn a_generator_that_has_not_begun_closes_twice() {
    run(async {
        let items = asyncio::async_generator(|y: asyncio::Yielder<i32>| async move {
            drop(y);
            unreachable!("it never begins");
        });
        items.aclose().await?;
        items.aclose().await
    });
}

/// CPython: test_asyncgen.AsyncGenAsyncioTest.test_async_gen_aclose_after_exhaustion
#[test]
fn a_generator_that_has_ended_closes() {
    run(async {
        let mut items = asyncio::async_generator(|y| async move {
            y.yield_(1).await?;
            y.yield_(2).await.map(drop)
        });
        while let Some(item) = items.next().await {
            item?;
        }
        items.aclose().await
    });
}

/// `contextlib.aclosing`: leaving the block early closes, and a cancel of the block does too.
#[test]
fn aclosing_closes_where_the_block_ends() {
    run(async {
        let log = Record::new();
        for leaves_early in [true, false] {
            let told = log.clone();
            let items = asyncio::async_generator(|y| async move {
                let body = async { y.yield_(1).await.map(drop) };
                let cleanup = async {
                    asyncio::sleep(ms(1)).await?;
                    told.push("closed");
                    Ok(())
                };
                finally(body, cleanup).await
            });
            let task = asyncio::create_task(asyncio::aclosing(items, async move |items| {
                items.anext().await?;
                if !leaves_early {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }));
            passes(2).await;
            if !leaves_early {
                task.cancel();
            }
            let result = task.await;
            assert!(leaves_early || result.unwrap_err().is_cancelled());
        }
        assert_eq!(log.get(), ["closed"; 2]);
        Ok(())
    });
}

/// A scope inside the body does not take the yield for a foreign future, even where a cancel is due.
#[test]
fn a_cancel_that_is_due_passes_over_a_yield() {
    run(async {
        let items = asyncio::async_generator(|y| async move {
            asyncio::timeout(ms(1000), async |_| {
                y.yield_(1).await?;
                y.yield_(2).await.map(drop)
            })
            .await
        });
        asyncio::current_task().unwrap().cancel();
        assert_eq!(items.anext().await?, Some(1));
        assert_eq!(items.anext().await?, Some(2));
        assert!(asyncio::yield_now().await.unwrap_err().is_cancelled());
        asyncio::current_task().unwrap().uncancel();
        items.aclose().await
    });
}

/// A call that is dropped inside the body ends the generator; a stream that is polled and dropped does not.
#[test]
fn only_a_stream_may_be_left_and_come_back_to() {
    run(async {
        let slow = || {
            asyncio::async_generator(|y| async move {
                asyncio::sleep(ms(1)).await?;
                y.yield_(1).await.map(drop)
            })
        };
        let dropped = slow();
        assert!(futures_util::poll!(std::pin::pin!(dropped.anext())).is_pending());
        assert_eq!(dropped.anext().await?, None);
        let mut kept = slow();
        assert!(futures_util::poll!(kept.next()).is_pending());
        assert_eq!(kept.next().await.unwrap()?, 1);
        kept.aclose().await
    });
}
