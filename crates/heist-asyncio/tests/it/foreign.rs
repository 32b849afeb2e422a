//! Futures that are not the facade's, and the facade's under `join!` and `select!`.

use std::future::{Future, IntoFuture, pending};

use futures_util::{future::Either, future::select, join, pin_mut};
use heist_asyncio as asyncio;

use crate::support::{Record, ms, passes, run};

/// Runs a coroutine on the exact loop and on the parallel one.
fn on_both<F: Future<Output = asyncio::Result<()>> + Send>(main: impl Fn() -> F) {
    for mut runner in [
        asyncio::Runner::current_thread(),
        asyncio::Runner::new().worker_threads(2),
    ] {
        runner.run(main()).unwrap();
        runner.close().unwrap();
    }
}

/// Holds to [S2], [S4].
#[test]
fn a_task_in_a_foreign_future_is_dropped_there_when_cancelled() {
    struct Gone(asyncio::Event);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    on_both(|| async {
        let (waiting, gone) = (asyncio::Event::new(), asyncio::Event::new());
        let task = {
            let (waiting, guard) = (waiting.clone(), Gone(gone.clone()));
            asyncio::create_task(async move {
                let _guard = guard;
                waiting.set();
                pending::<()>().await;
                Ok(())
            })
        };
        waiting.wait().await?;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(gone.is_set());
        Ok(())
    });
}

#[test]
fn a_timeout_around_a_foreign_future_times_out() {
    on_both(|| async {
        let result: asyncio::Result<()> = asyncio::timeout(ms(1), async |_| {
            pending::<()>().await;
            Ok(())
        })
        .await;
        assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
        Ok(())
    });
}

#[test]
fn a_group_whose_body_is_in_a_foreign_future_awaits_its_children() {
    on_both(|| async {
        let (order, started) = (Record::new(), asyncio::Event::new());
        let task = {
            let (order, started) = (order.clone(), started.clone());
            asyncio::create_task(async move {
                let result: asyncio::Result<()> = asyncio::TaskGroup::scope(async |group| {
                    let (order, started) = (order.clone(), started.clone());
                    group.create_task(async move {
                        started.set();
                        let result = asyncio::Future::<()>::new().await;
                        asyncio::yield_now().await?;
                        order.push("child");
                        result
                    })?;
                    pending::<()>().await;
                    Ok(())
                })
                .await;
                order.push("group");
                result
            })
        };
        started.wait().await?;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(order.get(), ["child", "group"]);
        Ok(())
    });
}

#[test]
fn cancellable_gives_the_error_to_code_that_cleans_up() {
    on_both(|| async {
        let started = asyncio::Event::new();
        let starts = started.clone();
        let task = asyncio::create_task(async move {
            starts.set();
            let result = asyncio::cancellable(pending::<()>()).await;
            assert!(result.unwrap_err().is_cancelled());
            asyncio::yield_now().await?;
            Ok("cleaned up")
        });
        started.wait().await?;
        task.cancel_msg("stop");
        assert_eq!(task.await?, "cleaned up");
        Ok(())
    });
}

#[test]
fn a_core_timer_is_a_foreign_future() {
    on_both(|| async {
        heist::time::sleep(ms(1)).await;
        let result = asyncio::wait_for(
            async {
                heist::time::sleep(ms(10_000)).await;
                Ok(())
            },
            ms(1),
        )
        .await;
        assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
        Ok(())
    });
}

/// Waits in two branches, which are both told of a cancel.
async fn joins() -> asyncio::Result<()> {
    let event = asyncio::Event::new();
    let queue = asyncio::Queue::<i32>::new(0);
    let (a, b, c) = join!(event.wait(), queue.get(), async {
        asyncio::Result::<i32>::Ok(1)
    });
    assert!(a.unwrap_err().is_cancelled() && b.unwrap_err().is_cancelled());
    assert_eq!(c.unwrap(), 1);
    assert_eq!(event.n_waiting(), 0);
    Ok(())
}

