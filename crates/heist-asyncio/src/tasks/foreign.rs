//! Cancellation of futures that are not the facade's: a socket's read, a channel, any crate's future.
//!
//! Such a future cannot be told. So each scope of the facade looks after polling its body: where a cancel is
//! pending, no wait of ours is registered and no yield is pending, the body is suspended in a foreign future. The
//! scope drops it there and goes on as if it had raised the cancellation. The task itself is the outermost scope
//! (`step.rs`).
//!
//! A scope that is one branch of a `join!` finds waits and yields that are not its own. While none was ever inside it,
//! it looks for a request that went to those as a yield does (`step_flags.rs`).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::events::with_task;
use crate::exceptions::{Exception, Message, Result};
use crate::step_flags::StepFlags;
use crate::wait::take_mark;

/// Runs the body of a scope.
pub(crate) async fn poll_scope<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    let mut body = pin!(Some(body));
    let mut place = Place::Unpolled;
    poll_fn(|cx| {
        let Some(running) = body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let mut message = match place {
            Place::InForeignFuture { told } => told_elsewhere(told),
            Place::Unpolled | Place::InLeaf => None,
        };
        if message.is_none() {
            let outside = with_step(|step| step.set_in_leaf(false));
            if let Poll::Ready(result) = running.poll(cx) {
                return Poll::Ready(result);
            }
            place = place.after(outside.is_some_and(|outside| outside));
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

/// Where the body of a scope is suspended.
#[derive(Clone, Copy)]
enum Place {
    Unpolled,
    /// And it was never anywhere else; what the step's count was.
    InForeignFuture {
        told: u16,
    },
    /// In something of the facade, at least once: that is told by itself.
    InLeaf,
}

impl Place {
    /// After a poll that suspends. `outside`: the step was in a leaf before.
    fn after(self, outside: bool) -> Place {
        let now = with_step(|step| {
            let inside = step.set_in_leaf(true);
            step.set_in_leaf(inside || outside);
            if !inside {
                step.set_has_scope();
            }
            match inside {
                true => Place::InLeaf,
                false => Place::InForeignFuture { told: step.told() },
            }
        });
        match self {
            Place::InLeaf => self,
            Place::Unpolled | Place::InForeignFuture { .. } => now.unwrap_or(self),
        }
    }
}

fn with_step<R>(ask: impl FnOnce(&StepFlags) -> R) -> Option<R> {
    with_task(|task| task.core().step().map(ask)).flatten()
}

/// Takes a request that went to the other branches while this one was suspended in a foreign future.
fn told_elsewhere(told: u16) -> Option<Message> {
    let is_told = with_task(|task| {
        let _state = task.core().state.lock();
        task.core().step().is_some_and(|step| step.told() != told)
    });
    is_told.filter(|is_told| *is_told)?;
    take_mark(told)
}

/// Takes the current task's cancel where it can be delivered only by dropping.
fn undeliverable() -> Option<Message> {
    let told = with_step(|step| {
        let is_stuck = step.began_marked() && !step.has_waits() && !step.is_yielding();
        is_stuck.then(|| step.told())
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
