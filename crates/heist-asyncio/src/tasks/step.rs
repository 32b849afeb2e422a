//! A task's step: what one poll of a task does around its coroutine (`Task.__step`).
//!
//! Rules: `[S1]` a task cancelled before its first step never starts: its coroutine is dropped unpolled; `[S2]` the
//! coroutine is gone before the task is done; `[S3]` a mark that is still set when the coroutine returns a value
//! cancels the task, and one that is set when it raises is overruled; `[S4]` a coroutine suspended in a foreign
//! future with a mark set is dropped there, and the task is cancelled, unless a scope is in between, which raises the
//! cancel in a step of its own; `[S5]` a panic is an exception.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::cell::Core;
use crate::events::{EventLoop, Frame, FrameGuard, swap_frame};
use crate::exceptions::{Exception, Message, PanicError, Result};
use crate::node::Node;
use crate::step_flags::StepFlags;
use crate::tasks::TaskHandle;
use crate::tasks::cancel::forward_mark;

pin_project_lite::pin_project! {
    /// A coroutine and the cell that it fills.
    pub(crate) struct TaskFuture<F> {
        // During a step it is in the frame, so that no step has to count references.
        node: Option<Node>,
        #[pin]
        coroutine: Option<F>,
    }
}

impl<F> TaskFuture<F> {
    pub(crate) fn new(node: Node, coroutine: F) -> TaskFuture<F> {
        TaskFuture {
            node: Some(node),
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

impl<T: Send + 'static, F: Future<Output = Result<T>>> Future for TaskFuture<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(node) = this.node.take().filter(|_| this.coroutine.is_some()) else {
            return Poll::Ready(());
        };
        let meta = node.core().meta.as_ref();
        let watch = meta.and_then(|meta| meta.event_loop.watch());
        let (context, cancelled) = enter(node.core());
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
            let Some(message) = suspend(node, cx.waker()) else {
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
        finish::<T>(&node, result);
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
#[inline(always)]
fn enter(core: &Core) -> (Option<crate::contextvars::Context>, Option<Message>) {
    let Some(step) = core.step() else {
        return (None, None);
    };
    let is_first = step.begin();
    let context = core.has_context().then(|| core.own_context()).flatten();
    (context, is_first.then(|| core.take_mark()).flatten())
}

/// Ends a step that suspends, and forwards the mark of a cancel that came during it; the message where the coroutine
/// must be dropped, [S4].
fn suspend(node: &Node, waker: &Waker) -> Option<Message> {
    let core = node.core();
    let step = core.step()?;
    let keeps_waker = core.meta.as_ref().is_some_and(|meta| meta.keeps_waker);
    let has_waits = step.has_waits();
    // A scope, [F4].
    let is_late = step.is_scope_late();
    if has_waits && !keeps_waker {
        if step.end() {
            forward_mark(node);
        }
        if is_late {
            waker.wake_by_ref();
        }
        return None;
    }
    if step.is_yielding() && !keeps_waker {
        // It comes back by itself, and finds its mark then.
        step.end_yielding();
        return None;
    }
    let mut state = core.state.lock();
    let is_marked = step.end();
    let (old, is_woken) = match keeps_waker {
        true => state.keep_waker(waker),
        false => (None, false),
    };
    let is_stuck = step.is_in_foreign_future() && step.is_marked();
    // A scope is in there, and finds the mark in a step of its own, [F5].
    let is_for_scope = is_stuck && step.has_scope();
    let is_dropped = is_stuck && !is_for_scope && step.take_mark();
    let message = is_dropped.then(|| state.cancel_message());
    drop(state);
    drop(old);
    if is_marked && has_waits {
        forward_mark(node);
    }
    if is_woken || is_for_scope || is_late {
        waker.wake_by_ref();
    }
    message
}

/// Completes the task, [S3].
fn finish<T: Send + 'static>(node: &Node, result: Result<T>) {
    let core = node.core();
    if let (Err(error), Some(meta)) = (&result, &core.meta) {
        if error.is_exit() {
            // First, so that whoever finds the task done finds the exit, too.
            meta.event_loop.raise_exit(error.clone());
        }
    }
    let failed = result.is_err();
    let mut state = core.state.lock();
    let mark = core.step().is_some_and(StepFlags::take_mark);
    let waker = state.take_waker();
    let mut left = None;
    let completion = match result {
        Ok(value) if mark => {
            let message = state.cancel_message();
            left = Some(value);
            state.complete_cancelled(message)
        }
        Ok(value) => {
            let (completion, in_the_way) = state.complete_any(value);
            left = in_the_way;
            completion
        }
        Err(error) if error.is_cancelled() => state.complete_raised(error),
        Err(error) => state.complete_exception(error, None),
    };
    drop(state);
    // A gather or a shield that this ends in turn leaves a report of its exception to the loop that runs. On many threads
    // none does here any more.
    let orphaned = failed && EventLoop::running().is_none();
    let event_loop = core.meta.as_ref().filter(|_| orphaned);
    let frame = event_loop.map(|meta| {
        FrameGuard::enter(Frame {
            event_loop: Some(meta.event_loop.clone()),
            ..Frame::default()
        })
    });
    completion.dispatch(node);
    drop(frame);
    // PANIC: a value's destructor is user code; the panic hook has spoken, and the task is done.
    if let Err(payload) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(left))) {
        std::mem::forget(payload);
    }
    drop(waker);
}
