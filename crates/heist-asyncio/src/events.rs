//! The event loop's handle, callback handles, loop time, and what is current on this thread (CPython's `events.py`).
//!
//! [`EventLoop`] is a cheap clone over one of two bodies: the exact loop (`base_events.rs`), which runs everything in
//! CPython's order on one thread, and the parallel one (`parallel.rs`), whose tasks run on all cores.

mod handle;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::asyncgens::Asyncgens;
use crate::base_events::{Exact, Ready};
use crate::cell::Core;
use crate::completion::{InternalCallback, Watcher};
use crate::contextvars::Context;
use crate::exceptions::{Exception, Result, runtime_error};
use crate::exits::Exit;
use crate::loop_handle::LoopHandle;
use crate::node::Node;
use crate::parallel::Parallel;
use crate::registry::Registry;
use crate::step_flags::StepFlags;
use crate::tasks::{Task, TaskHandle};

pub use handle::{Handle, TimerHandle};

/// What is current on this thread while a task or callback runs.
#[derive(Default)]
pub(crate) struct Frame {
    /// `None` where there is a task, which knows its loop.
    pub(crate) event_loop: Option<EventLoop>,
    pub(crate) task: Option<Node>,
    pub(crate) context: Option<Context>,
}

impl Frame {
    pub(crate) fn of_task(task: Node, context: Option<Context>) -> Frame {
        Frame {
            event_loop: None,
            task: Some(task),
            context,
        }
    }

    fn event_loop(&self) -> Option<&EventLoop> {
        let task = self.task.as_ref();
        task.and_then(|task| task.core().meta.as_ref())
            .map(|meta| &meta.event_loop)
            .or(self.event_loop.as_ref())
    }
}

thread_local! {
    static FRAME: RefCell<Frame> = const {
        RefCell::new(Frame {
            event_loop: None,
            task: None,
            context: None,
        })
    };
}

/// Puts a frame in place and gives back the one before.
#[inline(always)]
pub(crate) fn swap_frame(frame: Frame) -> Frame {
    FRAME
        .try_with(|current| current.replace(frame))
        .unwrap_or_default()
}

/// Restores the frame before, after a panic too.
pub(crate) struct FrameGuard(Option<Frame>);

impl FrameGuard {
    pub(crate) fn enter(frame: Frame) -> FrameGuard {
        FrameGuard(Some(swap_frame(frame)))
    }
}

impl Drop for FrameGuard {
    fn drop(&mut self) {
        if let Some(outer) = self.0.take() {
            drop(swap_frame(outer));
        }
    }
}

/// The running task.
pub(crate) fn current_node() -> Option<Node> {
    FRAME
        .try_with(|frame| frame.borrow().task.clone())
        .ok()
        .flatten()
}

/// Looks at the step of the running task.
pub(crate) fn with_step<R>(look: impl FnOnce(&StepFlags) -> R) -> Option<R> {
    FRAME
        .try_with(|frame| frame.borrow().task.as_ref()?.core().step().map(look))
        .ok()
        .flatten()
}

/// Runs with the current context, which is made where there is none yet.
pub(crate) fn with_context<R>(function: impl FnOnce(&Context) -> R) -> R {
    let context = FRAME
        .try_with(|frame| {
            let mut frame = frame.borrow_mut();
            if frame.context.is_none() {
                let task = frame.task.as_ref();
                let own = task.and_then(|task| task.core().own_context());
                frame.context = Some(own.unwrap_or_default());
            }
            frame.context.clone().unwrap_or_default()
        })
        .unwrap_or_default();
    function(&context)
}

/// A copy of the current context for a new task or callback; `None` stands for an empty one.
pub(crate) fn snapshot_context() -> Option<Context> {
    FRAME
        .try_with(|frame| {
            let frame = frame.borrow();
            match (&frame.context, &frame.task) {
                (Some(context), _) => context.copy_of_some(),
                (None, Some(task)) => copy_of_own(task.core()),
                (None, None) => None,
            }
        })
        .ok()
        .flatten()
}

