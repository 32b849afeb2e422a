//! A `Waker` over a counted task reference.
//!
//! During a poll the task lends its own reference to the context's waker, so that a poll costs no
//! count; only `clone` counts.
//!
//! Tests: `task/tests/cell.rs`, `task/tests/loom.rs`.
#![expect(unsafe_code, reason = "RawWaker is unsafe by design")]

use super::raw::TaskRef;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A waker that borrows the task's reference.
pub(super) struct Borrowed<'a> {
    waker: ManuallyDrop<Waker>,
    _task: &'a TaskRef,
}

impl Deref for Borrowed<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// Lends `task` as a waker.
pub(super) fn borrowed(task: &TaskRef) -> Borrowed<'_> {
    let raw = RawWaker::new(task.as_raw(), &VTABLE);
    // SAFETY: the vtable keeps the contract for pointers to live headers, and the borrow keeps the
    // header alive; `ManuallyDrop` never gives up the reference that is not ours.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
    Borrowed { waker, _task: task }
}

/// # Safety
///
/// As for all four: `data` is the pointer of a waker made here, so its header is alive.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the header is alive, and the borrowed reference is not dropped.
    let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(data) });
    RawWaker::new(TaskRef::clone(&task).into_raw(), &VTABLE)
}

/// # Safety
///
/// As for `clone`; the waker's reference is given up.
unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's own counted reference.
    unsafe { TaskRef::from_raw(data) }.wake();
}

/// # Safety
///
/// As for `clone`.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the header is alive, and the borrowed reference is not dropped.
    let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(data) });
    task.wake_by_ref();
}

/// # Safety
///
/// As for `clone`; the waker's reference is given up.
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker's own counted reference.
    drop(unsafe { TaskRef::from_raw(data) });
}
