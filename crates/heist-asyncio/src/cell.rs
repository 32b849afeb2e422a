//! The cell behind every future and task: state, result, waiters and callbacks in one ordered list.
//!
//! Everything that waits waits on a cell; `futures.rs` and `tasks/` are its public faces. Rules:
//!
//! - `[C1]` At most one cell is locked at a time, and nothing of a user's (a callback, a waker, a destructor) runs
//!   under the lock: what a transition takes out is handed back in a [`Completion`].
//! - `[C2]` Completing a cell schedules its waiters and callbacks in the order of their registration. On the exact
//!   loop each is an entry of the ready queue; on the multi-thread flavour internal callbacks run where the cell
//!   completes, and users' on the serial queue.
//! - `[C3]` A registration has a number. A cancel that was read from a task's waits carries it, and is refused
//!   once that registration is gone.
//!
//! How a task waits on a cell: `wait.rs`. Tests: `tests/it`, and the scenario programs.

use std::any::Any;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

use crate::contextvars::Context;
use crate::events::{ErrorContext, EventLoop};
use crate::exceptions::{Exception, InvalidStateError, Message, Result};
use crate::few::Few;
use crate::step_flags::StepFlags;

/// A cell whose result type is forgotten.
pub(crate) type Node = Arc<dyn AnyCell>;

/// An internal callback: it is given the cell that completed.
pub(crate) type InternalCallback = Box<dyn FnOnce(&Node) + Send>;

/// What is told of each cell that it watches, when that completes.
pub(crate) trait Watcher: Send + Sync {
    /// The exact loop that must queue what it is told; without, it is told where the cell completes.
    fn exact_loop(&self) -> Option<&EventLoop>;

    /// `failed` where the cell was cancelled or has an exception.
    fn completed(&self, node: &Node, failed: bool);
}

/// What a cell offers without its result type.
pub(crate) trait AnyCell: Send + Sync {
    fn core(&self) -> &Core;
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    fn into_waker(self: Arc<Self>) -> Waker;
}

/// A future's or task's cell.
pub(crate) struct Cell<T> {
    core: Core,
    /// Written before the status becomes `Finished`, read after that.
    value: Mutex<Option<T>>,
}

/// The part of a cell that does not depend on its result type.
pub(crate) struct Core {
    pub(crate) state: Mutex<State>,
    /// What only a task has and what never changes.
    pub(crate) meta: Option<TaskMeta>,
}

pub(crate) struct TaskMeta {
    pub(crate) id: u64,
    pub(crate) event_loop: EventLoop,
    /// Where the exact loop keeps the coroutine.
    pub(crate) slot: AtomicUsize,
    /// The loop's registry does not list it any more.
    pub(crate) forgotten: AtomicBool,
    /// True while the exact loop's ready queue holds a step of this task.
    pub(crate) scheduled: AtomicBool,
    pub(crate) site: &'static Location<'static>,
    pub(crate) step: StepFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Cancelled,
    Finished,
}

/// All of it is behind the cell's lock.
pub(crate) struct State {
    pub(crate) status: Status,
    /// The exception has not been seen by anybody yet.
    pub(crate) log_exception: bool,
    next_id: u64,
    /// A task's last undelivered cancel and a future's own cancel share this slot, as in CPython.
    pub(crate) cancel_message: Message,
    /// The exception; of a cancelled task, the error that ended it, which the first reader gets.
    pub(crate) error: Option<Exception>,
    entries: Few<Entry>,
    pub(crate) role: Role,
    /// Where an exception that nobody sees is reported.
    report_to: Option<EventLoop>,
}

/// What a cell is to `cancel`.
pub(crate) enum Role {
    Future,
    Task(TaskState),
    /// A gather's outer future: cancelling it cancels the children.
    Gather {
        children: Arc<[Node]>,
        cancel_requested: bool,
    },
}

/// The task half of a cell.
#[derive(Default)]
pub(crate) struct TaskState {
    pub(crate) n_cancels: usize,
    /// What the task is suspended on; more than one under `join!`.
    pub(crate) waits: Few<Wait>,
    /// Made where somebody asks for it.
    pub(crate) context: Option<Context>,
    pub(crate) name: Option<Arc<str>>,
    /// Left by each step that suspends.
    pub(crate) waker: Option<Waker>,
    /// Somebody wanted another step during the one that runs.
    pub(crate) woken: bool,
}

