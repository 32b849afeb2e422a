//! `sleep` and the bare yield.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::events::{TimerHandle, get_running_loop, with_step};
use crate::exceptions::{Exception, Result};
use crate::node::{CellRef, new_future};
use crate::step_flags::StepFlags;
use crate::wait::{WaitNode, take_mark};

/// Waits for a time (`asyncio.sleep`). A zero delay yields once: everything that is ready goes first.
///
/// # Errors
/// The cancellation; `RuntimeError` where no loop is running.
///
/// # Cancel safety
/// Dropping it takes its timer along.
pub async fn sleep(delay: Duration) -> Result<()> {
    if delay.is_zero() {
        return yield_now().await;
    }
    let event_loop = get_running_loop()?;
    let future = new_future::<()>();
    if event_loop.parallel().is_some() {
        let wait = WaitNode::new(future.node());
        return CoreSleep {
            future,
            wait,
            sleep: heist::time::sleep(delay),
        }
        .await;
    }
    let woken = future.clone();
    let when = event_loop.time() + delay;
    let timer = event_loop.internal_timer(
        when,
        Box::new(move || {
            woken.set_result(());
        }),
    );
    let _timer = TimerGuard(Some(timer));
    WaitNode::new(future.into_node()).await
}

/// As [`sleep`], and gives a value (`asyncio.sleep(delay, result)`).
///
/// # Errors
/// As there.
pub async fn sleep_with<T>(delay: Duration, value: T) -> Result<T> {
    sleep(delay).await?;
    Ok(value)
}

/// A sleep on many threads: the core's timer wakes the task itself, and the cell is there to be cancelled.
struct CoreSleep {
    future: CellRef<()>,
    wait: WaitNode,
    sleep: heist::time::Sleep,
}

impl Future for CoreSleep {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        let poll = Pin::new(&mut this.wait).poll(cx);
        if poll.is_ready() || Pin::new(&mut this.sleep).poll(cx).is_pending() {
            return poll;
        }
        // The waiter is this very task, which is awake.
        drop(this.future.typed().try_set_result(()));
        Pin::new(&mut this.wait).poll(cx)
    }
}

/// Cancels a timer when its owner leaves, however it leaves.
pub(crate) struct TimerGuard(pub(crate) Option<TimerHandle>);

impl Drop for TimerGuard {
    fn drop(&mut self) {
        if let Some(timer) = self.0.take() {
            timer.cancel();
        }
    }
}

/// Yields once (`asyncio.sleep(0)`): the task goes to the ready queue's tail. A pending cancellation is delivered
/// here.
///
/// # Errors
/// The cancellation.
pub async fn yield_now() -> Result<()> {
    Yield::Begins.await
}

enum Yield {
    Begins,
    Yielded {
        /// What the step's count was, `[W7]`.
        told: u8,
    },
}

impl Future for Yield {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Yield::Yielded { told } = *self {
            let Some(message) = take_mark(told) else {
                return Poll::Ready(Ok(()));
            };
            return Poll::Ready(Err(Exception::from_message(message)));
        }
        let told = with_step(StepFlags::begin_yield);
        *self = Yield::Yielded {
            told: told.unwrap_or_default(),
        };
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
