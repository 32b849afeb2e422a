//! The scheduler that the calling thread works for.
//!
//! While a thread plays a worker, the worker's core is here, so that a wake or a spawn finds the
//! local queue without a lock. `block_in_place` takes it away and gives it to another thread.

use super::Home;
use super::local::LocalCore;
use super::worker::Core;
use crate::task::{Birth, Closed, Details, Id, Own, Runnable, TaskRef};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

/// What a thread can work for.
#[derive(Debug)]
pub(crate) enum Current {
    Nothing,
    Worker(Box<Core>),
    Local(Box<LocalCore>),
}

thread_local! {
    /// Never dropped: then it is there for other thread-locals' destructors, and no look at it has to ask. Whoever
    /// puts something in takes it out again.
    static CURRENT: RefCell<ManuallyDrop<Current>> =
        const { RefCell::new(ManuallyDrop::new(Current::Nothing)) };
    /// Which shards of a registry this thread uses, and how often it has.
    static SHARD: Cell<(usize, usize)> = const { Cell::new((usize::MAX, 0)) };
}

/// Puts something else in the thread's place, and returns what was there.
pub(crate) fn replace(current: Current) -> Current {
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(current)))
}

/// Calls `f` with the place.
#[inline(always)]
fn with_place<R>(f: impl FnOnce(&RefCell<ManuallyDrop<Current>>) -> R) -> R {
    // `LocalKey::with` is the same, but the compiler leaves it a call.
    match CURRENT.try_with(f) {
        Ok(answer) => answer,
        Err(_) => unreachable!("what is never dropped is always there"),
    }
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
    with_place(|current| f(&mut current.borrow_mut()))
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
    let mut must_be_seen = false;
    let wake = with_place(|current| {
        // A waker of another runtime that is woken while this one is being stepped: not ours.
        let Ok(mut current) = current.try_borrow_mut() else {
            return false;
        };
        match &mut **current {
            Current::Worker(core) if core.works_for(home) => {
                let runnable = slot.take().expect("just filled");
                let computes = core.computes();
                must_be_seen = computes && !core.has_stealable();
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
                // It must not wait for the end of a heavy poll [S3].
                true if must_be_seen => home.wake_after_remote_push(),
                true => home.wake_after_local_push(),
                false => {}
            }
            Ok(())
        }
    }
}

/// A task that is not registered yet, without a name.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) runnable: Runnable,
    pub(crate) registered: TaskRef,
    pub(crate) birth: Birth,
}

impl Newborn {
    /// Takes a light task into the shard of the thread that spawned it. Gives it back where that takes more than usual.
    #[inline(always)]
    pub(super) fn register(self, own: &mut Own, epoch: u64) -> Result<Runnable, Self> {
        if self.runnable.weight().is_heavy() || own.is_due() {
            return Err(self);
        }
        let Self {
            runnable,
            registered,
            birth,
        } = self;
        match own.insert(epoch, registered, birth) {
            Ok(id) => {
                runnable.set_id(id);
                Ok(runnable)
            }
            Err(registered) => Err(Self {
                runnable,
                registered,
                birth,
            }),
        }
    }
}

/// Registers and queues a light task on the worker that this thread plays for `home`, or on the scheduler that it
/// drives, in one visit. Gives it back where that takes more than usual.
#[inline(always)]
pub(crate) fn start(home: &'static Home, epoch: u64, newborn: Newborn) -> Result<(), Newborn> {
    let wake = with_place(|current| {
        let Ok(mut current) = current.try_borrow_mut() else {
            return Err(newborn);
        };
        match &mut **current {
            Current::Worker(core) if core.works_for(home) => core.start(epoch, newborn),
            Current::Local(core) if core.works_for(home) => {
                core.start(epoch, newborn).map(|()| false)
            }
            _ => Err(newborn),
        }
    })?;
    if wake {
        home.wake_after_local_push();
    }
    Ok(())
}

/// Takes a task into the registry of `home`: into the shard of the worker that this thread plays for
/// it, else into a shared one.
pub(crate) fn insert(
    home: &'static Home,
    epoch: u64,
    task: TaskRef,
    details: Details,
) -> Result<Id, Closed> {
    let mut slot = Some((task, details));
    let inserted = with_own(home, |own| {
        let (task, details) = slot.take().expect("just filled");
        let collected = own.is_due().then(|| own.collect());
        (own.insert_named(epoch, task, details), collected)
    });
    match (inserted, slot) {
        // What was collected, or refused, is dropped here, where user code may run.
        (Some((inserted, _collected)), _) => inserted.map_err(|_refused| Closed),
        (None, Some((task, details))) => home.registry.insert(shard_hint(), epoch, task, details),
        (None, None) => unreachable!("what was taken was inserted"),
    }
}

/// Takes a task that is about to complete out of the shard of the worker that this thread plays, or has the
/// worker remember to give it in; `None` if this thread plays no worker.
#[inline]
pub(crate) fn release(home: &'static Home, id: Id) -> Option<bool> {
    let (released, full) = with_place(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        match &mut **current {
            Current::Worker(core) if core.works_for(home) => Some(core.release(id)),
            Current::Local(core) if core.works_for(home) => {
                let own = core.own.as_mut()?;
                own.holds(id).then(|| (own.release(id), None))
            }
            _ => None,
        }
    })?;
    if let Some(shard) = full {
        // PANIC: the drop of a joiner's waker is user code; the task's end catches what it throws.
        drop(home.registry.collect(shard));
    }
    Some(released)
}

/// The worker that this thread plays for `home` has done what it computed: what its end wakes waits for nothing.
pub(crate) fn end_heavy(home: &'static Home) {
    with_place(|current| {
        if let Ok(mut current) = current.try_borrow_mut() {
            match &mut **current {
                Current::Worker(core) if core.works_for(home) => core.end_heavy(),
                _ => {}
            }
        }
    });
}

/// Calls `f` with the shard of the worker that this thread plays for `home`, if it has one.
fn with_own<R>(home: &'static Home, f: impl FnOnce(&mut Own) -> R) -> Option<R> {
    with_place(|current| {
        let mut current = current.try_borrow_mut().ok()?;
        let own = match &mut **current {
            Current::Worker(core) if core.works_for(home) => core.own.as_mut()?,
            Current::Local(core) if core.works_for(home) => core.own.as_mut()?,
            _ => return None,
        };
        Some(f(own))
    })
}

/// Shared shards of a registry that one thread uses in turn: so it seldom meets those who complete
/// what it has spawned.
pub(crate) const SHARDS_A_THREAD: usize = 4;

/// Which shared shard this thread uses: differs between threads where it can.
pub(crate) fn shard_hint() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let (base, count) = SHARD.get();
    let base = match base {
        usize::MAX => NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % (usize::MAX - 1),
        base => base,
    };
    SHARD.set((base, count.wrapping_add(1)));
    base * SHARDS_A_THREAD + (count / 64) % SHARDS_A_THREAD
}