/// One registration of a task on a cell, `[C3]`.
#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) id: u64,
    pub(crate) node: Node,
}

struct Entry {
    id: u64,
    action: Action,
}

enum Action {
    Wake(Waker),
    Internal(Box<Internal>),
    Watched(Arc<dyn Watcher>),
    User(Box<UserCallback>),
}

struct Internal {
    callback: InternalCallback,
    /// The exact loop that must queue it; without, it runs where the cell completes.
    event_loop: Option<EventLoop>,
}

struct UserCallback {
    callback: Box<dyn FnOnce(Node) + Send>,
    event_loop: EventLoop,
    context: Option<Context>,
}

/// What a completed cell has to run, once no lock is held.
#[must_use = "the waiters are woken by `dispatch`"]
#[derive(Default)]
pub(crate) struct Completion {
    entries: Few<Entry>,
    failed: bool,
}

impl Completion {
    /// What a callback has to run that comes to a cell that is done.
    fn of(action: Action) -> Completion {
        Completion {
            entries: Few::of(Entry { id: 0, action }),
            failed: false,
        }
    }

    /// Wakes the waiters and schedules the callbacks, in order, `[C2]`.
    pub(crate) fn dispatch(self, node: &Node) {
        for entry in self.entries {
            match entry.action {
                Action::Wake(waker) => waker.wake(),
                Action::Internal(internal) => match internal.event_loop {
                    Some(event_loop) => event_loop.push_internal(internal.callback, node.clone()),
                    None => (internal.callback)(node),
                },
                Action::Watched(watcher) => match watcher.exact_loop() {
                    Some(event_loop) => {
                        event_loop
                            .clone()
                            .push_watched(watcher, node.clone(), self.failed)
                    }
                    None => watcher.completed(node, self.failed),
                },
                Action::User(user) => {
                    let (node, callback) = (node.clone(), user.callback);
                    let call = Box::new(move || callback(node));
                    user.event_loop.call_soon_in(user.context, call);
                }
            }
        }
    }
}

impl State {
    fn new(role: Role) -> State {
        State {
            status: Status::Pending,
            log_exception: false,
            next_id: 0,
            cancel_message: None,
            error: None,
            entries: Few::default(),
            role,
            report_to: None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.status != Status::Pending
    }

    /// Cancelled, or done with an exception.
    fn has_failed(&self) -> bool {
        self.status == Status::Cancelled || self.error.is_some()
    }

    /// The task half.
    pub(crate) fn task(&mut self) -> Option<&mut TaskState> {
        match &mut self.role {
            Role::Task(task) => Some(task),
            Role::Future | Role::Gather { .. } => None,
        }
    }

    pub(crate) fn has_entry(&self, id: u64) -> bool {
        self.entries.iter().any(|entry| entry.id == id)
    }

    fn push_entry(&mut self, action: Action) -> u64 {
        debug_assert!(!self.is_done(), "a done cell schedules at once");
        let id = self.next_id;
        self.next_id += 1;
        self.entries.push(Entry { id, action });
        id
    }

    pub(crate) fn push_waker(&mut self, waker: Waker) -> u64 {
        self.push_entry(Action::Wake(waker))
    }

    /// Replaces the waker of a registration, and gives back the old one to be dropped.
    pub(crate) fn replace_waker(&mut self, id: u64, waker: &Waker) -> Option<Waker> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id)?;
        match &mut entry.action {
            Action::Wake(old) if !old.will_wake(waker) => {
                Some(std::mem::replace(old, waker.clone()))
            }
            _ => None,
        }
    }

    /// The error of a cancelled cell: the saved one for the first reader, then new ones.
    pub(crate) fn make_cancelled_error(&mut self) -> Exception {
        let is_cancelled = self.status == Status::Cancelled;
        match is_cancelled.then(|| self.error.take()).flatten() {
            Some(error) => error,
            // Not that of a cell that has failed with another exception: a cancelled gather asks any child.
            None => Exception::from_message(self.cancel_message.clone()),
        }
    }

    pub(crate) fn complete(&mut self, status: Status) -> Completion {
        debug_assert!(!self.is_done(), "a cell completes once");
        debug_assert!(status != Status::Pending);
        self.status = status;
        Completion {
            entries: std::mem::take(&mut self.entries),
            failed: self.has_failed(),
        }
    }

    /// Cancels the future half.
    pub(crate) fn complete_cancelled(&mut self, message: Message) -> Completion {
        self.cancel_message = message;
        self.complete(Status::Cancelled)
    }

    pub(crate) fn complete_exception(
        &mut self,
        exception: Exception,
        report_to: Option<EventLoop>,
    ) -> Completion {
        self.error = Some(exception);
        self.log_exception = true;
        self.report_to = report_to;
        self.complete(Status::Finished)
    }

    /// What `Future.result()` raises, and `Ok` where there is a value to take.
    pub(crate) fn outcome(&mut self) -> Result<()> {
        match self.status {
            Status::Pending => Err(InvalidStateError("the result is not ready").into()),
            Status::Cancelled => Err(self.make_cancelled_error()),
            Status::Finished => {
                self.log_exception = false;
                match &self.error {
                    Some(exception) => Err(exception.clone()),
                    None => Ok(()),
                }
            }
        }
    }

    /// What `Future.exception()` gives.
    pub(crate) fn exception(&mut self) -> Result<Option<Exception>> {
        match self.status {
            Status::Pending => Err(InvalidStateError("the exception is not set").into()),
            Status::Cancelled => Err(self.make_cancelled_error()),
            Status::Finished => {
                self.log_exception = false;
                Ok(self.error.clone())
            }
        }
    }
}

