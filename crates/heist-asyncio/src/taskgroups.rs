//! `TaskGroup`: tasks that end with a block (CPython's `taskgroups.py`).
//!
//! Rules: `[G1]` the exit waits for every child, through any number of cancellations; `[G2]` the first error of a
//! child or the body aborts the group: each child is cancelled once, and where a child failed, the parent once;
//! `[G3]` the parent's request is taken back once at the exit; `[G4]` a child that was cancelled counts for nothing;
//! `[G5]` errors beat the cancellation, which is then requested again; `[G6]` a child is counted out only after its
//! error is noted, so the exit sees it on every thread.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cell::Status;
use crate::completion::add_internal;
use crate::contextvars::Context;
use crate::events::{ErrorContext, EventLoop, get_running_loop};
use crate::exceptions::{Exception, ExceptionGroup, Result, runtime_error};
use crate::node::{CellRef, Node, is_same_node, new_future};
use crate::tasks::{Builder, Task, TaskHandle, current_task, poll_scope};
use crate::wait::WaitNode;

/// A group of tasks that a block waits for (`asyncio.TaskGroup`). A clone is the same group.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let sum = asyncio::run(async {
///     asyncio::TaskGroup::scope(async |group| {
///         let one = group.create_task(async { Ok(1) })?;
///         let two = group.create_task(async { Ok(2) })?;
///         Ok(one.await? + two.await?)
///     })
///     .await
/// });
/// assert_eq!(sum.unwrap(), 3);
/// ```
#[derive(Clone)]
pub struct TaskGroup(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entered: bool,
    exiting: bool,
    aborting: bool,
    /// `TaskGroup::cancel` was called.
    cancel_requested: bool,
    parent_cancel_requested: bool,
    parent: Option<TaskHandle>,
    event_loop: Option<EventLoop>,
    tasks: Vec<Node>,
    /// Children that are being created.
    n_announced: usize,
    errors: Vec<Exception>,
    exit_error: Option<Exception>,
    on_completed: Option<CellRef<()>>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.n_announced == 0
    }

    /// What the exit waits on, where no child is left.
    fn completed_waiter(&self) -> Option<CellRef<()>> {
        if self.is_empty() {
            self.on_completed.clone()
        } else {
            None
        }
    }
}

/// The parts of a child's creation that the group decides.
#[derive(Debug, Default)]
#[must_use]
pub struct ChildBuilder {
    builder: Builder,
    group: Option<TaskGroup>,
}

impl ChildBuilder {
    /// Names the child.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> ChildBuilder {
        self.builder = self.builder.name(name);
        self
    }

    /// Runs the child in this very context.
    pub fn context(mut self, context: Context) -> ChildBuilder {
        self.builder = self.builder.context(context);
        self
    }

    /// Creates the child.
    ///
    /// # Errors
    /// As [`TaskGroup::create_task`].
    #[track_caller]
    pub fn spawn<T, F>(self, coroutine: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let group = self
            .group
            .ok_or_else(|| runtime_error("the child has no group"))?;
        let event_loop = group.announce()?;
        let task = self.builder.on(event_loop).spawn(coroutine);
        group.adopt(task.as_ref().ok().map(|task| task.0.node()));
        task
    }
}

impl TaskGroup {
    /// A group whose block has not begun.
    pub fn new() -> TaskGroup {
        TaskGroup(Arc::new(Shared {
            state: Mutex::default(),
        }))
    }

    /// Runs a block with a new group, and waits for the group's tasks (`async with asyncio.TaskGroup() as group`).
    ///
    /// # Errors
    /// An [`ExceptionGroup`] of what the children raised, then what the block raised; else the cancellation.
    ///
    /// # Cancel safety
    /// Dropping it cancels the children, which end in their own time.
    pub async fn scope<T, F: AsyncFnOnce(TaskGroup) -> Result<T>>(body: F) -> Result<T> {
        TaskGroup::new().run(body).await
    }

