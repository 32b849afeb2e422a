//! Ported from CPython's `test_locks.py`: the barrier.

use heist_asyncio as asyncio;

use asyncio::{Barrier, BrokenBarrierError, Task};

use crate::support::{Record, passes, run};

fn waiter(barrier: &Barrier) -> Task<usize> {
    let barrier = barrier.clone();
    asyncio::create_task(async move { barrier.wait().await })
}

fn waiters(barrier: &Barrier, n: usize) -> Vec<Task<usize>> {
    (0..n).map(|_| waiter(barrier)).collect()
}

fn is_broken(result: &asyncio::Result<usize>) -> bool {
    result
        .as_ref()
        .is_err_and(asyncio::Exception::is::<BrokenBarrierError>)
}

/// The results of waiting tasks: how many passed, and how many found the barrier broken.
async fn count(tasks: Vec<Task<usize>>) -> (usize, usize) {
    let (mut n_passed, mut n_broken) = (0, 0);
    for task in tasks {
        let result = task.await;
        n_passed += usize::from(result.is_ok());
        n_broken += usize::from(is_broken(&result));
    }
    (n_passed, n_broken)
}

/// CPython: test_locks.BarrierTests.test_barrier_parties
#[test]
fn a_barrier_needs_a_party() {
    assert!(Barrier::new(0).unwrap_err().is::<asyncio::ValueError>());
    assert_eq!(Barrier::new(3).unwrap().parties(), 3);
}

