//! What waits for a cell, and what a cell that completes has to run.
//!
//! How they are ordered, and where they run: `cell.rs`. Tests: `tests/it`, and the scenario programs.

use std::sync::Arc;
use std::task::Waker;

use crate::cell::Core;
use crate::contextvars::Context;
use crate::events::EventLoop;
use crate::few::Few;
use crate::node::Node;

/// An internal callback: it is given the cell that completed.
pub(crate) type InternalCallback = Box<dyn FnOnce(&Node) + Send>;

/// What is told of each cell that it watches, when that completes.
pub(crate) trait Watcher: Send + Sync {
    /// The exact loop that must queue what it is told; without, it is told where the cell completes.
    fn exact_loop(&self) -> Option<&EventLoop>;

    /// `failed` where the cell was cancelled or has an exception.
    fn completed(&self, node: &Node, failed: bool);
}

/// A waiter or callback. Its number is in each variant, where it shares a word with the tag: every cell has room for
/// one of these.
pub(crate) enum Entry {
    Wake(u32, Waker),
    Internal(u32, Box<Internal>),
    Watched(u32, Arc<dyn Watcher>),
    User(u32, Box<UserCallback>),
}

pub(crate) struct Internal {
    callback: InternalCallback,
    /// The exact loop that must queue it; without, it runs where the cell completes.
    event_loop: Option<EventLoop>,
}

pub(crate) struct UserCallback {
    callback: Box<dyn FnOnce(Node) + Send>,
    event_loop: EventLoop,
    context: Option<Context>,
}

impl Entry {
    pub(crate) fn id(&self) -> u32 {
        match self {
            Entry::Wake(id, _)
            | Entry::Internal(id, _)
            | Entry::Watched(id, _)
            | Entry::User(id, _) => *id,
        }
    }

    fn run(self, node: &Node, failed: bool) {
        match self {
            Entry::Wake(_, waker) => waker.wake(),
            Entry::Internal(_, internal) => match internal.event_loop {
                Some(event_loop) => event_loop.push_internal(internal.callback, node.clone()),
                None => (internal.callback)(node),
            },
            Entry::Watched(_, watcher) => match watcher.exact_loop().cloned() {
                Some(event_loop) => event_loop.push_watched(watcher, node.clone(), failed),
                None => watcher.completed(node, failed),
            },
            Entry::User(_, user) => {
                let (node, callback) = (node.clone(), user.callback);
                let call = Box::new(move || callback(node));
                user.event_loop.call_soon_in(user.context, call);
            }
        }
    }
}

/// What a completed cell has to run, once no lock is held.
#[must_use = "the waiters are woken by `dispatch`"]
pub(crate) struct Completion {
    pub(crate) entries: Few<Entry>,
    pub(crate) failed: bool,
}

impl Completion {
    /// Wakes the waiters and schedules the callbacks, in order, `[C2]`.
    #[inline]
    pub(crate) fn dispatch(self, node: &Node) {
        if self.entries.is_empty() {
            return;
        }
        for entry in self.entries {
            entry.run(node, self.failed);
        }
    }
}

/// Adds a callback; a cell that is done schedules it at once.
fn add(node: &Node, entry: impl FnOnce(u32) -> Entry) -> Option<u32> {
    let mut state = node.core().state.lock();
    if state.is_done() {
        drop(state);
        entry(0).run(node, false);
        return None;
    }
    Some(state.push_entry(entry))
}

/// Adds an internal callback; a cell that is done schedules it at once.
pub(crate) fn add_internal(node: &Node, callback: InternalCallback) -> Option<u32> {
    let internal = Box::new(Internal {
        callback,
        event_loop: EventLoop::running_exact(),
    });
    add(node, |id| Entry::Internal(id, internal))
}

/// Adds a user's callback; a cell that is done schedules it at once.
pub(crate) fn add_user(
    node: &Node,
    event_loop: EventLoop,
    context: Option<Context>,
    callback: Box<dyn FnOnce(Node) + Send>,
) -> Option<u32> {
    let user = Box::new(UserCallback {
        callback,
        event_loop,
        context,
    });
    add(node, |id| Entry::User(id, user))
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
            state.push_entry(|id| Entry::Watched(id, watcher));
        }
    }
    done
}

impl Core {
    /// Removes a registration or callback; true where it was still there.
    pub(crate) fn remove_entry(&self, id: u32) -> bool {
        let mut state = self.state.lock();
        let removed = state
            .entries()
            .and_then(|entries| entries.remove_where(|entry| entry.id() == id));
        drop(state);
        removed.is_some()
    }

    pub(crate) fn is_user_entry(&self, id: u32) -> bool {
        let mut state = self.state.lock();
        state.entries().is_some_and(|entries| {
            entries
                .iter()
                .any(|entry| entry.id() == id && matches!(entry, Entry::User(..)))
        })
    }
}
