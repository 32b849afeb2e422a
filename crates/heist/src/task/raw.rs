//! References to a cell, and what they may do: run it, wake it, take its output, free it.
//!
//! The vtable bridges from the header to the typed cell. The three counted references are
//! [`TaskRef`] (flags only), [`Runnable`] (the right to poll) and [`JoinRef`] (the right to the
//! output). Rules: `task.rs`.
//!
//! Tests: `task/tests/cell.rs`, `task/tests/loom.rs`.
#![expect(
    unsafe_code,
    reason = "type erasure, reference counts and manual drops"
)]

use super::cell::{Cell, Header};
use super::id::Id;
use super::join::{Failure, JoinError};
use super::polled::{self, Polled};
use super::state::{Finish, Idle, JoinDropped, Phase, Start, Wake};
use super::{Schedule, Weight, memory, waker};
use crate::error::ignore_panic;
use std::alloc::Layout;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// What the header needs to know of the cell's type.
///
/// Each function's duties: the pointer comes from a cell of that type which is alive, and
/// additionally as listed.
pub(super) struct Vtable {
    /// The caller holds `RUNNING` and a reference, and gives up both. The answer is to be queued behind the others.
    poll: unsafe fn(NonNull<Header>) -> Option<Runnable>,
    /// The same, without an answer; the future is alive and is dropped instead of polled.
    cancel: unsafe fn(NonNull<Header>),
    /// The caller gives up a reference to a new runnable \[T2\].
    schedule: unsafe fn(NonNull<Header>),
    /// The caller owns the output \[T6\]; the target is an `Option<Result<T, JoinError>>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// The caller owns the output.
    drop_output: unsafe fn(NonNull<Header>),
    /// The caller dropped the last reference \[T8\].
    dealloc: unsafe fn(NonNull<Header>),
    /// The caller has a reference, and keeps it.
    list: unsafe fn(NonNull<Header>, &mut dyn Any),
}

pub(super) struct VtableOf<F, S>(PhantomData<(F, S)>);

impl<F: Future, S: Schedule + Clone> VtableOf<F, S> {
    /// That of a cell in a box of its own.
    const BOXED: &'static Vtable = &Self::vtable(dealloc::<F, S>, list_nothing);

    pub(super) const fn vtable(
        dealloc: unsafe fn(NonNull<Header>),
        list: unsafe fn(NonNull<Header>, &mut dyn Any),
    ) -> Vtable {
        Vtable {
            poll: poll::<F, S>,
            cancel: cancel::<F, S>,
            schedule: schedule::<F, S>,
            take_output: take_output::<F, S>,
            drop_output: drop_output::<F, S>,
            dealloc,
            list,
        }
    }
}

/// A task just made, not yet published: the three references that it is born with.
pub(crate) struct NewTask<T> {
    pub(crate) runnable: Runnable,
    pub(crate) registered: TaskRef,
    pub(crate) join: JoinRef<T>,
}

impl<T> NewTask<T> {
    /// Makes a task of a future that may be polled and dropped on any thread.
    #[inline]
    pub(crate) fn new<F, S>(future: F, scheduler: S) -> Self
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        S: Schedule + Clone,
    {
        // SAFETY: the future is `Send`, so it may be polled and dropped anywhere.
        unsafe { Self::new_unchecked(future, scheduler) }
    }

    /// Makes a task of any future.
    ///
    /// # Safety
    ///
    /// If the future or its output is not `Send`, the scheduler must run and drop every
    /// `Runnable` of this task on the calling thread alone.
    #[inline]
    pub(crate) unsafe fn new_unchecked<F, S>(future: F, scheduler: S) -> Self
    where
        F: Future<Output = T> + 'static,
        T: 'static,
        S: Schedule + Clone,
    {
        let cell = Cell::new(future, scheduler, VtableOf::<F, S>::BOXED);
        let header = cell.cast::<Header>();
        // The count that `Snapshot::newborn` says: one for each of these.
        Self {
            runnable: Runnable(TaskRef(header)),
            registered: TaskRef(header),
            join: JoinRef {
                task: ManuallyDrop::new(TaskRef(header)),
                has_output: true,
                output: PhantomData,
            },
        }
    }
}

