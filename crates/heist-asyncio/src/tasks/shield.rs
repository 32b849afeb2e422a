//! `shield`: await something without passing a cancellation on to it.

use std::fmt;
use std::future::IntoFuture;

use parking_lot::Mutex;

use crate::cell::Status;
use crate::completion::add_internal;
use crate::exceptions::{Message, Result};
use crate::futures::Future;
use crate::node::{CellRef, new_future};
use crate::tasks::cancel::cancel;
use crate::tasks::{Child, IntoTask};
use crate::wait::{Fetch, Waiting, fetch_clone, fetch_take, value_of};

/// What [`shield`] gives: awaiting it moves the result out.
#[must_use = "the task runs anyway, but its exception should be seen"]
pub struct Shielded<T: Send + 'static> {
    cell: CellRef<T>,
    fetch: Fetch<T>,
}

impl<T: Send + 'static> Shielded<T> {
    /// Cancels the shield, not what is inside it.
    pub fn cancel(&self) -> bool {
        cancel(&self.cell.node(), &Message::None)
    }

    /// The result as a future that many may await.
    pub fn shared(&self) -> Future<T> {
        Future(self.cell.clone())
    }
}

impl<T: Send + 'static> IntoFuture for Shielded<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.cell, self.fetch)
    }
}

impl<T: Send + 'static> super::Awaitable for Shielded<T> {
    type Value = T;
    type Wait = Waiting<T>;

    fn into_wait(self) -> Waiting<T> {
        self.into_future()
    }

    fn existing(&self) -> super::item::Existing {
        super::item::Existing(Some(self.cell.node()))
    }
}

impl<T: Send + 'static> IntoTask<T> for Shielded<T> {
    fn into_task(self) -> Child<T> {
        Child(self.cell, self.fetch)
    }
}

impl<T: Clone + Send + 'static> IntoTask<T> for &Shielded<T> {
    fn into_task(self) -> Child<T> {
        Child(self.cell.clone(), fetch_clone)
    }
}

impl<T: Send + 'static> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded")
            .field("done", &self.cell.core().is_done())
            .finish()
    }
}

/// Protects something from the cancellation of the one who awaits it (`asyncio.shield`).
///
/// A coroutine becomes a task at the call. Where the one who awaits is cancelled, the await raises the cancellation
/// and the task goes on; where the task itself is cancelled, so is the await. The task needs no other reference: the
/// loop owns it.
///
/// # Panics
/// Where a coroutine is given and no loop is running.
#[track_caller]
pub fn shield<T: Send + 'static>(awaitable: impl IntoTask<T>) -> Shielded<T> {
    let Child(inner, fetch) = awaitable.into_task();
    if inner.core().is_done() {
        return Shielded { cell: inner, fetch };
    }
    let outer = new_future::<T>();
    let inner_node = inner.node();
    let id = {
        let outer = outer.clone();
        let callback = Box::new(move |_: &_| inner_done(&inner, fetch, &outer));
        Mutex::new(add_internal(&inner_node, callback))
    };
    let forget_inner = Box::new(move |_: &_| {
        if let Some(id) = id.lock().take() {
            inner_node.core().remove_entry(id);
        }
    });
    add_internal(&outer.node(), forget_inner);
    Shielded {
        cell: outer,
        fetch: fetch_take,
    }
}

fn inner_done<T: Send + 'static>(inner: &CellRef<T>, fetch: Fetch<T>, outer: &CellRef<T>) {
    if outer.core().is_cancelled() {
        // Marks the exception as seen.
        inner.core().state.lock().log_exception = false;
        return;
    }
    let failure = {
        let mut state = inner.core().state.lock();
        if state.status() == Status::Cancelled {
            drop(state);
            cancel(&outer.node(), &Message::None);
            return;
        }
        state.exception().ok().flatten()
    };
    let result = match failure {
        Some(error) => Err(error),
        None => value_of(fetch(inner.typed(), inner.lock())),
    };
    match result {
        Ok(value) => outer.set_result(value),
        Err(error) => outer.set_exception(error),
    };
}
