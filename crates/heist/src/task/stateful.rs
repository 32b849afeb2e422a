//! A task with a state of its maker's, in one allocation.
//!
//! The allocation is an `Arc`. All counted references to the task together hold one weak count of it, which the last of them
//! gives up \[T8\]: it keeps the memory, and nothing more. So the state goes when the last `Arc` does, whoever keeps a waker
//! or an entry of the registry; the cell is not dropped with it, but with the last reference. The `Arc` is pinned, so that
//! nobody moves the cell out meanwhile. There is no join handle: what the task comes to, it leaves in the state.
//!
//! Tests: `task/tests/stateful.rs`, `task/tests/loom.rs`, `tests/it/stateful.rs`.
#![expect(
    unsafe_code,
    reason = "the cell lies in an Arc, by whose weak count the task has it"
)]

use super::cell::{Cell, Header};
use super::raw::{Runnable, TaskRef, Vtable, VtableOf};
use super::{Id, Schedule};
use crate::error::ignore_panic;
use crate::runtime::spawning::Place;
use std::any::Any;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

/// A task and a state that its maker keeps for it, in one allocation.
///
/// For what is built on top of tasks and keeps something for each of them: results that many read, what to do when the task
/// is done. The state is there before the task is first polled, and as long as anybody holds the `Arc`: a future that looks at
/// it holds one. The future is dropped when the task is done, as any other. [`spawn_stateful`](super::spawn_stateful) makes
/// one. The `Arc` is pinned: what the task runs in does not move.
///
/// The allocation has room for the future until the last `Arc` and waker are gone: a large future is better boxed. A future cannot
/// name its own type, so one that looks at its state holds the task as a trait object.
///
/// ```
/// use std::pin::Pin;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// #[derive(Default)]
/// struct Progress(AtomicU32);
///
/// impl heist::task::State for Progress {}
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::task::spawn_stateful(Progress::default(), |task| {
///     let own: Pin<Arc<dyn AsRef<Progress> + Send + Sync>> = task;
///     async move { own.as_ref().get_ref().as_ref().0.store(42, Ordering::Release) }
/// });
/// while !task.is_finished() {
///     heist::task::yield_now().await;
/// }
/// assert_eq!(task.state().0.load(Ordering::Acquire), 42);
/// # });
/// ```
// The cell first: the task's pointer is the allocation's.
#[repr(C)]
pub struct Stateful<S, F: Future<Output = ()>, W = Place> {
    /// Dropped in `free`.
    cell: ManuallyDrop<Cell<F, W>>,
    state: S,
    /// The cell is in use while the state is dropped, so no exclusive reference may be to both.
    _shared: PhantomPinned,
}

/// What a [`Stateful`] task keeps.
pub trait State: Send + Sync + 'static {
    /// Adds the task to a list of the maker's own, which [`Handle::list_stateful`](crate::runtime::Handle::list_stateful) was
    /// given. Where it is not implemented, the task is in no such list.
    fn list<F>(task: &Pin<Arc<Stateful<Self, F>>>, list: &mut dyn Any)
    where
        Self: Sized,
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = (task, list);
    }
}

// SAFETY: a shared reference gives access to the state, which is `Sync`, and to what is atomic in the header; the future is
// reached only through the `Runnable` [T1], which may take it to any thread, since it is `Send`.
unsafe impl<S: Sync, F: Future<Output = ()> + Send, W: Sync> Sync for Stateful<S, F, W> {}

impl<S, F: Future<Output = ()>, W> Stateful<S, F, W> {
    /// The state.
    pub fn state(&self) -> &S {
        &self.state
    }

    fn header(&self) -> &Header {
        &self.cell.header
    }

    /// The task's id, once it is spawned.
    pub fn id(&self) -> Id {
        self.header().id()
    }

    /// Whether the task is complete: its future has been dropped.
    pub fn is_finished(&self) -> bool {
        self.header().state.load().is_complete()
    }

    /// Lets the task be polled again, as its waker does.
    pub fn wake(self: &Pin<Arc<Self>>) {
        self.borrow_task(TaskRef::wake_by_ref);
    }

    /// As [`JoinHandle::abort`](super::JoinHandle::abort).
    pub fn abort(self: &Pin<Arc<Self>>) {
        self.borrow_task(TaskRef::abort);
    }

    /// Calls with a reference that is not counted: the registry's is, until the task is complete, and then nothing is done with
    /// it.
    fn borrow_task(self: &Pin<Arc<Self>>, act: impl FnOnce(&TaskRef)) {
        // SAFETY: a `Pin` is laid out as what it pins, and the pointer is not used to move the task.
        let task = unsafe { &*std::ptr::from_ref(self).cast::<Arc<Self>>() };
        // From the `Arc`, as whoever frees the cell must have it from there.
        let header = Arc::as_ptr(task).cast::<Header>().cast_mut();
        // SAFETY: the pointer of an `Arc` is not null.
        let header = unsafe { NonNull::new_unchecked(header) };
        // SAFETY: the `Arc` keeps the cell alive, of which the header is the front; the reference is not dropped.
        act(&ManuallyDrop::new(unsafe { TaskRef::new(header) }));
    }
}

impl<S, F: Future<Output = ()>, W> AsRef<S> for Stateful<S, F, W> {
    fn as_ref(&self) -> &S {
        self.state()
    }
}

