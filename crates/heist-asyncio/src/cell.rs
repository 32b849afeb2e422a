//! The cell behind every future and task: state, result, waiters and callbacks in one ordered list.
//!
//! Everything that waits waits on a cell; `futures.rs` and `tasks/` are its public faces. Rules:
//!
//! - `[C1]` At most one cell is locked at a time, and nothing of a user's (a callback, a wake, a destructor, the
//!   clone of a value) runs under the lock: what a transition takes out is handed back in a [`Completion`]. What
//!   does is the clone of the waker that a poll was given: a reference counted, for any executor that there is.
//! - `[C2]` Completing a cell schedules its waiters and callbacks in the order of their registration. On the exact
//!   loop each is an entry of the ready queue; on the multi-thread flavour internal callbacks run where the cell
//!   completes, and users' on the serial queue.
//! - `[C3]` A registration has a number. A cancel that was read from a task's waits carries it, and is refused
//!   once that registration is gone.
//! - `[C4]` Who clones the value holds `cloning`, and has the value out of the cell meanwhile. Who finds it lent
//!   waits for `cloning`.
//!
//! Every task has a cell, so its size counts: what few of them need is in [`Rare`], and a cell that is done has its
//! error where it had its waiters.
//!
//! How cells are held: `node.rs`; how a task waits on one: `wait.rs`; what a cell that completes runs: `completion.rs`. Tests: `tests/it`, and the
//! scenario programs.

use std::any::Any;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::{Mutex, MutexGuard};

use crate::completion::{Completion, Entry};
use crate::contextvars::Context;
use crate::events::{ErrorContext, EventLoop};
use crate::exceptions::{Exception, InvalidStateError, Message, Result};
use crate::few::Few;
use crate::node::Node;
use crate::step_flags::StepFlags;

/// A cell; `V` is its result, whose type most do not know.
pub(crate) struct Core<V: ?Sized = dyn AnyValue> {
    /// What only a task has and what never changes.
    pub(crate) meta: Option<TaskMeta>,
    /// `[C4]`
    cloning: Mutex<()>,
    pub(crate) state: Mutex<State<V>>,
}

pub(crate) struct TaskMeta {
    pub(crate) id: u64,
    pub(crate) event_loop: EventLoop,
    pub(crate) site: &'static Location<'static>,
    pub(crate) step: StepFlags,
    /// The loop's registry does not list it any more.
    pub(crate) forgotten: AtomicBool,
    /// True while the exact loop's ready queue holds a step of this task.
    pub(crate) scheduled: AtomicBool,
    /// Where the exact loop keeps the coroutine.
    pub(crate) slot: AtomicU32,
    /// Who polls the task is not known by its cell: each step that suspends leaves its waker.
    pub(crate) keeps_waker: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Cancelled,
    Finished,
}

/// A result of any type, there from the end of its cell until somebody moves it out.
pub(crate) trait AnyValue: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Send + 'static> AnyValue for Option<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// All of it is behind the cell's lock.
pub(crate) struct State<V: ?Sized = dyn AnyValue> {
    phase: Phase,
    pub(crate) role: Role,
    rare: Option<Box<Rare>>,
    next_id: u32,
    /// The numbers have begun again.
    has_wrapped: bool,
    /// The exception has not been seen by anybody yet.
    pub(crate) log_exception: bool,
    /// `[C4]`
    is_lent: bool,
    value: V,
}

enum Phase {
    Pending(Few<Entry>),
    /// The error that ended a task, which the first reader gets.
    Cancelled(Option<Exception>),
    Finished(Option<Exception>),
}

/// What few cells have.
#[derive(Default)]
struct Rare {
    /// A task's last undelivered cancel and a future's own cancel share this slot, as in CPython.
    cancel_message: Message,
    /// That of the cancel that was counted last.
    told_message: Message,
    name: Option<Arc<str>>,
    /// Where a future's exception that nobody sees is reported.
    report_to: Option<EventLoop>,
    /// Of a task that keeps it: what its last step has left.
    waker: Option<Waker>,
}

impl Rare {
    #[cold]
    fn named(name: Arc<str>) -> Box<Rare> {
        Box::new(Rare {
            name: Some(name),
            ..Rare::default()
        })
    }
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
    pub(crate) n_cancels: u32,
    /// Somebody wanted another step during the one that runs; of a task that keeps its waker.
    pub(crate) woken: bool,
    /// What the task is suspended on; more than one under `join!`.
    pub(crate) waits: Few<Wait>,
    /// Made where somebody asks for it.
    pub(crate) context: Option<Context>,
}