/// What a new task takes over from where it is created: the running loop, by a handle of this thread, and a copy of the
/// current context, unless it has one of its own.
#[inline]
pub(crate) fn inherited(own: Option<Context>) -> Option<(EventLoop, Option<Context>)> {
    let inherited = FRAME.try_with(|frame| {
        let frame = frame.borrow();
        let core = frame.task.as_ref().map(|task| task.core());
        let of_task = core.and_then(|core| core.meta.as_ref());
        let event_loop = of_task.map(|meta| &meta.event_loop);
        let event_loop = event_loop.or(frame.event_loop.as_ref())?;
        let context = match (own, &frame.context, core) {
            (Some(own), ..) => Some(own),
            (None, Some(context), _) => context.copy_of_some(),
            (None, None, Some(core)) => copy_of_own(core),
            (None, None, None) => None,
        };
        Some((event_loop.of_this_thread(true), context))
    });
    let ((event_loop, _kept), context) = inherited.ok().flatten()?;
    Some((event_loop, context))
}

/// A copy of a task's context, which another task may have asked for, to set something there.
fn copy_of_own(core: &Core) -> Option<Context> {
    core.has_context()
        .then(|| core.own_context())??
        .copy_of_some()
}

/// Runs with this context as the current one.
pub(crate) fn in_context<R>(context: Context, function: impl FnOnce() -> R) -> R {
    let (event_loop, task) = FRAME
        .try_with(|frame| {
            let frame = frame.borrow();
            (frame.event_loop().cloned(), frame.task.clone())
        })
        .unwrap_or_default();
    let guard = FrameGuard::enter(Frame {
        event_loop,
        task,
        context: Some(context),
    });
    let result = function();
    drop(guard);
    result
}

/// A time of the loop's clock, from the loop's start (`loop.time()`, which gives a float there).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoopTime(i64);

impl LoopTime {
    /// So many nanoseconds from the loop's start; negative ones are in the past.
    pub const fn from_nanos(nanos: i64) -> LoopTime {
        LoopTime(nanos)
    }