/// A task just made, not yet published: the references that it is born with.
pub(crate) struct NewStateful<S, F: Future<Output = ()>, W> {
    pub(crate) runnable: Runnable,
    pub(crate) registered: TaskRef,
    pub(crate) task: Pin<Arc<Stateful<S, F, W>>>,
}

impl<S: State, F: Future<Output = ()> + Send + 'static> NewStateful<S, F, Place> {
    /// Makes a task of the future that `make` returns, which is given the task.
    #[inline]
    pub(crate) fn new(
        state: S,
        place: Place,
        make: impl FnOnce(Pin<Arc<Stateful<S, F>>>) -> F,
    ) -> Self {
        let vtable = const { &VtableOf::<F, Place>::vtable(free::<S, F, Place>, list::<S, F>) };
        Self::with_vtable(state, place, vtable, make)
    }
}

impl<S, F, W> NewStateful<S, F, W>
where
    S: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
    W: Schedule + Clone,
{
    /// The same on any scheduler, and in no list.
    #[cfg(test)]
    pub(super) fn unlisted(
        state: S,
        scheduler: W,
        make: impl FnOnce(Pin<Arc<Stateful<S, F, W>>>) -> F,
    ) -> Self {
        let vtable = const { &VtableOf::<F, W>::vtable(free::<S, F, W>, super::raw::list_nothing) };
        Self::with_vtable(state, scheduler, vtable, make)
    }

    #[inline]
    fn with_vtable(
        state: S,
        scheduler: W,
        vtable: &'static Vtable,
        make: impl FnOnce(Pin<Arc<Stateful<S, F, W>>>) -> F,
    ) -> Self {
        // Written where it stays: made before the allocation, it would be copied once more.
        let task = Arc::<Stateful<S, F, W>>::new_uninit();
        // Counted before it is written: counting waits until all that was written has arrived.
        let (kept, theirs) = (Arc::downgrade(&task), task.clone());
        let place = Arc::as_ptr(&task).cast_mut().cast::<Stateful<S, F, W>>();
        let new = Stateful {
            cell: ManuallyDrop::new(Cell::vacant(scheduler, vtable)),
            state,
            _shared: PhantomPinned,
        };
        // SAFETY: the allocation is of this type; the counts that were taken are not used to look at it before it is written.
        unsafe { place.write(new) };
        // SAFETY: just written.
        let task = unsafe { task.assume_init() };
        // SAFETY: the same allocation.
        let theirs = unsafe { theirs.assume_init() };
        // SAFETY: nobody has either otherwise: the task stays where it is from now on.
        let task = unsafe { Pin::new_unchecked(task) };
        // SAFETY: as above.
        let theirs = unsafe { Pin::new_unchecked(theirs) };
        // Whoever wakes it from now on finds a newborn task, which nobody is to poll but for the one runnable [T4].
        // PANIC: user code; the cell stays vacant, nobody has its references, and the counts go.
        let future = make(theirs);
        // SAFETY: the cell is vacant, and its runnable is made below.
        unsafe { task.cell.store_future(future) };
        let header = kept.into_raw().cast::<Header>().cast_mut();
        // SAFETY: the pointer of an `Arc` that is alive is not null.
        let header = unsafe { NonNull::new_unchecked(header) };
        // The count that `Snapshot::newborn_detached` says: one for each of these.
        // SAFETY: a header that the count just taken keeps alive.
        let registered = unsafe { TaskRef::new(header) };
        // SAFETY: as above.
        let runnable = Runnable::new(unsafe { TaskRef::new(header) });
        Self {
            runnable,
            registered,
            task,
        }
    }
}

/// # Safety
///
/// See `Vtable::dealloc`.
unsafe fn free<S, F: Future<Output = ()>, W>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, W>>().as_ptr();
    // SAFETY: the weak count keeps the memory, and the cell was not dropped with the state.
    let scheduler = unsafe { &raw mut (*cell).scheduler };
    // Of all that is in the cell of a complete task without a join handle, only this may have a destructor.
    // SAFETY: the last reference is gone, and an `Arc` only looks at the header. (A `Place` has no destructor; a test's has.)
    ignore_panic(|| unsafe { scheduler.drop_in_place() });
    let task = header.cast::<Stateful<S, F, W>>().as_ptr();
    // SAFETY: `with_vtable` has given up a weak count of an `Arc` of this type, by this pointer; nobody else takes it back.
    drop(unsafe { Weak::from_raw(task) });
}

/// # Safety
///
/// See `Vtable::list`.
unsafe fn list<S: State, F>(header: NonNull<Header>, list: &mut dyn Any)
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = header.cast::<Stateful<S, F>>().as_ptr();
    // SAFETY: the pointer came from a weak count of an `Arc` of this type, which the task has while the caller's reference is
    // alive; it is only borrowed.
    let task = ManuallyDrop::new(unsafe { Weak::from_raw(task) });
    if let Some(task) = task.upgrade() {
        // SAFETY: it was pinned before anybody else had it.
        S::list(&unsafe { Pin::new_unchecked(task) }, list);
    }
}

impl<S: fmt::Debug, F: Future<Output = ()>, W> fmt::Debug for Stateful<S, F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateful")
            .field("id", &self.id())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
