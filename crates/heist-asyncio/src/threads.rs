//! Threads: `to_thread`, `run_in_executor`, `run_coroutine_threadsafe`, `sync`, `asyncify` (CPython's `threads.py`).

use std::fmt;
use std::future::Future as StdFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::completion::add_internal;
use crate::contextvars::Context;
use crate::events::{EventLoop, Frame, FrameGuard, get_running_loop, snapshot_context};
use crate::exceptions::{Exception, PanicError, Result, TimeoutError, runtime_error};
use crate::futures::Future;
use crate::node::{CellRef, new_future};
use crate::tasks::TaskHandle;
use crate::wait::{fetch_take, value_of};

/// Runs a blocking function on the blocking pool, in a copy of the current context (`asyncio.to_thread`). Nothing
/// starts before it is awaited.
///
/// A cancellation ends the wait at once. The thread goes on to its end, and its result is dropped; a function that
/// has not started never does.
///
/// # Errors
/// What the function raises; its panic as a [`PanicError`]; the cancellation; `RuntimeError` where no loop is running.
///
/// # Cancel safety
/// As a cancellation.
pub async fn to_thread<R: Send + 'static>(
    function: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<R> {
    get_running_loop()?;
    submit(snapshot_context(), function).take().await
}

/// Submits a blocking function to the blocking pool, at once, in no context of the caller's
/// (`loop.run_in_executor(None, function)`).
///
/// # Errors
/// `RuntimeError` where no loop is running. The future: as [`to_thread`].
pub fn run_in_executor<R: Send + 'static>(
    function: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<Future<R>> {
    get_running_loop()?;
    Ok(submit(None, function))
}

/// Forgets its future as cancelled where it is dropped before it ran: the pool was shut down.
struct Work<R: Send + 'static>(Option<CellRef<R>>);

impl<R: Send + 'static> Drop for Work<R> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            crate::tasks::cancel::cancel(&cell.node(), &None);
        }
    }
}

#[track_caller]
fn submit<R: Send + 'static>(
    context: Option<Context>,
    function: impl FnOnce() -> Result<R> + Send + 'static,
) -> Future<R> {
    let cell = new_future::<R>();
    let event_loop = EventLoop::running();
    let mut work = Work(Some(cell.clone()));
    let call = move || {
        let Some(cell) = work.0.take().filter(|cell| !cell.core().is_cancelled()) else {
            return;
        };
        let frame = FrameGuard::enter(Frame {
            context,
            ..Frame::default()
        });
        // PANIC: the function's panic is the future's exception.
        let result = std::panic::catch_unwind(AssertUnwindSafe(function));
        drop(frame);
        match result.unwrap_or_else(|payload| Err(Exception::new(PanicError::new(payload)))) {
            Ok(value) => cell.set_result(value),
            Err(error) => {
                // Where nobody sees it, the loop that asked for the call says so.
                let _frame = FrameGuard::enter(Frame {
                    event_loop,
                    ..Frame::default()
                });
                cell.set_exception(error)
            }
        };
    };
    drop(heist::task::spawn_blocking(call));
    Future(cell)
}

/// The result of a coroutine that another thread's loop runs (`concurrent.futures.Future`).
pub struct ConcurrentFuture<T> {
    task: TaskHandle,
    event_loop: EventLoop,
    slot: Arc<(Mutex<Slot<T>>, Condvar)>,
}

enum Slot<T> {
    Empty,
    Arrived(Result<T>),
    Taken,
}

