//! `run` and `Runner`: from synchronous code into the loop and out again (CPython's `runners.py`).
//!
//! A run ends after the pass in which its future's done callback was called, or when a task raises an exit (`exits.rs`).
//! Closing cancels what is left, waits for it, reports its errors, and gives two more runs, in which whatever is queued
//! goes on.

use std::fmt;
use std::future::{Future, Ready, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use heist::runtime::{self, LocalRuntime, Runtime};

use crate::base_events::{Coroutines, Exact, Idle, MAIN_SLOT, Main, NO_SLOT, run_passes};
use crate::cell::Status;
use crate::completion::add_internal;
use crate::contextvars::{Context, copy_context};
use crate::events::{Body, ErrorContext, EventLoop, Frame, FrameGuard, LoopTime};
use crate::exceptions::{DeadlockError, Exception, Result, runtime_error};
#[cfg(unix)]
use crate::interrupts::Interrupts;
use crate::node::{Node, new_cell};
use crate::parallel::Parallel;
use crate::tasks::{Builder, TaskFuture, TaskHandle, gather_nodes};
use crate::wait::{WaitNode, fetch_take, value_of};

/// From how many entries on the core looks for IO before the next pass. asyncio looks before every pass; a pass of one
/// entry is over in less time than the look takes.
const ENTRIES_PER_TURN: usize = 128;

/// How long closing waits for the threads of the blocking pool.
const THREAD_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs coroutines from synchronous code, one after another, in one loop and one context (`asyncio.Runner`).
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let mut runner = asyncio::Runner::new();
/// assert_eq!(runner.run(async { Ok(1) }).unwrap(), 1);
/// assert_eq!(runner.run(async { Ok(2) }).unwrap(), 2);
/// runner.close().unwrap();
/// ```
pub struct Runner {
    state: State,
    flavor: Flavor,
    n_workers: Option<usize>,
    debug: Option<bool>,
    /// `None` where nobody has said.
    catches_interrupts: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    MultiThread,
    CurrentThread,
    VirtualClock,
}

enum State {
    Created,
    Open(Box<Open>),
    Closed,
}

struct Open {
    event_loop: EventLoop,
    context: Context,
    coroutines: Rc<Coroutines>,
    runtime: Core,
}

/// The core's runtime below the loop.
enum Core {
    Many(Runtime),
    One(LocalRuntime),
}

impl Runner {
    /// A runner whose tasks run in parallel, on all cores; the loop is made at the first use.
    pub fn new() -> Runner {
        Runner::with_flavor(Flavor::MultiThread)
    }

    fn with_flavor(flavor: Flavor) -> Runner {
        Runner {
            state: State::Created,
            flavor,
            n_workers: None,
            debug: None,
            catches_interrupts: None,
        }
    }

    /// A runner whose tasks all run on the calling thread, in asyncio's exact order. They need not be `Send`:
    /// [`create_local_task`](crate::create_local_task).
    pub fn current_thread() -> Runner {
        Runner::with_flavor(Flavor::CurrentThread)
    }

    /// As [`Runner::current_thread`], with a clock that is virtual: it stands still while anything is ready, and jumps to the next timer when
    /// nothing is.
    pub fn virtual_clock() -> Runner {
        Runner::with_flavor(Flavor::VirtualClock)
    }

    /// How many worker threads a parallel runner has; the others have none.
    #[must_use]
    pub fn worker_threads(mut self, n: usize) -> Runner {
        self.n_workers = Some(n);
        self
    }

    /// Whether runs answer Ctrl-C as asyncio's do: the first cancels the main task, which may clean up, and the run
    /// raises [`KeyboardInterrupt`](crate::KeyboardInterrupt) where that ends it; the second is raised out of the run, as where a task
    /// raises it.
    ///
    /// Told nothing, a run does so where asyncio's would: on the main thread, and where nobody else has asked for the
    /// signal. That can be known on Linux only; on other systems a run has to be told. A virtual clock's run has to be
    /// told everywhere: while one listens, a program that can never go on is not noticed. Between runs the signal does
    /// what it did before them.
    ///
    /// A program that takes Ctrl-C itself asks for it before the first run, or turns this off. Only Unix has anything
    /// to catch.
    #[must_use]
    pub fn catch_interrupts(mut self, catch: bool) -> Runner {
        self.catches_interrupts = Some(catch);
        self
    }

    /// Sets debug mode, whatever the environment says.
    #[must_use]
    pub fn debug(mut self, debug: bool) -> Runner {
        self.debug = Some(debug);
        self
    }

    /// The loop.
    ///
    /// # Errors
    /// `RuntimeError` after [`Runner::close`].
    pub fn get_loop(&mut self) -> Result<EventLoop> {
        Ok(self.open()?.event_loop.clone())
    }

    fn open(&mut self) -> Result<&Open> {
        if matches!(self.state, State::Created) {
            let (runtime, body) = self.build()?;
            let event_loop = EventLoop::new(body);
            if let Some(debug) = self.debug {
                event_loop.set_debug(debug);
            }
            let coroutines = Rc::new(Coroutines::default());
            self.state = State::Open(Box::new(Open {
                event_loop,
                context: copy_context(),
                coroutines,
                runtime,
            }));
        }
        match &self.state {
            State::Open(open) => Ok(open),
            State::Created | State::Closed => Err(runtime_error("runner is closed")),
        }
    }

    fn build(&self) -> Result<(Core, Body)> {
        if self.flavor == Flavor::MultiThread {
            let mut builder = runtime::Builder::new_multi_thread();
            if let Some(n) = self.n_workers {
                builder.worker_threads(n);
            }
            let runtime = builder.build()?;
            let body = {
                let _inside = runtime.enter();
                Body::Parallel(Parallel::new(runtime.handle().spawner()))
            };
            return Ok((Core::Many(runtime), body));
        }
        let is_virtual = self.flavor == Flavor::VirtualClock;
        let runtime = runtime::Builder::new_current_thread()
            .virtual_clock(is_virtual)
            .build_local()?;
        let body = {
            let _inside = runtime.enter();
            Body::Exact(Exact::new(is_virtual))
        };
        Ok((Core::One(runtime), body))
    }

    /// Runs a coroutine to its end, as a task of the loop. It may borrow; in a parallel runner the workers run it.
    ///
    /// # Errors
    /// What the coroutine raises; [`SystemExit`](crate::SystemExit) or [`KeyboardInterrupt`](crate::KeyboardInterrupt)
    /// where any task raises it: if the coroutine has not ended by then, all tasks are cancelled and awaited;
    /// `RuntimeError` inside a running loop, and after [`Runner::close`]; [`DeadlockError`] where the clock is virtual
    /// and the program can never go on.
    #[track_caller]
    pub fn run<T, F>(&mut self, coroutine: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        self.run_in(None, coroutine, Open::turn_anywhere)
    }

    /// As [`Runner::run`], for a coroutine that need not be `Send`: it stays on the calling thread. In a parallel runner
    /// that makes its awaits dear, since another thread must wake this one for each that waits.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn run_local<T, F>(&mut self, coroutine: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        self.run_in(None, coroutine, Open::turn_here)
    }

    /// As [`Runner::run`], in a context of the caller's choice instead of the runner's own.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn run_with<T, F>(&mut self, context: Context, coroutine: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        self.run_in(Some(context), coroutine, Open::turn_anywhere)
    }

    #[track_caller]
    fn run_in<T, F>(
        &mut self,
        context: Option<Context>,
        coroutine: F,
        turn: Turn<TaskFuture<F>>,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        if EventLoop::running().is_some() {
            return Err(runtime_error(
                "Runner.run() cannot be called from a running event loop",
            ));
        }
        #[cfg(unix)]
        let catches_interrupts = self.catches_interrupts.unwrap_or_else(|| {
            self.flavor != Flavor::VirtualClock && crate::interrupts::listens_by_default()
        });
        #[cfg(not(unix))]
        let _ = self.catches_interrupts;
        let open = self.open()?;
        let context = context.unwrap_or_else(|| open.context.clone());
        let builder = Builder::new().on(open.event_loop.clone()).context(context);
        let cell = new_cell::<T>(builder.prepare(MAIN_SLOT)?.into_core());
        let node = cell.node();
        open.event_loop.0.exit.begin_run();
        #[cfg(unix)]
        let interrupts = catches_interrupts
            .then(|| Interrupts::listen(open.runtime(), &open.event_loop, &node))
            .transpose()?;
        let result = open.run_main(&node, TaskFuture::new(cell.node(), coroutine), turn);
        // Where an exit is raised in its place, it has been seen all the same.
        let outcome = node.core().state.lock().outcome();
        let result = result.and(outcome);
        #[cfg(unix)]
        let result = match &interrupts {
            Some(interrupts) => interrupts.outcome(&node, result),
            None => result,
        };
        // Nobody is to find what came too late for this run.
        let late = open.event_loop.0.exit.take();
        result
            .and(late)
            .and_then(|()| value_of(fetch_take(cell.typed(), cell.lock())))
    }

    /// Cancels the tasks that are left and waits for them, then closes the loop. A second call does nothing.
    ///
    /// # Errors
    /// [`DeadlockError`] where a task that was cancelled can never end, and [`SystemExit`](crate::SystemExit) or
    /// [`KeyboardInterrupt`](crate::KeyboardInterrupt) where one raises it; the loop is closed all the same.
    pub fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(open) => (*open).close(),
            State::Created => {
                self.state = State::Created;
                Ok(())
            }
            State::Closed => Ok(()),
        }
    }
}