#[test]
fn a_cancel_reaches_every_branch_of_a_join() {
    on_both(|| async {
        let started = asyncio::Event::new();
        let starts = started.clone();
        let task = asyncio::create_task(async move {
            starts.set();
            joins().await
        });
        started.wait().await?;
        task.cancel();
        task.await
    });
}

/// Holds to [F1].
#[test]
fn a_cancel_in_the_step_reaches_every_branch_of_a_join() {
    on_both(|| async {
        asyncio::create_task(async {
            asyncio::current_task().unwrap().cancel();
            joins().await
        })
        .await
    });
}

/// Holds to [F1], [K5].
#[test]
fn a_cancel_between_two_branches_reaches_both() {
    on_both(|| async {
        asyncio::create_task(async {
            let (first, second) = (asyncio::Event::new(), asyncio::Event::new());
            let (a, b) = join!(first.wait(), async {
                asyncio::current_task().unwrap().cancel();
                second.wait().await
            });
            assert!(a.unwrap_err().is_cancelled() && b.unwrap_err().is_cancelled());
            Ok(())
        })
        .await
    });
}

/// A branch that is done keeps what it has got, whether the task has seen it yet or not; the one that waits is told.
#[test]
fn a_cancel_reaches_the_branch_that_waits_and_not_the_one_that_is_done() {
    for passes_between in [0, 3] {
        on_both(move || async move {
            let (first, second) = (asyncio::Queue::new(0), asyncio::Event::new());
            let (get, wait) = (first.clone(), second.clone());
            let started = asyncio::Event::new();
            let starts = started.clone();
            let task = asyncio::create_task(async move {
                starts.set();
                let (got, waited) = join!(get.get(), wait.wait());
                Ok((got?, waited.unwrap_err().is_cancelled()))
            });
            started.wait().await?;
            while (first.n_waiting().0, second.n_waiting()) != (1, 1) {
                asyncio::yield_now().await?;
            }
            first.put_nowait(7)?;
            passes(passes_between).await;
            task.cancel();
            assert_eq!(task.await?, (7, true));
            assert_eq!(second.n_waiting(), 0);
            Ok(())
        });
    }
}

/// Holds to [W6].
#[test]
fn a_cancel_before_a_branch_resumes_reaches_the_others() {
    on_both(|| async {
        let (queue, go, never) = (
            asyncio::Queue::new(0),
            asyncio::Event::new(),
            asyncio::Event::new(),
        );
        let (gets, goes) = (queue.clone(), go.clone());
        let task = asyncio::create_task(async move {
            let cancels = async {
                goes.wait().await?;
                asyncio::current_task().unwrap().cancel();
                asyncio::Result::<()>::Ok(())
            };
            let (cancelled, got, waited) = join!(cancels, gets.get(), never.wait());
            cancelled?;
            Ok((got?, waited.unwrap_err().is_cancelled()))
        });
        while (queue.n_waiting().0, go.n_waiting()) != (1, 1) {
            asyncio::yield_now().await?;
        }
        queue.put_nowait(7)?;
        go.set();
        assert_eq!(task.await?, (7, true));
        Ok(())
    });
}

/// Holds to [W7]. On many cores, where a timeout asks its body again in the step in which it expires.
#[test]
fn a_timeout_around_a_branch_that_yields_ends_beside_one_that_waits() {
    let mut runner = asyncio::Runner::new().worker_threads(2);
    let main = async {
        let never = asyncio::Event::new();
        let yields = asyncio::timeout(ms(1), async |_| -> asyncio::Result<()> {
            loop {
                asyncio::yield_now().await?;
            }
        });
        let (yielded, waited) = join!(yields, never.wait());
        assert!(yielded.unwrap_err().is::<asyncio::TimeoutError>());
        assert!(waited.unwrap_err().is_cancelled());
        // It was one cancel, and is delivered.
        asyncio::yield_now().await
    };
    runner.run(main).unwrap();
    runner.close().unwrap();
}