impl Core {
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().is_done()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.lock().status == Status::Cancelled
    }

    /// What its step and those who cancel it share, where it is a task.
    pub(crate) fn step(&self) -> Option<&StepFlags> {
        self.meta.as_ref().map(|meta| &meta.step)
    }

    /// Takes a task's mark, and the message that came with it.
    pub(crate) fn take_mark(&self) -> Option<Message> {
        let step = self.step().filter(|step| step.is_marked())?;
        let state = self.state.lock();
        step.take_mark().then(|| state.cancel_message.clone())
    }

    /// Whether a task has a context by now.
    pub(crate) fn has_context(&self) -> bool {
        // ORDERING: Acquire pairs with the store in `own_context`.
        self.step()
            .is_some_and(|step| step.has_context.load(Ordering::Acquire))
    }

    /// A task's context, made where there is none yet.
    pub(crate) fn own_context(&self) -> Option<Context> {
        let step = self.step()?;
        let mut state = self.state.lock();
        let task = state.task()?;
        let context = task.context.get_or_insert_with(Context::new).clone();
        // ORDERING: Release pairs with the loads that come before the lock is taken for it.
        step.has_context.store(true, Ordering::Release);
        Some(context)
    }

    /// Removes a registration or callback; true where it was still there.
    pub(crate) fn remove_entry(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        let removed = state.entries.remove_where(|entry| entry.id == id);
        drop(state);
        removed.is_some()
    }

    pub(crate) fn is_user_entry(&self, id: u64) -> bool {
        let state = self.state.lock();
        state
            .entries
            .iter()
            .any(|entry| entry.id == id && matches!(entry.action, Action::User(..)))
    }
}

impl<T: Send + 'static> Cell<T> {
    pub(crate) fn future() -> Arc<Cell<T>> {
        Cell::new(Role::Future, None)
    }

    pub(crate) fn new(role: Role, meta: Option<TaskMeta>) -> Arc<Cell<T>> {
        let core = Core {
            state: Mutex::new(State::new(role)),
            meta,
        };
        Arc::new(Cell {
            core,
            value: Mutex::new(None),
        })
    }

    /// The typed cell behind a node, where the type is right.
    pub(crate) fn from_node(node: Node) -> Option<Arc<Cell<T>>> {
        node.into_any().downcast::<Cell<T>>().ok()
    }

    pub(crate) fn value(&self) -> &Mutex<Option<T>> {
        &self.value
    }

    /// Sets the result, unless the cell is done already: then the value comes back.
    pub(crate) fn try_set_result(&self, value: T) -> Result<Completion, T> {
        let mut state = self.core.state.lock();
        if state.is_done() {
            drop(state);
            return Err(value);
        }
        *self.value.lock() = Some(value);
        Ok(state.complete(Status::Finished))
    }

    /// Sets the exception, unless the cell is done already: then it comes back.
    pub(crate) fn try_set_exception(&self, exception: Exception) -> Result<Completion, Exception> {
        let report_to = match &self.core.meta {
            Some(meta) => Some(meta.event_loop.clone()),
            None => EventLoop::running(),
        };
        let mut state = self.core.state.lock();
        if state.is_done() {
            return Err(exception);
        }
        Ok(state.complete_exception(exception, report_to))
    }

    /// Sets the result and schedules what waits for it; false where the cell was done.
    pub(crate) fn set_result(self: &Arc<Self>, value: T) -> bool {
        match self.try_set_result(value) {
            Ok(completion) => {
                completion.dispatch(&self.node());
                true
            }
            Err(value) => {
                drop(value);
                false
            }
        }
    }

    /// Sets the exception and schedules what waits for it; false where the cell was done.
    pub(crate) fn set_exception(self: &Arc<Self>, exception: Exception) -> bool {
        match self.try_set_exception(exception) {
            Ok(completion) => {
                completion.dispatch(&self.node());
                true
            }
            Err(_) => false,
        }
    }

    pub(crate) fn node(self: &Arc<Self>) -> Node {
        self.clone()
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

impl<T: Send + 'static> AnyCell for Cell<T> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn into_waker(self: Arc<Self>) -> Waker {
        Waker::from(self)
    }
}

