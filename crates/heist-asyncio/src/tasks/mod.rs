//! Tasks: coroutines that the loop runs (CPython's `tasks.py`).
//!
//! Here: [`Task`], [`TaskHandle`], their creation, and what is current. The step is `step.rs`, cancellation
//! `cancel.rs`; [`sleep`], [`gather`], [`wait`], [`wait_for`], [`shield`] and [`as_completed`] have a file each.

use std::fmt;
use std::future::IntoFuture;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::task::{Context, Waker};

use heist::runtime::Spawner;

use crate::base_events::{LocalFuture, NO_SLOT, Ready, driven_here};
use crate::cell::{NewTask, TaskMeta};
use crate::contextvars;
use crate::events::{EventLoop, current_node, inherited, snapshot_context};
use crate::exceptions::{Exception, Result, runtime_error};
use crate::futures::{CallbackId, Future};
use crate::node::{CellRef, Node, is_same_node, new_cell, spawn_cell};
use crate::registry::next_id;
use crate::step_flags::StepFlags;
use crate::wait::{Waiting, fetch_clone, fetch_take};

mod as_completed;
pub(crate) mod cancel;
mod foreign;
mod gather;
mod gather_tuple;
mod item;
mod shield;
mod sleep;
mod step;
mod wait;
mod wait_for;
mod wrap;

pub use as_completed::{AsCompleted, as_completed};
pub use foreign::cancellable;
pub(crate) use foreign::poll_scope;
pub(crate) use gather::gather_nodes;
pub use gather::{Gathering, gather, gather_return_exceptions};
pub use gather_tuple::GatherTuple;
pub use item::{Awaitable, Child, IntoTask, Item};
pub use shield::{Shielded, shield};
pub use sleep::{sleep, sleep_with, yield_now};
pub(crate) use step::TaskFuture;
pub use wait::{ReturnWhen, Waitable, wait};
pub use wait_for::wait_for;
pub use wrap::{wrap_future, wrap_join_handle};

/// A coroutine that runs on the loop (`asyncio.Task`).
///
/// Awaiting it moves its result out. Dropping it changes nothing: the task goes on, the loop owns it. Awaiting a
/// `&Task` gives a clone of the result, and [`Task::shared`] a future that many may await.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let total = asyncio::run(async {
///     let task = asyncio::create_task(async { Ok(20) });
///     Ok(task.await? + 22)
/// });
/// assert_eq!(total.unwrap(), 42);
/// ```
pub struct Task<T: Send + 'static>(pub(crate) CellRef<T>);

/// Any task, whatever its result: to cancel it, name it, or see whether it is done.
#[derive(Clone)]
pub struct TaskHandle(pub(crate) Node);

