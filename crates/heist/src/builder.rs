//! Options of a runtime, validated once.

use crate::blocking;
use crate::clock::Clock;
use crate::driver::Driver;
use crate::error::BuildError;
use crate::report::{self, PanicHook, Stall, StallHook};
use crate::runtime::{Assembly, Flavor, LocalRuntime, Runtime};
use crate::task::JoinError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Called on a thread of the runtime.
type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// Builds a [`Runtime`] with options. Nothing is checked before [`build`](Self::build).
///
/// ```
/// use heist::runtime::Builder;
///
/// let runtime = Builder::new_multi_thread()
///     .worker_threads(2)
///     .thread_name("app")
///     .build()?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    multi_thread: bool,
    worker_threads: Option<usize>,
    spare_workers: usize,
    max_blocking_threads: usize,
    thread_keep_alive: Duration,
    thread_name: String,
    thread_stack_size: Option<usize>,
    event_interval: Duration,
    drop_timeout: Duration,
    virtual_clock: bool,
    learn_heavy: bool,
    time_slices: bool,
    on_unhandled_panic: Option<PanicHook>,
    stall_hook: Option<StallHook>,
    on_thread_start: Option<ThreadHook>,
    on_thread_stop: Option<ThreadHook>,
}

/// More would not fit the counts of the idle word, nor any machine.
const MAX_WORKERS: usize = 1024;

impl Builder {
    fn new(multi_thread: bool) -> Self {
        Self {
            multi_thread,
            worker_threads: None,
            spare_workers: 8,
            max_blocking_threads: 512,
            thread_keep_alive: Duration::from_secs(10),
            thread_name: "heist".into(),
            thread_stack_size: None,
            event_interval: Duration::from_micros(50),
            drop_timeout: Duration::from_secs(10),
            virtual_clock: false,
            learn_heavy: true,
            time_slices: true,
            on_unhandled_panic: None,
            stall_hook: None,
            on_thread_start: None,
            on_thread_stop: None,
        }
    }

    /// A runtime whose tasks are polled by several worker threads that steal from one another.
    pub fn new_multi_thread() -> Self {
        Self::new(true)
    }

    /// A runtime whose tasks are polled, in strict order of readiness, by the thread that calls
    /// `block_on`.
    pub fn new_current_thread() -> Self {
        Self::new(false)
    }

    /// How many workers poll tasks: 1 to 1024. By default, as many as the process may use
    /// processors, container limits included.
    pub fn worker_threads(&mut self, n: usize) -> &mut Self {
        self.worker_threads = Some(n);
        self
    }

    /// How many workers, beside the regular ones, may be called on to keep IO, timers and light tasks
    /// going while those all compute or block: 1 to 1024. By default 8. One is enough while tasks
    /// compute; each task more that blocks its worker, or that is not known yet to compute, takes one.
    /// When every worker is blocked they run computations, too, for which those may wait, except for the last of them:
    /// so with one alone, nobody should block until a computation is done.
    /// They have no thread while none is needed; while tasks hold workers up, four more have one than are.
    pub fn spare_workers(&mut self, n: usize) -> &mut Self {
        self.spare_workers = n;
        self
    }

    /// How many threads may run blocking calls at once, workers not counted: at least 1. By
    /// default 512. Further calls wait in order.
    pub fn max_blocking_threads(&mut self, n: usize) -> &mut Self {
        self.max_blocking_threads = n;
        self
    }

