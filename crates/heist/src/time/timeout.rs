//! A limit on how long a future may take.

use super::{Instant, Sleep, sleep, sleep_until};
use crate::budget;
use pin_project_lite::pin_project;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Polls a future until it is done or the time is up.
///
/// When the time is up the answer is [`Elapsed`], and dropping the [`Timeout`] drops the future
/// where it stands. A future that is done at the same poll wins.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Panics
///
/// When it has to wait outside a runtime, or after the runtime's end.
///
/// ```
/// use heist::time::{Duration, timeout};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let quick = timeout(Duration::from_secs(5), async { 1 }).await;
/// assert_eq!(quick, Ok(1));
/// let never = timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
/// assert!(never.is_err());
/// # });
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        delay: sleep(duration),
    }
}

/// As [`timeout`], until a moment.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Panics
///
/// As [`timeout`].
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        delay: sleep_until(deadline),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        delay: Sleep,
    }
}

impl<F> Timeout<F> {
    /// The limited future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The limited future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The limited future, without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(budget::poll_proceed(cx));
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Not through the budget: a future that uses it up must not outlive its limit.
        ready!(this.delay.poll_elapsed(cx));
        Poll::Ready(Err(Elapsed(())))
    }
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