    /// So long after the loop's start.
    pub(crate) fn of(duration: Duration) -> LoopTime {
        LoopTime(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Nanoseconds from the loop's start.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time from an earlier one to this one, zero where it is later.
    pub fn since(self, earlier: LoopTime) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for LoopTime {
    type Output = LoopTime;

    fn add(self, delay: Duration) -> LoopTime {
        LoopTime(
            self.0
                .saturating_add(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

impl std::ops::Sub<Duration> for LoopTime {
    type Output = LoopTime;

    fn sub(self, delay: Duration) -> LoopTime {
        LoopTime(
            self.0
                .saturating_sub(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// What an exception handler is told (`call_exception_handler`'s dictionary).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ErrorContext {
    /// What happened.
    pub message: String,
    /// The exception, where there is one.
    pub exception: Option<Exception>,
    /// The name of the task that it belongs to.
    pub task_name: Option<Arc<str>>,
    /// The context in which the handler runs.
    pub(crate) context: Option<Context>,
}

impl ErrorContext {
    /// A report with a message only.
    pub fn new(message: impl Into<String>) -> ErrorContext {
        ErrorContext {
            message: message.into(),
            exception: None,
            task_name: None,
            context: None,
        }
    }
}

/// What is told of errors that nobody else sees.
pub type ExceptionHandler = Arc<dyn Fn(&EventLoop, &ErrorContext) + Send + Sync>;

/// A handle to the event loop that runs tasks (`asyncio.AbstractEventLoop`). A clone is the same loop.
#[derive(Clone)]
pub struct EventLoop(pub(crate) Arc<LoopHandle>);

pub(crate) struct LoopShared {
    pub(crate) body: Body,
    pub(crate) tasks: Registry,
    pub(crate) asyncgens: Asyncgens,
    pub(crate) exit: Exit,
    handler: Mutex<Option<ExceptionHandler>>,
    debug: AtomicBool,
    slow_callback_ns: AtomicU64,
    pub(crate) eager: AtomicBool,
}

/// Which of the two kinds of loop it is.
pub(crate) enum Body {
    Exact(Exact),
    Parallel(Parallel),
}

impl EventLoop {
    pub(crate) fn new(body: Body) -> EventLoop {
        let shared = LoopShared {
            body,
            tasks: Registry::default(),
            asyncgens: Asyncgens::default(),
            exit: Exit::default(),
            handler: Mutex::new(None),
            debug: AtomicBool::new(
                std::env::var_os("ASYNCIO_DEBUG").is_some_and(|value| !value.is_empty()),
            ),
            slow_callback_ns: AtomicU64::new(100_000_000),
            eager: AtomicBool::new(false),
        };
        EventLoop(LoopHandle::new(shared))
    }

    /// The loop that runs on this thread, where there is one (`asyncio.get_running_loop`).
    pub fn running() -> Option<EventLoop> {
        FRAME
            .try_with(|frame| frame.borrow().event_loop().cloned())
            .ok()
            .flatten()
    }

    /// The running loop, where it is an exact one.
    pub(crate) fn running_exact() -> Option<EventLoop> {
        let exact = |frame: &RefCell<Frame>| {
            let frame = frame.borrow();
            frame
                .event_loop()
                .filter(|event_loop| event_loop.exact().is_some())
                .cloned()
        };
        FRAME.try_with(exact).ok().flatten()
    }

    /// The exact loop's body, where it is one.
    pub(crate) fn exact(&self) -> Option<&Exact> {
        match &self.0.body {
            Body::Exact(exact) => Some(exact),
            Body::Parallel(_) => None,
        }
    }

    /// The parallel loop's body, where it is one.
    pub(crate) fn parallel(&self) -> Option<&Parallel> {
        match &self.0.body {
            Body::Exact(_) => None,
            Body::Parallel(parallel) => Some(parallel),
        }
    }

    /// The loop's time.
    pub fn time(&self) -> LoopTime {
        match &self.0.body {
            Body::Exact(exact) => exact.time(),
            Body::Parallel(parallel) => parallel.time(),
        }
    }

    /// Calls back once, after everything that is queued now. Callbacks run one at a time, in order. A loop that is closed
    /// calls nothing, where asyncio raises `RuntimeError`: the callback is dropped.
    pub fn call_soon(&self, callback: impl FnOnce() + Send + 'static) -> Handle {
        self.call_soon_in(snapshot_context(), Box::new(callback))
    }

    /// As [`EventLoop::call_soon`], from any thread: the two are the same here.
    pub fn call_soon_threadsafe(&self, callback: impl FnOnce() + Send + 'static) -> Handle {
        self.call_soon(callback)
    }

    /// As [`EventLoop::call_soon`], in a context of the caller's choice.
    pub fn call_soon_with(
        &self,
        context: Context,
        callback: impl FnOnce() + Send + 'static,
    ) -> Handle {
        self.call_soon_in(Some(context), Box::new(callback))
    }

    pub(crate) fn call_soon_in(
        &self,
        context: Option<Context>,
        callback: Box<dyn FnOnce() + Send>,
    ) -> Handle {
        let handle = Handle::new(LoopTime::default(), context, callback);
        match &self.0.body {
            Body::Exact(exact) => exact.push(Ready::Callback(handle.clone())),
            Body::Parallel(parallel) => parallel.push(self, handle.clone()),
        }
        handle
    }

    /// Calls back after a delay, through the timers; a loop that is closed does not.
    pub fn call_later(
        &self,
        delay: Duration,
        callback: impl FnOnce() + Send + 'static,
    ) -> TimerHandle {
        self.call_at(self.time() + delay, callback)
    }

    /// Calls back at a time of the loop's clock. One that has passed is due at once, but still through the timers. A loop
    /// that is closed calls nothing.
    pub fn call_at(&self, when: LoopTime, callback: impl FnOnce() + Send + 'static) -> TimerHandle {
        self.call_at_in(when, snapshot_context(), Box::new(callback))
    }

    /// As [`EventLoop::call_later`], in a context of the caller's choice.
    pub fn call_later_with(
        &self,
        context: Context,
        delay: Duration,
        callback: impl FnOnce() + Send + 'static,
    ) -> TimerHandle {
        self.call_at_with(context, self.time() + delay, callback)
    }

    /// As [`EventLoop::call_at`], in a context of the caller's choice.
    pub fn call_at_with(
        &self,
        context: Context,
        when: LoopTime,
        callback: impl FnOnce() + Send + 'static,
    ) -> TimerHandle {
        self.call_at_in(when, Some(context), Box::new(callback))
    }

    pub(crate) fn call_at_in(
        &self,
        when: LoopTime,
        context: Option<Context>,
        callback: Box<dyn FnOnce() + Send>,
    ) -> TimerHandle {
        let handle = Handle::new(when, context, callback);
        match &self.0.body {
            Body::Exact(exact) => exact.push_timer(handle.clone()),
            Body::Parallel(parallel) => parallel.push_timer(self, &handle, true),
        }
        TimerHandle(handle)
    }

    /// A timer of the facade's own: on many threads its callback does not stand in line with users'.
    pub(crate) fn internal_timer(
        &self,
        when: LoopTime,
        callback: Box<dyn FnOnce() + Send>,
    ) -> TimerHandle {
        let handle = Handle::new(when, None, callback);
        match &self.0.body {
            Body::Exact(exact) => exact.push_timer(handle.clone()),
            Body::Parallel(parallel) => parallel.push_timer(self, &handle, false),
        }
        TimerHandle(handle)
    }

    pub(crate) fn push_internal(&self, callback: InternalCallback, node: Node) {
        match &self.0.body {
            Body::Exact(exact) => exact.push(Ready::Internal(callback, node)),
            Body::Parallel(_) => callback(&node),
        }
    }

    pub(crate) fn push_watched(&self, watcher: Arc<dyn Watcher>, node: Node, failed: bool) {
        match &self.0.body {
            Body::Exact(exact) => exact.push(Ready::Watched(watcher, node, failed)),
            Body::Parallel(_) => watcher.completed(&node, failed),
        }
    }

    pub(crate) fn push_step(&self, node: Node) {
        if let Some(exact) = self.exact() {
            exact.push(Ready::Step(node));
        }
    }

    /// Creates a task on this loop (`loop.create_task`).
    ///
    /// # Errors
    /// `RuntimeError` where the loop is closed.
    #[track_caller]
    pub fn create_task<T, F>(&self, coroutine: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        crate::tasks::Builder::new()
            .on(self.clone())
            .spawn(coroutine)
    }

    /// As [`all_tasks`](crate::all_tasks), of this loop.
    pub fn all_tasks(&self) -> Vec<TaskHandle> {
        self.nodes().into_iter().map(TaskHandle).collect()
    }

    /// The tasks that are not done, in order.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let spawner = self.parallel().map(Parallel::spawner);
        self.0.tasks.snapshot(spawner)
    }

    /// Raises an exit out of the loop.
    pub(crate) fn raise_exit(&self, exception: Exception) {
        self.0.exit.raise(exception);
        if let Some(exact) = self.exact() {
            exact.wake_driver();
        }
    }

    /// Stops the loop after the pass that runs now; the run ends with a `RuntimeError`. Only a loop of the current
    /// thread has passes; elsewhere nothing happens.
    pub fn stop(&self) {
        if let Some(exact) = self.exact() {
            exact.stop();
        }
    }

    /// True after the runner closed the loop.
    pub fn is_closed(&self) -> bool {
        match &self.0.body {
            Body::Exact(exact) => exact.is_closed(),
            Body::Parallel(parallel) => parallel.is_closed(),
        }
    }

    /// Makes new tasks run their first step inside `create_task` (`set_task_factory(eager_task_factory)`).
    pub fn set_eager(&self, eager: bool) {
        // ORDERING: Relaxed; a setting of its own.
        self.0.eager.store(eager, Ordering::Relaxed);
    }

    /// True where new tasks are eager.
    pub fn is_eager(&self) -> bool {
        // ORDERING: Relaxed; a setting of its own.
        self.0.eager.load(Ordering::Relaxed)
    }

    /// True in debug mode: slow callbacks are reported.
    pub fn get_debug(&self) -> bool {
        // ORDERING: Relaxed; a setting of its own.
        self.0.debug.load(Ordering::Relaxed)
    }

    /// Sets debug mode.
    pub fn set_debug(&self, debug: bool) {
        // ORDERING: Relaxed; a setting of its own.
        self.0.debug.store(debug, Ordering::Relaxed);
    }

    /// From which duration on a step or callback is slow, in debug mode (0.1 s at first).
    pub fn slow_callback_duration(&self) -> Duration {
        // ORDERING: Relaxed; a setting of its own.
        Duration::from_nanos(self.0.slow_callback_ns.load(Ordering::Relaxed))
    }

    /// Sets [`EventLoop::slow_callback_duration`].
    pub fn set_slow_callback_duration(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // ORDERING: Relaxed; a setting of its own.
        self.0.slow_callback_ns.store(nanos, Ordering::Relaxed);
    }

    /// In debug mode, when a step began.
    pub(crate) fn watch(&self) -> Option<heist::time::Instant> {
        self.get_debug().then(heist::time::Instant::now)
    }

    /// Reports a step that was slow, in debug mode.
    pub(crate) fn report_slow(&self, begun: Option<heist::time::Instant>, what: &str) {
        let Some(begun) = begun else { return };
        let took = begun.elapsed();
        if took >= self.slow_callback_duration() {
            self.call_exception_handler(&ErrorContext::new(format!(
                "executing {what} took {took:?}"
            )));
        }
    }

    /// Sets what is told of errors that nobody else sees; `None` restores the default, a line on standard error.
    pub fn set_exception_handler(&self, handler: Option<ExceptionHandler>) {
        let old = std::mem::replace(&mut *self.0.handler.lock(), handler);
        drop(old);
    }

    /// The handler that was set.
    pub fn get_exception_handler(&self) -> Option<ExceptionHandler> {
        self.0.handler.lock().clone()
    }

    /// Reports an error that nobody else sees. The handler runs in the context of the task or callback concerned; one
    /// that panics falls back to the default.
    pub fn call_exception_handler(&self, context: &ErrorContext) {
        let Some(handler) = self.get_exception_handler() else {
            return self.default_exception_handler(context);
        };
        let call = || {
            // PANIC: the handler is user code; the loop goes on.
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(self, context)));
            if result.is_err() {
                let text = format!(
                    "unhandled error in exception handler, called for: {}",
                    context.message
                );
                self.default_exception_handler(&ErrorContext::new(text));
            }
        };
        match &context.context {
            Some(own) => in_context(own.clone(), call),
            None => call(),
        }
    }

    /// Writes the report to standard error.
    #[allow(
        clippy::unused_self,
        reason = "asyncio's name and shape: it is a method of the loop"
    )]
    pub fn default_exception_handler(&self, context: &ErrorContext) {
        let task = context
            .task_name
            .as_ref()
            .map_or_else(String::new, |name| format!(" (task {name})"));
        match &context.exception {
            Some(exception) => eprintln!("asyncio: {}{task}: {exception}", context.message),
            None => eprintln!("asyncio: {}{task}", context.message),
        }
    }
}

impl PartialEq for EventLoop {
    fn eq(&self, other: &EventLoop) -> bool {
        self.0.is_of(&other.0)
    }
}

impl Eq for EventLoop {}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The loop that runs on this thread.
///
/// # Errors
/// `RuntimeError` where there is none.
pub fn get_running_loop() -> Result<EventLoop> {
    EventLoop::running().ok_or_else(|| runtime_error("no running event loop"))
}