/// A state whose value has a type.
pub(crate) type Locked<'a, T> = MutexGuard<'a, State<Option<T>>>;

/// One registration of a task on a cell, `[C3]`.
#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) id: u32,
    pub(crate) node: Node,
}

// The promise of the module.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Core<Option<u64>>>() <= 152);

impl<V: ?Sized> State<V> {
    pub(crate) fn is_done(&self) -> bool {
        self.status() != Status::Pending
    }

    pub(crate) fn status(&self) -> Status {
        match self.phase {
            Phase::Pending(_) => Status::Pending,
            Phase::Cancelled(_) => Status::Cancelled,
            Phase::Finished(_) => Status::Finished,
        }
    }

    /// Cancelled, or done with an exception.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Cancelled(_) | Phase::Finished(Some(_)))
    }

    /// The task half.
    pub(crate) fn task(&mut self) -> Option<&mut TaskState> {
        match &mut self.role {
            Role::Task(task) => Some(task),
            Role::Future | Role::Gather { .. } => None,
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn cancel_message(&self) -> Message {
        self.rare.as_ref()?.cancel_message.clone()
    }

    pub(crate) fn set_cancel_message(&mut self, message: Message) {
        if message.is_some() || self.rare.is_some() {
            self.rare().cancel_message = message;
        }
    }

    pub(crate) fn told_message(&self) -> Message {
        self.rare.as_ref()?.told_message.clone()
    }

    pub(crate) fn set_told_message(&mut self, message: Message) {
        if message.is_some() || self.rare.is_some() {
            self.rare().told_message = message;
        }
    }

    /// The task's step takes its mark: counts that for yields and scopes beside, and gives the message.
    pub(crate) fn count_in_step(&mut self, step: &StepFlags) -> Message {
        step.count_in_step();
        let message = self.cancel_message();
        self.set_told_message(message.clone());
        message
    }

    /// A task's name: its own, or `Task-N`.
    pub(crate) fn name(&self, meta: Option<&TaskMeta>) -> Arc<str> {
        let own = self.rare.as_ref().and_then(|rare| rare.name.clone());
        match (own, meta) {
            (Some(name), _) => name,
            (None, Some(meta)) => format!("Task-{}", meta.id).into(),
            (None, None) => "Task".into(),
        }
    }

    pub(crate) fn set_name(&mut self, name: Arc<str>) {
        self.rare().name = Some(name);
    }

    /// Leaves the waker of a step that suspends, and gives the old one to be dropped. True where another step is wanted.
    pub(crate) fn keep_waker(&mut self, waker: &Waker) -> (Option<Waker>, bool) {
        let is_woken = self
            .task()
            .is_some_and(|task| std::mem::take(&mut task.woken));
        match &mut self.rare().waker {
            Some(kept) if kept.will_wake(waker) => (None, is_woken),
            kept => (kept.replace(waker.clone()), is_woken),
        }
    }

    /// The waker that the last step has left; the step that runs is followed by another one.
    pub(crate) fn waker_for_another_step(&mut self, is_in_step: bool) -> Option<Waker> {
        if let Some(task) = self.task() {
            task.woken = is_in_step;
        }
        self.rare.as_ref()?.waker.clone()
    }

    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        self.rare.as_mut()?.waker.take()
    }

    /// What waits for the cell, while it is pending.
    pub(crate) fn entries(&mut self) -> Option<&mut Few<Entry>> {
        match &mut self.phase {
            Phase::Pending(entries) => Some(entries),
            Phase::Cancelled(_) | Phase::Finished(_) => None,
        }
    }

    pub(crate) fn has_entry(&self, id: u32) -> bool {
        match &self.phase {
            Phase::Pending(entries) => entries.iter().any(|entry| entry.id() == id),
            Phase::Cancelled(_) | Phase::Finished(_) => false,
        }
    }

    /// Adds an entry, and gives its number, `[C3]`.
    pub(crate) fn push_entry(&mut self, entry: impl FnOnce(u32) -> Entry) -> u32 {
        let mut id = self.next_id;
        // Four billion registrations later one of the first may still be there.
        while self.has_wrapped && self.has_entry(id) {
            id = id.wrapping_add(1);
        }
        self.next_id = id.wrapping_add(1);
        self.has_wrapped |= self.next_id == 0;
        match self.entries() {
            Some(entries) => entries.push(entry(id)),
            None => debug_assert!(false, "a done cell schedules at once"),
        }
        id
    }

    /// Replaces the waker of a registration, and gives back the old one to be dropped.
    pub(crate) fn replace_waker(&mut self, id: u32, waker: &Waker) -> Option<Waker> {
        let mut entries = self.entries()?.iter_mut();
        match entries.find(|entry| entry.id() == id)? {
            Entry::Wake(_, old) if !old.will_wake(waker) => {
                Some(std::mem::replace(old, waker.clone()))
            }
            _ => None,
        }
    }

    /// The error of a cancelled cell: the saved one for the first reader, then new ones.
    pub(crate) fn make_cancelled_error(&mut self) -> Exception {
        let saved = match &mut self.phase {
            Phase::Cancelled(saved) => saved.take(),
            // Not that of a cell that has failed with another exception: a cancelled gather asks any child.
            Phase::Pending(_) | Phase::Finished(_) => None,
        };
        saved.unwrap_or_else(|| Exception::from_message(self.cancel_message()))
    }

    fn complete(&mut self, done: Phase) -> Completion {
        let entries = self.entries().map(std::mem::take);
        debug_assert!(entries.is_some(), "a cell completes once");
        self.phase = done;
        Completion {
            entries: entries.unwrap_or_default(),
            failed: self.has_failed(),
        }
    }

    /// Cancels the future half.
    pub(crate) fn complete_cancelled(&mut self, message: Message) -> Completion {
        self.set_cancel_message(message);
        self.complete(Phase::Cancelled(None))
    }

    /// A task whose coroutine has raised its cancellation.
    pub(crate) fn complete_raised(&mut self, cancellation: Exception) -> Completion {
        self.set_cancel_message(None);
        self.complete(Phase::Cancelled(Some(cancellation)))
    }

    /// `report_to`: whom a future tells that nobody sees it; a task tells its loop.
    pub(crate) fn complete_exception(
        &mut self,
        exception: Exception,
        report_to: Option<EventLoop>,
    ) -> Completion {
        self.log_exception = true;
        if report_to.is_some() {
            self.rare().report_to = report_to;
        }
        self.complete(Phase::Finished(Some(exception)))
    }

    /// What `Future.result()` raises, and `Ok` where there is a value to take.
    pub(crate) fn outcome(&mut self) -> Result<()> {
        match &self.phase {
            Phase::Pending(_) => Err(InvalidStateError("the result is not ready").into()),
            Phase::Cancelled(_) => Err(self.make_cancelled_error()),
            Phase::Finished(exception) => {
                self.log_exception = false;
                match exception {
                    Some(exception) => Err(exception.clone()),
                    None => Ok(()),
                }
            }
        }
    }

    /// What `Future.exception()` gives.
    pub(crate) fn exception(&mut self) -> Result<Option<Exception>> {
        match &self.phase {
            Phase::Pending(_) => Err(InvalidStateError("the exception is not set").into()),
            Phase::Cancelled(_) => Err(self.make_cancelled_error()),
            Phase::Finished(exception) => {
                self.log_exception = false;
                Ok(exception.clone())
            }
        }
    }
}