/// What became of a branch that yields for ever, and of one that waits for ever, where the task is cancelled `when`.
async fn yields_beside_a_wait(yields_first: bool, cancels_itself: bool) -> asyncio::Result<()> {
    let (never, rounds) = (asyncio::Event::new(), asyncio::Event::new());
    let (waited, yielded) = (never.clone(), rounds.clone());
    let task = asyncio::create_task(async move {
        let yields = async {
            for round in 0.. {
                if round == 2 {
                    yielded.set();
                }
                if round == 3 && cancels_itself {
                    asyncio::current_task().unwrap().cancel_msg("stop");
                }
                asyncio::yield_now().await?;
            }
            asyncio::Result::<()>::Ok(())
        };
        let (yields, waits) = match yields_first {
            true => join!(yields, waited.wait()),
            false => {
                let (waits, yields) = join!(waited.wait(), yields);
                (yields, waits)
            }
        };
        let (yields, waits) = (yields.unwrap_err(), waits.unwrap_err());
        assert_eq!(yields.cancel_message(), Some("stop"));
        assert!(yields.is_cancelled() && waits.is_cancelled());
        // It was one cancel, and is delivered.
        asyncio::yield_now().await
    });
    rounds.wait().await?;
    if !cancels_itself {
        assert!(task.cancel_msg("stop"));
    }
    task.await
}

/// Holds to [K6], [F4].
#[test]
fn a_cancel_reaches_a_branch_that_yields_beside_one_that_waits() {
    for (yields_first, cancels_itself) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        on_both(|| yields_beside_a_wait(yields_first, cancels_itself));
    }
}

/// Holds to [K6]: it is taken by the first, which counts it for the other.
#[test]
fn a_cancel_reaches_two_branches_that_yield() {
    on_both(|| async {
        let rounds = asyncio::Event::new();
        let yielded = rounds.clone();
        let task = asyncio::create_task(async move {
            let yields = || async {
                loop {
                    yielded.set();
                    if let Err(error) = asyncio::yield_now().await {
                        return error;
                    }
                }
            };
            let (a, b) = join!(yields(), yields());
            assert!(a.is_cancelled() && b.is_cancelled());
            asyncio::yield_now().await
        });
        rounds.wait().await?;
        task.cancel();
        task.await
    });
}

/// Holds to [K6], [F5]. The task is cancelled from outside, or by its first branch or by its last one.
#[test]
fn a_cancel_reaches_a_foreign_future_beside_a_branch_that_waits() {
    for cancels_itself in [None, Some(0), Some(1)] {
        on_both(|| async {
            let (never, started) = (asyncio::Event::new(), asyncio::Event::new());
            let (waited, starts) = (never.clone(), started.clone());
            let task = asyncio::create_task(async move {
                let (foreign, timed) = (
                    || asyncio::cancellable(pending::<()>()),
                    asyncio::timeout(None, async |_| {
                        pending::<()>().await;
                        Ok(())
                    }),
                );
                let cancels = async |idx| {
                    starts.set();
                    if cancels_itself == Some(idx) {
                        asyncio::current_task().unwrap().cancel();
                    }
                };
                let branches = async { join!(foreign(), waited.wait(), timed, foreign()) };
                let ((), (a, b, c, d), ()) = join!(cancels(0), branches, cancels(1));
                assert!(a.unwrap_err().is_cancelled() && b.unwrap_err().is_cancelled());
                assert!(c.unwrap_err().is_cancelled() && d.unwrap_err().is_cancelled());
                asyncio::yield_now().await
            });
            started.wait().await?;
            if cancels_itself.is_none() {
                asyncio::yield_now().await?;
                assert!(task.cancel());
            }
            task.await
        });
    }
}

