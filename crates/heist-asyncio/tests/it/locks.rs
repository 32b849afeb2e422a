//! Ported from CPython's `test_locks.py`: locks, events, conditions, semaphores. The barrier's are `barriers.rs`.

use heist_asyncio as asyncio;

use asyncio::{BoundedSemaphore, Condition, Event, Lock, Semaphore};

use crate::support::{Oops, Record, ms, passes, run};

/// A task that acquires and keeps a lock, and says when.
fn locker(lock: &Lock, order: &Record<i32>, n: i32) -> asyncio::Task<()> {
    let (lock, order) = (lock.clone(), order.clone());
    asyncio::create_task(async move {
        lock.acquire().await?.forget();
        order.push(n);
        Ok(())
    })
}

/// CPython: test_locks.LockTests.test_lock
#[test]
fn a_lock_is_acquired_and_released() {
    run(async {
        let lock = Lock::new();
        let guard = lock.acquire().await?;
        assert!(lock.locked());
        drop(guard);
        assert!(!lock.locked());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_acquire
#[test]
fn a_lock_goes_to_those_who_wait_in_their_order() {
    run(async {
        let (lock, order) = (Lock::new(), Record::new());
        lock.acquire().await?.forget();
        let tasks = [locker(&lock, &order, 1), locker(&lock, &order, 2)];
        passes(1).await;
        assert!(order.get().is_empty());
        lock.release()?;
        passes(1).await;
        assert_eq!(order.get(), [1]);
        passes(1).await;
        assert_eq!(order.get(), [1]);
        let third = locker(&lock, &order, 3);
        lock.release()?;
        passes(1).await;
        assert_eq!(order.get(), [1, 2]);
        lock.release()?;
        passes(1).await;
        assert_eq!(order.get(), [1, 2, 3]);
        assert!(tasks.iter().all(asyncio::Task::done) && third.done());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_acquire_cancel
#[test]
fn a_cancelled_acquire_leaves_the_line() {
    run(async {
        let (lock, order) = (Lock::new(), Record::new());
        lock.acquire().await?.forget();
        let task = locker(&lock, &order, 1);
        passes(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(lock.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_cancel_race
/// Holds to [P1].
#[test]
fn a_cancelled_waiter_hands_the_turn_on() {
    run(async {
        let (lock, order) = (Lock::new(), Record::new());
        lock.acquire().await?.forget();
        let (ta, tb, tc) = (
            locker(&lock, &order, 1),
            locker(&lock, &order, 2),
            locker(&lock, &order, 3),
        );
        passes(1).await;
        // The first has been woken when it is cancelled.
        lock.release()?;
        ta.cancel();
        passes(2).await;
        assert_eq!(order.get(), [2]);
        lock.release()?;
        passes(1).await;
        assert_eq!(order.get(), [2, 3]);
        assert!(ta.cancelled() && tb.done() && tc.done());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_cancel_release_race
#[test]
fn a_release_after_the_cancel_of_the_head_wakes_the_next() {
    run(async {
        let (lock, order) = (Lock::new(), Record::new());
        lock.acquire().await?.forget();
        let (ta, tb) = (locker(&lock, &order, 1), locker(&lock, &order, 2));
        passes(1).await;
        ta.cancel();
        lock.release()?;
        passes(2).await;
        assert_eq!(order.get(), [2]);
        assert!(lock.locked() && tb.done());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_finished_waiter_cancelled
#[test]
fn a_newcomer_does_not_overtake_a_woken_waiter_that_is_cancelled() {
    run(async {
        let (lock, order) = (Lock::new(), Record::new());
        lock.acquire().await?.forget();
        let ta = locker(&lock, &order, 1);
        passes(1).await;
        lock.release()?;
        ta.cancel();
        let tb = locker(&lock, &order, 2);
        passes(3).await;
        assert_eq!(order.get(), [2]);
        assert!(ta.cancelled() && tb.done());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_release_not_acquired
#[test]
fn a_free_lock_cannot_be_released() {
    assert!(
        Lock::new()
            .release()
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_locks.LockTests.test_release_no_waiters
#[test]
fn a_lock_without_waiters_is_free_after_the_release() {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?.forget();
        lock.release()?;
        assert!(!lock.locked());
        Ok(())
    });
}

/// CPython: test_locks.LockTests.test_context_manager
#[test]
fn a_guard_holds_the_lock() {
    run(async {
        let lock = Lock::new();
        {
            let _guard = lock.acquire().await?;
            assert!(lock.locked());
        }
        assert!(!lock.locked());
        Ok(())
    });
}

fn event_waiter(event: &Event, order: &Record<i32>, n: i32) -> asyncio::Task<()> {
    let (event, order) = (event.clone(), order.clone());
    asyncio::create_task(async move {
        event.wait().await?;
        order.push(n);
        Ok(())
    })
}

/// CPython: test_locks.EventTests.test_wait
#[test]
fn an_event_wakes_all_who_wait() {
    run(async {
        let (event, order) = (Event::new(), Record::new());
        let _tasks = [1, 2].map(|n| event_waiter(&event, &order, n));
        passes(1).await;
        assert!(!event.is_set() && order.get().is_empty());
        let _third = event_waiter(&event, &order, 3);
        event.set();
        passes(2).await;
        assert_eq!(order.get(), [3, 1, 2]);
        Ok(())
    });
}

/// CPython: test_locks.EventTests.test_wait_on_set
#[test]
fn a_set_event_does_not_make_anyone_wait() {
    run(async {
        let event = Event::new();
        event.set();
        event.wait().await
    });
}

/// CPython: test_locks.EventTests.test_wait_cancel
#[test]
fn a_cancelled_wait_for_an_event_leaves_it() {
    run(async {
        let (event, order) = (Event::new(), Record::new());
        let task = event_waiter(&event, &order, 1);
        passes(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(event.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.EventTests.test_clear
#[test]
fn an_event_can_be_cleared() {
    let event = Event::new();
    event.set();
    assert!(event.is_set());
    event.clear();
    assert!(!event.is_set());
}

/// CPython: test_locks.EventTests.test_clear_with_waiters
#[test]
fn those_who_were_woken_return_after_a_clear() {
    run(async {
        let (event, order) = (Event::new(), Record::new());
        let task = event_waiter(&event, &order, 1);
        passes(1).await;
        event.set();
        event.clear();
        event.set();
        event.clear();
        task.await?;
        assert!(!event.is_set() && event.n_waiting() == 0);
        assert_eq!(order.get(), [1]);
        Ok(())
    });
}

/// A task that waits for a condition and leaves its lock.
fn condition_waiter(condition: &Condition, order: &Record<i32>, n: i32) -> asyncio::Task<()> {
    let (condition, order) = (condition.clone(), order.clone());
    asyncio::create_task(async move {
        let mut guard = condition.acquire().await?;
        guard.wait().await?;
        order.push(n);
        Ok(())
    })
}

/// CPython: test_locks.ConditionTests.test_wait
#[test]
fn a_condition_wakes_as_many_as_are_notified() {
    run(async {
        let (condition, order) = (Condition::new(), Record::new());
        let _tasks = [1, 2, 3].map(|n| condition_waiter(&condition, &order, n));
        passes(3).await;
        assert!(!condition.locked() && order.get().is_empty());
        condition.acquire().await?.notify(2);
        passes(4).await;
        assert_eq!(order.get(), [1, 2]);
        condition.acquire().await?.notify(1);
        passes(3).await;
        assert_eq!(order.get(), [1, 2, 3]);
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_wait_cancel
#[test]
fn a_cancelled_wait_for_a_condition_has_the_lock() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?.forget();
        let waiter = condition.clone();
        let task = asyncio::create_task(async move { waiter.wait().await });
        passes(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(condition.n_waiting(), 0);
        assert!(condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_wait_cancel_contested
#[test]
fn a_cancelled_wait_goes_on_until_it_has_the_lock() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?.forget();
        let waiter = condition.clone();
        let task = asyncio::create_task(async move { waiter.wait().await });
        passes(1).await;
        assert!(!condition.locked());
        condition.acquire().await?.forget();
        task.cancel();
        passes(3).await;
        assert!(!task.done());
        condition.release()?;
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_wait_cancel_after_notify
#[test]
fn a_wait_cancelled_while_it_takes_the_lock_back_has_it() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?.forget();
        let waiter = condition.clone();
        let task = asyncio::create_task(async move { waiter.wait().await });
        passes(1).await;
        condition.acquire().await?.forget();
        condition.notify(1)?;
        passes(1).await;
        task.cancel();
        passes(1).await;
        condition.release()?;
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_wait_unacquired
#[test]
fn a_wait_without_the_lock_is_an_error() {
    run(async {
        let error = Condition::new().wait().await.unwrap_err();
        assert!(error.is::<asyncio::RuntimeError>());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_wait_for
#[test]
fn wait_for_looks_at_its_predicate_each_time() {
    run(async {
        let (condition, presses) = (Condition::new(), Record::<i32>::new());
        let task = {
            let (condition, presses) = (condition.clone(), presses.clone());
            asyncio::create_task(async move {
                let mut guard = condition.acquire().await?;
                guard.wait_for(|| presses.get().len() >= 2).await
            })
        };
        passes(2).await;
        for n in 0..2 {
            assert!(!task.done());
            let guard = condition.acquire().await?;
            presses.push(n);
            guard.notify(1);
            drop(guard);
            passes(3).await;
        }
        task.await
    });
}

/// CPython: test_locks.ConditionTests.test_wait_for_unacquired
#[test]
fn wait_for_without_the_lock_fails_only_where_it_must_wait() {
    run(async {
        let condition = Condition::new();
        condition.wait_for(|| true).await?;
        assert!(
            condition
                .wait_for(|| false)
                .await
                .unwrap_err()
                .is::<asyncio::RuntimeError>()
        );
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_notify
#[test]
fn notify_wakes_one_then_more_than_there_are() {
    run(async {
        let (condition, order) = (Condition::new(), Record::new());
        let _tasks = [1, 2, 3].map(|n| condition_waiter(&condition, &order, n));
        passes(3).await;
        condition.acquire().await?.notify(1);
        passes(3).await;
        assert_eq!(order.get(), [1]);
        condition.acquire().await?.notify(2048);
        passes(4).await;
        assert_eq!(order.get(), [1, 2, 3]);
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_notify_all
#[test]
fn notify_all_wakes_all() {
    run(async {
        let (condition, order) = (Condition::new(), Record::new());
        let _tasks = [1, 2].map(|n| condition_waiter(&condition, &order, n));
        passes(3).await;
        condition.acquire().await?.notify_all();
        passes(4).await;
        assert_eq!(order.get(), [1, 2]);
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_notify_unacquired
#[test]
fn notify_without_the_lock_is_an_error() {
    assert!(
        Condition::new()
            .notify(1)
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_locks.ConditionTests.test_notify_all_unacquired
#[test]
fn notify_all_without_the_lock_is_an_error() {
    assert!(
        Condition::new()
            .notify_all()
            .unwrap_err()
            .is::<asyncio::RuntimeError>()
    );
}

/// CPython: test_locks.ConditionTests.test_context_manager
#[test]
fn a_conditions_guard_holds_its_lock() {
    run(async {
        let condition = Condition::new();
        let guard = condition.acquire().await?;
        assert!(condition.locked());
        drop(guard);
        assert!(!condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_explicit_lock
#[test]
fn a_condition_may_share_a_lock() {
    run(async {
        let lock = Lock::new();
        let condition = Condition::with_lock(lock.clone());
        let guard = condition.acquire().await?;
        assert!(lock.locked());
        drop(guard);
        assert!(!lock.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_timeout_in_block
#[test]
fn a_wait_that_times_out_leaves_the_block_in_order() {
    run(async {
        let condition = Condition::new();
        let mut guard = condition.acquire().await?;
        let result = asyncio::wait_for(guard.wait(), ms(500)).await;
        assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
        assert!(condition.locked());
        drop(guard);
        assert!(!condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_cancelled_error_wakeup
#[test]
fn the_cancellation_of_a_wait_keeps_its_message() {
    run(async {
        let condition = Condition::new();
        let task = {
            let condition = condition.clone();
            asyncio::create_task(async move { condition.acquire().await?.wait().await })
        };
        passes(2).await;
        task.cancel_msg("foo");
        let error = task.await.unwrap_err();
        assert_eq!(error.cancel_message(), Some("foo"));
        assert!(!condition.locked());
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_cancelled_error_re_aquire
#[test]
fn a_cancellation_while_the_lock_is_taken_back_keeps_its_message() {
    run(async {
        let condition = Condition::new();
        let task = {
            let condition = condition.clone();
            asyncio::create_task(async move { condition.acquire().await?.wait().await })
        };
        passes(2).await;
        let guard = condition.acquire().await?;
        guard.notify(1);
        passes(1).await;
        task.cancel_msg("foo");
        drop(guard);
        assert_eq!(task.await.unwrap_err().cancel_message(), Some("foo"));
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_cancelled_wakeup
#[test]
fn a_notification_of_a_cancelled_waiter_goes_to_another() {
    run(async {
        let (condition, order) = (Condition::new(), Record::new());
        let tasks = [1, 2, 3].map(|n| condition_waiter(&condition, &order, n));
        passes(3).await;
        let guard = condition.acquire().await?;
        guard.notify(1);
        tasks[0].cancel();
        drop(guard);
        passes(6).await;
        assert!(tasks[0].cancelled());
        assert_eq!(order.get(), [2]);
        Ok(())
    });
}

/// CPython: test_locks.ConditionTests.test_cancelled_wakeup_relock
#[test]
fn a_notification_goes_on_where_the_waiter_is_cancelled_while_it_takes_the_lock_back() {
    run(async {
        let (condition, order) = (Condition::new(), Record::new());
        let tasks = [1, 2, 3].map(|n| condition_waiter(&condition, &order, n));
        passes(3).await;
        let guard = condition.acquire().await?;
        guard.notify(1);
        passes(1).await;
        tasks[0].cancel();
        drop(guard);
        passes(6).await;
        assert!(tasks[0].cancelled());
        assert_eq!(order.get(), [2]);
        Ok(())
    });
}

fn taker(semaphore: &Semaphore, order: &Record<i32>, n: i32) -> asyncio::Task<()> {
    let (semaphore, order) = (semaphore.clone(), order.clone());
    asyncio::create_task(async move {
        semaphore.acquire().await?.forget();
        order.push(n);
        Ok(())
    })
}

/// CPython: test_locks.SemaphoreTests.test_initial_value_zero
#[test]
fn a_semaphore_of_none_is_locked() {
    assert!(Semaphore::new(0).locked());
}

/// CPython: test_locks.SemaphoreTests.test_semaphore
#[test]
fn a_permit_is_taken_and_given_back() {
    run(async {
        let semaphore = Semaphore::new(1);
        let guard = semaphore.acquire().await?;
        assert!(semaphore.locked());
        assert_eq!((semaphore.value(), semaphore.n_waiting()), (0, 0));
        drop(guard);
        assert_eq!(semaphore.value(), 1);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_semaphore_value
#[test]
fn a_bounded_semaphore_refuses_more_than_it_had() {
    let semaphore = BoundedSemaphore::new(1);
    assert!(semaphore.release().unwrap_err().is::<asyncio::ValueError>());
}

/// CPython: test_locks.SemaphoreTests.test_acquire
#[test]
fn permits_go_to_those_who_wait_in_their_order() {
    run(async {
        let (semaphore, order) = (Semaphore::new(3), Record::new());
        for _ in 0..2 {
            semaphore.acquire().await?.forget();
        }
        let tasks = [1, 2, 3].map(|n| taker(&semaphore, &order, n));
        passes(1).await;
        assert_eq!(order.get(), [1]);
        assert!(semaphore.locked());
        semaphore.release()?;
        semaphore.release()?;
        assert_eq!(semaphore.value(), 0);
        passes(1).await;
        assert_eq!(order.get(), [1, 2, 3]);
        assert!(tasks.iter().all(asyncio::Task::done));
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_cancel
#[test]
fn a_cancelled_taker_leaves_the_line() {
    run(async {
        let (semaphore, order) = (Semaphore::new(1), Record::new());
        semaphore.acquire().await?.forget();
        let task = taker(&semaphore, &order, 1);
        passes(1).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(semaphore.n_waiting(), 0);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_cancel_before_awoken
#[test]
fn cancelled_takers_do_not_eat_a_permit() {
    run(async {
        let (semaphore, order) = (Semaphore::new(0), Record::new());
        let tasks = [1, 2, 3, 4].map(|n| taker(&semaphore, &order, n));
        passes(1).await;
        tasks[0].cancel();
        tasks[1].cancel();
        semaphore.release()?;
        passes(2).await;
        assert_eq!(order.get(), [3]);
        tasks[3].cancel();
        passes(1).await;
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_hang
#[test]
fn a_permit_does_not_hang_on_a_cancelled_taker() {
    run(async {
        let (semaphore, order) = (Semaphore::new(0), Record::new());
        let (t1, t2) = (taker(&semaphore, &order, 1), taker(&semaphore, &order, 2));
        passes(1).await;
        t1.cancel();
        semaphore.release()?;
        passes(2).await;
        assert!(semaphore.locked());
        t2.await?;
        assert_eq!(order.get(), [2]);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_no_hang
#[test]
fn a_taker_cancelled_after_its_grant_gives_it_on() {
    run(async {
        let (semaphore, order) = (Semaphore::new(1), Record::new());
        semaphore.acquire().await?.forget();
        let (t1, t2) = (taker(&semaphore, &order, 1), taker(&semaphore, &order, 2));
        passes(1).await;
        semaphore.release()?;
        t1.cancel();
        asyncio::wait_for(t2, ms(100)).await?;
        assert_eq!(order.get(), [2]);
        assert!(t1.cancelled());
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_release_not_acquired
#[test]
fn a_bounded_semaphore_that_nobody_took_cannot_be_released() {
    assert!(BoundedSemaphore::new(2).release().is_err());
}

/// CPython: test_locks.SemaphoreTests.test_release_no_waiters
#[test]
fn a_released_semaphore_is_free() {
    run(async {
        let semaphore = Semaphore::new(1);
        semaphore.acquire().await?.forget();
        semaphore.release()?;
        assert!(!semaphore.locked());
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_fifo_order
#[test]
fn takers_with_pauses_keep_their_order() {
    run(async {
        let (semaphore, order) = (Semaphore::new(1), Record::new());
        asyncio::TaskGroup::scope(async |group| {
            for n in 1..=3 {
                let (semaphore, order) = (semaphore.clone(), order.clone());
                group.create_task(async move {
                    for round in 1..=2 {
                        let _guard = semaphore.acquire().await?;
                        order.push(n * 10 + round);
                        asyncio::sleep(ms(10)).await?;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })
        .await?;
        assert_eq!(order.get(), [11, 21, 31, 12, 22, 32]);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_fifo_order_2
#[test]
fn a_newcomer_does_not_overtake_the_one_who_was_granted() {
    run(async {
        let (semaphore, order) = (Semaphore::new(1), Record::new());
        semaphore.acquire().await?.forget();
        let (s, o) = (semaphore.clone(), order.clone());
        let again = asyncio::create_task(async move {
            s.acquire().await?.forget();
            o.push(1);
            s.release()?;
            s.acquire().await?.forget();
            o.push(4);
            Ok(())
        });
        let (t2, t3) = (taker(&semaphore, &order, 2), taker(&semaphore, &order, 3));
        passes(1).await;
        for _ in 0..3 {
            semaphore.release()?;
            passes(2).await;
        }
        asyncio::gather([again, t2, t3]).await?;
        assert_eq!(order.get(), [1, 2, 3, 4]);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_fifo_order_3
#[test]
fn a_cancel_of_the_granted_one_lets_the_second_go_first() {
    run(async {
        let (semaphore, order) = (Semaphore::new(0), Record::new());
        let tasks = [1, 2, 3].map(|n| taker(&semaphore, &order, n));
        passes(1).await;
        semaphore.release()?;
        tasks[0].cancel();
        semaphore.release()?;
        passes(3).await;
        assert_eq!(order.get(), [2, 3]);
        Ok(())
    });
}

/// CPython: test_locks.SemaphoreTests.test_acquire_fifo_order_4
#[test]
fn newcomers_queue_behind_those_who_wait() {
    run(async {
        let (semaphore, order) = (Semaphore::new(1), Record::new());
        semaphore.acquire().await?.forget();
        let first = taker(&semaphore, &order, 1);
        passes(1).await;
        semaphore.release()?;
        let (second, third) = (taker(&semaphore, &order, 2), taker(&semaphore, &order, 3));
        passes(2).await;
        assert_eq!(order.get(), [1]);
        semaphore.release()?;
        semaphore.release()?;
        asyncio::gather([first, second, third]).await?;
        assert_eq!(order.get(), [1, 2, 3]);
        Ok(())
    });
}

/// CPython: test_pep492.LockTests.test_context_manager_async_with
#[test]
fn every_lock_has_a_guard() {
    run(async {
        let (lock, condition, semaphore) = (Lock::new(), Condition::new(), Semaphore::new(1));
        {
            let _guards = (
                lock.acquire().await?,
                condition.acquire().await?,
                semaphore.acquire().await?,
            );
            assert!(lock.locked() && condition.locked() && semaphore.locked());
        }
        assert!(!lock.locked() && !condition.locked() && !semaphore.locked());
        Ok(())
    });
}

/// CPython: test_pep492.LockTests.test_context_manager_with_await
#[test]
fn a_guard_is_released_by_an_error_too() {
    run(async {
        let lock = Lock::new();
        let held = lock.clone();
        let task: asyncio::Task<()> = asyncio::create_task(async move {
            let _guard = held.acquire().await?;
            Err(Oops("body").into())
        });
        assert!(task.await.unwrap_err().is::<Oops>());
        assert!(!lock.locked());
        Ok(())
    });
}