impl State {
    /// Completes it with a value of its type; one of another type, and one that is in the way, comes back.
    pub(crate) fn complete_any<T: 'static>(&mut self, value: T) -> (Completion, Option<T>) {
        let left = match self.value.as_any_mut().downcast_mut::<Option<T>>() {
            Some(place) => place.replace(value),
            None => Some(value),
        };
        (self.complete(Phase::Finished(None)), left)
    }
}

impl Core {
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().is_done()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.lock().status() == Status::Cancelled
    }

    /// What its step and those who cancel it share, where it is a task.
    pub(crate) fn step(&self) -> Option<&StepFlags> {
        self.meta.as_ref().map(|meta| &meta.step)
    }

    /// Takes the mark of a task that waits on nothing, and the message that came with it.
    pub(crate) fn take_mark(&self) -> Option<Message> {
        self.step().filter(|step| step.is_marked())?;
        self.take_mark_from(&mut self.state.lock())
    }

    /// The same under the lock. What the task still waits on is told of it where the step ends, `[W6]`. Yields and
    /// scopes beside it are told now.
    pub(crate) fn take_mark_from(&self, state: &mut State) -> Option<Message> {
        let waits = state.task().is_some_and(|task| !task.waits.is_empty());
        let step = self.step()?;
        if waits || !step.take_mark() {
            return None;
        }
        Some(state.count_in_step(step))
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
}

