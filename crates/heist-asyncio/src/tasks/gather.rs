//! `gather`: many awaitables, one future of all results.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::cell::{Core, Role, Status};
use crate::completion::{Watcher, watch_all};
use crate::events::EventLoop;
use crate::exceptions::{Exception, Message, Result};
use crate::futures::Future;
use crate::node::{CellRef, Node, address_of, new_cell, new_future};
use crate::tasks::cancel::cancel;
use crate::tasks::{Child, IntoTask};
use crate::wait::{Fetch, Waiting, fetch_clone, fetch_take, value_of};

/// What [`gather`] gives: the future of all results, whose children run whether it is awaited or not.
///
/// Awaiting it moves the results out; cancelling it cancels every child that is not done.
#[must_use = "the children run anyway, but their results and exceptions should be seen"]
pub struct Gathering<T: Send + 'static> {
    pub(crate) cell: CellRef<T>,
}

impl<T: Send + 'static> Gathering<T> {
    /// Cancels every child that is not done; false where none took it.
    pub fn cancel(&self) -> bool {
        cancel(&self.cell.node(), &None)
    }

    /// As [`Gathering::cancel`], with a message.
    pub fn cancel_msg(&self, message: impl Into<Arc<str>>) -> bool {
        cancel(&self.cell.node(), &Some(message.into()))
    }

    /// True where all are done, or one has failed.
    pub fn done(&self) -> bool {
        self.cell.core().is_done()
    }

    /// The results as a future that many may await.
    pub fn shared(&self) -> Future<T> {
        Future(self.cell.clone())
    }
}

impl<T: Send + 'static> IntoFuture for Gathering<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.cell, fetch_take)
    }
}

impl<T: Clone + Send + 'static> IntoFuture for &Gathering<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.cell.clone(), fetch_clone)
    }
}

impl<T: Send + 'static> super::Awaitable for Gathering<T> {
    type Value = T;
    type Wait = Waiting<T>;

    fn into_wait(self) -> Waiting<T> {
        self.into_future()
    }

    fn existing(&self) -> super::item::Existing {
        super::item::Existing(Some(self.cell.node()))
    }
}

impl<T: Send + 'static> IntoTask<T> for Gathering<T> {
    fn into_task(self) -> Child<T> {
        Child(self.cell, fetch_take)
    }
}

impl<T: Send + 'static> fmt::Debug for Gathering<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering")
            .field("done", &self.done())
            .finish()
    }
}

/// Runs awaitables concurrently and gives their results in the order of the arguments (`asyncio.gather`).
///
/// Coroutines become tasks at the call. The first exception goes to the one who awaits, at once; the other children
/// go on. A cancelled child counts as one that raised its cancellation.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let squares = asyncio::run(async {
///     asyncio::gather((1..4).map(|n| async move { Ok(n * n) })).await
/// });
/// assert_eq!(squares.unwrap(), [1, 4, 9]);
/// ```
///
/// # Panics
/// Where a coroutine is given and no loop is running.
#[track_caller]
pub fn gather<T: Send + 'static>(
    awaitables: impl IntoIterator<Item = impl IntoTask<T>>,
) -> Gathering<Vec<T>> {
    let children: Vec<Child<T>> = awaitables.into_iter().map(IntoTask::into_task).collect();
    let nodes = children.iter().map(|child| child.0.node()).collect();
    let fetch = fetch_all(children);
    gather_nodes(
        nodes,
        false,
        Box::new(move |_| fetch.into_iter().map(|fetch| fetch()).collect()),
    )
}

/// As [`gather`], with exceptions and cancellations as results (`return_exceptions=True`).
///
/// # Panics
/// As there.
#[track_caller]
pub fn gather_return_exceptions<T: Send + 'static>(
    awaitables: impl IntoIterator<Item = impl IntoTask<T>>,
) -> Gathering<Vec<Result<T>>> {
    let children: Vec<Child<T>> = awaitables.into_iter().map(IntoTask::into_task).collect();
    let nodes = children.iter().map(|child| child.0.node()).collect();
    let fetch = fetch_all(children);
    let finish = move |nodes: &[Node]| {
        let outcomes = nodes.iter().map(outcome).zip(fetch);
        Ok(outcomes
            .map(|(outcome, fetch)| outcome.and_then(|()| fetch()))
            .collect())
    };
    gather_nodes(nodes, true, Box::new(finish))
}

/// How each child's result is read. A result that is listed twice is cloned for all but the last place.
fn fetch_all<T: Send + 'static>(children: Vec<Child<T>>) -> Vec<impl FnOnce() -> Result<T>> {
    let read = |Child(cell, fetch): Child<T>| {
        move || {
            let fetch: Fetch<T> = fetch;
            value_of(fetch(cell.typed(), cell.lock()))
        }
    };
    children.into_iter().map(read).collect()
}

