//! [`Future`]: a result that somebody sets, and any number of tasks await (CPython's `futures.py`).
//!
//! Setting or cancelling a future runs nothing inline: its waiters and callbacks are scheduled, in the order in
//! which they came. The state machine is `cell.rs`.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use crate::cell::Status;
use crate::completion::add_user;
use crate::contextvars::Context;
use crate::events::{EventLoop, snapshot_context};
use crate::exceptions::{Exception, InvalidStateError, Result, runtime_error};
use crate::node::{CellRef, Node, is_same_node, new_future, with_type};
use crate::tasks::cancel::cancel;
use crate::wait::{Waiting, fetch_clone, fetch_take, value_of};

/// A result that is not there yet (`asyncio.Future`). A clone is the same future.
///
/// Awaiting it, or a reference to it, gives a clone of the result; [`Future::take`] moves it out.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let answer = asyncio::run(async {
///     let future = asyncio::Future::new();
///     future.set_result(42)?;
///     future.await
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
pub struct Future<T: Send + 'static>(pub(crate) CellRef<T>);

/// The number of a done callback, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackId(Option<u32>);

impl<T: Send + 'static> Future<T> {
    /// A pending future (`loop.create_future`).
    pub fn new() -> Future<T> {
        Future(new_future())
    }

    pub(crate) fn node(&self) -> Node {
        self.0.node()
    }

    /// True where it has a result or an exception, or was cancelled.
    pub fn done(&self) -> bool {
        self.0.core().is_done()
    }

    /// True where it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.0.core().is_cancelled()
    }

    /// Cancels it and schedules what waits for it; false where it was done. Cancelling the future of a task is a
    /// request to that task.
    pub fn cancel(&self) -> bool {
        cancel(&self.node(), &None)
    }

    /// As [`Future::cancel`], with a message that those who wait are given.
    pub fn cancel_msg(&self, message: impl Into<Arc<str>>) -> bool {
        cancel(&self.node(), &Some(message.into()))
    }

    /// The result.
    ///
    /// # Errors
    /// The exception that was set; the cancellation; [`InvalidStateError`] where it is not done.
    pub fn result(&self) -> Result<T>
    where
        T: Clone,
    {
        self.outcome()?;
        value_of(fetch_clone(self.0.typed(), self.0.lock()))
    }

    /// Moves the result out: later readers find none.
    ///
    /// # Errors
    /// As [`Future::result`].
    pub fn take_result(&self) -> Result<T> {
        self.outcome()?;
        value_of(fetch_take(self.0.typed(), self.0.lock()))
    }

    fn outcome(&self) -> Result<()> {
        self.0.core().state.lock().outcome()
    }

    /// The exception that was set, `None` where there is a result.
    ///
    /// # Errors
    /// The cancellation; [`InvalidStateError`] where it is not done.
    pub fn exception(&self) -> Result<Option<Exception>> {
        self.0.core().state.lock().exception()
    }

    /// Sets the result and schedules what waits for it.
    ///
    /// # Errors
    /// [`InvalidStateError`] where it is done; `RuntimeError` on a task's future.
    pub fn set_result(&self, value: T) -> Result<()> {
        self.check_plain("a task does not support set_result")?;
        if self.0.set_result(value) {
            Ok(())
        } else {
            Err(self.is_done_error())
        }
    }

    /// Sets the exception and schedules what waits for it. One that nobody sees is reported when the future goes, by the
    /// loop that runs where it was set; one that was set in a thread without a loop by nobody.
    ///
    /// # Errors
    /// [`InvalidStateError`] where it is done; `RuntimeError` on a task's future.
    pub fn set_exception(&self, exception: impl Into<Exception>) -> Result<()> {
        self.check_plain("a task does not support set_exception")?;
        if self.0.set_exception(exception.into()) {
            Ok(())
        } else {
            Err(self.is_done_error())
        }
    }

    fn check_plain(&self, text: &'static str) -> Result<()> {
        if self.0.core().meta.is_some() {
            Err(runtime_error(text))
        } else {
            Ok(())
        }
    }

    fn is_done_error(&self) -> Exception {
        let text = match self.0.core().state.lock().status() {
            Status::Cancelled => "the future is cancelled",
            Status::Finished | Status::Pending => "the future is done",
        };
        Exception::new(InvalidStateError(text))
    }

    /// Calls back with this future once it is done, through the loop, in the order of registration. One that is
    /// done already is called back soon, never inline. The loop is the task's, or that which runs here; where a plain
    /// future is in a thread without one, nothing is called back.
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(&Future<T>) + Send + 'static,
    ) -> CallbackId {
        self.add_callback(snapshot_context(), callback)
    }

    /// As [`Future::add_done_callback`], in a context of the caller's choice.
    pub fn add_done_callback_with(
        &self,
        context: Context,
        callback: impl FnOnce(&Future<T>) + Send + 'static,
    ) -> CallbackId {
        self.add_callback(Some(context), callback)
    }

    fn add_callback(
        &self,
        context: Option<Context>,
        callback: impl FnOnce(&Future<T>) + Send + 'static,
    ) -> CallbackId {
        let Some(event_loop) = self.home() else {
            return CallbackId(None);
        };
        let callback = Box::new(move |node: Node| {
            if let Some(cell) = with_type(node) {
                callback(&Future(cell));
            }
        });
        CallbackId(add_user(&self.node(), event_loop, context, callback))
    }

    /// The loop whose callbacks these are.
    fn home(&self) -> Option<EventLoop> {
        self.0
            .core()
            .meta
            .as_ref()
            .map(|meta| meta.event_loop.clone())
            .or_else(EventLoop::running)
    }

    /// Removes a callback; false where it was removed or scheduled already.
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        id.0.is_some_and(|id| self.0.core().is_user_entry(id) && self.0.core().remove_entry(id))
    }

    /// Waits for the result and moves it out. Others who await it find none.
    ///
    /// # Cancel safety
    /// Dropping the wait leaves the future as it is.
    pub fn take(&self) -> Waiting<T> {
        Waiting::new(self.0.clone(), fetch_take)
    }

    /// True where both are one future.
    pub fn is_same<U: Send + 'static>(&self, other: &Future<U>) -> bool {
        is_same_node(&self.node(), &other.node())
    }
}

impl<T: Send + 'static> Default for Future<T> {
    fn default() -> Future<T> {
        Future::new()
    }
}

impl<T: Send + 'static> Clone for Future<T> {
    fn clone(&self) -> Future<T> {
        Future(self.0.clone())
    }
}

impl<T: Clone + Send + 'static> IntoFuture for Future<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.0, fetch_clone)
    }
}

impl<T: Clone + Send + 'static> IntoFuture for &Future<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.0.clone(), fetch_clone)
    }
}

impl<T: Send + 'static> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0.core().state.lock().status();
        f.debug_struct("Future")
            .field("status", &status)
            .finish_non_exhaustive()
    }
}
