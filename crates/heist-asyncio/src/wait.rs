//! The one leaf: how a task waits on a cell.
//!
//! Rules, in the order of a leaf's first poll: `[W1]` a done cell gives its outcome at once and is no cancel point;
//! `[W2]` a task that awaits itself gets an error one step later; `[W3]` else it registers; a pending cancel
//! of the task is forwarded where its step ends. Resumed: `[W4]` a pending cancel replaces the outcome, unless that
//! is a cancellation already. Dropped: `[W5]` both sides forget the registration. `[W6]` A task that waits on something
//! else as well, under `join!`, leaves its pending cancel to that: taken by one branch, it would never reach the others.
//! `[W7]` A branch that takes it in a yield is no wait, and tells the others itself; one beside waits that have accepted a
//! cancel finds that in the count.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::MutexGuard;

use crate::cell::{AnyValue, Core, Locked, State, Wait};
use crate::completion::Entry;
use crate::events::{current_node, with_step};
use crate::exceptions::{Exception, InvalidStateError, Message, Result, runtime_error};
use crate::node::{AnyCell, CellRef, Node};
use crate::step_flags::StepFlags;
use crate::tasks::cancel::take_mark_and_tell;

/// Where a leaf stands.
#[derive(Default)]
pub(crate) enum Registration {
    #[default]
    New,
    Waiting {
        id: u32,
        /// The task whose waits list holds this one.
        task: Option<Node>,
    },
    AwaitsItself {
        /// The count where it began, `[W7]`.
        told: u8,
    },
    Done,
}

/// A cell that is waited for, with or without its type.
pub(crate) trait Waited {
    type Value: ?Sized;
    /// What is made of a cell that has a value.
    type Output;