    /// How long a thread without work stays before it ends. By default 10 s.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.thread_keep_alive = duration;
        self
    }

    /// The name of the runtime's threads; a number is added. By default `heist`.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.thread_name = name.into();
        self
    }

    /// The stack of the runtime's threads, in bytes. By default that of the standard library.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.thread_stack_size = Some(bytes);
        self
    }

    /// How long a worker may be busy with tasks before it looks at IO and timers: by elapsed time,
    /// however long or short the polls are. By default 50 µs; at most 100 ms.
    pub fn event_interval(&mut self, interval: Duration) -> &mut Self {
        self.event_interval = interval;
        self
    }

    /// How long the drop of the runtime waits for polls and blocking calls that are under way
    /// before it reports them on standard error and detaches them. By default 10 s.
    pub fn drop_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.drop_timeout = timeout;
        self
    }

    /// A clock that stands still while anything is ready and jumps to the next timer when nothing
    /// is: for tests. Only on a current-thread runtime.
    ///
    /// While a blocking call is under way the clock waits for it, and while IO objects are
    /// registered and no timer is armed it waits for IO. When nothing is left that could wake
    /// anyone, `block_on` panics with a report of who waits.
    pub fn virtual_clock(&mut self, on: bool) -> &mut Self {
        self.virtual_clock = on;
        self
    }

    /// Whether tasks that compute again and again, and sites whose tasks do, are moved behind light
    /// tasks by themselves. By default they are; what is spawned with
    /// [`compute`](crate::compute) is behind them either way.
    pub fn learn_heavy(&mut self, on: bool) -> &mut Self {
        self.learn_heavy = on;
        self
    }

    /// Whether the threads that keep IO and timers on time while every worker computes ask the kernel for short time
    /// slices, and those that compute for long ones, so that it lets the former run as soon as they wake up. By default
    /// they do; Linux grants it from 6.12 on. And whether the one that looks after IO and timers then is moved to another
    /// processor when it waits for one: behind a thread of the kernel, say, or where the host has stopped a virtual one.
    ///
    /// A thread that has asked also starts its children with the usual slice (`SCHED_FLAG_RESET_ON_FORK`), and keeps that
    /// flag for life: code on it that changes its scheduling policy must set the flag, too.
    ///
    /// A thread that was moved, and what is started on it later, keeps to the processors that it might use then, should the
    /// program be given more.
    ///
    /// Off, no thread makes the system calls `sched_setattr` and `sched_setaffinity`, for which some sandboxes kill a
    /// process.
    pub fn time_slices(&mut self, on: bool) -> &mut Self {
        self.time_slices = on;
        self
    }

    /// Called with each task's panic that nobody will join: its handle was dropped. By default the
    /// panic is printed on standard error; with the feature `tracing` it is an event.
    pub fn on_unhandled_panic(
        &mut self,
        hook: impl Fn(&JoinError) + Send + Sync + 'static,
    ) -> &mut Self {
        self.on_unhandled_panic = Some(Arc::new(hook));
        self
    }

    /// Called while a poll of a task, on a multi-thread runtime, has lasted longer than
    /// `threshold`: once a poll, on the monitor's thread, while the poll is still going on. What was
    /// spawned with [`compute`](crate::compute) is no stall. By default nothing is called; with the
    /// feature `tracing` a stall of 100 ms is a warning.
    pub fn on_stall(
        &mut self,
        threshold: Duration,
        hook: impl Fn(&Stall) + Send + Sync + 'static,
    ) -> &mut Self {
        self.stall_hook = Some(StallHook {
            threshold,
            report: Arc::new(hook),
        });
        self
    }

    /// Called on each of the runtime's threads when it starts. The thread's name ends in its number; the first ones, from 0
    /// on, play the workers, in order, as long as none of them calls [`block_in_place`](crate::task::block_in_place).
    pub fn on_thread_start(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Self {
        self.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Called on each of the runtime's threads before it ends.
    pub fn on_thread_stop(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Self {
        self.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Builds the runtime and starts its workers.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: an option that cannot work, or the operating system's refusal.
    pub fn build(&mut self) -> Result<Runtime, BuildError> {
        Runtime::assemble(self.assembly(None)?)
    }

    /// Builds a runtime that belongs to the calling thread and so takes futures that are not
    /// `Send`. Only of the current-thread flavour.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: an option that cannot work, or the operating system's refusal.
    pub fn build_local(&mut self) -> Result<LocalRuntime, BuildError> {
        if self.multi_thread {
            return Err(invalid(
                "build_local",
                "a multi-thread runtime moves tasks between threads; start with \
                 `Builder::new_current_thread`",
            ));
        }
        let owner = crate::sync::thread::current().id();
        Runtime::assemble(self.assembly(Some(owner))?).map(LocalRuntime::new)
    }

    fn validate(&self) -> Result<(), BuildError> {
        let workers_fit = |n| (1..=MAX_WORKERS).contains(&n);
        if self.worker_threads.is_some_and(|n| !workers_fit(n)) {
            return Err(invalid("worker_threads", "must be between 1 and 1024"));
        }
        if !self.multi_thread && self.worker_threads.is_some_and(|n| n != 1) {
            return Err(invalid(
                "worker_threads",
                "a current-thread runtime has one; use `Builder::new_multi_thread` for more",
            ));
        }
        if !(1..=MAX_WORKERS).contains(&self.spare_workers) {
            return Err(invalid("spare_workers", "must be between 1 and 1024"));
        }
        if self.max_blocking_threads == 0 {
            return Err(invalid(
                "max_blocking_threads",
                "must be at least 1, or no blocking call would ever run",
            ));
        }
        if self.event_interval > Duration::from_millis(100) {
            return Err(invalid(
                "event_interval",
                "must be at most 100 ms, or IO and timers would be late; 50 µs is the default",
            ));
        }
        if self.thread_name.contains('\0') {
            return Err(invalid("thread_name", "must not contain a NUL byte"));
        }
        if self.virtual_clock && self.multi_thread {
            return Err(invalid(
                "virtual_clock",
                "works on a current-thread runtime only; start with \
                 `Builder::new_current_thread`",
            ));
        }
        Ok(())
    }

    fn assembly(&self, owner: Option<std::thread::ThreadId>) -> Result<Assembly, BuildError> {
        self.validate()?;
        let n_workers = match (self.multi_thread, self.worker_threads) {
            (false, _) => 1,
            (true, Some(n)) => n,
            (true, None) => std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(MAX_WORKERS),
        };
        let n_spares = if self.multi_thread {
            self.spare_workers
        } else {
            0
        };
        let clock = match self.virtual_clock {
            true => Clock::simulated(),
            false => Clock::real(),
        };
        Ok(Assembly {
            flavor: match self.multi_thread {
                true => Flavor::MultiThread,
                false => Flavor::CurrentThread,
            },
            n_workers,
            owner,
            n_spares,
            driver: Driver::new(clock, n_workers + n_spares)?,
            event_interval: self.event_interval,
            learn_heavy: self.learn_heavy,
            time_slices: self.time_slices,
            drop_timeout: self.drop_timeout,
            panic_hook: self
                .on_unhandled_panic
                .clone()
                .unwrap_or_else(report::panic_hook),
            on_thread_start: self.on_thread_start.clone(),
            on_thread_stop: self.on_thread_stop.clone(),
            stall_hook: self.stall_hook.clone().or_else(report::stall_hook),
            pool: blocking::Config {
                cap: self.max_blocking_threads,
                keep_alive: self.thread_keep_alive,
                thread_name: self.thread_name.clone(),
                stack_size: self.thread_stack_size,
                after_call: None,
            },
        })
    }
}

fn invalid(option: &'static str, problem: &str) -> BuildError {
    BuildError::Option {
        option,
        problem: problem.into(),
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("multi_thread", &self.multi_thread)
            .field("worker_threads", &self.worker_threads)
            .field("spare_workers", &self.spare_workers)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("thread_keep_alive", &self.thread_keep_alive)
            .field("thread_name", &self.thread_name)
            .field("thread_stack_size", &self.thread_stack_size)
            .field("event_interval", &self.event_interval)
            .field("drop_timeout", &self.drop_timeout)
            .field("virtual_clock", &self.virtual_clock)
            .finish_non_exhaustive()
    }
}