/// The number of a task, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskHandle {
    /// The task's number: it tells tasks apart, as `task.get_coro() is coroutine` does.
    pub fn id(&self) -> TaskId {
        TaskId(self.0.core().meta.as_ref().map_or(0, |meta| meta.id))
    }

    /// The name, `Task-N` unless one was given.
    pub fn get_name(&self) -> Arc<str> {
        let core = self.0.core();
        core.state.lock().name(core.meta.as_ref())
    }

    /// Gives the task another name, at any time.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        let name = name.into();
        self.0.core().state.lock().set_name(name);
    }

    /// True where the coroutine has ended.
    pub fn done(&self) -> bool {
        self.0.core().is_done()
    }

    /// True where the coroutine ended with a cancellation. False just after `cancel`: that is a request.
    pub fn cancelled(&self) -> bool {
        self.0.core().is_cancelled()
    }

    /// Requests cancellation: the next await of the task's coroutine raises [`CancelledError`](crate::CancelledError),
    /// unless it is uncancelled before. A request to a task that awaits another goes to that one. False where the task
    /// is done.
    pub fn cancel(&self) -> bool {
        cancel::cancel(&self.0, &None)
    }

    /// As [`TaskHandle::cancel`], with a message for the exception.
    pub fn cancel_msg(&self, message: impl Into<Arc<str>>) -> bool {
        cancel::cancel(&self.0, &Some(message.into()))
    }

    /// Wakes the task, as a foreign future would; one that is in a step gets another.
    pub(crate) fn wake(&self) {
        self.0.clone().wake();
    }

    /// The requests to cancel, less those taken back.
    pub fn cancelling(&self) -> usize {
        self.0
            .core()
            .state
            .lock()
            .task()
            .map_or(0, |task| task.n_cancels as usize)
    }

    /// Takes one request back, and says how many are left. At zero an undelivered cancellation is undone.
    pub fn uncancel(&self) -> usize {
        let step = self.0.core().step();
        let mut state = self.0.core().state.lock();
        let Some(task) = state.task() else { return 0 };
        if task.n_cancels > 0 {
            task.n_cancels -= 1;
            if let (0, Some(step)) = (task.n_cancels, step) {
                step.set_mark(false);
            }
        }
        task.n_cancels as usize
    }

    /// The exception that ended the task, `None` where it returned.
    ///
    /// # Errors
    /// The cancellation; `InvalidStateError` where the task is not done.
    pub fn exception(&self) -> Result<Option<Exception>> {
        self.0.core().state.lock().exception()
    }

    /// The context in which the task runs.
    pub fn get_context(&self) -> contextvars::Context {
        if current_node().is_some_and(|node| is_same_node(&node, &self.0)) {
            return crate::events::with_context(Clone::clone);
        }
        self.0.core().own_context().unwrap_or_default()
    }

    /// Where the task was created: what stands in for a coroutine's stack.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.0
            .core()
            .meta
            .as_ref()
            .map_or(Location::caller(), |meta| meta.site)
    }

    /// The loop that the task runs on.
    ///
    /// # Errors
    /// `RuntimeError` where the handle is of no task; a task's own always has one.
    pub fn get_loop(&self) -> Result<EventLoop> {
        self.0
            .core()
            .meta
            .as_ref()
            .map(|meta| meta.event_loop.clone())
            .ok_or_else(|| runtime_error("no loop"))
    }

    /// Waits until the task is done, whatever became of it. A cancellation of the one who waits is forwarded, as in
    /// any await of a task.
    ///
    /// # Errors
    /// The cancellation of the task, or of the one who waits.
    pub async fn join(&self) -> Result<()> {
        match crate::wait::WaitNode::new(self.0.clone()).await {
            Err(error) if error.is_cancelled() => Err(error),
            _ => Ok(()),
        }
    }
}

impl PartialEq for TaskHandle {
    fn eq(&self, other: &TaskHandle) -> bool {
        is_same_node(&self.0, &other.0)
    }
}

impl Eq for TaskHandle {}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.get_name())
            .field("done", &self.done())
            .finish_non_exhaustive()
    }
}

/// A task is used as its handle: `task.cancel()`, `task.get_name()`, `task.done()`…
impl<T: Send + 'static> Task<T> {
    /// A handle that does not know the result's type.
    pub fn handle(&self) -> TaskHandle {
        TaskHandle(self.0.node())
    }

    /// The task as a future that any number of tasks may await, each for a clone of the result.
    pub fn shared(&self) -> Future<T> {
        Future(self.0.clone())
    }

    /// As [`TaskHandle::id`].
    pub fn id(&self) -> TaskId {
        self.handle().id()
    }

    /// As [`TaskHandle::get_name`].
    pub fn get_name(&self) -> Arc<str> {
        self.handle().get_name()
    }

    /// As [`TaskHandle::set_name`].
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        self.handle().set_name(name);
    }

    /// As [`TaskHandle::done`].
    pub fn done(&self) -> bool {
        self.0.core().is_done()
    }

    /// As [`TaskHandle::cancelled`].
    pub fn cancelled(&self) -> bool {
        self.0.core().is_cancelled()
    }

    /// As [`TaskHandle::cancel`].
    pub fn cancel(&self) -> bool {
        self.handle().cancel()
    }

    /// As [`TaskHandle::cancel_msg`].
    pub fn cancel_msg(&self, message: impl Into<Arc<str>>) -> bool {
        self.handle().cancel_msg(message)
    }

    /// As [`TaskHandle::cancelling`].
    pub fn cancelling(&self) -> usize {
        self.handle().cancelling()
    }

    /// As [`TaskHandle::uncancel`].
    pub fn uncancel(&self) -> usize {
        self.handle().uncancel()
    }

    /// As [`Future::result`].
    ///
    /// # Errors
    /// As there.
    pub fn result(&self) -> Result<T>
    where
        T: Clone,
    {
        self.shared().result()
    }

    /// As [`Future::exception`].
    ///
    /// # Errors
    /// As there.
    pub fn exception(&self) -> Result<Option<Exception>> {
        self.handle().exception()
    }

    /// As [`TaskHandle::get_context`].
    pub fn get_context(&self) -> contextvars::Context {
        self.handle().get_context()
    }

    /// As [`TaskHandle::get_loop`].
    ///
    /// # Errors
    /// As there.
    pub fn get_loop(&self) -> Result<EventLoop> {
        self.handle().get_loop()
    }

    /// As [`Future::add_done_callback`].
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(&Future<T>) + Send + 'static,
    ) -> CallbackId {
        self.shared().add_done_callback(callback)
    }

    /// As [`Future::remove_done_callback`].
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        self.shared().remove_done_callback(id)
    }
}

