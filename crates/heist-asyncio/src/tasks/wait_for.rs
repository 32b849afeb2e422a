//! `wait_for`: await with a time limit.

use std::time::Duration;

use crate::completion::add_internal;
use crate::exceptions::{Exception, Result, TimeoutError};
use crate::node::{Node, new_future};
use crate::tasks::cancel::cancel;
use crate::tasks::{Awaitable, create_task};
use crate::timeouts::timeout;
use crate::wait::WaitNode;

/// Awaits something for a limited time (`asyncio.wait_for`), `None` for ever.
///
/// A coroutine runs in the caller's task. When the time is over, what is awaited is cancelled, and `wait_for` goes on
/// until it has really ended: a value that it returns all the same is returned, another error that it raises is
/// raised. With a zero limit a coroutine is never started.
///
/// # Errors
/// [`TimeoutError`]; what the awaited one raises; the cancellation.
///
/// # Cancel safety
/// A task or future that is awaited is left as it is where this is dropped; a coroutine is dropped along.
pub async fn wait_for<A: Awaitable>(
    awaitable: A,
    limit: impl Into<Option<Duration>>,
) -> Result<A::Value> {
    let limit = limit.into();
    if limit != Some(Duration::ZERO) {
        return timeout(limit, async |_| awaitable.into_wait().await).await;
    }
    let existing = awaitable.existing().0;
    if existing.as_ref().is_some_and(|node| node.core().is_done()) {
        return awaitable.into_wait().await;
    }
    let (node, awaitable) = match existing {
        Some(node) => (node, Some(awaitable)),
        // CPython makes a task of the coroutine and cancels it before its first step, so the body never runs. Any
        // task cancelled there takes its place, and the coroutine need not be Send.
        None => {
            drop(awaitable);
            (create_task(async { Ok(()) }).0.node(), None)
        }
    };
    cancel_and_wait(&node).await?;
    let result = match awaitable {
        Some(awaitable) => awaitable.into_wait().await,
        None => Err(Exception::cancelled()),
    };
    match result {
        Err(error) if error.is_cancelled() => Err(Exception::new(TimeoutError).with_cause(error)),
        result => result,
    }
}

/// Cancels a task or future and waits until it is done; a cancellation of the one who waits ends the wait only.
async fn cancel_and_wait(node: &Node) -> Result<()> {
    let waiter = new_future::<()>();
    let released = waiter.clone();
    let callback = Callback(
        node.clone(),
        add_internal(
            node,
            Box::new(move |_| {
                released.set_result(());
            }),
        ),
    );
    cancel(node, &None);
    let result = WaitNode::new(waiter.into_node()).await;
    drop(callback);
    result
}

/// Takes the callback back, however the wait ends.
struct Callback(Node, Option<u32>);

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(id) = self.1 {
            self.0.core().remove_entry(id);
        }
    }
}