impl Open {
    #[cfg(unix)]
    fn runtime(&self) -> &Runtime {
        match &self.runtime {
            Core::Many(runtime) => runtime,
            Core::One(runtime) => runtime,
        }
    }

    /// Runs a task whose coroutine lives as long as the run. An exit that leaves it on its way ends everything.
    fn run_main<F>(&self, node: &Node, main: F, turn: Turn<F>) -> Result<()>
    where
        F: Future<Output = ()>,
    {
        let mut coroutine = pin!(Some(main));
        let mut main = coroutine.as_mut().as_pin_mut();
        if let Core::One(_) = self.runtime {
            node.clone().wake();
        }
        let mut result = turn(self, node, &mut main);
        if result.as_ref().is_err_and(Exception::is_exit) && !node.core().is_done() {
            // The coroutine cannot outlive this call, so the tasks end here and not where the runner is closed. Another
            // exit takes the place of the first.
            match self.end_all(&mut main, turn) {
                Err(second) if second.is_exit() => result = Err(second),
                _ => {}
            }
        }
        coroutine.set(None);
        if !node.core().is_done() {
            self.abandon(node);
        }
        result
    }

    fn frame(&self) -> FrameGuard {
        FrameGuard::enter(Frame {
            event_loop: Some(self.event_loop.clone()),
            ..Frame::default()
        })
    }