impl<T: Send + 'static> IntoFuture for Task<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.0, fetch_take)
    }
}

impl<T: Clone + Send + 'static> IntoFuture for &Task<T> {
    type Output = Result<T>;
    type IntoFuture = Waiting<T>;

    fn into_future(self) -> Waiting<T> {
        Waiting::new(self.0.clone(), fetch_clone)
    }
}

impl<T: Send + 'static> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle().fmt(f)
    }
}

/// How a task is created: its name, its context, whether it starts at once.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<Arc<str>>,
    context: Option<contextvars::Context>,
    eager: Option<bool>,
    event_loop: Option<EventLoop>,
}

impl Builder {
    /// A task with a name of its own, a copy of the current context, on the running loop.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the task.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Runs the task in this very context instead of a copy of the current one.
    #[must_use]
    pub fn context(mut self, context: contextvars::Context) -> Builder {
        self.context = Some(context);
        self
    }

    /// Runs the first step inside `spawn` (`eager_start`), or not, whatever the loop's default. Where another thread
    /// runs the loop, the task starts there, and not at once.
    #[must_use]
    pub fn eager(mut self, eager: bool) -> Builder {
        self.eager = Some(eager);
        self
    }

    /// Creates the task on this loop.
    #[must_use]
    pub fn on(mut self, event_loop: EventLoop) -> Builder {
        self.event_loop = Some(event_loop);
        self
    }

