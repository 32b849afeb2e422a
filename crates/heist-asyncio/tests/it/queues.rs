//! Ported from CPython's `test_queues.py`.

use heist_asyncio as asyncio;

use asyncio::{LifoQueue, PriorityQueue, Queue, QueueEmpty, QueueFull, QueueShutDown};

use crate::support::{Record, ms, now_ms, passes, run};

/// CPython: test_queues.QueueBasicTests.test_empty
#[test]
fn a_queue_is_empty_until_something_is_put() {
    run(async {
        let q = Queue::new(0);
        assert!(q.empty());
        q.put(1).await?;
        assert!(!q.empty());
        assert_eq!(q.get().await?, 1);
        assert!(q.empty());
        Ok(())
    });
}

/// CPython: test_queues.QueueBasicTests.test_full
#[test]
fn only_a_bounded_queue_is_ever_full() {
    let unbounded = Queue::<i32>::new(0);
    assert!(!unbounded.full());
    let q = Queue::new(1);
    q.put_nowait(1).unwrap();
    assert!(q.full());
}

/// CPython: test_queues.QueueBasicTests.test_order
#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    let q = Queue::new(0);
    for item in [1, 3, 2] {
        q.put_nowait(item).unwrap();
    }
    let items: Vec<i32> = (0..3).map(|_| q.get_nowait().unwrap()).collect();
    assert_eq!(items, [1, 3, 2]);
}

