//! Callbacks that are scheduled, and their handles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::contextvars::Context;
use crate::events::{ErrorContext, EventLoop, Frame, FrameGuard, LoopTime};
use crate::exceptions::{Exception, PanicError};

/// A callback that is scheduled, to be cancelled (`asyncio.Handle`). Dropping it changes nothing.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<HandleShared>);

pub(crate) struct HandleShared {
    callback: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    cancelled: AtomicBool,
    context: Option<Context>,
    when: LoopTime,
    /// The core's task that waits for the time, on many threads.
    timer: Mutex<Option<heist::task::AbortHandle>>,
}

impl Handle {
    pub(crate) fn new(
        when: LoopTime,
        context: Option<Context>,
        callback: Box<dyn FnOnce() + Send>,
    ) -> Handle {
        let callback = Mutex::new(Some(callback));
        Handle(Arc::new(HandleShared {
            callback,
            cancelled: AtomicBool::new(false),
            context,
            when,
            timer: Mutex::new(None),
        }))
    }

    /// Cancels the callback, also where its turn comes in this very pass. After it ran, nothing happens.
    pub fn cancel(&self) {
        // ORDERING: Relaxed; the callback's own lock decides who takes it.
        self.0.cancelled.store(true, Ordering::Relaxed);
        let callback = self.0.callback.lock().take();
        drop(callback);
        let timer = self.0.timer.lock().take();
        if let Some(timer) = timer {
            timer.abort();
        }
    }

    pub(crate) fn set_timer(&self, timer: heist::task::AbortHandle) {
        let old = self.0.timer.lock().replace(timer);
        drop(old);
    }

    /// True after [`Handle::cancel`].
    pub fn cancelled(&self) -> bool {
        // ORDERING: Relaxed; a flag of its own.
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// The context in which the callback runs.
    pub fn get_context(&self) -> Context {
        self.0.context.clone().unwrap_or_default()
    }

    pub(crate) fn due(&self) -> LoopTime {
        self.0.when
    }

    /// Runs the callback, in its context and outside any task; a panic goes to the exception handler.
    pub(crate) fn run(&self, event_loop: &EventLoop) {
        let callback = self.0.callback.lock().take();
        let Some(callback) = callback else { return };
        let frame = Frame {
            event_loop: Some(event_loop.clone()),
            task: None,
            context: self.0.context.clone(),
        };
        let guard = FrameGuard::enter(frame);
        let watch = event_loop.watch();
        // PANIC: a callback's panic is reported, and the loop goes on.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback));
        event_loop.report_slow(watch, "a callback");
        if let Err(payload) = result {
            let mut context = ErrorContext::new("exception in callback");
            context.exception = Some(Exception::new(PanicError::new(payload)));
            event_loop.call_exception_handler(&context);
        }
        drop(guard);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("cancelled", &self.cancelled())
            .finish_non_exhaustive()
    }
}

/// A callback that is scheduled at a time (`asyncio.TimerHandle`).
#[derive(Clone, Debug)]
pub struct TimerHandle(pub(crate) Handle);

impl TimerHandle {
    /// The time at which the callback is due.
    pub fn when(&self) -> LoopTime {
        self.0.due()
    }

    /// As [`Handle::cancel`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// As [`Handle::cancelled`].
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    /// As [`Handle::get_context`].
    pub fn get_context(&self) -> Context {
        self.0.get_context()
    }
}
