//! What the tests share.

use heist::runtime::{Builder, LocalRuntime, Runtime};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// A multi-thread runtime with this many workers.
pub(crate) fn workers(n: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(n)
        .build()
        .unwrap()
}

/// A current-thread runtime of the calling thread.
pub(crate) fn local() -> LocalRuntime {
    Builder::new_current_thread().build_local().unwrap()
}

/// A current-thread runtime with a virtual clock.
pub(crate) fn simulated() -> LocalRuntime {
    Builder::new_current_thread()
        .virtual_clock(true)
        .build_local()
        .unwrap()
}

/// Runs a test on one and two workers and on the current thread.
pub(crate) fn on_all(test: impl Fn(&Runtime)) {
    test(&workers(1));
    test(&workers(2));
    test(&local());
}

/// Counts drops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn token(&self) -> DropToken {
        DropToken(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts its own drop.
#[derive(Debug)]
pub(crate) struct DropToken(Arc<AtomicUsize>);

impl Drop for DropToken {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is pending for ever and shows its waker to `see`.
pub(crate) struct Leak<F>(pub(crate) F);

impl<F: FnMut(&Waker) + Unpin> Future for Leak<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        (self.0)(cx.waker());
        Poll::Pending
    }
}

/// Lets the runtime go on until `condition` holds. It yields and never sleeps; a test that fails
/// here fails by its harness's limit.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        heist::task::yield_now().await;
    }
}

/// A signal that tasks and threads wait for, set once.
pub(crate) fn oneshot<T>() -> (
    futures_channel::oneshot::Sender<T>,
    futures_channel::oneshot::Receiver<T>,
) {
    futures_channel::oneshot::channel()
}
