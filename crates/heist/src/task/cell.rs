//! The cell: header, scheduler and stage in one allocation.
//!
//! The header is the part that does not depend on the future's type, so every reference is a
//! `NonNull<Header>`; `raw.rs` casts it back through the vtable. The layout is `repr(C)` with the
//! header first, which is what makes the cast right.
//!
//! Who may touch what:
//! - `state`, `woken_at`, `weight`: anyone, they are atomic;
//! - `id`: written once, before the task is published; read by anyone;
//! - `joiner`: by rule \[T7\];
//! - `stage`: the future by the holder of `RUNNING` \[T1\], the output by \[T6\].
//!
//! Tests: `task/tests/cell.rs`, `task/tests/loom.rs`.
#![expect(
    unsafe_code,
    reason = "the stage is a union whose tag is the state word"
)]

use super::id::Id;
use super::raw::Vtable;
use super::state::State;
use super::weight::Weight;
use super::{JoinError, memory};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{AtomicU32, AtomicU64, UnsafeCell};
use std::alloc::Layout;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// The front of every cell.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    id: AtomicU64,
    /// The waker of the task that awaits the join handle \[T7\].
    pub(super) joiner: UnsafeCell<Option<Waker>>,
    /// When the task was last made runnable, in coarse ticks; 0 where it was not sampled.
    woken_at: AtomicU32,
    pub(super) weight: Weight,
}

// The promise of the module: a cache line at most.
#[cfg(all(not(heist_loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Header>() <= 48);

impl Header {
    fn new(vtable: &'static Vtable, state: State) -> Self {
        Self {
            state,
            vtable,
            id: AtomicU64::new(0),
            joiner: UnsafeCell::new(None),
            woken_at: AtomicU32::new(0),
            weight: Weight::newborn(),
        }
    }

    pub(super) fn id(&self) -> Id {
        // Relaxed: written before the task was published.
        Id::from_bits(self.id.load(Relaxed))
    }

    pub(super) fn set_id(&self, id: Id) {
        // Relaxed: scheduling the task publishes it.
        self.id.store(id.to_bits(), Relaxed);
    }

    pub(super) fn stamp_wake(&self, coarse_ticks: u32) {
        // Relaxed: a statistic.
        self.woken_at.store(coarse_ticks, Relaxed);
    }

    /// The stamp of the last wake, once.
    pub(super) fn take_wake_stamp(&self) -> Option<u32> {
        // Relaxed: a statistic; only the runner resets it.
        let stamp = self.woken_at.load(Relaxed);
        if stamp == 0 {
            return None;
        }
        self.woken_at.store(0, Relaxed);
        Some(stamp)
    }
}

/// Future first, output later. The state word says which \[T1, T5, T6\].
union Stage<F: Future> {
    /// A cell that no task was born in yet.
    nothing: (),
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

/// The whole allocation.
#[repr(C)]
pub(super) struct Cell<F: Future, S> {
    pub(super) header: Header,
    pub(super) scheduler: S,
    stage: UnsafeCell<Stage<F>>,
}

impl<F: Future, S> Cell<F, S> {
    pub(super) fn new(future: F, scheduler: S, vtable: &'static Vtable) -> NonNull<Self> {
        let cell = memory::allocate(Layout::new::<Self>()).cast::<Self>();
        let new = Self {
            header: Header::new(vtable, State::newborn()),
            scheduler,
            stage: UnsafeCell::new(Stage {
                future: ManuallyDrop::new(future),
            }),
        };
        // SAFETY: it was allocated for such a cell.
        unsafe { cell.write(new) };
        cell
    }

    /// A cell for a task without a join handle, whose future is still to come.
    pub(super) fn vacant(scheduler: S, vtable: &'static Vtable) -> Self {
        Self {
            header: Header::new(vtable, State::newborn_detached()),
            scheduler,
            stage: UnsafeCell::new(Stage { nothing: () }),
        }
    }

    /// Puts the future into a vacant cell.
    ///
    /// # Safety
    ///
    /// The cell is vacant, and nobody has its runnable.
    pub(super) unsafe fn store_future(&self, future: F) {
        self.stage.with_mut(|stage| {
            let future = Stage {
                future: ManuallyDrop::new(future),
            };
            // SAFETY: by the duty nobody else touches the stage [T1]; writing drops nothing, and there is
            // nothing to drop.
            unsafe { stage.write(future) }
        });
    }

    /// Polls the future.
    ///
    /// # Safety
    ///
    /// 1. The caller holds `RUNNING` \[T1\].
    /// 2. The future has not been dropped.
    pub(super) unsafe fn poll_future(&self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.stage.with_mut(|stage| {
            // SAFETY: by duty 1 nobody else touches the stage now, so it may be borrowed mutably.
            let stage = unsafe { &mut *stage };
            // SAFETY: by duty 2 the union holds the future.
            let future: &mut F = unsafe { &mut stage.future };
            // SAFETY: the cell is on the heap and is freed without moving, and the future is
            // dropped in place; it is never moved out.
            let future = unsafe { Pin::new_unchecked(future) };
            future.poll(cx)
        })
    }

    /// Drops the future in place.
    ///
    /// # Safety
    ///
    /// 1. The caller holds `RUNNING` \[T1\].
    /// 2. The future has not been dropped; from now on it is, even if its drop unwinds.
    pub(super) unsafe fn drop_future(&self) {
        self.stage.with_mut(|stage| {
            // SAFETY: by duty 1 nobody else touches the stage now.
            let stage = unsafe { &mut *stage };
            // SAFETY: by duty 2 the union holds a live future, dropped here and only here.
            unsafe { ManuallyDrop::drop(&mut stage.future) }
        });
    }

    /// Puts the output where the future was.
    ///
    /// # Safety
    ///
    /// 1. The caller holds `RUNNING` \[T1\].
    /// 2. The future has been dropped, and no output was stored.
    pub(super) unsafe fn store_output(&self, output: Result<F::Output, JoinError>) {
        self.stage.with_mut(|stage| {
            let output = Stage {
                output: ManuallyDrop::new(output),
            };
            // SAFETY: by duty 1 nobody else touches the stage; writing drops nothing, and by duty
            // 2 there is nothing to drop.
            unsafe { stage.write(output) }
        });
    }

    /// Moves the output out.
    ///
    /// # Safety
    ///
    /// 1. An output was stored and not yet taken.
    /// 2. The caller owns it by \[T6\].
    pub(super) unsafe fn take_output(&self) -> Result<F::Output, JoinError> {
        self.stage.with_mut(|stage| {
            // SAFETY: by duty 2 nobody else touches the stage now.
            let stage = unsafe { &mut *stage };
            // SAFETY: by duty 1 the union holds an output, moved out here and only here.
            unsafe { ManuallyDrop::take(&mut stage.output) }
        })
    }
}
