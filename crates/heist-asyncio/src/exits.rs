//! The two exceptions that leave the loop: [`SystemExit`](crate::SystemExit) and
//! [`KeyboardInterrupt`](crate::KeyboardInterrupt).
//!
//! A task that ends with one keeps it, as any exception, and the run ends with it too, whatever its main task does.
//! On the exact loop the run ends after the entry that raised it, and the rest of the pass stays queued; on many threads
//! it ends where the main task is polled, and is woken for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::events::{Body, EventLoop};
use crate::exceptions::{Exception, Result};

/// What was raised out of a loop's tasks, and not out of a run yet.
#[derive(Default)]
pub(crate) struct Exit {
    /// There is one: a loop without looks at nothing else.
    is_raised: AtomicBool,
    exception: Mutex<Option<Exception>>,
    /// Of the thread that is in a run on many threads.
    run: AtomicWaker,
}

impl Exit {
    pub(crate) fn is_raised(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `raise_exit`.
        self.is_raised.load(Ordering::Acquire)
    }

    /// Takes what was raised, for a run to end with.
    pub(crate) fn take(&self) -> Result<()> {
        if !self.is_raised() {
            return Ok(());
        }
        let mut exception = self.exception.lock();
        // ORDERING: Relaxed; it is set under the lock too.
        self.is_raised.store(false, Ordering::Relaxed);
        exception.take().map_or(Ok(()), Err)
    }

    /// Waits for the future, or until something is raised. What is raised is taken.
    pub(crate) async fn unless_raised(
        &self,
        mut future: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<()> {
        poll_fn(|cx| {
            // Before the look: whoever raises something after it finds the waker.
            self.run.register(cx.waker());
            if self.is_raised() {
                return Poll::Ready(self.take());
            }
            future.as_mut().poll(cx).map(|()| self.take())
        })
        .await
    }
}

impl EventLoop {
    /// Ends the loop's run with this exception, unless another one has ended it before.
    pub(crate) fn raise_exit(&self, exception: Exception) {
        let exit = &self.0.exit;
        let mut first = exit.exception.lock();
        if first.is_none() {
            *first = Some(exception);
        }
        // ORDERING: Release pairs with the Acquire in `is_raised`.
        exit.is_raised.store(true, Ordering::Release);
        drop(first);
        match &self.0.body {
            Body::Exact(exact) => exact.wake_driver(),
            Body::Parallel(_) => exit.run.wake(),
        }
    }
}
