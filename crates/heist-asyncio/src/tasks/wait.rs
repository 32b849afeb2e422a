//! `wait`: until the first, the first exception, or all; it cancels nothing and raises nothing of theirs.

use std::time::Duration;

use crate::cell::Status;
use crate::completion::add_internal;
use crate::events::get_running_loop;
use crate::exceptions::{Result, value_error};
use crate::futures::Future;
use crate::node::{Node, address_of, new_future};
use crate::tasks::sleep::TimerGuard;
use crate::tasks::{Task, TaskHandle};
use crate::wait::WaitNode;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When [`wait`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// All are done (`ALL_COMPLETED`).
    #[default]
    AllCompleted,
    /// Any is done or cancelled (`FIRST_COMPLETED`).
    FirstCompleted,
    /// Any has raised; a cancelled one does not count (`FIRST_EXCEPTION`).
    FirstException,
}

/// The task or future of something that [`wait`] takes.
#[doc(hidden)]
pub struct WaitableNode(pub(crate) Node);

impl std::fmt::Debug for WaitableNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitableNode").finish_non_exhaustive()
    }
}

/// What [`wait`] takes: a task, a future, a handle, or a reference to one. Coroutines are not: make tasks of them.
pub trait Waitable {
    #[doc(hidden)]
    fn waitable(&self) -> WaitableNode;
}

impl<T: Send + 'static> Waitable for Task<T> {
    fn waitable(&self) -> WaitableNode {
        WaitableNode(self.0.node())
    }
}

impl<T: Send + 'static> Waitable for Future<T> {
    fn waitable(&self) -> WaitableNode {
        WaitableNode(self.node())
    }
}

impl Waitable for TaskHandle {
    fn waitable(&self) -> WaitableNode {
        WaitableNode(self.0.clone())
    }
}

impl<W: Waitable> Waitable for &W {
    fn waitable(&self) -> WaitableNode {
        (**self).waitable()
    }
}

/// Waits for several tasks or futures (`asyncio.wait`): those that are done and those that are pending, in the order
/// given, duplicates dropped. Their exceptions are not raised here. It always suspends once.
///
/// # Errors
/// `ValueError` where none is given; the cancellation, which leaves them all as they are.
///
/// # Cancel safety
/// Tasks that are given by value are dropped with it, and go on; give references to keep them.
pub async fn wait<W: Waitable>(
    awaitables: impl IntoIterator<Item = W>,
    timeout: impl Into<Option<Duration>>,
    return_when: ReturnWhen,
) -> Result<(Vec<W>, Vec<W>)> {
    let timeout = timeout.into();
    let mut seen = std::collections::HashSet::new();
    let mut items: Vec<(W, Node)> = Vec::new();
    for item in awaitables {
        let node = item.waitable().0;
        if seen.insert(address_of(&node)) {
            items.push((item, node));
        }
    }
    if items.is_empty() {
        return Err(value_error("set of tasks or futures is empty"));
    }
    let nodes: Vec<Node> = items.iter().map(|(_, node)| node.clone()).collect();
    wait_nodes(nodes, timeout, return_when).await?;
    let (done, pending): (Vec<_>, Vec<_>) = items
        .into_iter()
        .partition(|(_, node)| node.core().is_done());
    let strip = |items: Vec<(W, Node)>| items.into_iter().map(|(item, _)| item).collect();
    Ok((strip(done), strip(pending)))
}

/// Takes the callbacks back, however the wait ends.
struct Callbacks(Vec<(Node, Option<u32>)>);

impl Drop for Callbacks {
    fn drop(&mut self) {
        for (node, id) in &self.0 {
            if let Some(id) = id {
                node.core().remove_entry(*id);
            }
        }
    }
}

pub(crate) async fn wait_nodes(
    nodes: Vec<Node>,
    timeout: Option<Duration>,
    return_when: ReturnWhen,
) -> Result<()> {
    let event_loop = get_running_loop()?;
    let waiter = new_future::<()>();
    let timer = timeout.map(|timeout| {
        let waiter = waiter.clone();
        let release = move || {
            waiter.set_result(());
        };
        event_loop.internal_timer(event_loop.time() + timeout, Box::new(release))
    });
    let n_left = Arc::new(AtomicUsize::new(nodes.len()));
    let mut callbacks = Callbacks(Vec::with_capacity(nodes.len()));
    for node in nodes {
        let (waiter, n_left, timer) = (waiter.clone(), n_left.clone(), timer.clone());
        let completed = Box::new(move |node: &Node| {
            // ORDERING: AcqRel; the one who counts to zero has seen all the others done.
            let is_last = n_left.fetch_sub(1, Ordering::AcqRel) == 1;
            if is_last
                || return_when == ReturnWhen::FirstCompleted
                || return_when == ReturnWhen::FirstException && has_raised(node)
            {
                if let Some(timer) = timer {
                    timer.cancel();
                }
                waiter.set_result(());
            }
        });
        let id = add_internal(&node, completed);
        callbacks.0.push((node, id));
    }
    let _timer = TimerGuard(timer);
    WaitNode::new(waiter.into_node()).await
}

/// True where the task or future has an exception that is no cancellation of its own; it counts as seen.
fn has_raised(node: &Node) -> bool {
    let mut state = node.core().state.lock();
    state.status() == Status::Finished && matches!(state.exception(), Ok(Some(_)))
}
