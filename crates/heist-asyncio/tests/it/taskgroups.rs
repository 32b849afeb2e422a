//! Ported from CPython's `test_taskgroups.py`.

use heist_asyncio as asyncio;

use asyncio::{Exception, ExceptionGroup, TaskGroup};

use crate::support::{Oops, Record, ms, passes, run};

async fn fail_after(delay: u64, error: &'static str) -> asyncio::Result<()> {
    asyncio::sleep(ms(delay)).await?;
    Err(Oops(error).into())
}

/// The names of a group's members.
fn names(error: &Exception) -> Vec<&'static str> {
    let group = error.downcast_ref::<ExceptionGroup>().expect("a group");
    group
        .exceptions()
        .iter()
        .map(|error| error.downcast_ref::<Oops>().expect("an Oops").0)
        .collect()
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_01
#[test]
fn a_group_waits_for_its_children() {
    run(async {
        let (one, two) = TaskGroup::scope(async |g| {
            let one = g.create_task(asyncio::sleep_with(ms(10), 42))?;
            let two = g.create_task(asyncio::sleep_with(ms(20), 11))?;
            Ok((one, two))
        })
        .await?;
        assert!(one.done() && two.done());
        assert_eq!((one.await?, two.await?), (42, 11));
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_02
#[test]
fn a_child_may_be_awaited_inside() {
    run(async {
        TaskGroup::scope(async |g| {
            let one = g.create_task(asyncio::sleep_with(ms(10), 42))?;
            let two = g.create_task(asyncio::sleep_with(ms(20), 11))?;
            assert_eq!(one.await?, 42);
            assert_eq!(two.await?, 11);
            Ok(())
        })
        .await
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_03
/// Holds to [G4].
#[test]
fn a_child_that_is_cancelled_counts_for_nothing() {
    run(async {
        let (one, two) = TaskGroup::scope(async |g| {
            let one = g.create_task(asyncio::sleep(ms(1000)))?;
            let two = g.create_task(asyncio::sleep_with(ms(20), 11))?;
            asyncio::yield_now().await?;
            one.cancel();
            Ok((one, two))
        })
        .await?;
        assert!(one.cancelled());
        assert_eq!(two.await?, 11);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_04
/// Holds to [G2].
#[test]
fn a_failing_child_cancels_its_siblings_and_the_body() {
    run(async {
        let log = Record::new();
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            let sibling = log.clone();
            g.create_task(fail_after(10, "child"))?;
            g.create_task(async move {
                let result = asyncio::sleep(ms(1000)).await;
                sibling.push("sibling cancelled");
                result
            })?;
            let result = asyncio::sleep(ms(5000)).await;
            log.push("body cancelled");
            result
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["child"]);
        assert_eq!(log.get(), ["sibling cancelled", "body cancelled"]);
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_cancel_children_on_child_error
#[test]
fn the_other_children_are_cancelled_where_one_fails_while_the_group_waits() {
    run(async {
        let log = Record::new();
        let result = TaskGroup::scope(async |g| {
            for _ in 0..3 {
                let log = log.clone();
                g.create_task(async move {
                    let result = asyncio::sleep(ms(1000)).await;
                    log.push(result.is_err());
                    result
                })?;
            }
            g.create_task(fail_after(10, "zero"))?;
            Ok(())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["zero"]);
        assert_eq!(log.get(), [true; 3]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_cancellation
#[test]
fn a_cancelled_child_raises_nothing_at_the_end() {
    run(async {
        TaskGroup::scope(async |g| {
            g.create_task(async { asyncio::Result::<()>::Err(Exception::cancelled()) })?;
            Ok(())
        })
        .await
    });
}

/// Runs a group in a task, cancels that task once it waits, and gives its result.
async fn cancelled_group(
    group: impl Future<Output = asyncio::Result<()>> + Send + 'static,
) -> asyncio::Result<()> {
    let task = asyncio::create_task(group);
    asyncio::sleep(ms(100)).await?;
    assert!(!task.done());
    task.cancel();
    task.await
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_07
#[test]
fn a_group_cancelled_in_its_body_cancels_its_children() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        let result = cancelled_group(async move {
            TaskGroup::scope(async |g| {
                for n in 0..2 {
                    let log = inner.clone();
                    g.create_task(async move {
                        let result = asyncio::sleep(ms(10_000)).await;
                        log.push(n);
                        result
                    })?;
                }
                asyncio::sleep(ms(10_000)).await
            })
            .await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(log.get(), [0, 1]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_08
#[test]
fn errors_of_children_beat_the_cancellation() {
    run(async {
        let result = cancelled_group(async {
            TaskGroup::scope(async |g| {
                g.create_task(async {
                    asyncio::sleep(ms(10_000)).await.ok();
                    asyncio::Result::<()>::Err(Oops("cleanup").into())
                })?;
                asyncio::sleep(ms(10_000)).await
            })
            .await
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["cleanup"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_09
#[test]
fn children_that_are_done_keep_their_results_where_the_body_fails() {
    run(async {
        let tasks = Record::new();
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            tasks.push(g.create_task(asyncio::sleep_with(ms(10), 1))?.shared());
            tasks.push(g.create_task(asyncio::sleep_with(ms(1000), 2))?.shared());
            asyncio::sleep(ms(100)).await?;
            Err(Oops("body").into())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["body"]);
        assert_eq!(tasks.get()[0].result()?, 1);
        assert!(tasks.get()[1].cancelled());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_10
#[test]
fn a_body_that_fails_at_once_cancels_children_that_never_ran() {
    run(async {
        let log = Record::<i32>::new();
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            let inner = log.clone();
            g.create_task(async move {
                inner.push(1);
                Ok(())
            })?;
            Err(Oops("body").into())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["body"]);
        assert!(log.get().is_empty());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_11
#[test]
fn nested_groups_end_with_a_cancelled_outer_one() {
    run(async {
        let result = cancelled_group(async {
            TaskGroup::scope(async |_| {
                TaskGroup::scope(async |inner| {
                    inner.create_task(asyncio::sleep(ms(10_000)))?;
                    asyncio::sleep(ms(10_000)).await
                })
                .await
            })
            .await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_12
#[test]
fn nested_groups_cancel_the_children_of_both() {
    run(async {
        let log = Record::new();
        let both = log.clone();
        let result = cancelled_group(async move {
            TaskGroup::scope(async |outer| {
                let child = |name: &'static str| {
                    let log = both.clone();
                    async move {
                        let result = asyncio::sleep(ms(10_000)).await;
                        log.push(name);
                        result
                    }
                };
                outer.create_task(child("outer"))?;
                TaskGroup::scope(async |inner| {
                    inner.create_task(child("inner"))?;
                    asyncio::sleep(ms(10_000)).await
                })
                .await
            })
            .await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(log.get(), ["inner", "outer"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_13
#[test]
fn a_failing_child_of_the_outer_group_cancels_the_inner_one() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |outer| {
            outer.create_task(fail_after(10, "outer"))?;
            TaskGroup::scope(async |inner| {
                inner.create_task(asyncio::sleep(ms(10_000)))?;
                asyncio::sleep(ms(10_000)).await
            })
            .await
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["outer"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_14
#[test]
fn a_failing_child_of_the_inner_group_nests_in_the_outer_error() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |outer| {
            outer.create_task(asyncio::sleep(ms(10_000)))?;
            TaskGroup::scope(async |inner| {
                inner.create_task(fail_after(10, "inner"))?;
                asyncio::sleep(ms(10_000)).await
            })
            .await
        })
        .await;
        let error = result.unwrap_err();
        let outer = error.downcast_ref::<ExceptionGroup>().unwrap();
        assert_eq!(names(&outer.exceptions()[0]), ["inner"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_15
#[test]
fn a_cancel_while_the_group_waits_ends_it_after_its_children() {
    run(async {
        let log = Record::new();
        let inner = log.clone();
        let result = cancelled_group(async move {
            TaskGroup::scope(async |g| {
                let log = inner.clone();
                g.create_task(async move {
                    asyncio::sleep(ms(10_000)).await.ok();
                    asyncio::sleep(ms(500)).await?;
                    log.push("cleaned up");
                    Ok(())
                })?;
                Ok(())
            })
            .await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(log.get(), ["cleaned up"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_16
#[test]
fn errors_at_the_cleanup_beat_a_cancel_of_a_waiting_group() {
    run(async {
        let result = cancelled_group(async {
            TaskGroup::scope(async |g| {
                g.create_task(async {
                    asyncio::sleep(ms(10_000)).await.ok();
                    asyncio::sleep(ms(500)).await?;
                    asyncio::Result::<()>::Err(Oops("cleanup").into())
                })?;
                Ok(())
            })
            .await
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["cleanup"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_17
#[test]
fn a_cancelled_body_without_children_is_cancelled() {
    run(async {
        let result =
            cancelled_group(TaskGroup::scope(async |_| asyncio::sleep(ms(10_000)).await)).await;
        assert!(result.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_18
#[test]
fn an_error_raised_at_the_cancellation_of_the_body_is_grouped() {
    run(async {
        let result = cancelled_group(TaskGroup::scope(async |_| {
            asyncio::sleep(ms(10_000)).await.ok();
            Err(Oops("body").into())
        }))
        .await;
        assert_eq!(names(&result.unwrap_err()), ["body"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_19
#[test]
fn errors_of_child_and_body_come_together_the_bodys_last() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            g.create_task(fail_after(10, "child"))?;
            asyncio::sleep(ms(10_000)).await.ok();
            Err(Oops("body").into())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["child", "body"]);
        Ok(())
    });
}

#[test]
fn an_exit_of_the_body_is_raised_bare() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            g.create_task(fail_after(10, "child"))?;
            asyncio::sleep(ms(10_000)).await.ok();
            Err(asyncio::KeyboardInterrupt.into())
        })
        .await;
        assert!(result.unwrap_err().is::<asyncio::KeyboardInterrupt>());
        Ok(())
    });
}

/// The errors of a group whose child fails with the one, and whose body then fails with the other.
fn both_errors(child: Exception, body: Exception) -> Vec<Exception> {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            g.create_task(async {
                asyncio::sleep(ms(10)).await?;
                asyncio::Result::<()>::Err(child)
            })?;
            asyncio::sleep(ms(10_000)).await.ok();
            Err(body)
        })
        .await;
        let error = result.unwrap_err();
        let group = error.downcast_ref::<asyncio::ExceptionGroup>().unwrap();
        Ok(group.exceptions().to_vec())
    })
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_20a
#[test]
fn a_base_error_of_the_body_is_one_of_the_group() {
    let errors = both_errors(Oops("child").into(), asyncio::GeneratorExit.into());
    assert!(errors[0].is::<Oops>() && errors[1].is::<asyncio::GeneratorExit>());
    assert_eq!(errors.len(), 2);
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_21a
#[test]
fn a_base_error_of_a_child_is_one_of_the_group() {
    let errors = both_errors(asyncio::GeneratorExit.into(), Oops("body").into());
    assert!(errors[0].is::<asyncio::GeneratorExit>() && errors[1].is::<Oops>());
    assert_eq!(errors.len(), 2);
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_22
#[test]
fn a_cancel_in_a_nested_body_reaches_every_child() {
    run(async {
        let result = cancelled_group(async {
            TaskGroup::scope(async |g| {
                g.create_task(asyncio::sleep(ms(5000)))?;
                g.create_task(async {
                    TaskGroup::scope(async |inner| {
                        inner.create_task(asyncio::sleep(ms(5000)))?;
                        Ok(())
                    })
                    .await
                })?;
                Ok(())
            })
            .await
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_23
#[test]
fn a_child_that_ends_at_once_does_no_harm() {
    run(async {
        TaskGroup::scope(async |g| {
            g.create_task(async { Ok(()) })?;
            passes(3).await;
            Ok(())
        })
        .await
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_24
#[test]
fn a_child_may_create_siblings_while_the_group_waits() {
    run(async {
        let log = Record::new();
        TaskGroup::scope(async |g| {
            let (group, log) = (g.clone(), log.clone());
            g.create_task(async move {
                for n in 0..3 {
                    let log = log.clone();
                    group.create_task(async move {
                        asyncio::sleep(ms(10)).await?;
                        log.push(n);
                        Ok(())
                    })?;
                }
                Ok(())
            })?;
            Ok(())
        })
        .await?;
        assert_eq!(log.get(), [0, 1, 2]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_25
#[test]
fn all_who_fail_in_one_pass_are_in_the_error() {
    run(async {
        let result = TaskGroup::scope(async |g| {
            g.create_task(fail_after(0, "one"))?;
            g.create_task(fail_after(0, "two"))?;
            Ok(())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["one", "two"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_task_name
#[test]
fn a_child_may_be_named() {
    run(async {
        TaskGroup::scope(async |g| {
            let child = g.create_named_task("yolo", async { Ok(()) })?;
            assert_eq!(&*child.get_name(), "yolo");
            Ok(())
        })
        .await
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_task_context
#[test]
fn a_child_may_have_a_context_of_its_own() {
    run(async {
        let var = std::sync::Arc::new(asyncio::ContextVar::<i32>::new("v"));
        let context = asyncio::copy_context();
        TaskGroup::scope(async |g| {
            let inner = var.clone();
            let set = async move {
                drop(inner.set(1));
                Ok(())
            };
            g.child().context(context.clone()).spawn(set)?.await
        })
        .await?;
        assert_eq!(var.get_in(&context), Some(1));
        assert!(var.get().is_err());
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_no_create_task_after_failure
#[test]
fn a_group_that_shuts_down_takes_no_child() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
            g.create_task(fail_after(0, "child"))?;
            asyncio::sleep(ms(1000)).await.ok();
            assert!(
                g.create_task(async { Ok(()) })
                    .unwrap_err()
                    .is::<asyncio::RuntimeError>()
            );
            Ok(())
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["child"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_context_manager_exit_raises
#[test]
fn an_error_of_a_scope_inside_is_an_error_of_the_body() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |_| {
            let inner: asyncio::Result<()> = async { Err(Oops("exit").into()) }.await;
            inner
        })
        .await;
        assert_eq!(names(&result.unwrap_err()), ["exit"]);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_already_entered
#[test]
fn a_group_cannot_be_entered_inside_itself() {
    run(async {
        let group = TaskGroup::new();
        group
            .run(async |g| {
                assert!(
                    g.run(async |_| Ok(()))
                        .await
                        .unwrap_err()
                        .is::<asyncio::RuntimeError>()
                );
                Ok(())
            })
            .await
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_double_enter
#[test]
fn a_group_cannot_be_entered_twice() {
    run(async {
        let group = TaskGroup::new();
        group.run(async |_| Ok(())).await?;
        assert!(
            group
                .run(async |_| Ok(()))
                .await
                .unwrap_err()
                .is::<asyncio::RuntimeError>()
        );
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_finished
#[test]
fn a_finished_group_takes_no_child() {
    run(async {
        let group = TaskGroup::new();
        group.run(async |_| Ok(())).await?;
        let error = group.create_task(async { Ok(()) }).unwrap_err();
        assert!(error.to_string().contains("finished"));
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_not_entered
#[test]
fn a_group_that_was_not_entered_takes_no_child() {
    run(async {
        let error = TaskGroup::new().create_task(async { Ok(()) }).unwrap_err();
        assert!(error.to_string().contains("has not been entered"));
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_taskgroup_without_parent_task
#[test]
fn a_group_outside_a_task_is_an_error() {
    let result = futures_util::FutureExt::now_or_never(TaskGroup::scope(async |_| Ok(())));
    assert!(result.unwrap().unwrap_err().is::<asyncio::RuntimeError>());
}

/// CPython: test_taskgroups.TestTaskGroup.test_coro_closed_when_tg_closed
#[test]
fn a_coroutine_that_is_refused_is_dropped() {
    run(async {
        let held = std::sync::Arc::new(());
        let inner = held.clone();
        let refused = TaskGroup::new().create_task(async move {
            drop(inner);
            Ok(())
        });
        assert!(refused.is_err());
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_cancelling_level_preserved
/// Holds to [G3].
#[test]
fn a_group_leaves_the_count_of_requests_as_it_was() {
    run(async {
        for error in [Oops("child").into(), Exception::cancelled()] {
            let result = TaskGroup::scope(async |g| {
                g.create_task(async move { asyncio::Result::<()>::Err(error) })?;
                Ok(())
            })
            .await;
            drop(result);
            assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
        }
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_nested_groups_both_cancelled
#[test]
fn two_nested_groups_that_fail_at_once_give_both_errors() {
    run(async {
        let result: asyncio::Result<()> = TaskGroup::scope(async |outer| {
            outer.create_task(fail_after(10, "outer"))?;
            TaskGroup::scope(async |inner| {
                inner.create_task(fail_after(10, "inner"))?;
                asyncio::sleep(ms(1000)).await
            })
            .await
        })
        .await;
        let error = result.unwrap_err();
        let group = error.downcast_ref::<ExceptionGroup>().unwrap();
        assert!(group.exceptions()[0].is::<Oops>());
        assert_eq!(names(&group.exceptions()[1]), ["inner"]);
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
        Ok(())
    });
}

/// CPython: test_taskgroups.TestTaskGroup.test_error_and_cancel
/// Holds to [G5].
#[test]
fn a_request_beside_an_error_is_delivered_after_the_group() {
    run(async {
        let task = asyncio::create_task(async {
            let me = asyncio::current_task().unwrap();
            let result: asyncio::Result<()> = TaskGroup::scope(async |g| {
                let me = me.clone();
                g.create_task(async move {
                    asyncio::sleep(ms(1)).await?;
                    me.cancel();
                    asyncio::Result::<()>::Err(Oops("child").into())
                })?;
                asyncio::sleep(ms(1000)).await
            })
            .await;
            assert_eq!(names(&result.unwrap_err()), ["child"]);
            assert_eq!(me.cancelling(), 1);
            asyncio::yield_now().await
        });
        assert!(task.await.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// Newer than CPython 3.13: TaskGroup.cancel.
#[test]
fn a_group_may_be_ended_early() {
    run(async {
        let group = TaskGroup::new();
        let result = group
            .run_until_cancelled(async |g| {
                g.create_task(asyncio::sleep(ms(1000)))?;
                g.cancel();
                asyncio::sleep(ms(1000)).await
            })
            .await?;
        assert!(result.is_none());
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
        asyncio::yield_now().await
    });
}
