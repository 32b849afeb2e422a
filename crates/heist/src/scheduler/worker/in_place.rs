//! Blocking inside a poll: the worker's core goes to another thread meanwhile.
//!
//! The thread leaves the core in the remote and asks for somebody to play the worker. Afterwards it takes the core
//! back if nobody has it yet; else it has lost its role, and leaves the loop when its poll ends.
//!
//! Tests: `scheduler/tests/in_place.rs`, `tests/it/blocking.rs`.

use super::{Polled, Shared};
use crate::clock;
use crate::scheduler::current::{self, Current};
use crate::scheduler::fork;
use crate::sync::atomic::Ordering::Relaxed;
use crate::task;
use std::sync::Arc;

/// Lets another thread play this thread's worker while `f` blocks. Elsewhere it just calls `f`.
pub(crate) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let _seat = fork::stand_up();
    let mut core = match current::replace(Current::Nothing) {
        // A waker that is called by the driver's turn: the worker is not in a poll, and its place
        // among the sleepers cannot be handed on.
        Current::Worker(core) if !core.in_turn => core,
        other => {
            current::replace(other);
            return f();
        }
    };
    task::give_back();
    let shared = core.shared.clone();
    let idx = core.idx;
    let searching = core.searching;
    debug_assert!(!searching, "a worker that runs a task does not search");
    // What the poll has written down of itself is not true of whoever plays the worker next.
    let computes = std::mem::take(&mut core.computes);
    let in_poll = std::mem::take(&mut core.in_poll);
    core.slow = false;
    core.probes = false;
    core.give_in();
    let polled = core.remote().record.copy();
    core.remote().record.forget();
    *shared.remotes[idx].core.lock() = Some(core);
    // The core comes back even if `f` unwinds.
    let _take_back = TakeBack {
        shared: shared.clone(),
        idx,
        polled,
        computes,
        in_poll,
    };
    if shared.start(idx).is_err() {
        // No thread to be had: the worker stands still while we block, as it would have without
        // us. Its queue can be stolen from.
        if let Some(core) = &mut *shared.remotes[idx].core.lock() {
            core.queue.flush_lifo();
        }
        shared.home.wake_after_local_push();
    }
    f()
}

struct TakeBack {
    shared: Arc<Shared>,
    idx: usize,
    /// What the monitor was told of the poll.
    polled: Polled,
    /// What the core knew of it.
    computes: bool,
    in_poll: bool,
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        let core = self.shared.remotes[self.idx].core.lock().take();
        if let Some(mut core) = core {
            // Relaxed: for the monitor, which judges by it. Another thread may have played it meanwhile.
            (self.shared.remotes[self.idx].thread).store(clock::this_thread(), Relaxed);
            // The poll goes on, and may hold others up from now on.
            (core.computes, core.in_poll) = (self.computes, self.in_poll);
            core.now = self.shared.scale.ticks();
            core.remote().record.restore(&self.polled, core.now);
            current::replace(Current::Worker(core));
        }
    }
}