/// A counted reference.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: the header is made of atomics and of fields whose rules ([T6], [T7]) order every access
// through the state word; the future itself is reached only through a `Runnable`.
unsafe impl Send for TaskRef {}
// SAFETY: as above; `&TaskRef` gives access to the atomics only.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// # Safety
    ///
    /// The header is the front of a live cell, and the reference is counted, or never dropped.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// Takes a counted reference over from a waker's pointer.
    ///
    /// # Safety
    ///
    /// 1. The pointer came from `into_raw`, or from `as_raw` of a reference that is alive.
    /// 2. In the second case the result is never dropped.
    pub(super) unsafe fn from_raw(data: *const ()) -> Self {
        // SAFETY: by duty 1 it points to a header, so it is not null.
        Self(unsafe { NonNull::new_unchecked(data.cast::<Header>().cast_mut()) })
    }

    pub(super) fn into_raw(self) -> *const () {
        ManuallyDrop::new(self).as_raw()
    }

    pub(super) fn as_raw(&self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: a counted reference keeps the cell alive, and only atomics and guarded cells in
        // it change.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn id(&self) -> Id {
        self.header().id()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.header().state.load().phase()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.header().state.load().is_complete()
    }

    /// Wakes by value: this reference becomes the runnable's, or goes.
    pub(super) fn wake(self) {
        let this = ManuallyDrop::new(self);
        match this
            .header()
            .state
            .update(super::state::Snapshot::wake_by_value)
        {
            Wake::Nothing => {}
            // SAFETY: the transition gave the waker's reference to the runnable.
            Wake::Schedule => unsafe { (this.header().vtable.schedule)(this.0) },
            // SAFETY: the transition dropped the last reference.
            Wake::Dealloc => unsafe { (this.header().vtable.dealloc)(this.0) },
        }
    }

    pub(super) fn wake_by_ref(&self) {
        if polled::wakes_itself(self.0.addr().get()) {
            return;
        }
        match self
            .header()
            .state
            .update(super::state::Snapshot::wake_by_ref)
        {
            // SAFETY: the transition counted a reference for the runnable.
            Wake::Schedule => unsafe { (self.header().vtable.schedule)(self.0) },
            Wake::Nothing | Wake::Dealloc => {}
        }
    }

    /// Adds a task with a state to a list of its maker's. User code.
    pub(crate) fn list(&self, list: &mut dyn Any) {
        // SAFETY: this is a reference.
        unsafe { (self.header().vtable.list)(self.0, list) }
    }

    /// Asks that the future be dropped at its next yield.
    pub(crate) fn abort(&self) {
        match self.header().state.update(super::state::Snapshot::abort) {
            // SAFETY: the transition counted a reference for the runnable.
            Wake::Schedule => unsafe { (self.header().vtable.schedule)(self.0) },
            Wake::Nothing | Wake::Dealloc => {}
        }
    }

    /// Shutdown: drops an idle task's future here and now; any other is aborted by its runnable.
    pub(crate) fn shutdown(&self) {
        if self
            .header()
            .state
            .update(super::state::Snapshot::claim_for_shutdown)
        {
            // SAFETY: the claim gave us RUNNING and a reference, and an idle task that is not
            // complete has its future.
            unsafe { (self.header().vtable.cancel)(self.0) }
        }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.header().state.add_ref();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.header().state.sub_refs(1) {
            // SAFETY: it was the last reference.
            unsafe { (self.header().vtable.dealloc)(self.0) }
        }
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.id()).finish()
    }
}

/// The unique right to poll a task once. Dropped without being run, it drops the future.
#[derive(Debug)]
pub(crate) struct Runnable(TaskRef);

impl Runnable {
    /// The one that a task is born with.
    pub(super) fn new(task: TaskRef) -> Self {
        Self(task)
    }

    /// Polls the task. The answer was woken meanwhile, and is to be queued behind the others.
    // PANIC: the future's poll and drop, and the joiner's wake, are user code; each is caught and
    // the task completes with the panic ([T9]).
    #[inline]
    #[must_use = "a runnable that is dropped drops its future"]
    pub(crate) fn run(self) -> Option<Self> {
        let this = ManuallyDrop::new(self);
        let header = this.0.header();
        match header.state.transition_to_running() {
            // SAFETY: the transition gave us RUNNING, the runnable's reference is given up, and a
            // runnable task has its future.
            Start::Poll => unsafe { (header.vtable.poll)(this.0.0) },
            Start::Cancel => {
                // SAFETY: as above.
                unsafe { (header.vtable.cancel)(this.0.0) }
                None
            }
        }
    }

