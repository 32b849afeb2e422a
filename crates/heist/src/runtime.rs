//! The runtime: everything assembled.
//!
//! [`Runtime`] owns the whole and ends it when dropped; [`Handle`] is a cheap clone for everyone
//! else. This is the only file that knows all parts.
//!
//! # Shutdown, in order
//!
//! 1. The pool takes no more calls and drops those that have not begun.
//! 2. Workers stop after their current poll. The last to leave drops what is queued.
//! 3. The registry closes: a spawn from now on gives an aborted handle. Idle tasks are dropped by
//!    the thread that shuts down; queued ones are marked.
//! 4. The caller waits until its deadline for polls and calls that are under way.
//! 5. The driver closes: whoever still waits for IO gets an error.
//! 6. What is left is named in the report, and detached: it ends by itself, or with the process.
//!
//! Tests: `tests/it/`.

mod drive;
#[doc(hidden)]
pub mod entry;
mod install;
mod listing;
mod run;
mod shutdown;
pub(crate) mod spawning;

pub use crate::builder::Builder;
pub use crate::context::EnterGuard;
pub use crate::error::{BuildError, Deadlock, TryCurrentError};
pub use crate::metrics::{Histogram, RuntimeMetrics, WorkerMetrics};
pub use crate::report::Stall;
pub use listing::{TaskInfo, TaskState};
pub use shutdown::{ShutdownReport, Stuck};

use crate::blocking::{self, Call, Pool};
use crate::clock::tsc::{Scale, Ticks};
use crate::context;
use crate::driver::{Driver, Timers};
use crate::monitor;
use crate::report::{PanicHook, StallHook};
use crate::scheduler::local::{self, LocalShared};
use crate::scheduler::shared::{Roles, Shared};
use crate::scheduler::worker;
use crate::scheduler::{Home, Policy, current};
use crate::task::{JoinHandle, Kind, NewTask};
use drive::RuntimeDrive;
use spawning::Options;
pub use spawning::Spawner;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
}

/// What the builder hands over.
pub(crate) struct Assembly {
    pub(crate) flavor: Flavor,
    pub(crate) n_workers: usize,
    pub(crate) n_spares: usize,
    pub(crate) time_slices: bool,
    pub(crate) owner: Option<std::thread::ThreadId>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) event_interval: Duration,
    pub(crate) learn_heavy: bool,
    pub(crate) drop_timeout: Duration,
    pub(crate) panic_hook: PanicHook,
    pub(crate) on_thread_start: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) on_thread_stop: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) pool: blocking::Config,
    pub(crate) stall_hook: Option<StallHook>,
}

enum Scheduler {
    MultiThread(Arc<Shared>),
    CurrentThread(Arc<LocalShared>),
}

struct Parts {
    scheduler: Scheduler,
    home: &'static Home,
    epoch: u64,
    driver: Arc<Driver>,
    pool: Pool,
    started: Ticks,
    drop_timeout: Duration,
}

/// The pool as the workers see it.
struct PoolRoles(Pool);

impl Roles for PoolRoles {
    fn play(&self, f: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        self.0.play(f)
    }
}

/// A runtime: schedulers, driver and threads. Dropping it shuts it down.
///
/// The drop waits for polls and blocking calls that are under way, by default at most 10 s; then it
/// prints what is stuck and detaches it. On one of the runtime's own threads, where waiting would
/// be waiting for itself, it does not wait.
///
/// ```
/// let runtime = heist::runtime::Runtime::new()?;
/// let answer = runtime.block_on(async {
///     let task = heist::spawn(async { 6 * 7 });
///     task.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
pub struct Runtime {
    handle: Handle,
    /// Shutdown has been done by a method.
    ended: bool,
}

impl Runtime {
    /// A multi-thread runtime with the default options.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`]: the operating system gave no poller or no thread.
    pub fn new() -> Result<Self, BuildError> {
        Builder::new_multi_thread().build()
    }