    /// Creates the task.
    ///
    /// # Errors
    /// `RuntimeError` where no loop is running or the loop is closed; the coroutine is dropped.
    #[track_caller]
    pub fn spawn<T, F>(self, coroutine: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: std::future::Future<Output = Result<T>> + Send + 'static,
    {
        let eager = self.eager;
        let new = self.prepare(NO_SLOT)?;
        let event_loop = &new.meta.event_loop;
        let eager = eager.unwrap_or_else(|| event_loop.is_eager());
        if let Some(parallel) = event_loop.parallel() {
            let spawner = parallel.spawner();
            let starts = eager && EventLoop::running().as_ref() == Some(event_loop);
            return Ok(Task(if starts {
                start_in_parallel(spawner, new, coroutine)
            } else {
                spawn_cell(spawner, new, coroutine)
            }));
        }
        let event_loop = event_loop.clone();
        let cell = new_cell(new.into_core());
        let future = Box::pin(TaskFuture::new(cell.node(), coroutine));
        match (driven_here(&event_loop), event_loop.exact()) {
            (Some(coroutines), _) => {
                coroutines.insert(&cell.node(), future);
                start(&event_loop, cell.node(), eager);
            }
            (None, Some(exact)) => exact.push(Ready::Adopt(cell.node(), future)),
            (None, None) => {}
        }
        Ok(Task(cell))
    }

    /// Creates a task whose coroutine need not be `Send`: only on a loop of the current thread.
    ///
    /// # Errors
    /// `RuntimeError` where this thread runs no such loop; the coroutine is dropped.
    #[track_caller]
    pub fn spawn_local<T, F>(self, coroutine: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: std::future::Future<Output = Result<T>> + 'static,
    {
        let eager = self.eager;
        let new = self.prepare(NO_SLOT)?;
        let event_loop = new.meta.event_loop.clone();
        let Some(coroutines) = driven_here(&event_loop) else {
            return Err(runtime_error(
                "a task that is not Send needs a loop of the current thread",
            ));
        };
        let cell = new_cell(new.into_core());
        let future: LocalFuture = Box::pin(TaskFuture::new(cell.node(), coroutine));
        coroutines.insert(&cell.node(), future);
        start(
            &event_loop,
            cell.node(),
            eager.unwrap_or_else(|| event_loop.is_eager()),
        );
        Ok(Task(cell))
    }

    /// What the cell of the task to be is made of.
    #[inline]
    #[track_caller]
    pub(crate) fn prepare(self, slot: u32) -> Result<NewTask> {
        let (event_loop, context) = match self.event_loop {
            Some(event_loop) => (
                event_loop.of_this_thread(false).0,
                self.context.or_else(snapshot_context),
            ),
            None => {
                inherited(self.context).ok_or_else(|| runtime_error("no running event loop"))?
            }
        };
        if event_loop.is_closed() {
            return Err(runtime_error("event loop is closed"));
        }
        let meta = TaskMeta {
            id: next_id(event_loop.exact().is_some()),
            event_loop,
            slot: AtomicU32::new(slot),
            forgotten: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            keeps_waker: false,
            site: Location::caller(),
            step: StepFlags::default(),
        };
        Ok(NewTask {
            meta,
            context,
            name: self.name,
        })
    }
}

/// Schedules a task's first step, or runs it here and now.
fn start(event_loop: &EventLoop, node: Node, eager: bool) {
    if eager {
        if let Some(coroutines) = driven_here(event_loop) {
            return coroutines.step_now(&node);
        }
    }
    node.wake();
}

/// Runs a task's first step here and now; one that suspends goes on as a task of the core.
#[track_caller]
fn start_in_parallel<T, F>(spawner: Spawner, new: NewTask, coroutine: F) -> CellRef<T>
where
    T: Send + 'static,
    F: std::future::Future<Output = Result<T>> + Send + 'static,
{
    let cell = new_cell(new.into_core());
    let mut future = Box::pin(TaskFuture::new(cell.node(), coroutine));
    // The core polls a new task at once, so nothing can be missed by a waker that wakes nobody: each future is asked
    // again, and given a waker then.
    let mut cx = Context::from_waker(Waker::noop());
    if future.as_mut().poll(&mut cx).is_pending() {
        drop(spawner.spawn(future));
    }
    cell
}

/// Creates a task of a coroutine on the running loop (`asyncio.create_task`).
///
/// # Panics
/// Where no loop is running; [`Builder::spawn`] gives an error instead.
#[track_caller]
pub fn create_task<T, F>(coroutine: F) -> Task<T>
where
    T: Send + 'static,
    F: std::future::Future<Output = Result<T>> + Send + 'static,
{
    match Builder::new().spawn(coroutine) {
        Ok(task) => task,
        Err(error) => panic!("create_task: {error}"),
    }
}

/// As [`create_task`], with a name.
///
/// # Panics
/// As there.
#[track_caller]
pub fn create_named_task<T, F>(name: impl Into<Arc<str>>, coroutine: F) -> Task<T>
where
    T: Send + 'static,
    F: std::future::Future<Output = Result<T>> + Send + 'static,
{
    match Builder::new().name(name).spawn(coroutine) {
        Ok(task) => task,
        Err(error) => panic!("create_task: {error}"),
    }
}

/// As [`create_task`], for a coroutine that is not `Send`, on a loop of the current thread.
///
/// # Panics
/// Where no loop of the current thread is running; [`Builder::spawn_local`] gives an error instead.
#[track_caller]
pub fn create_local_task<T, F>(coroutine: F) -> Task<T>
where
    T: Send + 'static,
    F: std::future::Future<Output = Result<T>> + 'static,
{
    match Builder::new().spawn_local(coroutine) {
        Ok(task) => task,
        Err(error) => panic!("create_local_task: {error}"),
    }
}

/// A future for anything that can be awaited (`asyncio.ensure_future`): a task or future as it is, a coroutine as a
/// new task.
///
/// # Panics
/// Where a coroutine is given and no loop is running.
#[track_caller]
pub fn ensure_future<T: Send + 'static>(awaitable: impl IntoTask<T>) -> Future<T> {
    Future(awaitable.into_task().0)
}

/// The running task, `None` in a callback and outside a loop (`asyncio.current_task`).
pub fn current_task() -> Option<TaskHandle> {
    current_node().map(TaskHandle)
}

/// The tasks of the running loop that are not done, in the order of their creation (`asyncio.all_tasks`); on many
/// threads, in the order of each thread that creates them.
///
/// # Errors
/// `RuntimeError` where no loop is running.
pub fn all_tasks() -> Result<Vec<TaskHandle>> {
    Ok(crate::events::get_running_loop()?.all_tasks())
}