/// CPython: test_queues.QueueBasicTests.test_maxsize
#[test]
fn a_put_beyond_the_size_waits_for_a_get() {
    run(async {
        let q = Queue::new(2);
        assert_eq!(q.maxsize(), 2);
        let order = Record::new();
        let putter = {
            let (q, order) = (q.clone(), order.clone());
            asyncio::create_task(async move {
                for n in 1..=3 {
                    q.put(n).await?;
                    order.push(n);
                }
                Ok(())
            })
        };
        asyncio::sleep(ms(10)).await?;
        assert_eq!(order.get(), [1, 2]);
        assert_eq!((q.get().await?, q.get().await?), (1, 2));
        putter.await?;
        assert_eq!(order.get(), [1, 2, 3]);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_blocking_get
#[test]
fn a_get_of_what_is_there_does_not_wait() {
    run(async {
        let q = Queue::new(0);
        q.put_nowait(1)?;
        assert_eq!(q.get().await?, 1);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_get_with_putters
#[test]
fn a_get_lets_the_first_putter_in() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(1)?;
        let waiter = {
            let q = q.clone();
            asyncio::create_task(async move { q.put(2).await })
        };
        passes(1).await;
        assert_eq!(q.get().await?, 1);
        waiter.await?;
        assert_eq!(q.get_nowait()?, 2);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_blocking_get_wait
#[test]
fn a_get_waits_for_a_put() {
    run(async {
        let q = Queue::new(0);
        let putter = q.clone();
        let event_loop = asyncio::get_running_loop()?;
        event_loop.call_later(ms(10), move || putter.put_nowait(1).unwrap());
        assert_eq!(q.get().await?, 1);
        assert_eq!(now_ms(), 10);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_nonblocking_get
#[test]
fn get_nowait_takes_what_is_there() {
    let q = Queue::new(0);
    q.put_nowait(1).unwrap();
    assert_eq!(q.get_nowait().unwrap(), 1);
}

/// CPython: test_queues.QueueGetTests.test_nonblocking_get_exception
#[test]
fn get_nowait_of_an_empty_queue_fails() {
    assert!(
        Queue::<i32>::new(0)
            .get_nowait()
            .unwrap_err()
            .is::<QueueEmpty>()
    );
}

/// CPython: test_queues.QueueGetTests.test_get_cancelled_race
#[test]
fn a_cancelled_get_does_not_swallow_the_item() {
    run(async {
        let q = Queue::new(0);
        let get = |q: Queue<i32>| asyncio::create_task(async move { q.get().await });
        let (t1, t2) = (get(q.clone()), get(q.clone()));
        passes(1).await;
        t1.cancel();
        passes(1).await;
        assert!(t1.done());
        q.put_nowait(1)?;
        passes(1).await;
        assert_eq!(t2.await?, 1);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_get_with_waiting_putters
#[test]
fn gets_drain_those_who_wait_to_put() {
    run(async {
        let q = Queue::new(1);
        for item in ["a", "b"] {
            let q = q.clone();
            asyncio::create_task(async move { q.put(item).await });
        }
        passes(2).await;
        assert_eq!((q.get().await?, q.get().await?), ("a", "b"));
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_why_are_getters_waiting
#[test]
fn getters_and_putters_meet_in_a_queue_of_one() {
    run(async {
        let q = Queue::new(1);
        let consumer = {
            let q = q.clone();
            asyncio::create_task(async move {
                let mut items = Vec::new();
                for _ in 0..4 {
                    items.push(q.get().await?);
                }
                Ok(items)
            })
        };
        let producer = {
            let q = q.clone();
            asyncio::create_task(async move {
                for item in 0..4 {
                    q.put(item).await?;
                }
                Ok(())
            })
        };
        producer.await?;
        assert_eq!(consumer.await?, [0, 1, 2, 3]);
        Ok(())
    });
}

/// CPython: test_queues.QueueGetTests.test_cancelled_getters_not_being_held_in_self_getters
#[test]
fn cancelled_getters_leave_the_line() {
    run(async {
        let q = Queue::<i32>::new(5);
        let result = asyncio::wait_for(q.get(), ms(100)).await;
        assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
        assert_eq!(q.n_waiting(), (0, 0));
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_blocking_put
#[test]
fn a_put_into_free_space_does_not_wait() {
    run(async {
        let q = Queue::new(0);
        q.put(1).await?;
        assert_eq!(q.get_nowait()?, 1);
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_blocking_put_wait
#[test]
fn a_put_waits_for_a_slot() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(1)?;
        let getter = q.clone();
        asyncio::get_running_loop()?
            .call_later(ms(10), move || assert_eq!(getter.get_nowait().unwrap(), 1));
        q.put(2).await?;
        assert_eq!(now_ms(), 10);
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_nonblocking_put
#[test]
fn put_nowait_puts() {
    let q = Queue::new(0);
    q.put_nowait(1).unwrap();
    assert_eq!(q.get_nowait().unwrap(), 1);
}

/// CPython: test_queues.QueuePutTests.test_get_cancel_drop_one_pending_reader
#[test]
fn one_cancelled_reader_does_not_take_the_item_with_it() {
    run(async {
        let q = Queue::new(0);
        let reader = {
            let q = q.clone();
            asyncio::create_task(async move { q.get().await })
        };
        passes(1).await;
        q.put_nowait(1)?;
        q.put_nowait(2)?;
        reader.cancel();
        let mut items: Vec<i32> = (&reader).await.into_iter().collect();
        while let Ok(item) = q.get_nowait() {
            items.push(item);
        }
        assert_eq!(items, [1, 2]);
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_get_cancel_drop_many_pending_readers
/// Holds to [Q1].
#[test]
fn many_cancelled_readers_pass_the_items_on() {
    run(async {
        let q = Queue::new(0);
        let get = |q: Queue<i32>| asyncio::create_task(async move { q.get().await });
        let (reader1, reader2, reader3) = (get(q.clone()), get(q.clone()), get(q.clone()));
        passes(1).await;
        q.put_nowait(1)?;
        q.put_nowait(2)?;
        reader1.cancel();
        assert!(reader1.await.unwrap_err().is_cancelled());
        let mut items = vec![reader2.await?, reader3.await?];
        items.sort_unstable();
        assert_eq!(items, [1, 2]);
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_put_cancel_drop
#[test]
fn a_cancelled_writer_puts_nothing() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(1)?;
        let writer = {
            let q = q.clone();
            asyncio::create_task(async move { q.put(2).await })
        };
        passes(1).await;
        assert_eq!(q.get_nowait()?, 1);
        writer.cancel();
        assert!(writer.await.unwrap_err().is_cancelled());
        assert!(q.get_nowait().unwrap_err().is::<QueueEmpty>());
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_nonblocking_put_exception
#[test]
fn put_nowait_into_a_full_queue_fails() {
    let q = Queue::new(1);
    q.put_nowait(1).unwrap();
    assert!(q.put_nowait(2).unwrap_err().is::<QueueFull>());
}

/// CPython: test_queues.QueuePutTests.test_put_cancelled
#[test]
fn a_put_that_was_done_before_the_cancel_stays() {
    run(async {
        let q = Queue::new(0);
        let putter = {
            let q = q.clone();
            asyncio::create_task(async move {
                q.put(1).await?;
                Ok(true)
            })
        };
        assert_eq!(q.get().await?, 1);
        assert!(!putter.cancel());
        assert!(putter.await?);
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_put_cancelled_race
#[test]
fn a_cancelled_putter_lets_the_next_one_in() {
    run(async {
        let q = Queue::new(1);
        let put =
            |q: Queue<&'static str>, item| asyncio::create_task(async move { q.put(item).await });
        put(q.clone(), "a").await?;
        let (b, c, x) = (
            put(q.clone(), "b"),
            put(q.clone(), "c"),
            put(q.clone(), "x"),
        );
        passes(1).await;
        b.cancel();
        x.cancel();
        passes(1).await;
        assert_eq!(q.get().await?, "a");
        assert_eq!(q.get().await?, "c");
        c.await?;
        assert!(b.await.unwrap_err().is_cancelled());
        assert!(q.empty());
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_put_with_waiting_getters
#[test]
fn a_put_wakes_the_one_who_waits() {
    run(async {
        let q = Queue::new(0);
        let getter = {
            let q = q.clone();
            asyncio::create_task(async move { q.get().await })
        };
        passes(1).await;
        q.put("a").await?;
        assert_eq!(getter.await?, "a");
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_why_are_putters_waiting
#[test]
fn no_putter_is_left_waiting_beside_a_free_slot() {
    run(async {
        let q = Queue::new(2);
        let put = |item| {
            let q = q.clone();
            asyncio::create_task(async move { q.put(item).await })
        };
        let putters = [put(0), put(1), put(2), put(3)];
        passes(1).await;
        assert_eq!(q.get_nowait()?, 0);
        assert_eq!(q.get_nowait()?, 1);
        asyncio::gather(putters).await?;
        assert_eq!((q.get_nowait()?, q.get_nowait()?), (2, 3));
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_cancelled_puts_not_being_held_in_self_putters
#[test]
fn cancelled_putters_leave_the_line() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(1)?;
        let result = asyncio::wait_for(q.put(2), ms(100)).await;
        assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
        assert_eq!(q.n_waiting(), (0, 0));
        Ok(())
    });
}

/// CPython: test_queues.QueuePutTests.test_cancelled_put_silence_value_error_exception
/// Holds to [K3].
#[test]
fn a_putter_that_was_woken_and_cancelled_ends_cancelled() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(1)?;
        let putter = {
            let q = q.clone();
            asyncio::create_task(async move { q.put(2).await })
        };
        passes(1).await;
        // The get takes the putter out of the line; the cancel comes before it runs.
        q.get_nowait()?;
        putter.cancel();
        assert!(putter.await.unwrap_err().is_cancelled());
        Ok(())
    });
}

/// CPython: test_queues.LifoQueueTests.test_order
#[test]
fn a_lifo_queue_gives_the_newest_first() {
    let q = LifoQueue::new(0);
    for item in [1, 3, 2] {
        q.put_nowait(item).unwrap();
    }
    let items: Vec<i32> = (0..3).map(|_| q.get_nowait().unwrap()).collect();
    assert_eq!(items, [2, 3, 1]);
}

/// CPython: test_queues.PriorityQueueTests.test_order
#[test]
fn a_priority_queue_gives_the_lowest_first() {
    let q = PriorityQueue::new(0);
    for item in [1, 3, 2] {
        q.put_nowait(item).unwrap();
    }
    let items: Vec<i32> = (0..3).map(|_| q.get_nowait().unwrap()).collect();
    assert_eq!(items, [1, 2, 3]);
}

/// CPython: test_queues._QueueJoinTestMixin.test_task_done_underflow
#[test]
fn task_done_without_an_item_fails() {
    assert!(
        Queue::<i32>::new(0)
            .task_done()
            .unwrap_err()
            .is::<asyncio::ValueError>()
    );
}

/// CPython: test_queues._QueueJoinTestMixin.test_task_done
#[test]
fn join_returns_once_every_item_is_done() {
    run(async {
        let q = Queue::new(0);
        (0..100).try_for_each(|n| q.put_nowait(n))?;
        let seen = Record::new();
        let workers: Vec<_> = (0..2)
            .map(|_| -> asyncio::Task<()> {
                let (q, seen) = (q.clone(), seen.clone());
                asyncio::create_task(async move {
                    loop {
                        let item: i32 = q.get().await?;
                        asyncio::yield_now().await?;
                        seen.push(item);
                        q.task_done()?;
                    }
                })
            })
            .collect();
        q.join().await?;
        assert_eq!(seen.get().iter().sum::<i32>(), 4950);
        workers.iter().for_each(|worker| assert!(worker.cancel()));
        Ok(())
    });
}

/// CPython: test_queues._QueueJoinTestMixin.test_join_empty_queue
#[test]
fn join_of_an_empty_queue_returns_at_once() {
    run(async {
        let q = Queue::<i32>::new(0);
        q.join().await?;
        q.join().await
    });
}

async fn check_shut_down(q: &Queue<i32>) {
    assert!(q.put(1).await.unwrap_err().is::<QueueShutDown>());
    assert!(q.put_nowait(1).unwrap_err().is::<QueueShutDown>());
    assert!(q.get().await.unwrap_err().is::<QueueShutDown>());
    assert!(q.get_nowait().unwrap_err().is::<QueueShutDown>());
}

/// CPython: test_queues._QueueShutdownTestMixin.test_shutdown_empty
#[test]
fn an_empty_queue_that_is_shut_down_gives_and_takes_nothing() {
    run(async {
        let q = Queue::new(0);
        q.shutdown(false);
        check_shut_down(&q).await;
        q.join().await
    });
}

/// CPython: test_queues._QueueShutdownTestMixin.test_shutdown_nonempty
#[test]
fn a_queue_that_is_shut_down_gives_what_it_has() {
    run(async {
        let q = Queue::new(1);
        q.put_nowait(7)?;
        let putter = {
            let q = q.clone();
            asyncio::create_task(async move { q.put(8).await })
        };
        let joiner = {
            let q = q.clone();
            asyncio::create_task(async move { q.join().await })
        };
        passes(1).await;
        q.shutdown(false);
        assert!(putter.await.unwrap_err().is::<QueueShutDown>());
        assert_eq!(q.get().await?, 7);
        check_shut_down(&q).await;
        passes(1).await;
        assert!(!joiner.done());
        q.task_done()?;
        joiner.await
    });
}

/// CPython: test_queues._QueueShutdownTestMixin.test_shutdown_immediate
#[test]
fn an_immediate_shutdown_drops_the_items_and_wakes_the_joiners() {
    run(async {
        let q = Queue::new(0);
        q.put_nowait(1)?;
        let joiner = {
            let q = q.clone();
            asyncio::create_task(async move { q.join().await })
        };
        passes(1).await;
        q.shutdown(true);
        check_shut_down(&q).await;
        joiner.await?;
        assert!(q.task_done().unwrap_err().is::<asyncio::ValueError>());
        Ok(())
    });
}

/// CPython: test_queues._QueueShutdownTestMixin.test_shutdown_immediate_with_unfinished
#[test]
fn an_immediate_shutdown_leaves_taken_items_to_be_done() {
    run(async {
        let q = Queue::new(0);
        q.put_nowait(1)?;
        q.put_nowait(2)?;
        assert_eq!(q.get_nowait()?, 1);
        let joiner = {
            let q = q.clone();
            asyncio::create_task(async move { q.join().await })
        };
        passes(1).await;
        q.shutdown(true);
        check_shut_down(&q).await;
        passes(1).await;
        assert!(!joiner.done());
        q.task_done()?;
        joiner.await?;
        assert!(q.task_done().unwrap_err().is::<asyncio::ValueError>());
        Ok(())
    });
}