    pub(crate) fn id(&self) -> Id {
        self.0.id()
    }

    /// Nearly always the same for tasks whose futures are of one type, and another where they are not.
    #[inline]
    pub(crate) fn type_address(&self) -> usize {
        std::ptr::from_ref(self.0.header().vtable).addr()
    }

    /// Gives the task its identity, before it is published.
    pub(crate) fn set_id(&self, id: Id) {
        self.0.header().set_id(id);
    }

    #[inline]
    pub(crate) fn weight(&self) -> &Weight {
        &self.0.header().weight
    }

    pub(crate) fn stamp_wake(&self, coarse_ticks: u32) {
        self.0.header().stamp_wake(coarse_ticks);
    }

    pub(crate) fn take_wake_stamp(&self) -> Option<u32> {
        self.0.header().take_wake_stamp()
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        let header = self.0.header();
        header.state.transition_to_running();
        // The reference that `cancel` gives up; the field's own drop gives up the runnable's.
        header.state.add_ref();
        // SAFETY: the transition gave us RUNNING, a reference was counted, and a runnable task has
        // its future.
        unsafe { (header.vtable.cancel)(self.0.0) }
    }
}

/// The join handle's reference: the right to the output. There is one a task, and `T` is the type
/// of the task's output.
pub(crate) struct JoinRef<T> {
    /// Its reference is given up by this one's own drop.
    task: ManuallyDrop<TaskRef>,
    /// The output was not taken yet.
    has_output: bool,
    /// As for a mutex: sharing the handle shares no `T`, sending it may send one.
    output: PhantomData<std::sync::Mutex<T>>,
}

impl<T> JoinRef<T> {
    pub(super) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Takes the output, or registers the waker.
    ///
    /// # Panics
    ///
    /// If the output was taken before.
    #[inline]
    #[track_caller]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        assert!(
            self.has_output,
            "this JoinHandle was polled again after it had given its result"
        );
        if !self.task.is_complete() && self.register(cx.waker()) {
            return Poll::Pending;
        }
        let mut output: Option<Result<T, JoinError>> = None;
        self.has_output = false;
        let target = (&raw mut output).cast::<()>();
        // SAFETY: COMPLETE was seen while JOIN_INTEREST is set, so by [T6] the output is ours, and
        // `has_output` said that it was not taken; the target has the output's type.
        unsafe { (self.task.header().vtable.take_output)(self.task.0, target) }
        Poll::Ready(output.expect("take_output fills its target"))
    }

    /// Leaves a waker for the completing thread; `false` if the task is complete.
    fn register(&self, waker: &Waker) -> bool {
        let header = self.task.header();
        if header.state.load().has_join_waker() {
            let same = header.joiner.with(|joiner| {
                // SAFETY: JOIN_WAKER is set, so the field is only read ([T7]); only this handle
                // could clear the flag.
                let joiner = unsafe { &*joiner };
                joiner.as_ref().is_some_and(|old| old.will_wake(waker))
            });
            if same {
                // The load that saw JOIN_WAKER may have seen COMPLETE too.
                return !header.state.load().is_complete();
            }
            if !header
                .state
                .update(super::state::Snapshot::unset_join_waker)
            {
                return false;
            }
        }
        let new = Some(waker.clone());
        let old = header.joiner.with_mut(|joiner| {
            // SAFETY: JOIN_WAKER is clear and COMPLETE was clear after that, so by [T7] the field
            // is ours; should the task complete meanwhile, it does not look at the field.
            unsafe { joiner.replace(new) }
        });
        drop(old);
        header.state.update(super::state::Snapshot::set_join_waker)
    }
}

impl<T> Drop for JoinRef<T> {
    fn drop(&mut self) {
        let header = self.task.header();
        if self.has_output {
            let dropped = header
                .state
                .update(super::state::Snapshot::drop_join_handle);
            match dropped {
                JoinDropped::Done => return,
                // SAFETY: the transition dropped the last reference.
                JoinDropped::Dealloc => return unsafe { (header.vtable.dealloc)(self.task.0) },
                // SAFETY: the task is complete and JOIN_INTEREST was set until now, so by [T6] the
                // output is ours; it was not taken.
                JoinDropped::Output => unsafe { (header.vtable.drop_output)(self.task.0) },
                JoinDropped::Waker => {
                    let waker = header.joiner.with_mut(|joiner| {
                        // SAFETY: the transition cleared JOIN_WAKER before COMPLETE, so by [T7]
                        // the field is ours.
                        unsafe { joiner.replace(None) }
                    });
                    ignore_panic(|| drop(waker));
                }
            }
        }
        if header.state.sub_refs(1) {
            // SAFETY: it was the last reference.
            unsafe { (header.vtable.dealloc)(self.task.0) }
        }
    }
}

