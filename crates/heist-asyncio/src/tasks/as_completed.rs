//! `as_completed`: results in the order of completion.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::completion::add_internal;
use crate::events::{EventLoop, TimerHandle};
use crate::exceptions::{Exception, Result, TimeoutError};
use crate::futures::Future;
use crate::node::{CellRef, address_of, is_same_node};
use crate::queues::Queue;
use crate::tasks::{Child, IntoTask};
use crate::wait::{Fetch, value_of};

/// What [`as_completed`] gives: the awaitables in the order of their completion.
///
/// Both of asyncio's forms are here: [`AsCompleted::next`] is the plain one, which gives results, and
/// [`AsCompleted::next_future`] the asynchronous one, which gives the tasks themselves.
pub struct AsCompleted<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    n_left: usize,
}

struct Shared<T: Send + 'static> {
    done: Queue<Option<CellRef<T>>>,
    todo: Mutex<Todo<T>>,
}

struct Todo<T: Send + 'static> {
    waiting: VecDeque<(Child<T>, Option<u32>)>,
    /// How the result of each is read, as long as nobody did.
    fetches: Vec<(CellRef<T>, Fetch<T>)>,
    timer: Option<TimerHandle>,
}

/// Runs awaitables concurrently, to take their results as they come (`asyncio.as_completed`). Coroutines become
/// tasks at the call, and the time limit begins there; when it is over, each result that is missing is a
/// [`TimeoutError`], and the tasks go on.
///
/// ```
/// use heist_asyncio as asyncio;
/// use std::time::Duration;
///
/// let order = asyncio::run(async {
///     let mut results = asyncio::as_completed(
///         [30_u64, 10, 20].map(|ms| asyncio::sleep_with(Duration::from_millis(ms), ms)),
///         None,
///     );
///     let mut order = Vec::new();
///     while let Some(result) = results.next().await {
///         order.push(result?);
///     }
///     Ok(order)
/// });
/// assert_eq!(order.unwrap(), [10, 20, 30]);
/// ```
///
/// # Panics
/// Where a coroutine is given and no loop is running.
#[track_caller]
pub fn as_completed<T: Send + 'static>(
    awaitables: impl IntoIterator<Item = impl IntoTask<T>>,
    limit: impl Into<Option<Duration>>,
) -> AsCompleted<T> {
    let mut children: Vec<Child<T>> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for awaitable in awaitables {
        let child = awaitable.into_task();
        if seen.insert(address_of(&child.0)) {
            children.push(child);
        }
    }
    let n_left = children.len();
    let fetches = children
        .iter()
        .map(|child| (child.0.clone(), child.1))
        .collect();
    let nodes: Vec<_> = children.iter().map(|child| child.0.clone()).collect();
    let waiting = children.into_iter().map(|child| (child, None)).collect();
    let todo = Mutex::new(Todo {
        waiting,
        fetches,
        timer: None,
    });
    let shared = Arc::new(Shared {
        done: Queue::new(0),
        todo,
    });
    for cell in nodes {
        let completed = {
            let (shared, cell) = (shared.clone(), cell.clone());
            Box::new(move |_: &_| shared.completed(&cell))
        };
        let id = add_internal(&cell.node(), completed);
        let mut todo = shared.todo.lock();
        if let Some(entry) = todo
            .waiting
            .iter_mut()
            .find(|(child, _)| is_same_node(&child.0, &cell))
        {
            entry.1 = id;
        }
    }
    if let (Some(limit), Some(event_loop), true) = (limit.into(), EventLoop::running(), n_left > 0)
    {
        let timed = shared.clone();
        let timer = event_loop.internal_timer(
            event_loop.time() + limit,
            Box::new(move || timed.time_is_over()),
        );
        shared.todo.lock().timer = Some(timer);
    }
    AsCompleted { shared, n_left }
}

impl<T: Send + 'static> Shared<T> {
    fn completed(&self, cell: &CellRef<T>) {
        let mut todo = self.todo.lock();
        let Some(idx) = todo
            .waiting
            .iter()
            .position(|(child, _)| is_same_node(&child.0, cell))
        else {
            // The time was over first.
            return;
        };
        let removed = todo.waiting.remove(idx);
        let timer = if todo.waiting.is_empty() {
            todo.timer.take()
        } else {
            None
        };
        drop(todo);
        drop(removed);
        let put = self.done.put_nowait(Some(cell.clone()));
        debug_assert!(put.is_ok(), "the queue has no bound");
        if let Some(timer) = timer {
            timer.cancel();
        }
    }

    fn time_is_over(&self) {
        let waiting = std::mem::take(&mut self.todo.lock().waiting);
        for (child, id) in waiting {
            if let Some(id) = id {
                child.0.node().core().remove_entry(id);
            }
            let put = self.done.put_nowait(None);
            debug_assert!(put.is_ok(), "the queue has no bound");
        }
    }

    /// How the result of a completed one is read, once.
    fn fetch(&self, cell: &CellRef<T>) -> Option<Fetch<T>> {
        let mut todo = self.todo.lock();
        let idx = todo
            .fetches
            .iter()
            .position(|(known, _)| is_same_node(known, cell))?;
        Some(todo.fetches.swap_remove(idx).1)
    }
}

impl<T: Send + 'static> AsCompleted<T> {
    /// The next result, `None` after the last. A cancellation of the one who waits skips a result, as in asyncio.
    ///
    /// # Errors
    /// As the item: what the awaitable raised, [`TimeoutError`], or the cancellation of the one who waits.
    ///
    /// # Cancel safety
    /// Dropping it before it is done, as `select!` does, skips no result.
    pub async fn next(&mut self) -> Option<Result<T>> {
        let cell = match self.next_cell().await? {
            Ok(cell) => cell,
            Err(error) => return Some(Err(error)),
        };
        let outcome = cell.core().state.lock().outcome();
        Some(outcome.and_then(|()| {
            value_of(
                self.shared
                    .fetch(&cell)
                    .and_then(|fetch| fetch(cell.typed(), cell.lock())),
            )
        }))
    }

    /// The next awaitable that is done, as a future, `None` after the last.
    ///
    /// # Errors
    /// As the item: [`TimeoutError`], or the cancellation of the one who waits.
    ///
    /// # Cancel safety
    /// As for [`next`](Self::next).
    pub async fn next_future(&mut self) -> Option<Result<Future<T>>> {
        Some(self.next_cell().await?.map(Future))
    }

    /// How many are still to come.
    pub fn len(&self) -> usize {
        self.n_left
    }

    /// True where none is to come.
    pub fn is_empty(&self) -> bool {
        self.n_left == 0
    }

    async fn next_cell(&mut self) -> Option<Result<CellRef<T>>> {
        if self.n_left == 0 {
            return None;
        }
        let done = self.shared.done.get().await;
        self.n_left -= 1;
        Some(match done {
            Ok(Some(cell)) => Ok(cell),
            Ok(None) => Err(Exception::new(TimeoutError)),
            Err(error) => Err(error),
        })
    }

    /// The results as a stream (`async for`).
    pub fn into_stream(self) -> impl futures_util::Stream<Item = Result<T>> {
        futures_util::stream::unfold(self, async |mut this| {
            this.next().await.map(|result| (result, this))
        })
    }
}

impl<T: Send + 'static> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("n_left", &self.n_left)
            .finish_non_exhaustive()
    }
}
