//! `gather`: many awaitables, one future of all results.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cell::{Cell, Node, Role, Status, add_internal, is_same_node};
use crate::exceptions::{Exception, Message, Result};
use crate::futures::Future;
use crate::tasks::cancel::cancel;
use crate::tasks::{Child, IntoTask};
use crate::wait::{Fetch, Waiting, fetch_clone, fetch_take, value_of};

/// What [`gather`] gives: the future of all results, whose children run whether it is awaited or not.
///
/// Awaiting it moves the results out; cancelling it cancels every child that is not done.
#[must_use = "the children run anyway, but their results and exceptions should be seen"]
pub struct Gathering<T: Send + 'static> {
    pub(crate) cell: Arc<Cell<T>>,
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
            value_of(fetch(&cell))
        }
    };
    children.into_iter().map(read).collect()
}

/// A child's outcome as an item of the list: a cancellation is a new one, with the child's message or an empty one.
pub(super) fn outcome(node: &Node) -> Result<()> {
    let mut state = node.core().state.lock();
    if state.status == Status::Cancelled {
        return Err(Exception::cancelled_with(
            state.cancel_message.clone().unwrap_or_else(|| "".into()),
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
    outer: Arc<Cell<R>>,
    children: Vec<Node>,
    return_exceptions: bool,
    progress: Mutex<Progress<R>>,
}

struct Progress<R> {
    /// Different children, and how many of them are done.
    n_children: usize,
    n_done: usize,
    finish: Option<Finish<R>>,
}

/// The untyped heart of gather.
pub(crate) fn gather_nodes<R: Send + 'static>(
    children: Vec<Node>,
    return_exceptions: bool,
    finish: Finish<R>,
) -> Gathering<R> {
    if children.is_empty() {
        let outer = Cell::future();
        match finish(&[]) {
            Ok(value) => outer.set_result(value),
            Err(error) => outer.set_exception(error),
        };
        return Gathering { cell: outer };
    }
    let mut different: Vec<Node> = Vec::with_capacity(children.len());
    let mut seen = std::collections::HashSet::with_capacity(children.len());
    for child in &children {
        if seen.insert(Arc::as_ptr(child).cast::<()>() as usize) {
            different.push(child.clone());
        }
    }
    let outer = Cell::new(
        Role::Gather {
            children: children.clone(),
            cancel_requested: false,
        },
        None,
    );
    let progress = Progress {
        n_children: different.len(),
        n_done: 0,
        finish: Some(finish),
    };
    let shared = Arc::new(Shared {
        outer: outer.clone(),
        children,
        return_exceptions,
        progress: Mutex::new(progress),
    });
    let (done, waiting): (Vec<Node>, Vec<Node>) = different
        .into_iter()
        .partition(|child| child.core().is_done());
    for child in &waiting {
        let shared = shared.clone();
        add_internal(child, Box::new(move |child| shared.child_done(child)));
    }
    // Children that are done already count here and now.
    for child in &done {
        shared.child_done(child);
    }
    debug_assert!(
        waiting
            .iter()
            .chain(&done)
            .all(|child| !is_same_node(child, &outer.node()))
    );
    Gathering { cell: outer }
}

impl<R: Send + 'static> Shared<R> {
    fn child_done(&self, child: &Node) {
        let mut progress = self.progress.lock();
        progress.n_done += 1;
        let is_last = progress.n_done == progress.n_children;
        drop(progress);
        if self.outer.core().is_done() {
            // Marks the exception as seen.
            child.core().state.lock().log_exception = false;
            return;
        }
        if !self.return_exceptions {
            let failure = {
                let mut state = child.core().state.lock();
                match state.status {
                    Status::Cancelled => Some(state.make_cancelled_error()),
                    Status::Pending | Status::Finished => state.exception().ok().flatten(),
                }
            };
            if let Some(failure) = failure {
                self.outer.set_exception(failure);
                return;
            }
        }
        if is_last {
            self.finish(child);
        }
    }

    fn finish(&self, last: &Node) {
        let finish = self.progress.lock().finish.take();
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
        debug_assert!(last.core().is_done());
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
