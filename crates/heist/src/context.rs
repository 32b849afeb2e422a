//! The current runtime of the calling thread.
//!
//! Threads of a runtime have it for life; others enter it with a guard. Guards nest.

use crate::error::TryCurrentError;
use crate::runtime::Handle;
use crate::runtime::spawning::Spawner;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

thread_local! {
    static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) };
    /// What a spawn needs of it, one plain load away.
    static SPAWNER: Cell<Option<Spawner>> = const { Cell::new(None) };
}

/// Where the calling thread spawns.
#[inline]
pub(crate) fn spawner() -> Result<Spawner, TryCurrentError> {
    SPAWNER.get().ok_or(TryCurrentError(()))
}

fn replace(handle: Option<Handle>) -> Option<Handle> {
    let spawner = handle.as_ref().map(Handle::spawner);
    // In a destructor of another thread-local the place may be gone: then none is current.
    let previous = CURRENT.try_with(|current| current.replace(handle));
    SPAWNER.set(spawner.filter(|_| previous.is_ok()));
    previous.unwrap_or(None)
}

/// Calls `f` with the current runtime's handle, if there is one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Handle) -> R) -> Result<R, TryCurrentError> {
    // In a destructor of another thread-local ours may be gone: then there is no runtime either.
    let answer = CURRENT.try_with(|current| current.borrow().as_ref().map(f));
    answer.ok().flatten().ok_or(TryCurrentError(()))
}

/// Puts the previous runtime back when dropped. See [`Handle::enter`].
#[derive(Debug)]
#[must_use = "the runtime is current only while the guard lives"]
pub struct EnterGuard<'a> {
    previous: Option<Handle>,
    /// It must be dropped on its own thread, and not outlive its runtime.
    _runtime: PhantomData<(&'a Handle, *const ())>,
}

pub(crate) fn enter(handle: &Handle) -> EnterGuard<'_> {
    EnterGuard {
        previous: replace(Some(handle.clone())),
        _runtime: PhantomData,
    }
}

impl Drop for EnterGuard<'_> {
    fn drop(&mut self) {
        // The handle that goes may be the last: its drop runs outside the borrow.
        drop(replace(self.previous.take()));
    }
}

thread_local! {
    /// The runtime that this thread was started by, as an address; 0 for none.
    static POOL_THREAD_OF: Cell<usize> = const { Cell::new(0) };
}

/// Marks the calling thread as started by a runtime, until dropped.
#[derive(Debug)]
pub(crate) struct PoolThread(());

impl PoolThread {
    pub(crate) fn enter(runtime: *const ()) -> Self {
        POOL_THREAD_OF.set(runtime.addr());
        Self(())
    }
}

impl Drop for PoolThread {
    fn drop(&mut self) {
        POOL_THREAD_OF.set(0);
    }
}

/// Whether the calling thread was started by this runtime.
pub(crate) fn pool_thread_of(runtime: *const ()) -> bool {
    POOL_THREAD_OF.try_with(Cell::get).ok() == Some(runtime.addr())
}
