//! `yield_now`.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets other tasks run: the calling task goes behind everything that is queued on its worker.
///
/// A task that computes for long should do this between steps of a quarter of a millisecond or less.
///
/// # Cancel safety
///
/// Nothing is lost by dropping it.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// for _ in 0..3 {
///     heist::task::yield_now().await;
/// }
/// # });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A task that wakes itself while it runs goes to the back of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
