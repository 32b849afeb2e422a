//! Cancellation of futures that are not the facade's: a socket's read, a channel, any crate's future.
//!
//! Such a future cannot be told. So each scope of the facade looks after polling its body: where a cancel was
//! pending when the step began, no wait of ours is registered and no yield is pending, the body is suspended in a
//! foreign future. The scope drops it there and goes on as if it had raised the cancellation. The task itself is the
//! outermost scope (`step.rs`), where there is no other.
//!
//! A scope that is one branch of a `join!` finds waits and yields that are not its own. While nothing inside of it can be
//! told, it looks for a request that went to those as a yield does (`step_flags.rs`).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::events::with_step;
use crate::exceptions::{Exception, Message, Result};
use crate::wait::take_mark;

/// Runs the body of a scope.
pub(crate) async fn poll_scope<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    let mut body = pin!(Some(body));
    // The step's count where the last poll has left the body in a foreign future, and nothing else.
    let mut told = None;
    poll_fn(|cx| {
        let Some(running) = body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let mut message = told.and_then(told_elsewhere);
        if message.is_none() {
            let outside = with_step(|step| step.set_in_leaf(false));
            let poll = running.poll(cx);
            // A scope counts as a leaf for the one around it.
            let is_leaf = poll.is_pending() || outside.is_some_and(|outside| outside);
            let inside = with_step(|step| step.set_in_leaf(is_leaf));
            if poll.is_ready() {
                return poll;
            }
            let in_foreign = inside.is_some_and(|inside| !inside);
            told = with_step(|step| {
                in_foreign.then(|| {
                    step.set_has_scope();
                    step.seen()
                })
            })
            .flatten();
            message = undeliverable();
        }
        let Some(message) = message else {
            return Poll::Pending;
        };
        body.set(None);
        Poll::Ready(Err(Exception::from_message(message)))
    })
    .await
}

/// Takes a request that went to the other branches while this one was suspended in a foreign future.
fn told_elsewhere(told: u8) -> Option<Message> {
    with_step(|step| step.seen() != told).filter(|is_told| *is_told)?;
    take_mark(told)
}

/// Takes the current task's cancel where it can be delivered only by dropping.
fn undeliverable() -> Option<Message> {
    let told = with_step(|step| {
        let is_stuck = step.began_marked() && !step.has_waits() && !step.is_yielding();
        is_stuck.then(|| step.seen())
    });
    take_mark(told??)
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
