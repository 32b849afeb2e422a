//! A model for each race of the state word that a rule names.

use super::support::Queue;
use crate::clock::tsc::Ticks;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicUsize, Mutex};
use crate::task::{
    Birth, Details, Id, JoinError, Kind, NewStateful, NewTask, Registry, Runnable, Schedule,
    TaskRef, Weight,
};
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Counts its drop; loom reports it if it leaks.
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        // ORDERING: SeqCst: a test's counter.
        self.0.fetch_add(1, SeqCst);
    }
}

fn drops(count: &Arc<AtomicUsize>) -> usize {
    // ORDERING: SeqCst: a test's counter.
    count.load(SeqCst)
}

/// [T2] [T3] [T4]: what was written before a wake, with no order of its own, is seen by the poll that
/// the wake causes; and no wake is lost.
#[test]
fn wake_against_poll() {
    loom::model(|| {
        let queue = Queue::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let kept: Arc<Mutex<Option<Waker>>> = Arc::new(Mutex::new(None));
        let (seen, keep) = (flag.clone(), kept.clone());
        let join = queue.spawn(poll_fn(move |cx| {
            if seen.load(Relaxed) == 1 {
                return Poll::Ready(());
            }
            *keep.lock() = Some(cx.waker().clone());
            Poll::Pending
        }));
        // The first poll leaves the waker.
        queue.run_all();
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        let waker = kept.lock().take().expect("left by the first poll");
        waker.wake_by_ref();
        flag.store(1, Relaxed);
        // Finds the task woken already, and must write all the same.
        waker.wake_by_ref();
        drop(waker);
        runner.join().unwrap();
        queue.run_all();
        assert!(join.is_finished(), "the second wake was lost");
    });
}

