//! The scheduler that the calling thread works for.
//!
//! While a thread plays a worker, the worker's core is here, so that a wake or a spawn finds the
//! local queue without a lock. `block_in_place` takes it away and gives it to another thread.

use super::Home;
use super::local::LocalCore;
use super::worker::Core;
use crate::task::Runnable;
use std::cell::{Cell, RefCell};

/// What a thread can work for.
#[derive(Debug)]
pub(crate) enum Current {
    Nothing,
    Worker(Box<Core>),
    Local(Box<LocalCore>),
}

thread_local! {
    static CURRENT: RefCell<Current> = const { RefCell::new(Current::Nothing) };
    /// Which shard of a registry this thread uses.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Puts something else in the thread's place, and returns what was there.
pub(crate) fn replace(current: Current) -> Current {
    let mut new = Some(current);
    let old = CURRENT.try_with(|slot| slot.replace(new.take().expect("called once")));
    // In a destructor of another thread-local the place may be gone: the thread works for nobody.
    old.unwrap_or(Current::Nothing)
}

/// The place is gone: the thread is ending.
pub(crate) fn is_gone() -> bool {
    CURRENT.try_with(|_| ()).is_err()
}

/// Calls `f` with the worker that this thread plays, if it plays one.
#[inline]
pub(crate) fn with_worker<R>(f: impl FnOnce(&mut Core) -> R) -> Option<R> {
    with_current(|current| match current {
        Current::Worker(core) => Some(f(core)),
        Current::Nothing | Current::Local(_) => None,
    })
}

/// Calls `f` with the local scheduler that this thread drives, if it drives one.
#[inline]
pub(crate) fn with_local<R>(f: impl FnOnce(&mut LocalCore) -> R) -> Option<R> {
    with_current(|current| match current {
        Current::Local(core) => Some(f(core)),
        Current::Nothing | Current::Worker(_) => None,
    })
}

#[inline]
fn with_current<R>(f: impl FnOnce(&mut Current) -> Option<R>) -> Option<R> {
    // In destructors of other thread-locals ours may be gone: such a thread works for nobody.
    let answer = CURRENT.try_with(|current| f(&mut current.borrow_mut()));
    answer.ok().flatten()
}

/// Queues on this thread, or gives the runnable back if the thread does not work for `home`.
#[inline]
pub(crate) fn push(home: &'static Home, runnable: Runnable) -> Result<(), Runnable> {
    push_with(home, runnable, false)
}

/// Queues on this thread if it drives the current-thread scheduler of `home`.
pub(crate) fn push_local(home: &'static Home, runnable: Runnable) -> Result<(), Runnable> {
    let mut slot = Some(runnable);
    with_local(|core| {
        if core.works_for(home) {
            core.push(slot.take().expect("just filled"));
        }
    });
    slot.map_or(Ok(()), Err)
}

/// The same, behind everything that is queued.
#[inline]
pub(crate) fn push_back(home: &'static Home, runnable: Runnable) -> Result<(), Runnable> {
    push_with(home, runnable, true)
}

#[inline]
fn push_with(home: &'static Home, runnable: Runnable, back: bool) -> Result<(), Runnable> {
    let mut slot = Some(runnable);
    let mut computes = false;
    // Wakers may be woken in destructors of other thread-locals, when ours is gone.
    let wake = CURRENT.try_with(|current| {
        // A waker of another runtime that is woken while this one is being stepped: not ours.
        let Ok(mut current) = current.try_borrow_mut() else {
            return false;
        };
        match &mut *current {
            Current::Worker(core) if core.works_for(home) => {
                let runnable = slot.take().expect("just filled");
                computes = core.computes();
                match back || computes {
                    true => core.push_back(runnable),
                    false => core.push(runnable),
                }
            }
            Current::Local(core) if core.works_for(home) => {
                core.push(slot.take().expect("just filled"));
                false
            }
            _ => false,
        }
    });
    match slot {
        Some(runnable) => Err(runnable),
        None => {
            match wake {
                // It must not wait for the end of a heavy poll.
                Ok(true) if computes => home.wake_after_remote_push(),
                Ok(true) => home.wake_after_local_push(),
                _ => {}
            }
            Ok(())
        }
    }
}

/// A number that stays the same on this thread and differs between threads where it can.
pub(crate) fn shard_hint() -> usize {
    let hint = SHARD.try_with(Cell::get).unwrap_or(0);
    if hint != usize::MAX {
        return hint;
    }
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let hint = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % (usize::MAX - 1);
    SHARD.set(hint);
    hint
}
