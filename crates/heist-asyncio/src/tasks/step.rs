//! A task's step: what one poll of a task does around its coroutine (`Task.__step`).
//!
//! Rules: `[S1]` a task cancelled before its first step never starts: its coroutine is dropped unpolled; `[S2]` the
//! coroutine is gone before the task is done; `[S3]` a mark that is still set when the coroutine returns a value
//! cancels the task, and one that is set when it raises is overruled; `[S4]` a coroutine suspended in a foreign
//! future with a mark set is dropped there, and the task is cancelled; `[S5]` a panic is an exception.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cell::{Cell, Status};
use crate::events::{EventLoop, Frame, swap_frame};
use crate::exceptions::{Exception, Message, PanicError, Result};
use crate::tasks::TaskHandle;

pin_project_lite::pin_project! {
    /// A coroutine and the cell that it fills.
    pub(crate) struct TaskFuture<T, F> {
        cell: Arc<Cell<T>>,
        #[pin]
        coroutine: Option<F>,
    }
}

impl<T: Send + 'static, F: Future<Output = Result<T>>> TaskFuture<T, F> {
    pub(crate) fn new(cell: Arc<Cell<T>>, coroutine: F) -> TaskFuture<T, F> {
        TaskFuture {
            cell,
            coroutine: Some(coroutine),
        }
    }
}

/// How a step ended.
enum Step<T> {
    Pending,
    Done(Result<T>),
    /// Cancelled before the first step, or in a foreign future: the coroutine is still to be dropped.
    Dropped(Message),
}

impl<T: Send + 'static, F: Future<Output = Result<T>>> Future for TaskFuture<T, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.coroutine.is_none() {
            return Poll::Ready(());
        }
        let Some(event_loop) = this
            .cell
            .core()
            .meta
            .as_ref()
            .map(|meta| meta.event_loop.clone())
        else {
            return Poll::Ready(());
        };
        let watch = event_loop.watch();
        let (frame, cancelled) = enter(this.cell, event_loop, cx);
        let outer = swap_frame(frame);
        let mut step = match cancelled {
            // [S1]
            Some(message) => Step::Dropped(message),
            None => match poll_coroutine(this.coroutine.as_mut(), cx) {
                Poll::Ready(result) => Step::Done(result),
                Poll::Pending => Step::Pending,
            },
        };
        if matches!(step, Step::Pending) {
            if let Some(message) = suspend(this.cell) {
                step = Step::Dropped(message);
            }
        }
        if !matches!(step, Step::Pending) {
            // [S2] PANIC: a destructor's panic takes the place of a value, and is overruled by an exception.
            let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| this.coroutine.set(None)));
            if let Err(payload) = dropped {
                step = match step {
                    Step::Done(Err(error)) => Step::Done(Err(error)),
                    _ => Step::Done(Err(panicked(payload))),
                };
            }
        }
        let inner = swap_frame(outer);
        if watch.is_some() {
            report_slow(this.cell, watch);
        }
        let result = match step {
            Step::Pending => {
                keep_context(this.cell, inner);
                return Poll::Pending;
            }
            Step::Done(result) => result,
            Step::Dropped(message) => Err(Exception::from_message(message)),
        };
        keep_context(this.cell, inner);
        finish(this.cell, result);
        Poll::Ready(())
    }
}

#[cold]
fn report_slow<T: Send + 'static>(cell: &Arc<Cell<T>>, watch: Option<heist::time::Instant>) {
    if let Some(meta) = &cell.core().meta {
        let name = TaskHandle(cell.node()).get_name();
        meta.event_loop.report_slow(
            watch,
            &format!("a step of task {name}, created at {}", meta.site),
        );
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> Exception {
    Exception::new(PanicError::new(payload))
}

/// PANIC: the coroutine is user code; what unwinds is its exception, [S5].
fn poll_coroutine<T, F: Future<Output = Result<T>>>(
    coroutine: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<T>> {
    let Some(coroutine) = coroutine.as_pin_mut() else {
        return Poll::Pending;
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| coroutine.poll(cx))) {
        Ok(poll) => poll,
        Err(payload) => Poll::Ready(Err(panicked(payload))),
    }
}

/// Begins a step: the frame to run in, and the message of a cancel that came before the first one.
fn enter<T: Send + 'static>(
    cell: &Arc<Cell<T>>,
    event_loop: EventLoop,
    cx: &Context<'_>,
) -> (Frame, Option<Message>) {
    let mut state = cell.core().state.lock();
    let message = state.cancel_message.clone();
    let mut frame = Frame {
        event_loop: Some(event_loop),
        task: Some(cell.node()),
        context: None,
    };
    let mut old_waker = None;
    let mut cancelled = None;
    if let Some(task) = state.task() {
        if !task.started {
            task.started = true;
            cancelled = std::mem::take(&mut task.must_cancel).then_some(message);
        }
        task.yielding = false;
        task.running = true;
        frame.context = task.context.take();
        if !task
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            old_waker = task.waker.replace(cx.waker().clone());
        }
    }
    drop(state);
    drop(old_waker);
    (frame, cancelled)
}

/// Ends a step that suspends; the message where the coroutine must be dropped, [S4].
fn suspend<T: Send + 'static>(cell: &Arc<Cell<T>>) -> Option<Message> {
    let mut state = cell.core().state.lock();
    let message = state.cancel_message.clone();
    let task = state.task()?;
    task.running = false;
    if task.is_in_foreign_future() && task.must_cancel {
        task.must_cancel = false;
        return Some(message);
    }
    None
}

fn keep_context<T: Send + 'static>(cell: &Arc<Cell<T>>, inner: Frame) {
    if let Some(context) = inner.context {
        if let Some(task) = cell.core().state.lock().task() {
            task.context = Some(context);
        }
    }
    drop(inner.task);
}

/// Completes the task, [S3].
fn finish<T: Send + 'static>(cell: &Arc<Cell<T>>, result: Result<T>) {
    if let Some(meta) = &cell.core().meta {
        meta.event_loop.0.tasks.remove(meta.id);
    }
    let (completion, waker) = match result {
        Ok(value) => {
            let mut state = cell.core().state.lock();
            let message = state.cancel_message.clone();
            let (mark, waker) = match state.task() {
                Some(task) => (std::mem::take(&mut task.must_cancel), task.waker.take()),
                None => (false, None),
            };
            let mut value = Some(value);
            let completion = if mark {
                state.complete_cancelled(message)
            } else {
                std::mem::swap(&mut *cell.value().lock(), &mut value);
                state.complete(Status::Finished)
            };
            drop(state);
            drop(value);
            (completion, waker)
        }
        Err(error) if error.is_cancelled() => {
            let mut state = cell.core().state.lock();
            state.cancelled_error = Some(error);
            let waker = state.task().and_then(|task| task.waker.take());
            (state.complete_cancelled(None), waker)
        }
        Err(error) => {
            let waker = cell
                .core()
                .state
                .lock()
                .task()
                .and_then(|task| task.waker.take());
            (cell.try_set_exception(error).unwrap_or_default(), waker)
        }
    };
    completion.dispatch(&cell.node());
    drop(waker);
}