/// [T10]: a task wakes itself while another thread wakes it: no wake is lost, and the poll that the
/// other's wake causes sees what was written before it.
#[test]
fn own_wake_against_wake() {
    loom::model(|| {
        let queue = Queue::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let kept: Arc<Mutex<Option<Waker>>> = Arc::new(Mutex::new(None));
        let (seen, keep) = (flag.clone(), kept.clone());
        let mut polls = 0;
        let join = queue.spawn(poll_fn(move |cx| {
            polls += 1;
            if seen.load(Relaxed) == 1 {
                return Poll::Ready(());
            }
            if polls == 1 {
                *keep.lock() = Some(cx.waker().clone());
            }
            if polls <= 2 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        // The first poll leaves the waker, and the task in the queue.
        queue.run(queue.next().expect("just spawned"));
        assert_eq!(queue.len(), 1);
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        let waker = kept.lock().take().expect("left by the first poll");
        waker.wake_by_ref();
        flag.store(1, Relaxed);
        waker.wake();
        runner.join().unwrap();
        queue.run_all();
        assert!(join.is_finished(), "the other's wake was lost");
    });
}

/// [T1, T2]: two wakers at once make one runnable.
#[test]
fn wake_against_wake() {
    loom::model(|| {
        let queue = Queue::new();
        let kept: Arc<Mutex<Option<Waker>>> = Arc::new(Mutex::new(None));
        let keep = kept.clone();
        let join = queue.spawn(poll_fn(move |cx| {
            *keep.lock() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        queue.run_all();
        let first = kept.lock().take().unwrap();
        let second = first.clone();
        let other = thread::spawn(move || first.wake());
        second.wake();
        other.join().unwrap();
        assert_eq!(queue.run_all(), 1);
        join.abort();
        queue.run_all();
        drop(kept.lock().take());
        assert!(join.is_finished());
    });
}

/// [T1, T5]: an abort beside a poll that completes: one of them wins, the future goes once.
#[test]
fn abort_against_complete() {
    loom::model(|| {
        let queue = Queue::new();
        let count = Arc::new(AtomicUsize::new(0));
        let token = Token(count.clone());
        let mut first = true;
        let join = queue.spawn(poll_fn(move |cx| {
            let _held = &token;
            if std::mem::take(&mut first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(7)
        }));
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        join.abort();
        runner.join().unwrap();
        queue.run_all();
        assert!(join.is_finished());
        assert_eq!(drops(&count), 1);
        match loom::future::block_on(join) {
            Ok(output) => assert_eq!(output, 7),
            Err(error) => assert!(error.is_aborted()),
        }
    });
}

/// [T6, T7]: a joiner that registers its waker while the task completes is woken or sees it.
#[test]
fn join_waker_against_complete() {
    loom::model(|| {
        let queue = Queue::new();
        let join = queue.spawn(async { 3 });
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        assert_eq!(loom::future::block_on(join).unwrap(), 3);
        runner.join().unwrap();
    });
}

/// [T6, T7]: a handle that is dropped while the task completes: the output goes once, and so does
/// the joiner's waker.
#[test]
fn join_drop_against_complete() {
    loom::model(|| {
        let queue = Queue::new();
        let count = Arc::new(AtomicUsize::new(0));
        let token = Token(count.clone());
        let mut join = queue.spawn(async move { token });
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        loom::future::block_on(poll_fn(|cx| {
            let _ = std::pin::Pin::new(&mut join).poll(cx);
            Poll::Ready(())
        }));
        drop(join);
        runner.join().unwrap();
        assert_eq!(drops(&count), 1);
    });
}

/// [T8]: handle, runner and waker drop the last references at once; the cell is freed once, and
/// its scheduler with it, or loom would report a leak.
#[test]
fn last_reference() {
    loom::model(|| {
        let queue = Queue::new();
        let kept: Arc<Mutex<Option<Waker>>> = Arc::new(Mutex::new(None));
        let keep = kept.clone();
        let mut first = true;
        let join = queue.spawn(poll_fn(move |cx| {
            if std::mem::take(&mut first) {
                *keep.lock() = Some(cx.waker().clone());
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        queue.run(queue.next().unwrap());
        let waker = kept.lock().take().unwrap();
        let other = thread::spawn(move || drop(waker));
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        drop(join);
        other.join().unwrap();
        runner.join().unwrap();
    });
}

/// [T8]: a task with a state is woken through its `Arc`, which then goes, while it is polled, woken by its waker and done:
/// state and future go once, and no wake is lost.
#[test]
fn state_goes_against_completion() {
    loom::model(|| {
        let queue = Queue::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (states, futures) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, held) = (flag.clone(), Token(futures.clone()));
        let new = NewStateful::unlisted(Token(states.clone()), queue.clone(), |_| async move {
            let _held = held;
            poll_fn(|_| match seen.load(Relaxed) {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await
        });
        // As the registry, which holds it until the task is complete.
        let registered = new.registered;
        queue.schedule(new.runnable);
        let task = new.task;
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        flag.store(1, Relaxed);
        task.wake();
        drop(task);
        runner.join().unwrap();
        queue.run_all();
        drop(registered);
        assert_eq!((drops(&states), drops(&futures)), (1, 1));
    });
}

/// [T8]: the registry's reference goes as soon as the task is about to complete, while the task is woken through its `Arc`.
#[test]
fn state_wake_against_completion() {
    loom::model(|| {
        let queue = Queue::new();
        let states = Arc::new(AtomicUsize::new(0));
        let token = Token(states.clone());
        let new = NewStateful::unlisted(token, queue.clone(), |_| async {});
        let runnable = new.runnable;
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run(runnable))
        };
        let (task, registered) = (new.task, new.registered);
        // As a collector elsewhere: the task is `RUNNING` from its birth to its end.
        let collector = thread::spawn(move || drop(registered));
        task.wake();
        drop(task);
        collector.join().unwrap();
        runner.join().unwrap();
        assert_eq!(queue.len(), 0);
        assert_eq!(drops(&states), 1);
    });
}

/// [T1]: a task with a state is aborted through its `Arc` while it is polled: the future goes once, whoever drops it.
#[test]
fn state_abort_against_poll() {
    loom::model(|| {
        let queue = Queue::new();
        let futures = Arc::new(AtomicUsize::new(0));
        let held = Token(futures.clone());
        let new = NewStateful::unlisted((), queue.clone(), |_| async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let registered = new.registered;
        queue.schedule(new.runnable);
        let runner = {
            let queue = queue.clone();
            thread::spawn(move || queue.run_all())
        };
        new.task.abort();
        runner.join().unwrap();
        queue.run_all();
        drop(registered);
        assert_eq!(drops(&futures), 1);
        assert!(new.task.is_finished());
    });
}

/// A scheduler with a registry.
#[derive(Clone)]
struct Registered(Arc<(Queue, Registry)>);

impl Schedule for Registered {
    fn schedule(&self, runnable: Runnable) {
        self.0.0.schedule(runnable);
    }

    fn release(&self, id: Id, _weight: &Weight) -> bool {
        self.0.1.release(id)
    }

    fn details(&self, id: Id) -> Option<Details> {
        self.0.1.details(id)
    }

    fn unhandled_panic(&self, _error: &JoinError) {}
}

impl Registered {
    /// As `Home::spawn`.
    fn spawn(&self, epoch: u64, token: Token) {
        self.spawn_in(token, |task, birth| {
            let details = Details { birth, name: None };
            self.0.1.insert(0, epoch, task, details).ok()
        });
    }

    fn spawn_in(&self, token: Token, insert: impl FnOnce(TaskRef, Birth) -> Option<Id>) {
        let future = async move {
            let _held = token;
            std::future::pending::<()>().await;
        };
        let NewTask {
            runnable,
            registered,
            join,
        } = NewTask::new(future, self.clone());
        drop(join);
        let site = std::panic::Location::caller();
        match insert(registered, Birth::new(Kind::Async, site, Ticks::default())) {
            Some(id) => {
                runnable.set_id(id);
                self.schedule(runnable);
            }
            None => drop(runnable),
        }
    }
}

/// [R1]: a spawn beside a shutdown: whichever comes first, the future is dropped once.
#[test]
fn spawn_against_shutdown() {
    loom::model(|| {
        let scheduler = Registered(Arc::new((Queue::new(), Registry::new(1))));
        let epoch = scheduler.0.1.reopen();
        let count = Arc::new(AtomicUsize::new(0));
        scheduler.spawn(epoch, Token(count.clone()));
        let runner = {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.0.0.run_all())
        };
        let spawner = {
            let (scheduler, token) = (scheduler.clone(), Token(count.clone()));
            thread::spawn(move || scheduler.spawn(epoch, token))
        };
        scheduler.0.1.close_and_abort_all();
        spawner.join().unwrap();
        runner.join().unwrap();
        // The last worker drops what is queued.
        scheduler.0.0.run_all();
        assert_eq!(drops(&count), 2);
        assert!(scheduler.0.1.is_drained());
    });
}

/// [R1]: the same where the spawner is a worker with a shard of its own.
#[test]
fn own_spawn_against_shutdown() {
    loom::model(|| {
        let scheduler = Registered(Arc::new((Queue::new(), Registry::new(1))));
        let epoch = scheduler.0.1.reopen();
        let count = Arc::new(AtomicUsize::new(0));
        let mut own = scheduler.0.1.lend(0).expect("nobody has it");
        let spawner = {
            let (scheduler, token) = (scheduler.clone(), Token(count.clone()));
            thread::spawn(move || {
                scheduler.spawn_in(token, |task, birth| own.insert(epoch, task, birth).ok());
                own
            })
        };
        scheduler.0.1.close_and_abort_all();
        scheduler.0.1.take_back(spawner.join().unwrap());
        // The last worker drops what is queued.
        scheduler.0.0.run_all();
        assert_eq!(drops(&count), 1);
        assert!(scheduler.0.1.is_drained());
        // As `Home::vacate`.
        drop(scheduler.0.1.collect_all());
    });
}

/// A task of a worker's own shard is completed by another thread while the worker collects what was
/// given in: the future goes once, and so does the cell.
#[test]
fn completing_elsewhere_against_collecting() {
    loom::model(|| {
        let scheduler = Registered(Arc::new((Queue::new(), Registry::new(1))));
        let epoch = scheduler.0.1.reopen();
        let count = Arc::new(AtomicUsize::new(0));
        let mut own = scheduler.0.1.lend(0).expect("nobody has it");
        let token = Token(count.clone());
        scheduler.spawn_in(token, |task, birth| own.insert(epoch, task, birth).ok());
        let runnable = scheduler.0.0.next().expect("just spawned");
        // Elsewhere: its future is dropped, and the task completes.
        let elsewhere = thread::spawn(move || drop(runnable));
        drop(own.collect());
        elsewhere.join().unwrap();
        drop(own.collect());
        assert_eq!(drops(&count), 1);
        scheduler.0.1.take_back(own);
        assert_eq!(scheduler.0.1.len(epoch), 0);
        scheduler.0.1.close_and_abort_all();
        assert!(scheduler.0.1.is_drained());
    });
}
