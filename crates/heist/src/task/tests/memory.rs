//! Memory is used again by the thread that freed it, up to a limit, and nothing is lost.

use super::support::Queue;
use crate::task::memory;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A task with so many bytes beside the least, which is done as soon as it is run.
fn task<const BYTES: usize>(queue: &Queue) -> impl Future<Output = u8> + Unpin + use<BYTES> {
    let bytes = [1_u8; BYTES];
    let mut handle = queue.spawn(async move {
        std::hint::black_box(&bytes)
            .iter()
            .fold(0_u8, |sum, one| sum.wrapping_add(*one))
    });
    std::future::poll_fn(move |cx| {
        Pin::new(&mut handle)
            .poll(cx)
            .map(|sum| sum.expect("it ran"))
    })
}

fn run<F: Future + Unpin>(queue: &Queue, mut task: F) -> F::Output {
    queue.run_all();
    match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the task has not run"),
    }
}

/// Calls `f` on another thread, which ends.
fn elsewhere<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = std::thread::Builder::new().name("elsewhere".to_owned());
    thread.spawn(f).unwrap().join().unwrap()
}

fn kept() -> usize {
    memory::kept_bytes().expect("this thread keeps")
}

#[test]
fn what_is_freed_is_used_again() {
    let queue = Queue::new();
    assert_eq!(memory::kept_bytes(), None);
    assert_eq!(run(&queue, task::<100>(&queue)), 100);
    let bytes = kept();
    assert!(bytes > 100);
    let larger = task::<200>(&queue);
    assert_eq!(kept(), bytes, "it is too small for that");
    // Of another type, and hardly smaller.
    let similar = task::<99>(&queue);
    assert_eq!(kept(), 0);
    let another = task::<100>(&queue);
    assert_eq!(run(&queue, similar), 99);
    assert_eq!(run(&queue, another), 100);
    assert_eq!(kept(), 2 * bytes);
    assert_eq!(run(&queue, larger), 200);
    memory::give_back();
    assert_eq!(kept(), 0);
}

#[test]
fn a_thread_that_makes_no_task_keeps_nothing() {
    let queue = Queue::new();
    let other = queue.clone();
    let task = elsewhere(move || task::<8>(&other));
    assert_eq!(run(&queue, task), 8);
    assert_eq!(memory::kept_bytes(), None);
}

/// After its own thread-locals are gone it makes and frees as usual.
#[test]
fn a_thread_that_ends_makes_tasks() {
    struct Last(Queue);

    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(run(&self.0, task::<8>(&self.0)), 8);
        }
    }

    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let queue = Queue::new();
    let other = queue.clone();
    elsewhere(move || {
        // Its destructor is registered first, and so runs last.
        LAST.set(Some(Last(other.clone())));
        assert_eq!(run(&other, task::<8>(&other)), 8);
        assert!(kept() > 0);
    });
    assert_eq!(queue.references(), 1);
}

#[test]
fn a_thread_keeps_a_megabyte_at_most() {
    let queue = Queue::new();
    let tasks: Vec<_> = (0..4_000).map(|_| task::<300>(&queue)).collect();
    queue.run_all();
    drop(tasks);
    assert!(kept() <= 1 << 20 && kept() > (1 << 20) - 1_000);
}

/// Nothing is kept of large ones, and of those that are aligned to more than usual.
#[test]
fn tasks_of_any_layout_run() {
    #[derive(Clone, Copy)]
    #[repr(align(128))]
    struct Aligned(u64);

    let queue = Queue::new();
    assert_eq!(run(&queue, task::<8>(&queue)), 8);
    let before = kept();
    for _ in 0..3 {
        let aligned = Aligned(7);
        let handle = queue.spawn(async move {
            let aligned = std::hint::black_box(&aligned);
            (std::ptr::from_ref(aligned).addr() % 128, aligned.0)
        });
        assert_eq!(run(&queue, handle).unwrap(), (0, 7));
        assert_eq!(run(&queue, task::<5_000>(&queue)), 136);
    }
    assert_eq!(kept(), before);
}