/// Cancels a task that waits for ever in one branch, and runs `scope` in another, up to its end.
fn cancel_beside_a_wait<F>(scope: impl Fn() -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = asyncio::Result<()>> + Send + 'static,
{
    on_both(move || {
        let scope = scope.clone();
        async move {
            let started = asyncio::Event::new();
            let (starts, never) = (started.clone(), asyncio::Event::new());
            let scope = scope();
            let task = asyncio::create_task(async move {
                starts.set();
                let (waits, scope) = join!(never.wait(), scope);
                assert!(waits.unwrap_err().is_cancelled());
                scope
            });
            started.wait().await?;
            passes(3).await;
            task.cancel();
            task.await
        }
    });
}

/// Holds to [K6]: the innermost scope raises it, and the code around that cleans up.
#[test]
fn a_cancel_is_raised_in_the_innermost_scope() {
    cancel_beside_a_wait(|| {
        asyncio::timeout(None, async |_| {
            let result = asyncio::cancellable(pending::<()>()).await;
            assert!(result.unwrap_err().is_cancelled());
            asyncio::yield_now().await
        })
    });
}

/// Holds to [K6]: a scope that was suspended in a yield before is in a foreign future now.
#[test]
fn a_cancel_reaches_a_scope_that_has_waited_before() {
    cancel_beside_a_wait(|| async {
        let result = asyncio::timeout(None, async |_| {
            asyncio::yield_now().await?;
            pending::<()>().await;
            Ok(())
        });
        assert!(result.await.unwrap_err().is_cancelled());
        asyncio::yield_now().await
    });
}

/// Holds to [K6]: a scope that is over leaves the one around it where it is, in a wait that is told by itself.
#[test]
fn a_cancel_is_raised_in_the_wait_beside_a_scope_that_is_over() {
    cancel_beside_a_wait(|| {
        asyncio::timeout(None, async |_| {
            let event = asyncio::Event::new();
            let (waits, over) = join!(event.wait(), asyncio::cancellable(async {}));
            assert!(waits.unwrap_err().is_cancelled() && over.is_ok());
            asyncio::yield_now().await
        })
    });
}

/// Holds to [K6]: a generator whose item was taken is suspended no more.
#[test]
fn a_cancel_reaches_a_scope_that_has_taken_an_item() {
    cancel_beside_a_wait(|| async {
        let result = asyncio::timeout(None, async |_| {
            let items = asyncio::async_generator(|y| async move {
                y.yield_(1).await?;
                Ok(())
            });
            assert_eq!(items.anext().await?, Some(1));
            pending::<()>().await;
            Ok(())
        });
        assert!(result.await.unwrap_err().is_cancelled());
        asyncio::yield_now().await
    });
}

/// Holds to [K6]: a wait that is done when the request comes refuses it, and what it leaves is a mark, for the wait and
/// the yield beside it once each; taken back, it is raised nowhere.
#[test]
fn a_cancel_that_is_refused_is_raised_once_or_undone() {
    for undone in [false, true] {
        run(async move {
            let (event, order) = (asyncio::Event::new(), Record::new());
            let (waited, seen) = (event.clone(), order.clone());
            let task = asyncio::create_task(async move {
                let waits = async {
                    let result = waited.wait().await;
                    seen.push(("waits", result.is_err()));
                };
                let yields = async {
                    for _ in 0..3 {
                        let result = asyncio::yield_now().await;
                        seen.push(("yields", result.is_err()));
                    }
                };
                join!(waits, yields);
                asyncio::yield_now().await
            });
            asyncio::yield_now().await?;
            event.set();
            task.cancel();
            if undone {
                task.handle().uncancel();
            }
            task.await?;
            let raised = order.get().into_iter().filter(|(_, raised)| *raised);
            let raised: Vec<_> = raised.map(|(branch, _)| branch).collect();
            assert_eq!(
                raised,
                if undone {
                    vec![]
                } else {
                    vec!["waits", "yields"]
                }
            );
            Ok(())
        });
    }
}

/// Holds to [K6]: the same beside one that yields, and beside another scope.
#[test]
fn a_cancel_reaches_a_foreign_future_beside_a_branch_that_yields() {
    for yields_too in [false, true] {
        on_both(|| async {
            let started = asyncio::Event::new();
            let starts = started.clone();
            let task = asyncio::create_task(async move {
                let foreign = || asyncio::cancellable(pending::<()>());
                let yields = async {
                    starts.set();
                    match yields_too {
                        true => loop {
                            asyncio::yield_now().await?;
                        },
                        false => asyncio::Result::<()>::Ok(()),
                    }
                };
                let (a, b, c) = join!(foreign(), yields, foreign());
                assert_eq!(b.is_err(), yields_too);
                assert!(a.unwrap_err().is_cancelled() && c.unwrap_err().is_cancelled());
                asyncio::yield_now().await
            });
            started.wait().await?;
            asyncio::yield_now().await?;
            task.cancel();
            task.await
        });
    }
}

/// Holds to [W4], [K6]: where the wait is done and its branch ends the select, the cancel is raised there, once.
#[test]
fn a_cancel_is_raised_where_a_yield_is_dropped_by_the_wait_beside_it() {
    run(async {
        let future = asyncio::Future::new();
        let waited = future.clone();
        let task = asyncio::create_task(async move {
            let yields = async { while asyncio::yield_now().await.is_ok() {} };
            pin_mut!(yields);
            let result = match select(waited.into_future(), yields).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => panic!("the future was first"),
            };
            assert!(result.unwrap_err().is_cancelled());
            asyncio::yield_now().await
        });
        asyncio::yield_now().await?;
        future.set_result(1)?;
        task.cancel();
        task.await
    });
}