/// A child's outcome as an item of the list: a cancellation is a new one, with the child's message or an empty one.
pub(super) fn outcome(node: &Node) -> Result<()> {
    let mut state = node.core().state.lock();
    if state.status() == Status::Cancelled {
        return Err(Exception::cancelled_with(
            state.cancel_message().unwrap_or_else(|| "".into()),
        ));
    }
    match state.exception()? {
        Some(exception) => Err(exception),
        None => Ok(()),
    }
}

/// Builds the outer result once all children are done.
type Finish<R> = Box<dyn FnOnce(&[Node]) -> Result<R> + Send>;

struct Shared<R: Send + 'static> {
    outer: CellRef<R>,
    children: Arc<[Node]>,
    exact_loop: Option<EventLoop>,
    return_exceptions: bool,
    /// Different children, and how many of them have returned or may raise. One that ends the gather is not counted,
    /// so that no other takes itself for the last.
    n_children: usize,
    n_done: AtomicUsize,
    finish: Mutex<Option<Finish<R>>>,
}

/// The untyped heart of gather.
pub(crate) fn gather_nodes<R: Send + 'static>(
    children: Vec<Node>,
    return_exceptions: bool,
    finish: Finish<R>,
) -> Gathering<R> {
    if children.is_empty() {
        let outer = new_future();
        match finish(&[]) {
            Ok(value) => outer.set_result(value),
            Err(error) => outer.set_exception(error),
        };
        return Gathering { cell: outer };
    }
    let children: Arc<[Node]> = children.into();
    let role = Role::Gather {
        children: children.clone(),
        cancel_requested: false,
    };
    let outer = new_cell(Core::pending(role));
    let different = different(&children);
    let shared = Arc::new(Shared {
        outer: outer.clone(),
        children: children.clone(),
        exact_loop: EventLoop::running_exact(),
        return_exceptions,
        n_children: different.len(),
        n_done: AtomicUsize::new(0),
        finish: Mutex::new(Some(finish)),
    });
    let watcher: Arc<dyn Watcher> = shared.clone();
    // Children that are done already count here and now.
    for (child, failed) in watch_all(different.into_iter(), &watcher) {
        shared.completed(child, failed);
    }
    Gathering { cell: outer }
}

/// The children, each once.
fn different(children: &[Node]) -> Vec<&Node> {
    let address = |child: &Node| address_of(child);
    let mut sorted: Vec<usize> = children.iter().map(address).collect();
    sorted.sort_unstable();
    if !sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return children.iter().collect();
    }
    let mut seen = std::collections::HashSet::with_capacity(children.len());
    let is_new = |child: &&Node| seen.insert(address(child));
    children.iter().filter(is_new).collect()
}

impl<R: Send + 'static> Watcher for Shared<R> {
    fn exact_loop(&self) -> Option<&EventLoop> {
        self.exact_loop.as_ref()
    }

    fn completed(&self, child: &Node, failed: bool) {
        if failed && !self.return_exceptions {
            return self.fail(child);
        }
        // ORDERING: AcqRel makes all children's results visible to the last one.
        if self.n_done.fetch_add(1, Ordering::AcqRel) + 1 == self.n_children {
            self.finish();
        }
    }
}

impl<R: Send + 'static> Shared<R> {
    /// A child has raised or was cancelled: the first one ends the gather.
    fn fail(&self, child: &Node) {
        let is_over = self.outer.core().is_done();
        let mut state = child.core().state.lock();
        let failure = match state.status() {
            _ if is_over => {
                state.log_exception = false;
                return;
            }
            Status::Cancelled => Some(state.make_cancelled_error()),
            Status::Pending | Status::Finished => state.exception().ok().flatten(),
        };
        drop(state);
        if let Some(failure) = failure {
            self.outer.set_exception(failure);
        }
    }

    fn finish(&self) {
        let finish = self.finish.lock().take();
        let Some(finish) = finish else { return };
        let result = finish(&self.children);
        if self.is_cancel_requested() {
            // As CPython does: the error is made of the last argument, also where that one returned.
            let error = match self.children.last() {
                Some(child) => child.core().state.lock().make_cancelled_error(),
                None => Exception::from_message(Message::None),
            };
            self.outer.set_exception(error);
            drop(result);
            return;
        }
        match result {
            Ok(value) => self.outer.set_result(value),
            Err(error) => self.outer.set_exception(error),
        };
    }

    fn is_cancel_requested(&self) -> bool {
        match &self.outer.core().state.lock().role {
            Role::Gather {
                cancel_requested, ..
            } => *cancel_requested,
            Role::Future | Role::Task(_) => false,
        }
    }
}