impl<T: Send + 'static> ConcurrentFuture<T> {
    /// Blocks this thread until the coroutine has ended, or for so long. A limit that expires does not cancel it.
    ///
    /// # Errors
    /// What the coroutine raises; [`TimeoutError`]; `RuntimeError` on the loop's own thread, where it would wait for
    /// itself, and where the result was taken before.
    pub fn result(&self, limit: impl Into<Option<Duration>>) -> Result<T> {
        let mut slot = self.wait(limit.into())?;
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Arrived(result) => result,
            Slot::Empty | Slot::Taken => Err(runtime_error("the result was taken already")),
        }
    }

    /// Blocks until the result has arrived.
    fn wait(&self, limit: Option<Duration>) -> Result<MutexGuard<'_, Slot<T>>> {
        if EventLoop::running_exact().is_some_and(|running| running == self.event_loop) {
            return Err(runtime_error(
                "waiting on the loop's own thread would wait for ever",
            ));
        }
        let (slot, arrived) = &*self.slot;
        let is_empty = |slot: &mut Slot<T>| matches!(slot, Slot::Empty);
        let mut slot = slot.lock();
        if !is_empty(&mut slot) {
            return Ok(slot);
        }
        drop(slot);
        // On a worker, what it waits for may be queued there.
        heist::task::block_in_place(|| {
            let mut slot = self.slot.0.lock();
            match limit {
                None => arrived.wait_while(&mut slot, is_empty),
                Some(limit) => {
                    if arrived
                        .wait_while_for(&mut slot, is_empty, limit)
                        .timed_out()
                    {
                        return Err(TimeoutError.into());
                    }
                }
            }
            Ok(slot)
        })
    }

    /// Requests cancellation of the task on its loop; false where it is done.
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// True where the coroutine has ended.
    pub fn done(&self) -> bool {
        self.task.done()
    }

    /// True where the coroutine ended with a cancellation.
    pub fn cancelled(&self) -> bool {
        self.task.cancelled()
    }

    /// Blocks as [`ConcurrentFuture::result`] does, and gives the exception that ended the coroutine, `None` where it
    /// returned. The result stays where it is.
    ///
    /// # Errors
    /// The cancellation; [`TimeoutError`]; `RuntimeError` on the loop's own thread.
    pub fn exception(&self, limit: impl Into<Option<Duration>>) -> Result<Option<Exception>> {
        drop(self.wait(limit.into())?);
        self.task.exception()
    }
}

impl<T> fmt::Debug for ConcurrentFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentFuture")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// Runs a coroutine on a loop of another thread (`asyncio.run_coroutine_threadsafe`).
///
/// # Errors
/// `RuntimeError` where the loop is closed.
#[track_caller]
pub fn run_coroutine_threadsafe<T: Send + 'static>(
    coroutine: impl StdFuture<Output = Result<T>> + Send + 'static,
    event_loop: &EventLoop,
) -> Result<ConcurrentFuture<T>> {
    let task = event_loop.create_task(coroutine)?;
    let slot = Arc::new((Mutex::new(Slot::Empty), Condvar::new()));
    let (cell, filled) = (task.0.clone(), slot.clone());
    // Not by the caller's loop: the result arrives on the thread that completes the task.
    let outside = FrameGuard::enter(Frame::default());
    let arrive = move |_: &_| {
        let outcome = cell.core().state.lock().outcome();
        let result = outcome.and_then(|()| value_of(fetch_take(cell.typed(), cell.lock())));
        *filled.0.lock() = Slot::Arrived(result);
        filled.1.notify_all();
    };
    add_internal(&task.0.node(), Box::new(arrive));
    drop(outside);
    Ok(ConcurrentFuture {
        task: task.handle(),
        event_loop: event_loop.clone(),
        slot,
    })
}

/// Runs a coroutine to its end from any synchronous code: in a loop of its own, which inside a running loop is
/// another thread's. The caller blocks meanwhile; on many workers its worker is handed on.
///
/// # Errors
/// What the coroutine raises.
///
/// # Panics
/// Where the system gives no thread.
pub fn sync<T: Send + 'static>(coroutine: impl StdFuture<Output = Result<T>> + Send) -> Result<T> {
    let Some(event_loop) = EventLoop::running() else {
        return crate::runners::run(coroutine);
    };
    let elsewhere = || {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("asyncio-sync".to_owned())
                .spawn_scoped(scope, || crate::runners::run(coroutine));
            match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(payload)) => Err(Exception::new(PanicError::new(payload))),
                Err(error) => Err(error.into()),
            }
        })
    };
    if event_loop.parallel().is_some() {
        heist::task::block_in_place(elsewhere)
    } else {
        elsewhere()
    }
}

/// Makes an asynchronous function of a blocking one, over [`to_thread`].
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let length = asyncio::asyncify(|text: String| Ok(text.len()));
/// assert_eq!(asyncio::run(async move { length("four".to_owned()).await }).unwrap(), 4);
/// ```
pub fn asyncify<A: Send + 'static, R: Send + 'static>(
    function: impl Fn(A) -> Result<R> + Send + Sync + 'static,
) -> impl Fn(A) -> std::pin::Pin<Box<dyn StdFuture<Output = Result<R>> + Send>> {
    let function = Arc::new(function);
    move |argument| {
        let function = function.clone();
        Box::pin(to_thread(move || function(argument)))
    }
}
