//! The two exceptions that leave the loop: [`SystemExit`](crate::SystemExit) and
//! [`KeyboardInterrupt`](crate::KeyboardInterrupt).
//!
//! A task that ends with one keeps it, as any exception, and the run ends with it too, whatever its main task does.
//! On the exact loop the run ends after the entry that raised it, and the rest of the pass stays queued; on many threads
//! it ends where the main task is polled, and is woken for it:
//!
//! - `[X1]` A run leaves its waker and then looks; who raises something says so and then wakes. So a run that has not
//!   seen it is woken for it.
//!
//! Tests: `tests/it/exits.rs`, `tests/loom.rs`.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::exceptions::{Exception, Result};
use crate::sync::{AtomicBool, AtomicWaker, Mutex, Ordering};

/// What was raised out of a loop's tasks, and not out of a run yet.
#[derive(Default)]
pub(crate) struct Exit {
    /// There is one: a loop without looks at nothing else.
    is_raised: AtomicBool,
    slot: Mutex<Slot>,
    /// Of the thread that is in a run on many threads.
    run: AtomicWaker,
}

#[derive(Default)]
struct Slot {
    raised: Option<Exception>,
    /// What this run has been ended with: a task that passes the same one on raises no second one.
    taken: Option<Exception>,
}

impl Exit {
    /// A run begins.
    pub(crate) fn begin_run(&self) {
        let taken = self.slot.lock().taken.take();
        // Apart from the lock: its destructor is user code.
        drop(taken);
    }

    pub(crate) fn is_raised(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `raise`.
        self.is_raised.load(Ordering::Acquire)
    }

    /// Takes what was raised, for a run to end with.
    pub(crate) fn take(&self) -> Result<()> {
        if !self.is_raised() {
            return Ok(());
        }
        let mut slot = self.slot.lock();
        // ORDERING: Relaxed; it is set under the lock too.
        self.is_raised.store(false, Ordering::Relaxed);
        let raised = slot.raised.take();
        let before = std::mem::replace(&mut slot.taken, raised.clone());
        drop(slot);
        drop(before);
        raised.map_or(Ok(()), Err)
    }

    /// Waits for the future, or until something is raised. What is raised is taken.
    pub(crate) async fn unless_raised(
        &self,
        mut future: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<()> {
        poll_fn(|cx| {
            // [X1]
            self.run.register(cx.waker());
            if self.is_raised() {
                return Poll::Ready(self.take());
            }
            future.as_mut().poll(cx).map(|()| self.take())
        })
        .await
    }

    /// Ends the run with this exception, unless another one has ended it, or this one has before.
    pub(crate) fn raise(&self, exception: Exception) {
        let mut slot = self.slot.lock();
        let is_passed_on = |taken: &Exception| taken.is_same(&exception);
        if slot.raised.is_some() || slot.taken.as_ref().is_some_and(is_passed_on) {
            return;
        }
        slot.raised = Some(exception);
        // ORDERING: Release pairs with the Acquire in `is_raised`.
        self.is_raised.store(true, Ordering::Release);
        drop(slot);
        // [X1]
        self.run.wake();
    }
}
