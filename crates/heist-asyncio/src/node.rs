//! References to cells, with the type of the result and without.
//!
//! A future's cell has an allocation of its own, and so has that of a task whose coroutine the loop keeps elsewhere. A task
//! of the core has its cell beside it, in one allocation: what two threads touch of it moves once. They are pinned because that
//! one is.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use heist::runtime::Spawner;
use heist::task::{State, Stateful};

use crate::cell::{Core, Locked, NewTask, Role};
use crate::exceptions::{Exception, Result};
use crate::tasks::TaskFuture;

/// A cell whose result type is forgotten.
pub(crate) type Node = Pin<Arc<dyn AnyCell>>;

/// A cell with the type of its result.
pub(crate) type CellRef<T> = Pin<Arc<dyn TypedCell<T>>>;

/// What a cell offers without its result type.
pub(crate) trait AnyCell: Send + Sync {
    fn core(&self) -> &Core;

    /// A [`CellRef`] of whatever type it is, in a box.
    fn into_any(self: Pin<Arc<Self>>) -> Box<dyn Any>;

    /// Lets the task have a step, or another one after that which runs.
    fn wake(self: Pin<Arc<Self>>);

    /// What wakes the task in the same way.
    fn into_waker(self: Pin<Arc<Self>>) -> Waker;
}

/// A cell by itself, as the registry has it.
pub(crate) trait Lone: Send + Sync {
    fn into_node(self: Arc<Self>) -> Node;
}

/// What a cell offers with its result type.
pub(crate) trait TypedCell<T>: AnyCell {
    fn typed(&self) -> &Core<Option<T>>;
    fn into_node(self: Pin<Arc<Self>>) -> Node;
}

/// A cell by itself.
struct Cell<T>(Core<Option<T>>);

// Nothing in it is pinned.
impl<T> Unpin for Cell<T> {}

/// A pending future's.
pub(crate) fn new_future<T: Send + 'static>() -> CellRef<T> {
    new_cell(Core::pending(Role::Future))
}

/// A cell by itself; that of a task is listed.
pub(crate) fn new_cell<T: Send + 'static>(mut core: Core<Option<T>>) -> CellRef<T> {
    if let Some(meta) = &mut core.meta {
        meta.keeps_waker = meta.event_loop.exact().is_none();
    }
    let cell = Arc::new(Cell(core));
    if let Some(meta) = &cell.0.meta {
        let weak: Weak<Cell<T>> = Arc::downgrade(&cell);
        meta.event_loop.0.tasks.insert(weak);
    }
    Pin::<Arc<Cell<T>>>::new(cell)
}

/// A coroutine above this size, in bytes, has a box of its own: the place beside the cell stays as long as the result.
const LARGE: usize = 512;

/// A cell with a task of the core, of this coroutine.
#[track_caller]
pub(crate) fn spawn_cell<T, F>(spawner: Spawner, new: NewTask, coroutine: F) -> CellRef<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    if size_of::<F>() > LARGE {
        return spawn_sized(spawner, new, Box::pin(coroutine));
    }
    spawn_sized(spawner, new, coroutine)
}

#[track_caller]
#[inline]
fn spawn_sized<T, F>(spawner: Spawner, new: NewTask, coroutine: F) -> CellRef<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let core = new.into_core::<T>();
    spawner.spawn_stateful(core, |task| TaskFuture::new(task, coroutine))
}

/// The typed cell behind a node, where the type is right.
pub(crate) fn with_type<T: Send + 'static>(node: Node) -> Option<CellRef<T>> {
    let cell = node.into_any().downcast::<CellRef<T>>().ok()?;
    Some(*cell)
}

/// Where a cell is: no other is there while it lives.
pub(crate) fn address_of<C: ?Sized>(cell: &Pin<Arc<C>>) -> usize {
    std::ptr::from_ref::<C>(cell).addr()
}

pub(crate) fn is_same_node<C: ?Sized>(a: &Pin<Arc<C>>, b: &Pin<Arc<C>>) -> bool {
    address_of(a) == address_of(b)
}

