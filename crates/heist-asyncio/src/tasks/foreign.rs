//! Cancellation of futures that are not the facade's: a socket's read, a channel, any crate's future.
//!
//! Such a future cannot be told. So each scope of the facade looks after polling its body: where a cancel is
//! pending, no wait of ours is registered and no yield is pending, the body is suspended in a foreign future. The
//! scope drops it there and goes on as if it had raised the cancellation. The task itself is the outermost scope
//! (`step.rs`).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::events::with_task;
use crate::exceptions::{Exception, Message, Result};

/// Runs the body of a scope.
pub(crate) async fn poll_scope<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    let mut body = pin!(Some(body));
    poll_fn(|cx| {
        let Some(running) = body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        match running.poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => match undeliverable() {
                None => Poll::Pending,
                Some(message) => {
                    body.set(None);
                    Poll::Ready(Err(Exception::from_message(message)))
                }
            },
        }
    })
    .await
}

/// Takes the current task's cancel where it can be delivered only by dropping.
fn undeliverable() -> Option<Message> {
    with_task(|task| {
        let step = task.core().step().filter(|step| step.is_marked())?;
        let state = task.core().state.lock();
        let is_stuck = !step.has_waits() && !step.is_yielding();
        (is_stuck && step.take_mark()).then(|| state.cancel_message())
    })
    .flatten()
}

/// Awaits a foreign future such that a cancellation is an error here: the future is dropped, and the code goes on
/// and may clean up.
///
/// # Errors
/// The cancellation of the running task.
///
/// # Cancel safety
/// That of the future.
pub async fn cancellable<F: Future>(future: F) -> Result<F::Output> {
    poll_scope(async { Ok(future.await) }).await
}
