//! Spawning on the current runtime.

use super::Handle;
use crate::blocking::Call;
use crate::budget;
use crate::scheduler::{Home, worker};
use crate::task::{
    Birth, Details, Id, JoinError, JoinHandle, Kind, NewStateful, NewTask, Runnable, Schedule,
    State, Stateful, Weight,
};
use std::any::Any;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;

/// What a spawn may say of its task.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) site: &'static Location<'static>,
    pub(crate) name: Option<Arc<str>>,
    /// Never to be taken for a computation.
    pub(crate) interactive: bool,
}

impl Options {
    /// No name, spawned by the caller of the caller.
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self {
            site: Location::caller(),
            name: None,
            interactive: false,
        }
    }

    /// Made where it is used: what is written and read at once should not go through memory.
    #[inline(always)]
    pub(super) fn details(self, kind: Kind) -> Details {
        Details {
            birth: Birth::new(kind, self.site, budget::about_now()),
            name: self.name,
        }
    }
}

/// A future above this size, in bytes, goes into a box of its own, and a pointer into the task.
const LARGE: usize = 16 * 1024;

/// Where the tasks of a runtime are spawned: a [`Handle`] that can be copied, since it counts no reference. It does not
/// keep the runtime alive; what is spawned after its shutdown is dropped without being polled.
///
/// ```
/// let runtime = heist::runtime::Runtime::new()?;
/// let spawner = runtime.handle().spawner();
/// let answer = std::thread::spawn(move || spawner.spawn(async { 42 })).join().unwrap();
/// assert_eq!(runtime.block_on(answer).unwrap(), 42);
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Spawner {
    // Spawning through it neither counts references to the runtime nor calls user code while the context is borrowed.
    pub(super) home: &'static Home,
    pub(super) epoch: u64,
}

impl Spawner {
    /// As [`heist::spawn`](crate::spawn), on this runtime.
    #[inline]
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(future, Options::here())
    }

    #[inline]
    pub(crate) fn spawn_with<F>(self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if size_of::<F>() > LARGE {
            // Every call on the way down may copy it, and a debug build does.
            return self.spawn_sized(Box::pin(future), options);
        }
        self.spawn_sized(future, options)
    }

    #[inline]
    fn spawn_sized<F>(self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = NewTask::new(future, self.home);
        if options.interactive {
            task.runnable.weight().fix_light();
        }
        self.home
            .spawn(self.epoch, task, options.details(Kind::Async))
    }

    /// As [`task::spawn_stateful`](crate::task::spawn_stateful), on this runtime.
    #[inline]
    #[track_caller]
    pub fn spawn_stateful<S, F>(
        self,
        state: S,
        make: impl FnOnce(Pin<Arc<Stateful<S, F>>>) -> F,
    ) -> Pin<Arc<Stateful<S, F>>>
    where
        S: State,
        F: Future<Output = ()> + Send + 'static,
    {
        let new = NewStateful::new(state, Place(self.home), make);
        let details = Options::here().details(Kind::Async);
        (self.home).start(self.epoch, new.runnable, new.registered, details);
        new.task
    }

    /// As [`Handle::list_stateful`].
    pub fn list_stateful(self, list: &mut dyn Any) {
        self.home.registry.list_stateful(self.epoch, list);
    }

    pub(crate) fn compute<F, R>(self, f: F, options: Options) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let task = NewTask::new(Call::new(f), self.home);
        task.runnable.weight().fix_heavy();
        self.home
            .spawn(self.epoch, task, options.details(Kind::Async))
    }
}

/// Where a [`Stateful`] task is at home: a scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Place(&'static Home);

impl Schedule for Place {
    #[inline]
    fn schedule(&self, runnable: Runnable) {
        self.0.schedule(runnable);
    }

    #[inline]
    fn polled(&self, weight: &Weight, goes_on: bool) {
        self.0.polled(weight, goes_on);
    }

    #[inline]
    fn release(&self, id: Id, weight: &Weight) -> bool {
        self.0.release(id, weight)
    }

    #[inline]
    fn ends(&self, weight: &Weight) {
        self.0.ends(weight);
    }

    fn details(&self, id: Id) -> Option<Details> {
        self.0.details(id)
    }

    fn unhandled_panic(&self, error: &JoinError) {
        self.0.unhandled_panic(error);
    }
}