impl<T> fmt::Debug for JoinRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

/// # Safety
///
/// `header` is the front of a live `Cell<F, S>`, which outlives the use of the answer.
unsafe fn cell_of<'a, F: Future, S>(header: NonNull<Header>) -> &'a Cell<F, S> {
    // SAFETY: the duty; the header is the first field of the `repr(C)` cell.
    unsafe { header.cast::<Cell<F, S>>().as_ref() }
}

/// # Safety
///
/// See [`Vtable::poll`].
unsafe fn poll<F: Future, S: Schedule + Clone>(header: NonNull<Header>) -> Option<Runnable> {
    // SAFETY: the duty of the vtable, and our reference keeps the cell alive.
    let cell = unsafe { cell_of::<F, S>(header) };
    let task = ManuallyDrop::new(TaskRef(header));
    let waker = waker::borrowed(&task);
    let mut cx = Context::from_waker(&waker);
    let noted = Polled::enter(header.addr().get());
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: we hold RUNNING, and the future is alive until we drop it below.
        unsafe { cell.poll_future(&mut cx) }
    }));
    let woke_itself = noted.leave();
    let output = match polled {
        Ok(Poll::Ready(output)) => Ok(output),
        Err(payload) => Err(payload),
        Ok(Poll::Pending) => {
            cell.scheduler.polled(&cell.header.weight, woke_itself);
            if woke_itself && !cell.header.state.load().is_aborted() {
                // [T10]: still RUNNING.
                return Some(Runnable(TaskRef(header)));
            }
            match cell
                .header
                .state
                .update(super::state::Snapshot::transition_to_idle)
            {
                Idle::Waits => {}
                Idle::Reschedule => return Some(Runnable(TaskRef(header))),
                // SAFETY: RUNNING and the reference are still ours.
                Idle::Cancel => unsafe { cancel::<F, S>(header) },
                // SAFETY: the transition dropped the last reference.
                Idle::Dealloc => unsafe { (cell.header.vtable.dealloc)(header) },
            }
            return None;
        }
    };
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: we hold RUNNING, and the future has not been dropped.
        unsafe { cell.drop_future() }
    }));
    let output = match (output, dropped) {
        (Ok(output), Ok(())) => Ok(output),
        (Err(payload), _) => Err(panicked(cell, payload)),
        (Ok(output), Err(payload)) => {
            ignore_panic(|| drop(output));
            Err(panicked(cell, payload))
        }
    };
    // SAFETY: RUNNING and the reference are ours, the future is gone.
    unsafe { complete::<F, S>(header, output) }
    None
}

/// # Safety
///
/// See [`Vtable::cancel`].
unsafe fn cancel<F: Future, S: Schedule + Clone>(header: NonNull<Header>) {
    // SAFETY: the duty of the vtable, and our reference keeps the cell alive.
    let cell = unsafe { cell_of::<F, S>(header) };
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: we hold RUNNING, and the future is alive by the duty.
        unsafe { cell.drop_future() }
    }));
    let error = match dropped {
        Ok(()) => JoinError::new(cell.header.id(), Failure::Aborted),
        Err(payload) => panicked(cell, payload),
    };
    // SAFETY: RUNNING and the reference are ours, the future is gone.
    unsafe { complete::<F, S>(header, Err(error)) }
}

#[cold]
fn panicked<F: Future, S: Schedule>(
    cell: &Cell<F, S>,
    payload: Box<dyn std::any::Any + Send>,
) -> JoinError {
    let id = cell.header.id();
    JoinError::panic(id, payload, cell.scheduler.details(id))
}