/// CPython: test_locks.BarrierTests.test_context_manager
#[test]
fn each_party_has_an_index_of_its_own() {
    run(async {
        let barrier = Barrier::new(3)?;
        let mut indexes = asyncio::gather(waiters(&barrier, 3)).await?;
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2]);
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_barrier
#[test]
fn a_full_barrier_lets_all_through() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 3);
        passes(1).await;
        assert_eq!(count(tasks).await, (3, 0));
        assert!(!barrier.broken());
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_one_task
#[test]
fn a_barrier_of_one_never_waits() {
    run(async {
        let barrier = Barrier::new(1)?;
        assert_eq!(barrier.wait().await?, 0);
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_one_task_twice
#[test]
fn a_barrier_can_be_used_again() {
    run(async {
        let barrier = Barrier::new(1)?;
        for _ in 0..2 {
            assert_eq!(waiter(&barrier).await?, 0);
        }
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_task_by_task
#[test]
fn a_barrier_fills_one_by_one() {
    run(async {
        let barrier = Barrier::new(3)?;
        let mut tasks = Vec::new();
        for n in 1..3 {
            tasks.push(waiter(&barrier));
            passes(1).await;
            assert_eq!(barrier.n_waiting(), n);
        }
        tasks.push(waiter(&barrier));
        assert_eq!(count(tasks).await, (3, 0));
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_tasks_wait_twice
#[test]
fn tasks_may_meet_twice() {
    run(async {
        let (barrier, log) = (Barrier::new(2)?, Record::new());
        let tasks = (0..2).map(|_| {
            let (barrier, log) = (barrier.clone(), log.clone());
            async move {
                barrier.wait().await?;
                log.push(true);
                barrier.wait().await?;
                log.push(false);
                Ok(())
            }
        });
        asyncio::gather(tasks).await?;
        assert_eq!(log.get(), [true, true, false, false]);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_tasks_check_return_value
#[test]
fn the_last_to_come_has_the_highest_index() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 2);
        passes(1).await;
        assert_eq!(barrier.wait().await?, 2);
        assert_eq!(count(tasks).await, (2, 0));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_draining_state
#[test]
fn nobody_waits_at_a_barrier_that_drains() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 3);
        passes(1).await;
        assert_eq!(barrier.n_waiting(), 0);
        assert_eq!(count(tasks).await, (3, 0));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_blocking_tasks_while_draining
#[test]
fn those_who_come_too_late_fill_the_next_round() {
    run(async {
        let barrier = Barrier::new(2)?;
        let first = waiters(&barrier, 3);
        passes(4).await;
        assert_eq!(first.iter().filter(|task| task.done()).count(), 2);
        assert_eq!(barrier.n_waiting(), 1);
        let last = waiter(&barrier);
        assert_eq!(count(first).await, (3, 0));
        last.await?;
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_filling_tasks_cancel_one
#[test]
fn a_cancelled_party_just_leaves() {
    run(async {
        let barrier = Barrier::new(3)?;
        let mut tasks = waiters(&barrier, 2);
        passes(1).await;
        tasks[0].cancel();
        passes(2).await;
        assert_eq!(barrier.n_waiting(), 1);
        assert!(!barrier.broken() && tasks[0].cancelled());
        tasks.remove(0);
        tasks.extend(waiters(&barrier, 2));
        assert_eq!(count(tasks).await, (3, 0));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier
#[test]
fn an_empty_barrier_may_be_reset() {
    run(async {
        let barrier = Barrier::new(1)?;
        barrier.reset().await?;
        assert!(!barrier.broken());
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier_while_tasks_waiting
#[test]
fn a_reset_breaks_the_wait_of_those_inside() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 2);
        passes(1).await;
        barrier.reset().await?;
        assert_eq!(count(tasks).await, (0, 2));
        assert_eq!(barrier.n_waiting(), 0);
        assert!(!barrier.broken());
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier_while_tasks_waiting_and_waiting_again
#[test]
fn after_a_reset_the_barrier_fills_again() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 2);
        passes(1).await;
        barrier.reset().await?;
        let again = waiters(&barrier, 3);
        assert_eq!(count(tasks).await, (0, 2));
        assert_eq!(count(again).await, (3, 0));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier_when_tasks_half_draining
#[test]
fn a_reset_of_a_draining_barrier_breaks_those_who_are_still_inside() {
    run(async {
        let barrier = Barrier::new(3)?;
        let mut tasks = waiters(&barrier, 2);
        passes(1).await;
        tasks.push({
            let barrier = barrier.clone();
            asyncio::create_task(async move {
                let index = barrier.wait().await?;
                barrier.reset().await?;
                Ok(index)
            })
        });
        let (n_passed, n_broken) = count(tasks).await;
        assert_eq!(n_passed + n_broken, 3);
        assert!(!barrier.broken());
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier_when_tasks_half_draining_half_blocking
#[test]
fn those_who_wait_to_enter_a_barrier_that_is_reset_enter_it_afterwards() {
    run(async {
        let barrier = Barrier::new(2)?;
        let mut first = waiters(&barrier, 2);
        let blocked = waiter(&barrier);
        passes(1).await;
        barrier.reset().await?;
        let last = waiter(&barrier);
        first.push(blocked);
        first.push(last);
        let (n_passed, n_broken) = count(first).await;
        assert_eq!(n_passed + n_broken, 4);
        assert!(n_passed >= 2 && !barrier.broken());
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_reset_barrier_while_tasks_draining
#[test]
fn a_reset_after_all_have_left_changes_nothing() {
    run(async {
        let barrier = Barrier::new(3)?;
        assert_eq!(count(waiters(&barrier, 3)).await, (3, 0));
        barrier.reset().await?;
        assert_eq!(count(waiters(&barrier, 3)).await, (3, 0));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_abort_barrier
#[test]
fn an_aborted_barrier_is_broken() {
    run(async {
        let barrier = Barrier::new(1)?;
        barrier.abort().await?;
        assert!(barrier.broken());
        assert_eq!(barrier.n_waiting(), 0);
        assert!(is_broken(&barrier.wait().await));
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_abort_barrier_when_tasks_half_draining_half_blocking
#[test]
fn an_abort_breaks_those_inside_and_those_before_the_barrier() {
    run(async {
        let barrier = Barrier::new(3)?;
        let tasks = waiters(&barrier, 2);
        passes(1).await;
        barrier.abort().await?;
        let late = waiters(&barrier, 2);
        assert_eq!(count(tasks).await, (0, 2));
        assert_eq!(count(late).await, (0, 2));
        assert!(barrier.broken());
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_abort_barrier_when_exception
#[test]
fn a_party_that_fails_may_abort_the_barrier() {
    run(async {
        let barrier = Barrier::new(3)?;
        let mut tasks = waiters(&barrier, 2);
        let failing = barrier.clone();
        tasks.push(asyncio::create_task(async move {
            failing.abort().await?;
            failing.wait().await
        }));
        assert_eq!(count(tasks).await, (0, 3));
        assert!(barrier.broken());
        Ok(())
    });
}

/// CPython: test_locks.BarrierTests.test_abort_barrier_when_exception_then_resetting
#[test]
fn a_reset_heals_a_broken_barrier() {
    run(async {
        let barrier = Barrier::new(2)?;
        let tasks = waiters(&barrier, 1);
        passes(1).await;
        barrier.abort().await?;
        assert_eq!(count(tasks).await, (0, 1));
        barrier.reset().await?;
        assert!(!barrier.broken());
        assert_eq!(count(waiters(&barrier, 2)).await, (2, 0));
        Ok(())
    });
}
