//! `cancel`: a request that walks from a task to what it waits on.
//!
//! Rules: `[K1]` a request counts on every task that it passes; `[K2]` a task that is not suspended on a cell keeps
//! the request as its mark; `[K3]` a cell that refuses (it is done) leaves the mark with the task that waits on it;
//! `[K4]` between reading what a task waits on and cancelling that, no lock is held: the registration's number
//! proves that the task still waits there, else the task is read again. A chain of tasks is walked, not recursed;
//! only a gather fans out. A circle of tasks ends the walk. `[K5]` A request to a task that is in a step is a mark, and
//! is forwarded to all that the task waits on where the step ends. `[K6]` A request that was accepted is counted by each
//! task that passed it on, for the yields and scopes beside (`step_flags.rs`); one that was refused is a mark instead.

use std::sync::Arc;

use crate::cell::{Role, State, Wait};
use crate::completion::Completion;
use crate::exceptions::Message;
use crate::node::{Node, is_same_node};

/// What a cell does with a request.
enum Answer {
    /// It is done, or the registration is gone.
    Refused,
    Cancelled(Completion),
    /// A task took the request as its mark; one that is suspended in a foreign future must be woken.
    Marked {
        wakes: bool,
    },
    Follow(Vec<Wait>),
    /// A gather's children, and whether a cancel was requested before.
    Fan(Arc<[Node]>, bool),
}

/// Requests cancellation; false where the cell is done.
pub(crate) fn cancel(node: &Node, message: &Message) -> bool {
    walk(node.clone(), None, message)
}

/// Forwards the mark of a task that suspends to what it waits on, `[K5]`.
#[cold]
pub(crate) fn forward_mark(task: &Node) {
    let Some(step) = task.core().step() else {
        return;
    };
    let mut state = task.core().state.lock();
    if !step.has_waits() || !step.take_mark() {
        return;
    }
    let message = state.cancel_message();
    let waits = all_waits(&mut state);
    drop(state);
    fan_out(task, waits, &message);
}

/// Takes the request that a yield or a scope of the task that is in a step is to raise, and tells what else the task
/// waits on, where that was not told before. `told`: what the count was where it was suspended, `[K6]`.
#[cold]
pub(crate) fn take_mark_and_tell(task: &Node, told: u8) -> Option<Message> {
    let step = task.core().step()?;
    let mut state = task.core().state.lock();
    // [F5]
    if !step.began_marked() || !step.take_mark() {
        return (step.seen() != told).then(|| state.told_message());
    }
    let message = state.count_in_step(step);
    let waits = all_waits(&mut state);
    drop(state);
    for wait in &waits {
        // One that refuses is done, and its branch resumes with that.
        walk(wait.node.clone(), Some(wait.id), &message);
    }
    Some(message)
}

fn all_waits(state: &mut State) -> Vec<Wait> {
    let half = state.task();
    half.map_or_else(Vec::new, |half| half.waits.iter().cloned().collect())
}

/// What the task waits on has accepted: counts that for what is beside it, `[K6]`.
fn count(task: &Node, message: &Message) {
    let core = task.core();
    let (Some(step), Some(meta)) = (core.step(), &core.meta) else {
        return;
    };
    let mut state = core.state.lock();
    if state.is_done() {
        return;
    }
    step.count();
    state.set_told_message(message.clone());
    // On one thread a yield comes back by itself, and the rest is as the last step has left it. On many a step may be
    // under way that has looked.
    let wakes = meta.event_loop.parallel().is_some() || step.has_scope();
    drop(state);
    if wakes {
        task.clone().wake();
    }
}

fn walk(first: Node, mut id: Option<u32>, message: &Message) -> bool {
    let mut node = first;
    // The tasks that the walk has passed, each with the wait through which it left.
    let mut path: Vec<(Node, Wait)> = Vec::new();
    let (mut anchor, mut steps, mut lap) = (node.clone(), 0_usize, 1_usize);
    'walk: loop {
        let waits = match tell(&node, id, message) {
            Told::Taken => break,
            Told::Follow(waits) => waits,
            // [K3]: the one before keeps the mark; where that is done by now, the one before that.
            Told::Refused => loop {
                let Some((task, wait)) = path.pop() else {
                    return false;
                };
                match mark(&task, std::slice::from_ref(&wait), message) {
                    Marked::Set => break 'walk,
                    Marked::Done => {}
                    Marked::Changed(waits) => {
                        node = task;
                        break waits;
                    }
                }
            },
        };
        match <[Wait; 1]>::try_from(waits) {
            Ok([wait]) => {
                let task = std::mem::replace(&mut node, wait.node.clone());
                id = Some(wait.id);
                path.push((task, wait));
            }
            Err(waits) => {
                if fan_out(&node, waits, message) {
                    break;
                }
                // The task is done by now: asked again, it refuses.
                continue;
            }
        }
        // Brent's way to notice a circle: the anchor moves at each power of two.
        steps += 1;
        if is_same_node(&anchor, &node) {
            break;
        }
        if steps == lap {
            (anchor, steps, lap) = (node.clone(), 0, lap * 2);
        }
    }
    for (task, _) in &path {
        count(task, message);
    }
    true
}