/// Stores the output, tells the joiner, gives the references up.
///
/// # Safety
///
/// 1. The caller holds `RUNNING` and a reference, and gives up both.
/// 2. The future has been dropped, no output was stored.
unsafe fn complete<F: Future, S: Schedule + Clone>(
    header: NonNull<Header>,
    output: Result<F::Output, JoinError>,
) {
    // Not an argument: the cell may be freed before this function returns.
    // SAFETY: the caller's reference keeps the cell alive until it is given up below.
    let cell = unsafe { cell_of::<F, S>(header) };
    // SAFETY: duties 1 and 2.
    unsafe { cell.store_output(output) };
    let registered = cell
        .scheduler
        .release(cell.header.id(), &cell.header.weight);
    let refs = 1 + usize::from(registered);
    // A join handle that is gone does not come back; one that goes right now is noticed below.
    let mut stored = cell.header.state.load().has_join_interest();
    if !stored {
        // SAFETY: not yet COMPLETE, so by [T6] the output is ours.
        unsafe { drop_output::<F, S>(header) };
        if cell.header.state.complete_alone(refs) {
            // SAFETY: the references that are given up were the last.
            return unsafe { (cell.header.vtable.dealloc)(header) };
        }
    }
    loop {
        let finish = cell
            .header
            .state
            .update(|state| state.transition_to_complete(refs, stored));
        match finish {
            Finish::Done => return,
            Finish::DropOutput => {
                // SAFETY: not yet COMPLETE, so by [T6] the output is ours.
                unsafe { drop_output::<F, S>(header) };
                stored = false;
            }
            Finish::WakeJoiner => {
                cell.scheduler.ends(&cell.header.weight);
                cell.header.joiner.with(|joiner| {
                    // SAFETY: JOIN_WAKER was set when the task completed, so the field is only
                    // read from then on ([T7]).
                    let joiner = unsafe { &*joiner };
                    if let Some(waker) = joiner {
                        ignore_panic(|| waker.wake_by_ref());
                    }
                });
                if cell.header.state.sub_refs(refs) {
                    // SAFETY: the last references were dropped.
                    unsafe { (cell.header.vtable.dealloc)(header) }
                }
                return;
            }
            Finish::Dealloc => {
                // SAFETY: the last references were dropped.
                unsafe { (cell.header.vtable.dealloc)(header) }
                return;
            }
        }
    }
}

/// A task without a state is in no list; as [`Vtable::list`], for any pointer.
pub(super) fn list_nothing(_: NonNull<Header>, _: &mut dyn Any) {}

/// # Safety
///
/// See [`Vtable::schedule`].
unsafe fn schedule<F: Future, S: Schedule + Clone>(header: NonNull<Header>) {
    // SAFETY: the duty of the vtable. The scheduler is cloned out because the cell may be freed as
    // soon as the runnable is handed on.
    let scheduler = unsafe { cell_of::<F, S>(header) }.scheduler.clone();
    scheduler.schedule(Runnable(TaskRef(header)));
}

/// # Safety
///
/// See [`Vtable::take_output`].
unsafe fn take_output<F: Future, S>(header: NonNull<Header>, target: *mut ()) {
    // SAFETY: the duty of the vtable.
    let cell = unsafe { cell_of::<F, S>(header) };
    // SAFETY: the caller owns the output.
    let output = unsafe { cell.take_output() };
    let target = target.cast::<Option<Result<F::Output, JoinError>>>();
    // SAFETY: the caller gave a target of this type; it is valid for writes.
    unsafe { *target = Some(output) };
}

/// # Safety
///
/// See [`Vtable::drop_output`].
unsafe fn drop_output<F: Future, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the duty of the vtable.
    let cell = unsafe { cell_of::<F, S>(header) };
    // SAFETY: the caller owns the output.
    match unsafe { cell.take_output() } {
        Ok(output) => ignore_panic(|| drop(output)),
        Err(error) if error.is_panic() => {
            ignore_panic(|| cell.scheduler.unhandled_panic(&error));
            ignore_panic(|| drop(error));
        }
        Err(_) => {}
    }
}

/// # Safety
///
/// See [`Vtable::dealloc`].
unsafe fn dealloc<F: Future, S>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, S>>();
    ignore_panic(|| {
        // SAFETY: the cell is of this type, and nobody refers to it any more.
        unsafe { cell.drop_in_place() }
    });
    // SAFETY: `Cell::new` allocated it for this type, and nobody refers to it any more.
    unsafe { memory::free(cell.cast(), Layout::new::<Cell<F, S>>()) };
}