    /// Runs the loop until a task is done, on whatever thread.
    fn turn_anywhere<F>(&self, node: &Node, main: &mut Option<Pin<&mut F>>) -> Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        match &self.runtime {
            Core::Many(runtime) => {
                let _frame = self.frame();
                runtime.run(poll_main(&self.event_loop, node, main))
            }
            Core::One(_) => self.turn_here(node, main),
        }
    }

    /// Runs the loop until a task is done; the main coroutine stays on this thread.
    fn turn_here<F>(&self, node: &Node, main: &mut Option<Pin<&mut F>>) -> Result<()>
    where
        F: Future<Output = ()>,
    {
        let frame = self.frame();
        if let Core::Many(runtime) = &self.runtime {
            return runtime.block_on(poll_main(&self.event_loop, node, main));
        }
        let (event_loop, is_over) = (self.event_loop.clone(), Arc::new(AtomicBool::new(false)));
        let is_over_too = is_over.clone();
        let stop = move |_: &Node| {
            // ORDERING: Relaxed, twice; the loop's own thread.
            if !is_over_too.load(Ordering::Relaxed) {
                event_loop.stop();
            }
        };
        let stop = add_internal(node, Box::new(stop));
        let main = main.as_mut().map(Pin::as_mut);
        let mut main: Main<'_> = main.map(|main| -> Pin<&mut dyn Future<Output = ()>> { main });
        let result = self.drive(&mut main);
        // An exit may leave it queued.
        is_over.store(true, Ordering::Relaxed);
        if let Some(stop) = stop {
            node.core().remove_entry(stop);
        }
        drop(frame);
        if result.is_ok() && !node.core().is_done() {
            return Err(runtime_error("event loop stopped before Future completed"));
        }
        result
    }

    /// Gives a task up whose coroutine has gone with the run: it is cancelled, for whoever waits for it.
    fn abandon(&self, node: &Node) {
        let Some(meta) = &node.core().meta else {
            return;
        };
        // ORDERING: Relaxed; the loop's own thread.
        meta.slot.store(NO_SLOT, Ordering::Relaxed);
        self.event_loop.0.tasks.forget(meta);
        let frame = self.frame();
        let completion = node.core().state.lock().complete_cancelled(None);
        completion.dispatch(node);
        drop(frame);
    }

    /// Runs passes until the loop is stopped. The core's runtime turns between them, and keeps the time.
    fn drive(&self, main: &mut Main<'_>) -> Result<()> {
        let (Core::One(runtime), Some(exact)) = (&self.runtime, self.event_loop.exact()) else {
            return Err(runtime_error(
                "only a loop of the current thread has passes",
            ));
        };
        let mut timer: Option<(LoopTime, heist::time::Sleep)> = None;
        let passes = poll_fn(|cx| {
            exact.set_driver(cx.waker());
            loop {
                exact.look_at_clock();
                match run_passes(&self.event_loop, &self.coroutines, main, ENTRIES_PER_TURN) {
                    Some(Idle::Stopped) => return Poll::Ready(()),
                    None => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Some(Idle::Nothing) => {
                        timer = None;
                        return Poll::Pending;
                    }
                    Some(Idle::Until(when)) => {
                        if timer.as_ref().is_none_or(|(armed, _)| *armed != when) {
                            timer = Some((when, heist::time::sleep_until(exact.instant(when))));
                        }
                        let is_due = timer
                            .as_mut()
                            .is_some_and(|(_, sleep)| Pin::new(sleep).poll(cx).is_ready());
                        if !is_due {
                            return Poll::Pending;
                        }
                    }
                }
            }
        });
        runtime
            .try_block_on(passes)
            .map_err(|_| Exception::new(DeadlockError))?;
        self.event_loop.0.exit.take()
    }

    fn close(self) -> Result<()> {
        let result = self.finish();
        match &self.event_loop.0.body {
            Body::Exact(exact) => exact.close(),
            Body::Parallel(parallel) => parallel.close(),
        }
        self.coroutines.clear();
        crate::loop_handle::forget();
        for node in self.event_loop.nodes() {
            let mut context = ErrorContext::new("task was destroyed but it is pending");
            context.task_name = Some(TaskHandle(node).get_name());
            self.event_loop.call_exception_handler(&context);
        }
        let report = match self.runtime {
            Core::One(runtime) => runtime.shutdown_timeout(THREAD_JOIN_TIMEOUT),
            Core::Many(runtime) => runtime.shutdown_timeout(THREAD_JOIN_TIMEOUT),
        };
        if !report.is_clean() {
            eprintln!("asyncio: closing the runner: {report}");
        }
        result
    }

    /// Cancels the tasks that are not done, waits for them, and reports their errors.
    fn end_all<F>(&self, main: &mut Option<Pin<&mut F>>, turn: Turn<F>) -> Result<()> {
        let left = self.event_loop.nodes();
        if left.is_empty() {
            return Ok(());
        }
        let frame = self.frame();
        for node in &left {
            crate::tasks::cancel::cancel(node, &None);
        }
        let all = gather_nodes(left.clone(), true, Box::new(|_| Ok(())));
        drop(frame);
        turn(self, &all.cell.node(), main)?;
        for node in &left {
            self.report(node);
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        self.end_all::<Ready<()>>(&mut None, Open::turn_here)?;
        self.run_closing(self.event_loop.shutdown_asyncgens())?;
        match self.runtime {
            // What CPython uses for its executor.
            Core::One(_) => self.run_closing(async { Ok(()) }),
            Core::Many(_) => Ok(()),
        }
    }

    /// Runs what belongs to the closing, as a task of the loop.
    fn run_closing(&self, coroutine: impl Future<Output = Result<()>>) -> Result<()> {
        let frame = self.frame();
        let new = Builder::new()
            .on(self.event_loop.clone())
            .prepare(MAIN_SLOT)?;
        let node = new_cell::<()>(new.into_core()).into_node();
        drop(frame);
        let main = TaskFuture::new(node.clone(), coroutine);
        self.run_main(&node, main, Open::turn_here)
    }

    fn report(&self, node: &Node) {
        let failure = {
            let mut state = node.core().state.lock();
            if state.status() == Status::Cancelled {
                None
            } else {
                state.exception().ok().flatten()
            }
        };
        if let Some(error) = failure {
            let mut context =
                ErrorContext::new("unhandled exception during asyncio.run() shutdown");
            context.exception = Some(error);
            context.task_name = Some(TaskHandle(node.clone()).get_name());
            self.event_loop.call_exception_handler(&context);
        }
    }
}