impl<T: Send + 'static> dyn TypedCell<T> {
    pub(crate) fn node(self: &Pin<Arc<Self>>) -> Node {
        self.clone().into_node()
    }

    /// Locks the state, with the type of the value.
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        self.typed().lock()
    }

    /// Sets the result and schedules what waits for it; false where the cell was done.
    pub(crate) fn set_result(self: &Pin<Arc<Self>>, value: T) -> bool {
        match self.typed().try_set_result(value) {
            Ok(completion) => {
                completion.dispatch(&self.node());
                true
            }
            Err(value) => {
                drop(value);
                false
            }
        }
    }

    /// Sets the exception and schedules what waits for it; false where the cell was done.
    pub(crate) fn set_exception(self: &Pin<Arc<Self>>, exception: Exception) -> bool {
        match self.typed().try_set_exception(exception) {
            Ok(completion) => {
                completion.dispatch(&self.node());
                true
            }
            Err(_) => false,
        }
    }
}

impl<T: Send + 'static> AnyCell for Cell<T> {
    fn core(&self) -> &Core {
        &self.0
    }

    fn into_any(self: Pin<Arc<Self>>) -> Box<dyn Any> {
        let cell: CellRef<T> = self;
        Box::new(cell)
    }

    fn wake(self: Pin<Arc<Self>>) {
        let Some(meta) = &self.0.meta else {
            return;
        };
        if meta.keeps_waker {
            // A step that ends now has left its waker, or takes the lock to do so.
            let mut state = self.0.state.lock();
            let waker = state.waker_for_another_step(meta.step.is_running());
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        // Of the exact loop: the step goes to the ready queue, once.
        // ORDERING: AcqRel pairs with the store in `Exact::step`; what the waker published is seen by the step
        // that clears the flag.
        if !meta.scheduled.swap(true, Ordering::AcqRel) {
            let event_loop = meta.event_loop.clone();
            event_loop.push_step(self);
        }
    }

    fn into_waker(self: Pin<Arc<Self>>) -> Waker {
        Waker::from(Pin::into_inner(self))
    }
}

impl<T: Send + 'static> Lone for Cell<T> {
    fn into_node(self: Arc<Self>) -> Node {
        Pin::<Arc<Self>>::new(self)
    }
}

impl<T: Send + 'static> Wake for Cell<T> {
    fn wake(self: Arc<Self>) {
        AnyCell::wake(Pin::new(self));
    }
}

impl<T: Send + 'static> TypedCell<T> for Cell<T> {
    fn typed(&self) -> &Core<Option<T>> {
        &self.0
    }

    fn into_node(self: Pin<Arc<Self>>) -> Node {
        self
    }
}

impl<T: Send + 'static> State for Core<Option<T>> {
    fn list<F>(task: &Pin<Arc<Stateful<Self, F>>>, list: &mut dyn Any)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(nodes) = list.downcast_mut::<Vec<Node>>() {
            nodes.push(task.clone());
        }
    }
}

impl<T, F> AnyCell for Stateful<Core<Option<T>>, F>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn core(&self) -> &Core {
        self.state()
    }

    fn into_any(self: Pin<Arc<Self>>) -> Box<dyn Any> {
        let cell: CellRef<T> = self;
        Box::new(cell)
    }

    fn wake(self: Pin<Arc<Self>>) {
        Stateful::wake(&self);
    }

    fn into_waker(self: Pin<Arc<Self>>) -> Waker {
        Waker::from(Arc::new(Wakes(self)))
    }
}

impl<T, F> TypedCell<T> for Stateful<Core<Option<T>>, F>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn typed(&self) -> &Core<Option<T>> {
        self.state()
    }

    fn into_node(self: Pin<Arc<Self>>) -> Node {
        self
    }
}

/// Of tasks of the core, which have another waker where they are polled.
struct Wakes<S, F: Future<Output = ()>>(Pin<Arc<Stateful<S, F>>>);

impl<S, F> Wake for Wakes<S, F>
where
    S: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        Stateful::wake(&self.0);
    }
}