    pub(crate) fn assemble(assembly: Assembly) -> Result<Self, BuildError> {
        let (home, epoch) = Home::acquire(assembly.n_workers, assembly.owner.is_some());
        if !assembly.learn_heavy {
            home.learn_nothing();
        }
        let drive = RuntimeDrive::new(assembly.driver.clone());
        // Threads of the pool belong to the runtime; they find it here once it is built.
        let context: Arc<OnceLock<Weak<Parts>>> = Arc::default();
        let mut config = assembly.pool;
        if assembly.driver.clock().is_virtual() {
            // A virtual clock that waits for blocking calls must be told when they are done.
            let driver = assembly.driver.clone();
            config.after_call = Some(Box::new(move || driver.notify()));
        }
        let start = assembly.on_thread_start;
        let stop = assembly.on_thread_stop;
        let around = thread_main(context.clone(), start, stop);
        let pool = Pool::new(config, around);
        drive.set_pool(pool.clone());
        let policy = Policy {
            event_interval: assembly.event_interval,
            n_spares: assembly.n_spares,
            time_slices: assembly.time_slices,
        };
        let scheduler = match assembly.flavor {
            Flavor::MultiThread => {
                let roles = Arc::new(PoolRoles(pool.clone()));
                let hook = assembly.panic_hook;
                let n = assembly.n_workers;
                let shared = Shared::new(home, n, drive, roles, &policy, hook);
                home.set_resident(shared.clone());
                Scheduler::MultiThread(shared)
            }
            Flavor::CurrentThread => {
                let hook = assembly.panic_hook;
                let shared = LocalShared::new(home, drive, &policy, hook, assembly.owner);
                home.set_resident(shared.clone());
                Scheduler::CurrentThread(shared)
            }
        };
        let parts = Arc::new(Parts {
            scheduler,
            home,
            epoch,
            driver: assembly.driver,
            pool,
            started: Scale::get().ticks(),
            drop_timeout: assembly.drop_timeout,
        });
        let set = context.set(Arc::downgrade(&parts));
        debug_assert!(set.is_ok(), "set once");
        let runtime = Self {
            handle: Handle { parts },
            ended: false,
        };
        if let Scheduler::MultiThread(shared) = &runtime.handle.parts.scheduler {
            for worker in 0..assembly.n_workers {
                // On failure the drop of `runtime` ends the workers that have started.
                shared.start(worker)?;
            }
            let hook = assembly.stall_hook;
            shared.start_monitor(move |shared| monitor::run(shared, hook.as_ref()))?;
        }
        Ok(runtime)
    }

    /// The handle, to be cloned.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`heist::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn_with(future, Options::here())
    }

    /// As [`task::spawn_blocking`](crate::task::spawn_blocking), on this runtime.
    ///
    /// # Panics
    ///
    /// Where no thread can be had for the first call.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking_with(f, Options::here())
    }

    /// Runs a future to its end on the calling thread, which blocks meanwhile.
    ///
    /// The future need not be `Send` and may borrow. On a current-thread runtime the calling
    /// thread runs the tasks too. It works from anywhere: on a worker, the worker is handed to
    /// another thread first; inside a task of the same current-thread runtime, the tasks go on
    /// from within. For one that is `Send`, [`run`](Self::run) waits more cheaply.
    ///
    /// # Panics
    ///
    /// If the future panics, and under a virtual clock on a deadlock
    /// ([`try_block_on`](Self::try_block_on) returns it).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(deadlock) => panic!("{deadlock}"),
        }
    }

    /// As [`block_on`](Self::block_on), but returns the deadlock that a virtual clock finds.
    ///
    /// # Errors
    ///
    /// [`Deadlock`]: nothing is ready and nothing can ever be.
    ///
    /// # Panics
    ///
    /// If the future panics.
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, Deadlock> {
        let _guard = self.enter();
        match &self.handle.parts.scheduler {
            Scheduler::MultiThread(_) => {
                Ok(worker::block_in_place(|| local::block_thread_on(future)))
            }
            Scheduler::CurrentThread(shared) => worker::block_in_place(|| {
                shared
                    .block_on(future)
                    .map_err(|local::Deadlock| self.handle.describe_deadlock())
            }),
        }
    }

    /// Makes this the current runtime of the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// The runtime's counters now.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down and waits at most `timeout` for what is under way; the report names what is
    /// stuck.
    ///
    /// On one of the runtime's own threads it does not wait.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> ShutdownReport {
        self.ended = true;
        self.handle.shut_down(timeout)
    }

    /// Shuts down without waiting: what is under way ends by itself.
    pub fn shutdown_background(mut self) {
        self.ended = true;
        // What did not end is meant to go on by itself.
        let _ = self.handle.shut_down(Duration::ZERO);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let report = self.handle.shut_down(self.handle.parts.drop_timeout);
        if !report.is_clean() && !self.handle.is_own_thread() {
            eprintln!("heist: {report}");
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

/// A current-thread runtime that belongs to the thread that built it, and so takes futures that
/// are not `Send`. Otherwise as [`Runtime`].
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// let runtime = heist::runtime::Builder::new_current_thread().build_local()?;
/// let counter = Rc::new(Cell::new(0));
/// let task = runtime.spawn_local({
///     let counter = counter.clone();
///     async move { counter.set(1) }
/// });
/// runtime.block_on(task).unwrap();
/// assert_eq!(counter.get(), 1);
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
#[derive(Debug)]
pub struct LocalRuntime {
    runtime: Runtime,
    /// It must stay on its thread.
    _owner: PhantomData<*const ()>,
}

impl LocalRuntime {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            _owner: PhantomData,
        }
    }

    /// As [`task::spawn_local`](crate::task::spawn_local), on this runtime.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.runtime
            .handle
            .spawn_local_with(future, Options::here())
    }

    /// As [`Runtime::shutdown_timeout`].
    pub fn shutdown_timeout(self, timeout: Duration) -> ShutdownReport {
        self.runtime.shutdown_timeout(timeout)
    }

    /// As [`Runtime::shutdown_background`].
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}