/// Runs a computation on the workers, behind everything that waits for IO.
///
/// While light tasks are ready they go first; computations fill the rest, and get at least an
/// eighth of each worker's time. When every worker computes, a spare one keeps IO, timers and
/// light tasks going. A computation is not interrupted: aborting the handle drops one that has not
/// begun. On a current-thread runtime it takes its turn among the tasks.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let sum = heist::compute(|| (1..=1_000_000_u64).sum::<u64>());
/// assert_eq!(sum.await.unwrap(), 500_000_500_000);
/// # });
/// ```
#[track_caller]
pub fn compute<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match crate::context::spawner() {
        Ok(spawner) => spawner.compute(f, Options::here()),
        Err(error) => panic!("{error}"),
    }
}

/// Spawns a task on the current runtime: it runs beside the caller, at once or later.
///
/// Dropping the handle detaches the task. A task that is spawned while the runtime shuts down is
/// dropped without being polled, and its handle says that it was aborted.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let sum = heist::spawn(async { (1..=10).sum::<u32>() });
/// assert_eq!(sum.await.unwrap(), 55);
/// # });
/// ```
#[inline]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match crate::context::spawner() {
        Ok(spawner) => spawner.spawn(future),
        Err(error) => panic!("{error}"),
    }
}

/// Spawns a task with a state beside it, in one allocation: see [`Stateful`]. `make` is given the task, whose state is in
/// place, and returns the future.
///
/// The task is detached; a panic in it is reported. A task that is spawned while the runtime shuts down is dropped without
/// being polled.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn_stateful<S, F>(
    state: S,
    make: impl FnOnce(Pin<Arc<Stateful<S, F>>>) -> F,
) -> Pin<Arc<Stateful<S, F>>>
where
    S: State,
    F: Future<Output = ()> + Send + 'static,
{
    match crate::context::spawner() {
        Ok(spawner) => spawner.spawn_stateful(state, make),
        Err(error) => panic!("{error}"),
    }
}

/// Calls a blocking function on a thread where it holds nobody up.
///
/// Calls run in the order of arrival on at most
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads) threads. Aborting the
/// handle drops a call that has not begun; one that has goes on.
///
/// # Panics
///
/// Outside a runtime, and where no thread can be had for the first call.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let text = heist::task::spawn_blocking(|| std::fs::read_to_string("Cargo.toml"));
/// assert!(text.await.unwrap().is_ok());
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Handle::current().spawn_blocking_with(f, Options::here())
}

/// Spawns a future that is not `Send` on the current [`LocalRuntime`](super::LocalRuntime).
///
/// # Panics
///
/// Outside a `LocalRuntime`, and on a thread that does not own it.
///
/// ```
/// use std::rc::Rc;
///
/// let runtime = heist::runtime::Builder::new_current_thread().build_local()?;
/// let shared = Rc::new(7);
/// let answer = runtime.block_on(async {
///     let shared = shared.clone();
///     heist::task::spawn_local(async move { *shared * 6 }).await
/// });
/// assert_eq!(answer.unwrap(), 42);
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Handle::current().spawn_local_with(future, Options::here())
}

/// Calls a blocking function right here, after handing this thread's worker to another thread.
///
/// The calling task and its neighbours in the same poll wait; every other task goes on. On a
/// current-thread runtime, and outside one, it just calls the function.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let text = heist::task::block_in_place(|| std::fs::read_to_string("Cargo.toml"));
/// assert!(text.is_ok());
/// # });
/// ```
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    worker::block_in_place(f)
}

/// Spawns tasks with a name or a pinned class. Names appear in listings, reports and errors.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::task::Builder::new()
///     .name("answer")
///     .spawn(async { 42 });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Arc<str>>,
    interactive: bool,
}

impl Builder {
    /// A builder of tasks without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the tasks that this builder spawns.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Tasks that this builder spawns with [`spawn`](Self::spawn) are never taken for computations, however long
    /// their polls are: they wait behind no light task, and so may make others wait.
    /// [`compute`](Self::compute) is the opposite.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    #[track_caller]
    fn options(&self) -> Options {
        Options {
            site: Location::caller(),
            name: self.name.clone(),
            interactive: self.interactive,
        }
    }

    /// As [`task::spawn`](spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Handle::current().spawn_with(future, self.options())
    }

    /// As [`heist::compute`](crate::compute).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn compute<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Handle::current().spawner().compute(f, self.options())
    }

    /// As [`task::spawn_local`](spawn_local).
    ///
    /// # Panics
    ///
    /// Outside a [`LocalRuntime`](super::LocalRuntime).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Handle::current().spawn_local_with(future, self.options())
    }

    /// As [`task::spawn_blocking`](spawn_blocking).
    ///
    /// # Panics
    ///
    /// Outside a runtime, and where no thread can be had for the first call.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Handle::current().spawn_blocking_with(f, self.options())
    }
}