/// Only tasks of the exact loop are woken this way: the step goes to the ready queue, once.
impl<T: Send + 'static> Wake for Cell<T> {
    fn wake(self: Arc<Self>) {
        if let Some(meta) = &self.core.meta {
            // ORDERING: AcqRel pairs with the store in `Exact::step`; what the waker published is seen by the step
            // that clears the flag.
            if !meta.scheduled.swap(true, Ordering::AcqRel) {
                let event_loop = meta.event_loop.clone();
                event_loop.push_step(self);
            }
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clone().wake();
    }
}

/// "Future exception was never retrieved."
impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        let state = self.core.state.get_mut();
        if !state.log_exception {
            return;
        }
        if let (Some(event_loop), Some(exception)) = (state.report_to.take(), state.error.take()) {
            let kind = if self.core.meta.is_some() {
                "Task"
            } else {
                "Future"
            };
            let mut context = ErrorContext::new(format!("{kind} exception was never retrieved"));
            context.exception = Some(exception);
            if let Role::Task(task) = &mut state.role {
                context.task_name = Some(task_name(task, self.core.meta.as_ref()));
                context.context = task.context.take();
            }
            event_loop.call_exception_handler(&context);
        }
    }
}

/// A task's name: its own, or `Task-N`.
pub(crate) fn task_name(task: &TaskState, meta: Option<&TaskMeta>) -> Arc<str> {
    match (&task.name, meta) {
        (Some(name), _) => name.clone(),
        (None, Some(meta)) => format!("Task-{}", meta.id).into(),
        (None, None) => "Task".into(),
    }
}

/// Adds an internal callback; a cell that is done schedules it at once.
pub(crate) fn add_internal(node: &Node, callback: InternalCallback) -> Option<u64> {
    let action = Action::Internal(Box::new(Internal {
        callback,
        event_loop: EventLoop::running_exact(),
    }));
    let mut state = node.core().state.lock();
    if state.is_done() {
        drop(state);
        Completion::of(action).dispatch(node);
        return None;
    }
    Some(state.push_entry(action))
}

/// Watches many cells, and gives back those that are done already, which it was not told of.
pub(crate) fn watch_all<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    watcher: &Arc<dyn Watcher>,
) -> Vec<(&'a Node, bool)> {
    let mut done = Vec::new();
    for node in nodes {
        let watcher = watcher.clone();
        let mut state = node.core().state.lock();
        if state.is_done() {
            done.push((node, state.has_failed()));
        } else {
            state.push_entry(Action::Watched(watcher));
        }
    }
    done
}

/// Adds a user's callback; a cell that is done schedules it at once.
pub(crate) fn add_user(
    node: &Node,
    event_loop: EventLoop,
    context: Option<Context>,
    callback: Box<dyn FnOnce(Node) + Send>,
) -> Option<u64> {
    let action = Action::User(Box::new(UserCallback {
        callback,
        event_loop,
        context,
    }));
    let mut state = node.core().state.lock();
    if state.is_done() {
        drop(state);
        Completion::of(action).dispatch(node);
        return None;
    }
    Some(state.push_entry(action))
}

pub(crate) fn is_same_node(a: &Node, b: &Node) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}