#[test]
fn the_loser_of_a_select_hands_its_item_on() {
    run(async {
        let queue = asyncio::Queue::new(0);
        let other = {
            let queue = queue.clone();
            asyncio::create_task(async move {
                asyncio::yield_now().await?;
                queue.get().await
            })
        };
        {
            let event = asyncio::Event::new();
            let (get, set) = (queue.get(), event.wait());
            pin_mut!(get);
            pin_mut!(set);
            let setter = {
                let (event, queue) = (event.clone(), queue.clone());
                asyncio::create_task(async move {
                    passes(2).await;
                    event.set();
                    // The waiting get is woken too, but the select has a winner by then.
                    queue.put_nowait(5)
                })
            };
            match select(set, get).await {
                Either::Left((set, _)) => set?,
                Either::Right(_) => panic!("the event was first"),
            }
            setter.await?;
        }
        assert_eq!(other.await?, 5);
        assert_eq!(queue.n_waiting(), (0, 0));
        Ok(())
    });
}

/// Holds to [W5].
#[test]
fn a_lock_is_handed_on_by_a_dropped_acquire() {
    run(async {
        let lock = asyncio::Lock::new();
        let guard = lock.acquire().await?;
        let dropped = futures_util::FutureExt::now_or_never(lock.acquire());
        assert!(dropped.is_none());
        assert_eq!(lock.n_waiting(), 0);
        drop(guard);
        drop(lock.acquire().await?);
        Ok(())
    });
}

#[test]
fn a_leaf_outside_any_task_simply_waits() {
    let future = asyncio::Future::new();
    future.set_result(3).unwrap();
    let value = futures_util::FutureExt::now_or_never(async { future.await });
    assert_eq!(value.unwrap().unwrap(), 3);
}

#[test]
fn a_rust_future_is_wrapped_with_its_error() {
    on_both(|| async {
        let good = asyncio::wrap_future(async { "7".parse::<i32>() });
        let bad = asyncio::wrap_future(async { "x".parse::<i32>() });
        assert_eq!((&good).await? + good.await?, 14);
        assert!(bad.await.unwrap_err().is::<std::num::ParseIntError>());
        Ok(())
    });
}

#[test]
fn a_task_of_the_core_is_wrapped_with_its_panic() {
    on_both(|| async {
        assert_eq!(
            asyncio::wrap_join_handle(heist::spawn(async { 7 })).await?,
            7
        );
        let broken = heist::spawn(async { panic!("broken") });
        let error = asyncio::wrap_join_handle::<()>(broken).await.unwrap_err();
        let panic = error.downcast_ref::<asyncio::PanicError>().unwrap();
        assert_eq!(panic.message(), "broken");
        Ok(())
    });
}

#[test]
fn a_cancelled_wrapper_aborts_the_task_of_the_core() {
    on_both(|| async {
        let core = heist::spawn(pending::<()>());
        let aborted = core.abort_handle();
        let wrapped = asyncio::wrap_join_handle(core);
        passes(2).await;
        assert!(wrapped.cancel());
        assert!(wrapped.await.unwrap_err().is_cancelled());
        while !aborted.is_finished() {
            asyncio::yield_now().await?;
        }
        Ok(())
    });
}
