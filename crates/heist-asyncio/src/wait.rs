//! The one leaf: how a task waits on a cell.
//!
//! Rules, in the order of a leaf's first poll: `[W1]` a done cell gives its outcome at once and is no cancel point;
//! `[W2]` a task that awaits itself gets an error one step later; `[W3]` else it registers; a pending cancel
//! of the task is forwarded where its step ends. Resumed: `[W4]` a pending cancel replaces the outcome, unless that
//! is a cancellation already. Dropped: `[W5]` both sides forget the registration.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::cell::{AnyCell, Cell, Core, Node, State, Wait};
use crate::events::{current_node, with_task};
use crate::exceptions::{Exception, InvalidStateError, Message, Result, runtime_error};
use crate::step_flags::StepFlags;

/// Where a leaf stands.
#[derive(Default)]
pub(crate) enum Registration {
    #[default]
    New,
    Waiting {
        id: u64,
        /// The task whose waits list holds this one.
        task: Option<Node>,
    },
    AwaitsItself,
    Done,
}

/// A cell that is waited for, with or without its type.
pub(crate) trait Waited {
    fn core(&self) -> &Core;
    fn node(&self) -> Node;
}

impl Waited for Node {
    fn core(&self) -> &Core {
        AnyCell::core(&**self)
    }

    fn node(&self) -> Node {
        self.clone()
    }
}

impl<T: Send + 'static> Waited for Arc<Cell<T>> {
    fn core(&self) -> &Core {
        Cell::core(self)
    }

    fn node(&self) -> Node {
        Cell::node(self)
    }
}