/// What a task's cell is made of.
pub(crate) struct NewTask {
    pub(crate) meta: TaskMeta,
    pub(crate) context: Option<Context>,
    pub(crate) name: Option<Arc<str>>,
}

impl NewTask {
    /// The cell, which is large: to be made where it is to be.
    #[inline(always)]
    pub(crate) fn into_core<T: Send + 'static>(self) -> Core<Option<T>> {
        let NewTask {
            meta,
            context,
            name,
        } = self;
        // ORDERING: Relaxed; nobody else sees the task yet.
        meta.step
            .has_context
            .store(context.is_some(), Ordering::Relaxed);
        let task = TaskState {
            context,
            ..TaskState::default()
        };
        Core::new(Role::Task(task), Some(meta), name.map(Rare::named))
    }
}

impl<T: Send + 'static> Core<Option<T>> {
    #[inline(always)]
    fn new(role: Role, meta: Option<TaskMeta>, rare: Option<Box<Rare>>) -> Core<Option<T>> {
        Core {
            meta,
            cloning: Mutex::new(()),
            state: Mutex::new(State {
                phase: Phase::Pending(Few::default()),
                role,
                rare,
                next_id: 0,
                has_wrapped: false,
                log_exception: false,
                is_lent: false,
                value: None,
            }),
        }
    }

    /// A pending cell that is no task's.
    pub(crate) fn pending(role: Role) -> Core<Option<T>> {
        Core::new(role, None, None)
    }

    /// Locks the state, with the type of the value.
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        self.state.lock()
    }

    /// Moves the value out.
    pub(crate) fn take_from<'a>(&'a self, mut state: Locked<'a, T>) -> Option<T> {
        while state.is_lent {
            drop(state);
            // Until it has been given back, `[C4]`.
            drop(self.cloning.lock());
            state = self.lock();
        }
        state.value.take()
    }

    /// A clone of the value.
    pub(crate) fn clone_value(&self) -> Option<T>
    where
        T: Clone,
    {
        let cloning = self.cloning.lock();
        let mut state = self.lock();
        let value = state.value.take();
        state.is_lent = value.is_some();
        drop(state);
        // PANIC: a clone is user code; the value goes back, whatever becomes of it.
        let lent = Lent(self, value);
        let clone = lent.1.clone();
        drop(lent);
        drop(cloning);
        clone
    }

    /// Sets the result, unless the cell is done already: then the value comes back.
    pub(crate) fn try_set_result(&self, value: T) -> Result<Completion, T> {
        let mut state = self.lock();
        if state.is_done() {
            drop(state);
            return Err(value);
        }
        state.value = Some(value);
        Ok(state.complete(Phase::Finished(None)))
    }

    /// Sets the exception, unless the cell is done already: then it comes back.
    pub(crate) fn try_set_exception(&self, exception: Exception) -> Result<Completion, Exception> {
        let is_task = self.meta.is_some();
        let report_to = if is_task { None } else { EventLoop::running() };
        let mut state = self.lock();
        if state.is_done() {
            return Err(exception);
        }
        Ok(state.complete_exception(exception, report_to))
    }
}

/// A value that is out of its cell to be cloned; it goes back.
struct Lent<'a, T: Send + 'static>(&'a Core<Option<T>>, Option<T>);

impl<T: Send + 'static> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.value = self.1.take();
        state.is_lent = false;
    }
}

/// "Future exception was never retrieved."
impl<V: ?Sized> Drop for Core<V> {
    fn drop(&mut self) {
        let Core { meta, state, .. } = self;
        let state = state.get_mut();
        if !state.log_exception {
            return;
        }
        let meta = meta.as_ref();
        let (kind, report_to) = match meta {
            Some(meta) => ("Task", Some(meta.event_loop.clone())),
            None => (
                "Future",
                state.rare.as_mut().and_then(|rare| rare.report_to.take()),
            ),
        };
        let Phase::Finished(exception @ Some(_)) = &mut state.phase else {
            return;
        };
        let mut context = ErrorContext::new(format!("{kind} exception was never retrieved"));
        context.exception = exception.take();
        if meta.is_some() {
            context.task_name = Some(state.name(meta));
            context.context = state.task().and_then(|task| task.context.take());
        }
        if let Some(event_loop) = report_to {
            event_loop.call_exception_handler(&context);
        }
    }
}
