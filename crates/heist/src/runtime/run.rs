//! `run`: a future of the caller's as a task of the runtime.
//!
//! Rules: `[U1]` the future lies in the caller's frame, and the task has a pointer to it, a [`Loan`]. `[U2]` While the
//! loan is there the task alone touches the future, and the caller neither goes on nor unwinds; afterwards the caller
//! alone does. `[U3]` The runtime is borrowed meanwhile, so it does not end, and nothing drops the task before its end: a
//! handle, which borrows nothing, has no `run`. A caller that is a worker would wait for its loan, which lies in a queue
//! that is drained when the last worker has left.
//!
//! Tests: `tests/it/run.rs`.

#![expect(unsafe_code, reason = "a task has a pointer to a future that borrows")]

use super::spawning::Options;
use super::{Runtime, Scheduler};
use crate::scheduler::local::block_thread_on;
use crate::scheduler::worker::block_in_place;
use crate::sync::{Condvar, Mutex};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

impl Runtime {
    /// Runs a future to its end as a task of this runtime; the calling thread blocks meanwhile.
    ///
    /// As [`block_on`](Self::block_on) for a future that is `Send`: it may borrow, and the call works from anywhere.
    /// The difference is where the future is polled. `block_on` polls it on the calling thread, which has to be woken
    /// each time that the future has waited for a task, a timer or a socket: tens of microseconds. Here it waits as
    /// cheaply as every task does. On a current-thread runtime the two are the same.
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let numbers = vec![1, 2, 3];
    /// let sum = runtime.run(async {
    ///     let mut sum = 0;
    ///     for &number in &numbers {
    ///         sum += heist::spawn(async move { number * number }).await.unwrap();
    ///     }
    ///     sum
    /// });
    /// assert_eq!(sum, 14);
    /// # Ok::<(), heist::runtime::BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the future panics, and under a virtual clock on a deadlock.
    #[track_caller]
    pub fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        if let Scheduler::CurrentThread(_) = self.handle.parts.scheduler {
            return self.block_on(future);
        }
        let options = Options::here();
        let mut output = None;
        {
            // Pinned before: an async block would hold what it awaits a second time.
            let mut future = pin!(future);
            let mut future = pin!(async { output = Some(future.as_mut().await) });
            let ended = {
                // Dropped last: [U2] holds whatever happens here.
                let returned = Returned::default();
                let loan = Loan::new(future.as_mut(), &returned);
                let task = self.handle.spawn_with(loan, options);
                block_in_place(|| block_thread_on(task))
            };
            match ended {
                Ok(()) => {}
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                // [U3]
                Err(error) => unreachable!("a task that nobody can abort: {error}"),
            }
        }
        output.expect("the future is done")
    }
}

/// What a task has of the caller's future.
struct Loan {
    future: NonNull<dyn Future<Output = ()> + Send>,
    returned: Arc<Flag>,
}

// SAFETY: the future is `Send`, and by [U2] one thread at a time touches it.
unsafe impl Send for Loan {}

impl Loan {
    /// The future must stay where it is, untouched, until `returned` is dropped.
    fn new<'a>(
        future: Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>,
        returned: &Returned,
    ) -> Self {
        // SAFETY: nothing is moved out; it is pinned again before it is polled.
        let future = NonNull::from(unsafe { future.get_unchecked_mut() });
        // SAFETY: the two types differ in a lifetime alone. By [U2] the pointer is gone before that is over.
        let future = unsafe {
            std::mem::transmute::<
                NonNull<dyn Future<Output = ()> + Send + 'a>,
                NonNull<dyn Future<Output = ()> + Send>,
            >(future)
        };
        Self {
            future,
            returned: returned.0.clone(),
        }
    }
}

impl Future for Loan {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: [U2]: it is there while the loan is, and only the loan's task touches it.
        let future = unsafe { self.future.as_mut() };
        // SAFETY: it was pinned where the pointer was taken, and is not moved.
        unsafe { Pin::new_unchecked(future) }.poll(cx)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *self.returned.is_set.lock() = true;
        self.returned.changed.notify_all();
    }
}

/// Set once the loan is gone.
#[derive(Default)]
struct Flag {
    is_set: Mutex<bool>,
    changed: Condvar,
}

/// Its drop waits for the loan's.
#[derive(Default)]
struct Returned(Arc<Flag>);

impl Drop for Returned {
    fn drop(&mut self) {
        let mut is_set = self.0.is_set.lock();
        while !*is_set {
            is_set = self.0.changed.wait(is_set);
        }
    }
}