/// Runs the loop until a task is done, and polls the main coroutine, while there is one.
type Turn<F> = fn(&Open, &Node, &mut Option<Pin<&mut F>>) -> Result<()>;

/// Polls the main coroutine of a parallel loop, and then waits for the task. An exit that is raised comes before both.
async fn poll_main<F>(
    event_loop: &EventLoop,
    node: &Node,
    main: &mut Option<Pin<&mut F>>,
) -> Result<()>
where
    F: Future<Output = ()>,
{
    let waiting = pin!(async {
        if let Some(main) = main {
            main.as_mut().await;
        }
        if !node.core().is_done() {
            // What it raises is for others to see.
            drop(WaitNode::new(node.clone()).await);
        }
    });
    event_loop.0.exit.unless_raised(waiting).await
}

impl Default for Runner {
    fn default() -> Runner {
        Runner::new()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            eprintln!("asyncio: closing the runner: {error}");
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Created => "created",
            State::Open(_) => "open",
            State::Closed => "closed",
        };
        f.debug_struct("Runner")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

/// Runs a coroutine in a new loop, then cancels and awaits what it left, and closes the loop (`asyncio.run`).
///
/// ```
/// use heist_asyncio as asyncio;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     asyncio::run(async {
///         asyncio::sleep(std::time::Duration::from_millis(1)).await?;
///         println!("hello");
///         Ok(())
///     })?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`Runner::run`].
#[track_caller]
pub fn run<T, F>(main: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    if EventLoop::running().is_some() {
        return Err(runtime_error(
            "asyncio.run() cannot be called from a running event loop",
        ));
    }
    let mut runner = Runner::new();
    let result = runner.run(main);
    runner.close()?;
    result
}