    /// As [`TaskGroup::scope`], for a group made before.
    ///
    /// # Errors
    /// As there; `RuntimeError` where it was run before, or outside a task.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn run<T, F: AsyncFnOnce(TaskGroup) -> Result<T>>(&self, body: F) -> Result<T> {
        self.run_until_cancelled(body)
            .await?
            .ok_or_else(Exception::cancelled)
    }

    /// As [`TaskGroup::run`], for a group that [`TaskGroup::cancel`] may end early: `None` where it ended the block.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn run_until_cancelled<T, F>(&self, body: F) -> Result<Option<T>>
    where
        F: AsyncFnOnce(TaskGroup) -> Result<T>,
    {
        let parent = self.enter()?;
        let mut leave = Leave(Some(self));
        let result = poll_scope(body(self.clone())).await;
        let result = self.exit(&parent, result).await;
        leave.0 = None;
        result
    }

    /// Creates a child (`group.create_task`).
    ///
    /// # Errors
    /// `RuntimeError` where the block has not begun, has ended, or the group is shutting down; the coroutine is
    /// dropped.
    #[track_caller]
    pub fn create_task<T, F>(&self, coroutine: F) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.child().spawn(coroutine)
    }

    /// As [`TaskGroup::create_task`], with a name.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn create_named_task<T, F>(
        &self,
        name: impl Into<Arc<str>>,
        coroutine: F,
    ) -> Result<Task<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.child().name(name).spawn(coroutine)
    }

    /// A child with a name or a context of its own.
    pub fn child(&self) -> ChildBuilder {
        ChildBuilder {
            builder: Builder::new(),
            group: Some(self.clone()),
        }
    }

    /// Ends the group early: the children and the block are cancelled, and [`TaskGroup::run_until_cancelled`] returns
    /// without an error of that; [`TaskGroup::run`], which has no value then, with the cancellation. Called before the block, it takes effect at its beginning; after it, nothing happens.
    pub fn cancel(&self) {
        let mut state = self.0.state.lock();
        let is_over = state.exiting && state.is_empty() && state.on_completed.is_none();
        if state.cancel_requested || is_over {
            return;
        }
        state.cancel_requested = true;
        if !state.entered {
            return;
        }
        let parent = self.begin_abort(&mut state);
        let tasks = state.tasks.clone();
        drop(state);
        abort_tasks(&tasks);
        if let Some(parent) = parent {
            parent.cancel();
        }
    }

    /// Marks the abort; the parent where it must be cancelled, [G2].
    fn begin_abort(&self, state: &mut State) -> Option<TaskHandle> {
        debug_assert!(state.entered);
        state.aborting = true;
        if state.parent_cancel_requested {
            return None;
        }
        state.parent_cancel_requested = true;
        state.parent.clone()
    }

    /// Announces a child that is about to be created: on many threads the exit waits for it.
    fn announce(&self) -> Result<EventLoop> {
        let mut state = self.0.state.lock();
        let text = match &*state {
            State { entered: false, .. } => "the task group has not been entered",
            State {
                exiting: true,
                tasks,
                n_announced: 0,
                ..
            } if tasks.is_empty() => "the task group is finished",
            State { aborting: true, .. } => "the task group is shutting down",
            State {
                event_loop: Some(event_loop),
                ..
            } => {
                let event_loop = event_loop.clone();
                state.n_announced += 1;
                return Ok(event_loop);
            }
            _ => "the task group has no loop",
        };
        Err(runtime_error(text))
    }

    /// Takes in the child that was announced, where it was created.
    fn adopt(&self, node: Option<Node>) {
        let mut state = self.0.state.lock();
        state.n_announced -= 1;
        let Some(node) = node else {
            let waiter = state.completed_waiter();
            drop(state);
            if let Some(waiter) = waiter {
                waiter.set_result(());
            }
            return;
        };
        state.tasks.push(node.clone());
        let is_late = state.aborting;
        drop(state);
        let group = self.clone();
        add_internal(&node, Box::new(move |node| group.child_done(node)));
        if is_late {
            // Only on many threads: the abort came between the announcement and this.
            abort_tasks(std::slice::from_ref(&node));
        }
    }

    fn enter(&self) -> Result<TaskHandle> {
        let event_loop = get_running_loop()?;
        let mut state = self.0.state.lock();
        if state.entered {
            return Err(runtime_error("the task group has already been entered"));
        }
        let Some(parent) = current_task() else {
            return Err(runtime_error(
                "the task group cannot determine the parent task",
            ));
        };
        state.entered = true;
        state.parent = Some(parent.clone());
        state.event_loop = Some(event_loop);
        let cancelled = if state.cancel_requested {
            self.begin_abort(&mut state)
        } else {
            None
        };
        drop(state);
        if let Some(parent) = cancelled {
            parent.cancel();
        }
        Ok(parent)
    }

    fn abort(&self) {
        let tasks = {
            let mut state = self.0.state.lock();
            state.aborting = true;
            state.tasks.clone()
        };
        abort_tasks(&tasks);
    }

    fn is_aborting(&self) -> bool {
        self.0.state.lock().aborting
    }

    async fn exit<T>(&self, parent: &TaskHandle, result: Result<T>) -> Result<Option<T>> {
        {
            let mut state = self.0.state.lock();
            state.exiting = true;
            if let Err(error) = &result {
                if error.is_exit() && state.exit_error.is_none() {
                    state.exit_error = Some(error.clone());
                }
            }
        }
        let mut cancellation = match &result {
            Err(error) if error.is_cancelled() => Some(error.clone()),
            _ => None,
        };
        if result.is_err() && !self.is_aborting() {
            self.abort();
        }
        self.wait_for_children(&mut cancellation).await;
        let mut state = self.0.state.lock();
        debug_assert!(state.tasks.is_empty(), "[G1]");
        let mut errors = std::mem::take(&mut state.errors);
        let (exit_error, uncancel) = (state.exit_error.take(), state.parent_cancel_requested);
        state.parent = None;
        drop(state);
        if let Some(error) = exit_error {
            return Err(error);
        }
        if uncancel && parent.uncancel() == 0 {
            // [G3]: no request is left but ours.
            cancellation = None;
        }
        let is_cancelled = matches!(&result, Err(error) if error.is_cancelled());
        if errors.is_empty() {
            if let Some(cancellation) = cancellation {
                return Err(cancellation);
            }
        }
        match result {
            Err(error) if !is_cancelled => errors.push(error),
            Ok(value) if errors.is_empty() => return Ok(Some(value)),
            // Only `TaskGroup::cancel` ends a block by our own cancellation with no error behind it.
            Err(_) if errors.is_empty() => return Ok(None),
            _ => {}
        }
        if parent.cancelling() > 0 {
            // [G5]: the count stays as it is.
            parent.uncancel();
            parent.cancel();
        }
        Err(ExceptionGroup::of(
            "unhandled errors in a TaskGroup",
            errors,
        ))
    }

    async fn wait_for_children(&self, cancellation: &mut Option<Exception>) {
        loop {
            let waiter = {
                let mut state = self.0.state.lock();
                if state.is_empty() {
                    state.on_completed = None;
                    return;
                }
                state.on_completed.get_or_insert_with(new_future).clone()
            };
            if let Err(error) = WaitNode::new(waiter.into_node()).await {
                if error.is_cancelled() && !self.is_aborting() {
                    *cancellation = Some(error);
                    self.abort();
                }
            }
            self.0.state.lock().on_completed = None;
        }
    }

    fn child_done(&self, node: &Node) {
        let failure = {
            let mut state = node.core().state.lock();
            // [G4]
            if state.status() == Status::Cancelled {
                None
            } else {
                state.exception().ok().flatten()
            }
        };
        if let Some(error) = failure {
            self.child_failed(node, error);
        }
        // [G6]
        let mut state = self.0.state.lock();
        state.tasks.retain(|task| !is_same_node(task, node));
        let waiter = state.completed_waiter();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.set_result(());
        }
    }

    fn child_failed(&self, node: &Node, error: Exception) {
        let mut state = self.0.state.lock();
        if error.is_exit() && state.exit_error.is_none() {
            state.exit_error = Some(error.clone());
        }
        if state.parent.as_ref().is_none_or(TaskHandle::done) {
            let event_loop = state.event_loop.clone();
            drop(state);
            if let Some(event_loop) = event_loop {
                let mut context = ErrorContext::new(
                    "a task of a group has failed after its parent task was done",
                );
                context.exception = Some(error);
                context.task_name = Some(TaskHandle(node.clone()).get_name());
                event_loop.call_exception_handler(&context);
            }
            return;
        }
        state.errors.push(error);
        if state.aborting || state.parent_cancel_requested {
            return;
        }
        let parent = self.begin_abort(&mut state);
        // The failed one is done, and refuses.
        let tasks = state.tasks.clone();
        drop(state);
        abort_tasks(&tasks);
        if let Some(parent) = parent {
            parent.cancel();
        }
    }
}

fn abort_tasks(tasks: &[Node]) {
    for task in tasks {
        if !task.core().is_done() {
            crate::tasks::cancel::cancel(task, &None);
        }
    }
}

/// Cancels the children of a block that is dropped.
struct Leave<'a>(Option<&'a TaskGroup>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            let parent = {
                let mut state = group.0.state.lock();
                state.exiting = true;
                if std::mem::take(&mut state.parent_cancel_requested) {
                    state.parent.take()
                } else {
                    None
                }
            };
            if let Some(parent) = parent {
                parent.uncancel();
            }
            group.abort();
        }
    }
}

impl Default for TaskGroup {
    fn default() -> TaskGroup {
        TaskGroup::new()
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("TaskGroup")
            .field("tasks", &state.tasks.len())
            .field("errors", &state.errors.len())
            .field("entered", &state.entered)
            .field("aborting", &state.aborting)
            .finish()
    }
}
