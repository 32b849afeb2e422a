//! A task's step: what one poll of a task does around its coroutine (`Task.__step`).
//!
//! Rules: `[S1]` a task cancelled before its first step never starts: its coroutine is dropped unpolled; `[S2]` the
//! coroutine is gone before the task is done; `[S3]` a mark that is still set when the coroutine returns a value
//! cancels the task, and one that is set when it raises is overruled; `[S4]` a coroutine suspended in a foreign
//! future with a mark set is dropped there, and the task is cancelled; `[S5]` a panic is an exception.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::cell::{Cell, Node, Status};
use crate::events::{Frame, swap_frame};
use crate::exceptions::{Exception, Message, PanicError, Result};
use crate::tasks::TaskHandle;

pin_project_lite::pin_project! {
    /// A coroutine and the cell that it fills.
    pub(crate) struct TaskFuture<T, F> {
        // During a step it is in the frame, so that no step has to count references.
        node: Option<Node>,
        #[pin]
        coroutine: Option<F>,
        result: PhantomData<fn() -> T>,
    }
}

impl<T: Send + 'static, F: Future<Output = Result<T>>> TaskFuture<T, F> {
    pub(crate) fn new(cell: Arc<Cell<T>>, coroutine: F) -> TaskFuture<T, F> {
        TaskFuture {
            node: Some(cell),
            coroutine: Some(coroutine),
            result: PhantomData,
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
        let Some(node) = this.node.take().filter(|_| this.coroutine.is_some()) else {
            return Poll::Ready(());
        };
        let meta = node.core().meta.as_ref();
        let watch = meta.and_then(|meta| meta.event_loop.watch());
        let (context, cancelled) = enter(&node);
        let outer = swap_frame(Frame::of_task(node, context));
        let mut step = match cancelled {
            // [S1]
            Some(message) => Step::Dropped(message),
            None => match poll_coroutine(this.coroutine.as_mut(), cx) {
                Poll::Ready(result) => Step::Done(result),
                Poll::Pending => Step::Pending,
            },
        };
        if !matches!(step, Step::Pending) {
            step = drop_coroutine(this.coroutine.as_mut(), step);
        }
        let mut inner = swap_frame(outer);
        if let (Step::Pending, Some(node)) = (&step, &inner.task) {
            let Some(message) = suspend(node, &mut inner.context, cx.waker()) else {
                if watch.is_some() {
                    report_slow(node, watch);
                }
                *this.node = inner.task;
                return Poll::Pending;
            };
            // The coroutine's destructors run inside the task too.
            let outer = swap_frame(inner);
            step = drop_coroutine(this.coroutine.as_mut(), Step::Dropped(message));
            inner = swap_frame(outer);
        }
        let Some(node) = inner.task else {
            return Poll::Ready(());
        };
        if watch.is_some() {
            report_slow(&node, watch);
        }
        let result = match step {
            Step::Pending => return Poll::Pending,
            Step::Done(result) => result,
            Step::Dropped(message) => Err(Exception::from_message(message)),
        };
        finish::<T>(&node, inner.context, result);
        Poll::Ready(())
    }
}

/// [S2] PANIC: a destructor's panic takes the place of a value, and is overruled by an exception.
fn drop_coroutine<T, F>(mut coroutine: Pin<&mut Option<F>>, step: Step<T>) -> Step<T> {
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| coroutine.set(None)));
    match (dropped, step) {
        (Ok(()), step) => step,
        (Err(_), Step::Done(Err(error))) => Step::Done(Err(error)),
        (Err(payload), _) => Step::Done(Err(panicked(payload))),
    }
}

#[cold]
fn report_slow(node: &Node, watch: Option<heist::time::Instant>) {
    if let Some(meta) = &node.core().meta {
        let name = TaskHandle(node.clone()).get_name();
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

/// Begins a step: the context to run in, and the message of a cancel that came before the first one.
fn enter(node: &Node) -> (Option<crate::contextvars::Context>, Option<Message>) {
    let mut state = node.core().state.lock();
    let Some(task) = state.task() else {
        return (None, None);
    };
    let is_cancelled = !task.started && std::mem::take(&mut task.must_cancel);
    task.started = true;
    task.yielding = false;
    task.running = true;
    let context = task.context.take();
    (context, is_cancelled.then(|| state.cancel_message.clone()))
}

/// Ends a step that suspends; the message where the coroutine must be dropped, [S4].
fn suspend(
    node: &Node,
    context: &mut Option<crate::contextvars::Context>,
    waker: &Waker,
) -> Option<Message> {
    let mut state = node.core().state.lock();
    let task = state.task()?;
    task.running = false;
    let mut old = None;
    if !task.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
        old = task.waker.replace(waker.clone());
    }
    let is_woken = std::mem::take(&mut task.woken);
    let is_stuck = task.is_in_foreign_future() && std::mem::take(&mut task.must_cancel);
    if !is_stuck && context.is_some() {
        std::mem::swap(&mut task.context, context);
    }
    let message = is_stuck.then(|| state.cancel_message.clone());
    drop(state);
    drop(old);
    if is_woken {
        waker.wake_by_ref();
    }
    message
}

/// Completes the task, [S3].
fn finish<T: Send + 'static>(
    node: &Node,
    mut context: Option<crate::contextvars::Context>,
    result: Result<T>,
) {
    let core = node.core();
    if let Some(meta) = &core.meta {
        meta.event_loop.0.tasks.remove(meta);
    }
    let mut state = core.state.lock();
    let (mark, waker) = match state.task() {
        Some(task) => {
            if context.is_some() {
                std::mem::swap(&mut task.context, &mut context);
            }
            (std::mem::take(&mut task.must_cancel), task.waker.take())
        }
        None => (false, None),
    };
    let mut left = None;
    let completion = match result {
        Ok(value) if mark => {
            let message = state.cancel_message.clone();
            left = Some(value);
            state.complete_cancelled(message)
        }
        Ok(value) => {
            if let Some(cell) = node.as_any().downcast_ref::<Cell<T>>() {
                left = cell.value().lock().replace(value);
            }
            state.complete(Status::Finished)
        }
        Err(error) if error.is_cancelled() => {
            state.cancelled_error = Some(error);
            state.complete_cancelled(None)
        }
        Err(error) => {
            let report_to = core.meta.as_ref().map(|meta| meta.event_loop.clone());
            state.complete_exception(error, report_to)
        }
    };
    drop(state);
    drop(left);
    completion.dispatch(node);
    drop(waker);
}