/// Polls for the completion of a cell. `Ok` means that there is a value.
pub(crate) fn poll_outcome<W: Waited>(
    node: &W,
    registration: &mut Registration,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    match registration {
        Registration::New => register(node, registration, cx),
        Registration::AwaitsItself => {
            *registration = Registration::Done;
            Poll::Ready(Err(match take_mark() {
                Some(message) => Exception::from_message(message),
                None => runtime_error("a task cannot await on itself"),
            }))
        }
        Registration::Waiting { id, task } => {
            let mut state = node.core().state.lock();
            if !state.is_done() {
                let old = state.replace_waker(*id, cx.waker());
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            let outcome = state.outcome();
            drop(state);
            let mark = task
                .take()
                .and_then(|task| leave(AnyCell::core(&*task), node.core(), *id));
            *registration = Registration::Done;
            match (mark, &outcome) {
                // [W4]
                (Some(_), Err(error)) if error.is_cancelled() => Poll::Ready(outcome),
                (Some(message), _) => Poll::Ready(Err(Exception::from_message(message))),
                (None, _) => Poll::Ready(outcome),
            }
        }
        Registration::Done => Poll::Ready(Err(InvalidStateError(
            "the future was awaited to its end already",
        )
        .into())),
    }
}

fn register<W: Waited>(
    node: &W,
    registration: &mut Registration,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    let mut state = node.core().state.lock();
    if state.is_done() {
        // [W1]
        let outcome = state.outcome();
        drop(state);
        *registration = Registration::Done;
        return Poll::Ready(outcome);
    }
    let task = current_node();
    if task
        .as_ref()
        .is_some_and(|task| is_core_of(task, node.core()))
    {
        // [W2]
        drop(state);
        if let Some(step) = node.core().step() {
            step.set_yielding(true);
        }
        *registration = Registration::AwaitsItself;
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    let id = state.push_waker(cx.waker().clone());
    drop(state);
    if let Some(task) = &task {
        // [W3]
        let core = AnyCell::core(&**task);
        let wait = Wait {
            id,
            node: node.node(),
        };
        let mut state = core.state.lock();
        if let (Some(half), Some(step)) = (state.task(), core.step()) {
            half.waits.push(wait);
            step.set_n_waits(half.waits.len());
        }
    }
    *registration = Registration::Waiting { id, task };
    Poll::Pending
}

/// Takes a wait out of the task's list, and its pending cancel with it.
fn leave(task: &Core, node: &Core, id: u64) -> Option<Message> {
    let mut state = task.state.lock();
    let left = remove_wait(task, &mut state, node, id);
    let is_marked = task.step().is_some_and(StepFlags::take_mark);
    let mark = is_marked.then(|| state.cancel_message.clone());
    drop(state);
    drop(left);
    mark
}

/// Takes a wait out of a task's list, and gives it back to be dropped.
fn remove_wait(task: &Core, state: &mut State, node: &Core, id: u64) -> Option<Wait> {
    let (half, step) = (state.task()?, task.step()?);
    let left = half
        .waits
        .remove_where(|wait| wait.id == id && is_core_of(&wait.node, node));
    step.set_n_waits(half.waits.len());
    left
}

/// Takes the current task's pending cancel.
pub(crate) fn take_mark() -> Option<Message> {
    with_task(|task| task.core().take_mark()).flatten()
}

fn is_core_of(node: &Node, core: &Core) -> bool {
    std::ptr::eq(AnyCell::core(&**node), core)
}

/// `[W5]`
pub(crate) fn forget(node: &Core, registration: &mut Registration) {
    if let Registration::Waiting { id, task } = std::mem::replace(registration, Registration::Done)
    {
        node.remove_entry(id);
        if let Some(task) = task {
            let mut state = AnyCell::core(&*task).state.lock();
            let left = remove_wait(AnyCell::core(&*task), &mut state, node, id);
            drop(state);
            drop(left);
        }
    }
}

/// Waits for a cell that carries no value.
pub(crate) struct WaitNode {
    node: Node,
    registration: Registration,
}

impl WaitNode {
    pub(crate) fn new(node: Node) -> WaitNode {
        WaitNode {
            node,
            registration: Registration::New,
        }
    }
}

impl Future for WaitNode {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        poll_outcome(&this.node, &mut this.registration, cx)
    }
}

impl Drop for WaitNode {
    fn drop(&mut self) {
        forget(AnyCell::core(&*self.node), &mut self.registration);
    }
}

/// How a value leaves its cell.
pub(crate) type Fetch<T> = fn(&Cell<T>) -> Option<T>;

pub(crate) fn fetch_clone<T: Clone + Send + 'static>(cell: &Cell<T>) -> Option<T> {
    // A clone is user code, and may come back to this cell: it works on a value taken out. Another reader that
    // comes meanwhile finds the cell empty only on another thread, so the lock is kept instead.
    cell.value().lock().clone()
}

pub(crate) fn fetch_take<T: Send + 'static>(cell: &Cell<T>) -> Option<T> {
    cell.value().lock().take()
}

/// Waits for a future or task: what `await` does.
///
/// # Cancel safety
/// Dropping it leaves the future or task as it is.
#[must_use = "futures do nothing unless awaited"]
pub struct Waiting<T: Send + 'static> {
    cell: Arc<Cell<T>>,
    registration: Registration,
    fetch: Fetch<T>,
}

impl<T: Send + 'static> Waiting<T> {
    pub(crate) fn new(cell: Arc<Cell<T>>, fetch: Fetch<T>) -> Waiting<T> {
        Waiting {
            cell,
            registration: Registration::New,
            fetch,
        }
    }
}

impl<T: Send + 'static> Future for Waiting<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        match ready!(poll_outcome(&this.cell, &mut this.registration, cx)) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => Poll::Ready(value_of((this.fetch)(&this.cell))),
        }
    }
}

impl<T: Send + 'static> Drop for Waiting<T> {
    fn drop(&mut self) {
        forget(self.cell.core(), &mut self.registration);
    }
}

impl<T: Send + 'static> std::fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("done", &self.cell.core().is_done())
            .finish()
    }
}

pub(crate) fn value_of<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| InvalidStateError("the result was moved out already").into())
}