impl std::ops::Deref for LocalRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

/// A reference to a runtime that does not keep it running: cheap to clone, for any thread.
///
/// After the runtime's end, spawns give aborted handles.
///
/// ```
/// let runtime = heist::runtime::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let thread = std::thread::Builder::new().spawn(move || {
///     let task = handle.spawn(async { "from outside" });
///     handle.block_on(task).unwrap()
/// })?;
/// assert_eq!(thread.join().unwrap(), "from outside");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    parts: Arc<Parts>,
}

impl Handle {
    /// The handle of the current runtime.
    ///
    /// # Panics
    ///
    /// Where there is none; [`try_current`](Self::try_current) asks.
    #[track_caller]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// The handle of the current runtime.
    ///
    /// # Errors
    ///
    /// [`TryCurrentError`]: there is none.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with(Handle::clone)
    }

    /// Makes this the current runtime of the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        context::enter(self)
    }

    /// As [`heist::spawn`](crate::spawn), on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(future, Options::here())
    }

    /// As [`task::spawn_blocking`](crate::task::spawn_blocking), on this runtime.
    ///
    /// # Panics
    ///
    /// Where no thread can be had for the first call.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_with(f, Options::here())
    }

    /// Runs a future to its end on the calling thread, which blocks meanwhile, in this runtime's
    /// context.
    ///
    /// As [`Runtime::block_on`], except that on a current-thread runtime someone else must drive
    /// the tasks and timers that the future waits for, unless the caller is one of its tasks.
    ///
    /// # Panics
    ///
    /// If the future panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _guard = self.enter();
        if let Scheduler::CurrentThread(shared) = &self.parts.scheduler {
            if current::with_local(|core| core.works_for(self.parts.home)) == Some(true) {
                match shared.block_on(future) {
                    Ok(output) => return output,
                    Err(local::Deadlock) => panic!("{}", self.describe_deadlock()),
                }
            }
        }
        worker::block_in_place(|| local::block_thread_on(future))
    }

    /// The runtime's counters now. Once it has ended, some of them may be of a later runtime that has taken its place.
    pub fn metrics(&self) -> RuntimeMetrics {
        let parts = &*self.parts;
        let scale = Scale::get();
        let workers = match &parts.scheduler {
            Scheduler::MultiThread(shared) => shared
                .regular()
                .iter()
                .map(|remote| remote.snapshot(parts.started))
                .collect(),
            Scheduler::CurrentThread(shared) => vec![shared.snapshot(parts.started)],
        };
        let spare_workers = match &parts.scheduler {
            Scheduler::MultiThread(shared) if shared.home.spare.is_born() => shared.spares_used(),
            Scheduler::MultiThread(_) | Scheduler::CurrentThread(_) => 0,
        };
        let alive_tasks = match &parts.scheduler {
            Scheduler::MultiThread(shared) => shared.n_alive(parts.epoch),
            Scheduler::CurrentThread(_) => parts.home.registry.len(parts.epoch),
        };
        let load = parts.pool.load();
        RuntimeMetrics {
            workers,
            spare_workers,
            alive_tasks,
            injector_depth: parts.home.injector().len(),
            remote_schedules: parts.home.remote_schedules(),
            found_heavy: parts.home.found_heavy_count(),
            blocking_threads: load.threads,
            blocking_queue_depth: load.queued,
            io_sources: parts.driver.n_sources(),
            io_events: parts.driver.n_events(),
            io_turns: parts.driver.n_turns(),
            timers: parts.driver.n_timers(),
            uptime: Duration::from_nanos(scale.nanos(scale.ticks().since(parts.started))),
        }
    }

    /// The tasks that are alive now. A shard of the registry at a time is locked, for a copy.
    pub fn tasks(&self) -> Vec<TaskInfo> {
        let listed = self.parts.home.registry.list(self.parts.epoch);
        listed.into_iter().map(TaskInfo::new).collect()
    }

    /// Where this runtime's tasks are spawned, without a count of references.
    #[inline]
    pub fn spawner(&self) -> Spawner {
        Spawner {
            home: self.parts.home,
            epoch: self.parts.epoch,
        }
    }

    pub(crate) fn spawn_with<F>(&self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawner().spawn_with(future, options)
    }

    #[track_caller]
    pub(crate) fn spawn_local_with<F>(&self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let spawned = match &self.parts.scheduler {
            Scheduler::CurrentThread(shared) => {
                shared.spawn_local(self.parts.epoch, future, options.details(Kind::Async))
            }
            Scheduler::MultiThread(_) => None,
        };
        match spawned {
            Some(handle) => handle,
            None => panic!(
                "spawn_local needs a `LocalRuntime` on the thread that built it: use \
                 `Builder::new_current_thread().build_local()`"
            ),
        }
    }

    #[track_caller]
    pub(crate) fn spawn_blocking_with<F, R>(&self, f: F, options: Options) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let parts = &*self.parts;
        let details = options.details(Kind::Blocking);
        let task = NewTask::new(Call::new(f), blocking::CallSchedule(parts.home));
        let (runnable, registered) = (task.runnable, task.registered);
        let runnable = (parts.home).register(parts.epoch, runnable, registered, details);
        let handle = JoinHandle::new(task.join);
        if let Some(runnable) = runnable {
            if let Err(error) = parts.pool.call(runnable) {
                panic!("no thread for a blocking call: {error}");
            }
        }
        handle
    }

    /// The timers that a task polled on this thread should use, and whose they are.
    pub(crate) fn timers(&self) -> (Arc<Timers>, usize) {
        let here = current::with_worker(|core| core.works_for(self.parts.home).then(|| core.idx()));
        let worker = here.flatten().unwrap_or(0);
        (self.parts.driver.timers(worker).clone(), worker)
    }

    /// A timer of `worker` is armed that is due before all others [D3].
    pub(crate) fn timer_became_next(&self, worker: usize) {
        match &self.parts.scheduler {
            Scheduler::MultiThread(shared) => {
                let here = current::with_worker(|core| {
                    core.works_for(self.parts.home) && core.idx() == worker
                });
                if here != Some(true) {
                    shared.timer_armed_elsewhere(worker);
                }
            }
            Scheduler::CurrentThread(shared) => shared.unpark_from_elsewhere(),
        }
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.parts.driver
    }

    fn describe_deadlock(&self) -> Deadlock {
        Deadlock {
            tasks: self.tasks().iter().map(ToString::to_string).collect(),
        }
    }

    /// The calling thread belongs to this runtime, and waiting for it would be a deadlock.
    fn is_own_thread(&self) -> bool {
        context::pool_thread_of(Arc::as_ptr(&self.parts).cast())
    }

    fn shut_down(&self, timeout: Duration) -> ShutdownReport {
        let parts = &*self.parts;
        let timeout = match self.is_own_thread() {
            true => Duration::ZERO,
            false => timeout,
        };
        let deadline = Some(crate::clock::real_now() + timeout.min(Duration::from_secs(1 << 30)));
        parts.pool.shut_down();
        match &parts.scheduler {
            Scheduler::MultiThread(shared) => {
                shared.shut_down();
                shared.wait_until_left(deadline);
            }
            Scheduler::CurrentThread(shared) => shared.close(),
        }
        parts.pool.wait_until_left(deadline);
        parts.driver.close();
        ShutdownReport::new(self.tasks())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Calls a hook on a thread of the runtime.
// PANIC: the hook is user code; the panic hook has spoken, the thread goes on.
fn call_hook(hook: Option<&(dyn Fn() + Send + Sync)>) {
    crate::error::ignore_panic(|| {
        if let Some(hook) = hook {
            hook();
        }
    });
}

/// What every thread of the pool does around its work: hooks, timer slack, the runtime's context.
fn thread_main(
    context: Arc<OnceLock<Weak<Parts>>>,
    start: Option<Arc<dyn Fn() + Send + Sync>>,
    stop: Option<Arc<dyn Fn() + Send + Sync>>,
) -> Box<blocking::ThreadMain> {
    Box::new(move |work| {
        reduce_timer_slack();
        call_hook(start.as_deref());
        match context.get().and_then(Weak::upgrade) {
            Some(parts) => {
                let _member = context::PoolThread::enter(Arc::as_ptr(&parts).cast());
                let handle = Handle { parts };
                let _guard = handle.enter();
                work();
            }
            // The runtime failed to be built.
            None => work(),
        }
        call_hook(stop.as_deref());
    })
}

/// The kernel may add 50 µs to a sleep to save wake-ups; 10 µs is nearer to what a runtime wants.
#[cfg(target_os = "linux")]
fn reduce_timer_slack() {
    // A kernel that refuses leaves the default, which only costs precision.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(10_000));
}

#[cfg(not(target_os = "linux"))]
fn reduce_timer_slack() {}