/// What a step of the walk came to.
enum Told {
    Taken,
    Refused,
    Follow(Vec<Wait>),
}

/// Tells one cell, and runs what its answer asks for.
fn tell(node: &Node, id: Option<u32>, message: &Message) -> Told {
    match ask(node, id, message) {
        Answer::Refused => Told::Refused,
        Answer::Follow(waits) => Told::Follow(waits),
        Answer::Cancelled(completion) => {
            completion.dispatch(node);
            Told::Taken
        }
        Answer::Marked { wakes } => {
            if wakes {
                node.clone().wake();
            }
            Told::Taken
        }
        Answer::Fan(children, requested) => {
            let accepted = children
                .iter()
                .map(|child| cancel(child, message))
                .fold(false, |any, one| any | one);
            if accepted {
                return Told::Taken;
            }
            if let Role::Gather {
                cancel_requested, ..
            } = &mut node.core().state.lock().role
            {
                *cancel_requested = requested;
            }
            Told::Refused
        }
    }
}

/// A task under `join!` waits on several cells: all are told. False where the task is done by now.
fn fan_out(task: &Node, mut waits: Vec<Wait>, message: &Message) -> bool {
    loop {
        let accepted = waits
            .iter()
            .map(|wait| walk(wait.node.clone(), Some(wait.id), message))
            .fold(false, |any, one| any | one);
        if accepted {
            count(task, message);
            return true;
        }
        match mark(task, &waits, message) {
            Marked::Set => return true,
            Marked::Done => return false,
            Marked::Changed(now) => waits = now,
        }
    }
}

fn ask(node: &Node, id: Option<u32>, message: &Message) -> Answer {
    let step = node.core().step();
    let mut state = node.core().state.lock();
    if id.is_some_and(|id| !state.has_entry(id)) {
        return Answer::Refused;
    }
    state.log_exception = false;
    if state.is_done() {
        return Answer::Refused;
    }
    let answer = match &mut state.role {
        Role::Future => return Answer::Cancelled(state.complete_cancelled(message.clone())),
        Role::Gather {
            children,
            cancel_requested,
        } => {
            // Set before the children are told: on many threads the last of them may be done before this returns.
            Answer::Fan(children.clone(), std::mem::replace(cancel_requested, true))
        }
        Role::Task(task) => {
            task.n_cancels = task.n_cancels.saturating_add(1);
            let has_waits = !task.waits.is_empty();
            let Some(step) = step else {
                return Answer::Refused;
            };
            if !step.mark_running() && has_waits {
                return Answer::Follow(all_waits(&mut state));
            }
            step.set_mark(true);
            Answer::Marked {
                wakes: step.is_in_foreign_future(),
            }
        }
    };
    if matches!(answer, Answer::Marked { .. }) {
        state.set_cancel_message(message.clone());
    }
    answer
}

/// What became of a mark.
enum Marked {
    Set,
    /// The task is done: it can take nothing any more.
    Done,
    /// The task waits on something else by now, `[K4]`.
    Changed(Vec<Wait>),
}

/// What a task waits on refused: the task keeps the mark, `[K3]`.
fn mark(task: &Node, seen: &[Wait], message: &Message) -> Marked {
    let step = task.core().step();
    let mut state = task.core().state.lock();
    if state.is_done() {
        return Marked::Done;
    }
    let (Some(half), Some(step)) = (state.task(), step) else {
        return Marked::Done;
    };
    let is_same = |(a, b): (&Wait, &Wait)| a.id == b.id && is_same_node(&a.node, &b.node);
    let is_unchanged = half.waits.len() == seen.len() && half.waits.iter().zip(seen).all(is_same);
    let has_waits = !half.waits.is_empty();
    if !step.mark_running() && has_waits && !is_unchanged {
        return Marked::Changed(all_waits(&mut state));
    }
    step.set_mark(true);
    let wakes = step.is_in_foreign_future();
    state.set_cancel_message(message.clone());
    drop(state);
    if wakes {
        task.clone().wake();
    }
    Marked::Set
}
