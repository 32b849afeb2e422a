//! The whole cell on a hand-made scheduler, one thread.

use super::support::Queue;
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls once; `None` while pending.
fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn a_ready_task_is_polled_once_and_its_cell_freed() {
    let queue = Queue::new();
    let mut join = queue.spawn(async { 5 });
    assert_eq!(queue.references(), 2);
    assert_eq!(queue.run_all(), 1);
    assert_eq!(poll(&mut join, Waker::noop()).unwrap().unwrap(), 5);
    drop(join);
    // [T8]: the last reference freed the cell, and with it the scheduler's clone.
    assert_eq!(queue.references(), 1);
}

#[test]
fn the_joiner_is_woken_and_its_waker_can_change() {
    let queue = Queue::new();
    let mut join = queue.spawn(async { 5 });
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    assert!(poll(&mut join, &first.clone().into()).is_none());
    assert!(poll(&mut join, &first.clone().into()).is_none());
    // [T7]: another waker replaces the first, which is dropped.
    assert!(poll(&mut join, &second.clone().into()).is_none());
    assert_eq!(Arc::strong_count(&first), 1);
    queue.run_all();
    assert_eq!((first.get(), second.get()), (0, 1));
    assert_eq!(poll(&mut join, Waker::noop()).unwrap().unwrap(), 5);
}

#[test]
#[should_panic(expected = "polled again after it had given its result")]
fn polling_a_spent_handle_says_so() {
    let queue = Queue::new();
    let mut join = queue.spawn(async {});
    queue.run_all();
    poll(&mut join, Waker::noop()).unwrap().unwrap();
    poll(&mut join, Waker::noop());
}

/// Pending until told, keeping its waker.
struct Gate {
    open: Arc<AtomicUsize>,
    waker: Arc<std::sync::Mutex<Option<Waker>>>,
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        match self.open.load(Ordering::SeqCst) {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

#[test]
fn wakes_schedule_once_and_late_ones_are_harmless() {
    let queue = Queue::new();
    let (open, waker) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let gate = Gate {
        open: open.clone(),
        waker: Arc::clone(&waker),
    };
    let mut join = queue.spawn(gate);
    assert_eq!(queue.run_all(), 1);
    let kept: Waker = waker.lock().unwrap().clone().unwrap();
    // [T2]: several wakes, one runnable.
    kept.wake_by_ref();
    kept.wake_by_ref();
    let another = kept.clone();
    another.wake();
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.run_all(), 1);
    open.store(1, Ordering::SeqCst);
    kept.wake_by_ref();
    assert_eq!(queue.run_all(), 1);
    poll(&mut join, Waker::noop()).unwrap().unwrap();
    // [T5]: after completion nothing is scheduled any more.
    kept.wake_by_ref();
    assert_eq!(queue.len(), 0);
    drop((join, kept));
    waker.lock().unwrap().take().unwrap().wake();
    assert_eq!((queue.len(), queue.references()), (0, 1));
}

#[test]
fn the_task_can_be_told_by_its_waker() {
    let queue = Queue::new();
    let same = Arc::new(AtomicUsize::new(0));
    let seen = same.clone();
    drop(queue.spawn(std::future::poll_fn(move |cx| {
        let copy = cx.waker().clone();
        seen.store(usize::from(copy.will_wake(cx.waker())), Ordering::SeqCst);
        Poll::Ready(())
    })));
    queue.run_all();
    assert_eq!(same.load(Ordering::SeqCst), 1);
}

#[test]
fn a_runnable_that_is_dropped_drops_the_future() {
    let queue = Queue::new();
    let held = Arc::new(());
    let token = held.clone();
    let mut join = queue.spawn(async move { drop(token) });
    drop(queue.next().unwrap());
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(
        poll(&mut join, Waker::noop())
            .unwrap()
            .unwrap_err()
            .is_aborted()
    );
}

#[test]
fn a_panic_that_is_never_read_is_reported_once() {
    let queue = Queue::new();
    // [T6, T9]: dropped by the completing thread, then by the handle; read by the third.
    drop(queue.spawn(async { panic!("unread") }));
    queue.run_all();
    assert_eq!(queue.unhandled(), 1);
    let join = queue.spawn(async { panic!("unread") });
    queue.run_all();
    drop(join);
    assert_eq!(queue.unhandled(), 2);
    let mut join = queue.spawn(async { panic!("read") });
    queue.run_all();
    assert!(
        poll(&mut join, Waker::noop())
            .unwrap()
            .unwrap_err()
            .is_panic()
    );
    drop(join);
    assert_eq!(queue.unhandled(), 2);
}

#[test]
fn large_alignments_and_zero_sizes() {
    #[repr(align(128))]
    struct Aligned(u8);
    let queue = Queue::new();
    let mut aligned = queue.spawn(async {
        let big = Aligned(7);
        std::future::ready(()).await;
        assert_eq!((&raw const big).addr() % 128, 0);
        big
    });
    let mut unit = queue.spawn(std::future::ready(()));
    queue.run_all();
    assert_eq!(poll(&mut aligned, Waker::noop()).unwrap().unwrap().0, 7);
    poll(&mut unit, Waker::noop()).unwrap().unwrap();
}

#[test]
fn an_output_that_is_not_sync_is_fine() {
    let queue = Queue::new();
    let mut join = queue.spawn(async { Cell::new(3) });
    queue.run_all();
    assert_eq!(poll(&mut join, Waker::noop()).unwrap().unwrap().get(), 3);
}