    fn core(&self) -> &Core;
    fn lock(&self) -> MutexGuard<'_, State<Self::Value>>;
    fn node(&self) -> Node;
    fn fetch(&self, state: MutexGuard<'_, State<Self::Value>>) -> Self::Output;
}

/// Polls for the completion of a cell.
pub(crate) fn poll_outcome<W: Waited>(
    node: &W,
    registration: &mut Registration,
    cx: &mut Context<'_>,
) -> Poll<Result<W::Output>> {
    match registration {
        Registration::New => register(node, registration, cx),
        Registration::AwaitsItself { told } => {
            let mark = take_mark(*told);
            *registration = Registration::Done;
            Poll::Ready(Err(match mark {
                Some(message) => Exception::from_message(message),
                None => runtime_error("a task cannot await on itself"),
            }))
        }
        Registration::Waiting { id, task } => {
            let mut state = node.lock();
            if !state.is_done() {
                let old = state.replace_waker(*id, cx.waker());
                drop(state);
                drop(old);
                // The step that polls, whoever has registered.
                with_step(|step| step.set_in_leaf(true));
                return Poll::Pending;
            }
            // After the look at the cell: a cancel that came before the result is seen. One that comes later than
            // this, where there is a value, is for the next wait.
            let step = task.as_ref().and_then(|task| AnyCell::core(&**task).step());
            let is_marked = step.is_some_and(StepFlags::is_marked);
            let result = match state.outcome() {
                Ok(()) if !is_marked => Ok(Some(node.fetch(state))),
                outcome => {
                    drop(state);
                    outcome.map(|()| None)
                }
            };
            let is_fetched = matches!(result, Ok(Some(_)));
            let mark = task
                .take()
                .and_then(|task| leave(AnyCell::core(&*task), node.core(), *id, !is_fetched));
            *registration = Registration::Done;
            Poll::Ready(match (mark, result) {
                // [W4]
                (Some(_), Err(error)) if error.is_cancelled() => Err(error),
                (Some(message), _) => Err(Exception::from_message(message)),
                (None, Ok(Some(output))) => Ok(output),
                // The mark was taken back meanwhile.
                (None, Ok(None)) => Ok(node.fetch(node.lock())),
                (None, Err(error)) => Err(error),
            })
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
) -> Poll<Result<W::Output>> {
    let mut state = node.lock();
    if state.is_done() {
        // [W1]
        *registration = Registration::Done;
        return Poll::Ready(state.outcome().map(|()| node.fetch(state)));
    }
    let task = current_node();
    if task
        .as_ref()
        .is_some_and(|task| is_core_of(task, node.core()))
    {
        // [W2]
        drop(state);
        let told = node.core().step().map_or(0, StepFlags::begin_yield);
        *registration = Registration::AwaitsItself { told };
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    let waker = cx.waker().clone();
    let id = state.push_entry(|id| Entry::Wake(id, waker));
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
            step.set_has_waits(true);
            step.set_in_leaf(true);
        }
    }
    *registration = Registration::Waiting { id, task };
    Poll::Pending
}

/// Takes a wait out of the task's list, and with it the pending cancel, unless that is for the next wait or `[W6]`.
fn leave(task: &Core, node: &Core, id: u32, takes_mark: bool) -> Option<Message> {
    let mut state = task.state.lock();
    let left = remove_wait(task, &mut state, node, id);
    let mark = match takes_mark {
        true => task.take_mark_from(&mut state),
        false => None,
    };
    drop(state);
    drop(left);
    mark
}

/// Takes a wait out of a task's list, and gives it back to be dropped.
fn remove_wait(task: &Core, state: &mut State, node: &Core, id: u32) -> Option<Wait> {
    let (half, step) = (state.task()?, task.step()?);
    let left = half
        .waits
        .remove_where(|wait| wait.id == id && is_core_of(&wait.node, node));
    step.set_has_waits(!half.waits.is_empty());
    left
}

/// Takes the current task's pending cancel in a yield or a scope, `[W7]`. `told`: the count where that was suspended.
pub(crate) fn take_mark(told: u8) -> Option<Message> {
    with_step(|step| step.began_marked() || step.seen() != told).filter(|to_look| *to_look)?;
    // Apart from the frame, which whoever is told may need.
    take_mark_and_tell(&current_node()?, told)
}

fn is_core_of(node: &Node, core: &Core) -> bool {
    std::ptr::addr_eq(AnyCell::core(&**node), core)
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

impl Waited for Node {
    type Value = dyn AnyValue;
    type Output = ();

    fn core(&self) -> &Core {
        AnyCell::core(&**self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        AnyCell::core(&**self).state.lock()
    }

    fn node(&self) -> Node {
        self.clone()
    }

    fn fetch(&self, _state: MutexGuard<'_, State>) {}
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
pub(crate) type Fetch<T> = fn(&Core<Option<T>>, Locked<'_, T>) -> Option<T>;

pub(crate) fn fetch_clone<T: Clone + Send + 'static>(
    cell: &Core<Option<T>>,
    state: Locked<'_, T>,
) -> Option<T> {
    drop(state);
    cell.clone_value()
}

pub(crate) fn fetch_take<T: Send + 'static>(
    cell: &Core<Option<T>>,
    state: Locked<'_, T>,
) -> Option<T> {
    cell.take_from(state)
}

/// Waits for a future or task: what `await` does.
///
/// # Cancel safety
/// Dropping it leaves the future or task as it is.
#[must_use = "futures do nothing unless awaited"]
pub struct Waiting<T: Send + 'static> {
    fetched: Fetched<T>,
    registration: Registration,
}

/// A cell, and how its value is fetched.
struct Fetched<T: Send + 'static> {
    cell: CellRef<T>,
    fetch: Fetch<T>,
}

impl<T: Send + 'static> Waited for Fetched<T> {
    type Value = Option<T>;
    type Output = Option<T>;

    fn core(&self) -> &Core {
        self.cell.core()
    }

    fn lock(&self) -> Locked<'_, T> {
        self.cell.lock()
    }

    fn node(&self) -> Node {
        self.cell.node()
    }

    fn fetch(&self, state: Locked<'_, T>) -> Option<T> {
        (self.fetch)(self.cell.typed(), state)
    }
}

impl<T: Send + 'static> Waiting<T> {
    pub(crate) fn new(cell: CellRef<T>, fetch: Fetch<T>) -> Waiting<T> {
        Waiting {
            fetched: Fetched { cell, fetch },
            registration: Registration::New,
        }
    }
}

impl<T: Send + 'static> Future for Waiting<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        poll_outcome(&this.fetched, &mut this.registration, cx).map(|outcome| value_of(outcome?))
    }
}

impl<T: Send + 'static> Drop for Waiting<T> {
    fn drop(&mut self) {
        forget(self.fetched.cell.core(), &mut self.registration);
    }
}

impl<T: Send + 'static> std::fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("done", &self.fetched.cell.core().is_done())
            .finish()
    }
}

pub(crate) fn value_of<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| InvalidStateError("the result was moved out already").into())
}
