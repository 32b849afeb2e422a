//! The current-thread scheduler: one FIFO, run by passes on the thread that calls `block_on`.
//!
//! A pass takes what is ready now, in order, and runs just that: what it makes ready waits for the
//! next pass. Between passes the root future is polled if it was woken, what came from other
//! threads joins the end, and the driver gets a turn when one is due.
//!
//! The scheduler's core is wherever it is driven: in `scheduler/current.rs` of the driving thread,
//! else in [`LocalShared`]. A `block_on` inside a task drives the same core from within, so nesting
//! does not deadlock. A second thread that calls `block_on` polls its future by itself and takes
//! the core over when the first is done.
//!
//! Futures that are not `Send` come in through [`LocalShared::spawn_local`], which demands that
//! the calling thread is the owner: rule \[S8\].
//!
//! Tests: `tests/it/local.rs`, `tests/it/nesting.rs`, `tests/it/virtual_clock.rs`.
#![expect(unsafe_code, reason = "one call: a !Send future goes into a task")]

use super::current::{self, Current, Newborn};
use super::home::{COARSE_SHIFT, Resident, coarse};
use super::park::{Parker, Unpark};
use super::{Drive, Home, Parked, Policy};
use crate::budget;
use crate::clock::tsc::{Scale, Ticks};
use crate::metrics::{Counter, WorkerCounters, WorkerMetrics};
use crate::report::PanicHook;
use crate::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use crate::sync::{AtomicBool, Mutex, thread};
use crate::task::{self, CurrentTask, Details, JoinError, JoinHandle, NewTask, Own, Runnable};
use std::collections::VecDeque;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Nothing is ready and nothing can ever be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlock;

/// What all threads see of a current-thread scheduler.
pub(crate) struct LocalShared {
    pub(crate) home: &'static Home,
    counters: WorkerCounters,
    /// Tasks that are ready, after the last poll.
    queue_depth: Counter,
    parker: Parker,
    drive: Arc<dyn Drive>,
    panic_hook: PanicHook,
    event_interval: u64,
    budget_limit: u64,
    scale: Scale,
    /// The core while nobody drives it.
    core: Mutex<Option<Box<LocalCore>>>,
    /// Threads that wait for the core.
    waiting: Mutex<Vec<Arc<ThreadWaker>>>,
    /// The thread that `!Send` tasks belong to.
    owner: Option<thread::ThreadId>,
}

/// What only the driving thread touches.
pub(crate) struct LocalCore {
    shared: Arc<LocalShared>,
    ready: VecDeque<Runnable>,
    /// Its shard of the registry.
    pub(super) own: Option<Own>,
    n_wakes: u32,
    now: Ticks,
    last_turn: Ticks,
}

impl Drop for LocalCore {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            self.shared.home.registry.take_back(own);
        }
    }
}

impl LocalCore {
    #[inline]
    pub(crate) fn works_for(&self, home: &'static Home) -> bool {
        std::ptr::eq(self.shared.home, home)
    }

    #[inline]
    pub(super) fn push(&mut self, runnable: Runnable) {
        self.n_wakes = self.n_wakes.wrapping_add(1);
        if self.n_wakes % 16 == 0 {
            runnable.stamp_wake(coarse(self.shared.scale.ticks().0));
        }
        self.ready.push_back(runnable);
    }

    /// Registers and queues a light task that is spawned here. Nobody else wants it.
    #[inline]
    pub(super) fn start(&mut self, epoch: u64, newborn: Newborn) -> Result<(), Newborn> {
        let Some(own) = &mut self.own else {
            return Err(newborn);
        };
        let runnable = newborn.register(own, epoch)?;
        self.push(runnable);
        Ok(())
    }

    /// What came from outside joins the end. Answers how many are ready now.
    fn take_remote(&mut self) -> usize {
        use crate::sync::deque::Steal;
        // Heavy ones that were woken by other threads too: here they have no queue of their own.
        for queue in [self.shared.home.injector(), self.shared.home.heavy()] {
            // A look costs no fence; a steal does, and there is a look for each pass.
            while !queue.is_empty() {
                match queue.steal() {
                    Steal::Success(runnable) => self.ready.push_back(runnable),
                    Steal::Retry => std::hint::spin_loop(),
                    Steal::Empty => break,
                }
            }
        }
        self.ready.len()
    }

    fn count_poll(&mut self, stamp: Option<u32>) {
        let start = self.now;
        let end = budget::take_end();
        self.now = end.unwrap_or_else(|| self.shared.scale.ticks());
        let counters = &self.shared.counters;
        self.shared.queue_depth.set(self.ready.len() as u64);
        counters.poll_ticks.record(self.now.since(start));
        if let Some(stamp) = stamp {
            let waited = coarse(start.0).wrapping_sub(stamp);
            let waited = if waited > u32::MAX / 2 { 0 } else { waited };
            counters
                .wait_ticks
                .record(u64::from(waited) << COARSE_SHIFT);
        }
    }
}

impl fmt::Debug for LocalCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCore")
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

impl LocalShared {
    pub(crate) fn new(
        home: &'static Home,
        drive: Arc<dyn Drive>,
        policy: &Policy,
        panic_hook: PanicHook,
        owner: Option<thread::ThreadId>,
    ) -> Arc<Self> {
        let scale = *Scale::get();
        let shared = Arc::new(Self {
            home,
            counters: WorkerCounters::new(),
            queue_depth: Counter::default(),
            parker: Parker::new(),
            drive,
            panic_hook,
            event_interval: scale.ticks_in(policy.event_interval),
            budget_limit: scale.ticks_in(budget::LIMIT),
            scale,
            core: Mutex::new(None),
            waiting: Mutex::new(Vec::new()),
            owner,
        });
        let core = LocalCore {
            shared: shared.clone(),
            ready: VecDeque::new(),
            own: home.registry.lend(0),
            n_wakes: 0,
            now: scale.ticks(),
            last_turn: scale.ticks(),
        };
        *shared.core.lock() = Some(Box::new(core));
        shared.counters.parked(scale.ticks());
        shared
    }

    pub(crate) fn snapshot(&self, started: Ticks) -> WorkerMetrics {
        let queue_depth = self.queue_depth.get() as usize;
        self.counters.snapshot(started, queue_depth)
    }

    /// Spawns a future that never leaves this thread. `None`: this is not the owner's thread, or
    /// nobody owns this scheduler.
    pub(crate) fn spawn_local<F>(
        &self,
        epoch: u64,
        future: F,
        details: Details,
    ) -> Option<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if self.owner != Some(thread::current().id()) {
            return None;
        }
        // SAFETY: the calling thread is the owner, and by [S8] runnables of this home are run and
        // dropped by the owner alone: `block_on` takes the core on the owner's thread only;
        // `LocalRuntime`, whose drop ends the scheduler, is not `Send`; a home that is local is
        // drained by `close` alone, and a home with helpers of an earlier resident is not let.
        let task = unsafe { NewTask::new_unchecked(future, self.home) };
        Some(self.home.spawn(epoch, task, details))
    }

    /// Runs `future` and the scheduler until the future is done.
    ///
    /// # Errors
    ///
    /// [`Deadlock`], under a virtual clock.
    pub(crate) fn block_on<F: Future>(self: &Arc<Self>, future: F) -> Result<F::Output, Deadlock> {
        if self
            .owner
            .is_some_and(|owner| owner != thread::current().id())
        {
            // [S8]: a `&LocalRuntime` can reach other threads as a `&Runtime`. They poll their own
            // future, and leave the tasks to the owner.
            return Ok(block_thread_on(future));
        }
        let mut future = pin!(future);
        if current::with_local(|core| core.works_for(self.home)) == Some(true) {
            return self.drive(future);
        }
        // Apart, so that the lock is not held while we wait.
        let free = self.core.lock().take();
        let core = match free {
            Some(core) => core,
            None => match self.wait_for_core(future.as_mut()) {
                Ok(output) => return Ok(output),
                Err(core) => core,
            },
        };
        self.counters.unparked(self.scale.ticks());
        let _driving = Driving {
            shared: self,
            previous: Some(current::replace(Current::Local(core))),
        };
        self.drive(future)
    }

    /// Another thread drives: polls the future here until it is done or the core is free.
    fn wait_for_core<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Box<LocalCore>> {
        let thread = Arc::new(ThreadWaker::new());
        let waker = Waker::from(thread.clone());
        self.waiting.lock().push(thread.clone());
        let result = loop {
            if let Some(core) = self.core.lock().take() {
                break Err(core);
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                break Ok(output);
            }
            thread.parker.park(None);
        };
        self.waiting
            .lock()
            .retain(|other| !Arc::ptr_eq(other, &thread));
        result
    }

    fn drive<F: Future>(self: &Arc<Self>, mut future: Pin<&mut F>) -> Result<F::Output, Deadlock> {
        let root = Arc::new(Root {
            woken: AtomicBool::new(true),
            shared: self.clone(),
        });
        let waker = Waker::from(root.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            // Relaxed: a look; what it misses is found before the thread parks.
            // ORDERING: AcqRel pairs with the Release in `Root::wake`.
            if root.woken.load(Relaxed) && root.woken.swap(false, AcqRel) {
                let now = self.with_core(|core| core.now);
                budget::begin_poll(now, self.budget_limit);
                let polled = future.as_mut().poll(&mut cx);
                budget::end_poll();
                self.with_core(|core| core.now = core.shared.scale.ticks());
                if let Poll::Ready(output) = polled {
                    return Ok(output);
                }
            }
            let due = |core: &mut LocalCore| core.now.since(core.last_turn) >= self.event_interval;
            if self.with_core(due) {
                self.turn();
            }
            // Counted after the turn, which may have woken some.
            let n_ready = self.with_core(LocalCore::take_remote);
            match n_ready {
                // ORDERING: AcqRel pairs with the Release in `Root::wake`; a read-modify-write,
                // so that the latest value is seen.
                0 if !root.woken.fetch_and(true, AcqRel) => self.park(&root)?,
                n => self.pass(n),
            }
        }
    }

    /// Runs the first `n` of what is ready.
    fn pass(&self, n: usize) {
        for _ in 0..n {
            // A `block_on` inside one of them may have run the others.
            let next = self.with_core(|core| core.ready.pop_front().map(|next| (next, core.now)));
            let Some((runnable, now)) = next else { return };
            let stamp = runnable.take_wake_stamp();
            let id = CurrentTask::enter(runnable.id());
            budget::begin_poll(now, self.budget_limit);
            let again = runnable.run();
            budget::end_poll();
            drop(id);
            self.with_core(|core| {
                if let Some(again) = again {
                    core.push(again);
                }
                core.count_poll(stamp);
            });
        }
    }

    fn turn(&self) {
        // PANIC: wakers are user code; the driver catches what they throw.
        self.drive.turn(0);
        self.with_core(|core| {
            core.now = core.shared.scale.ticks();
            core.last_turn = core.now;
        });
    }

    fn park(&self, root: &Root) -> Result<(), Deadlock> {
        self.home.idle.park(0, false);
        self.counters.parked(self.scale.ticks());
        // [S2]: we have said that we park; now look once more.
        // ORDERING: AcqRel: a read-modify-write, so that the latest value is seen.
        let home = self.home;
        let queued = !home.injector().is_empty() || !home.heavy().is_empty();
        let stay = queued || root.woken.fetch_and(true, AcqRel);
        let parked = match stay {
            true => Parked::Woke,
            // PANIC: wakers are user code; the driver catches what they throw.
            false => self.drive.park(0, &|| false, &self.parker),
        };
        self.unparked();
        self.with_core(|core| {
            core.now = core.shared.scale.ticks();
            core.last_turn = core.now;
        });
        match parked {
            Parked::Woke => Ok(()),
            Parked::Deadlock => Err(Deadlock),
        }
    }

    fn unparked(&self) {
        self.counters.unparked(self.scale.ticks());
        if self.home.idle.unpark(0) {
            // The waker counted us as one that searches; we are the only worker.
            self.home.idle.stop_searching();
        }
    }

    fn with_core<R>(&self, f: impl FnOnce(&mut LocalCore) -> R) -> R {
        current::with_local(f).expect("the driving thread holds the core while it drives")
    }

    /// Interrupts the driving thread.
    fn unpark_driver(&self) {
        if self.parker.unpark() == Unpark::NotifyDriver {
            self.drive.notify();
        }
    }

    /// Interrupts the driving thread, unless it is this one.
    pub(crate) fn unpark_from_elsewhere(&self) {
        let here = current::with_local(|core| core.works_for(self.home));
        if here != Some(true) {
            self.unpark_driver();
        }
    }

    /// Drops every task. Nobody drives, and nobody will. On the owner's thread, if there is one.
    pub(crate) fn close(self: &Arc<Self>) {
        let core = self.core.lock().take();
        let Some(core) = core else { return };
        // Wakes of futures that are dropped below go to the core's queue.
        let previous = current::replace(Current::Local(core));
        self.home.registry.close_and_abort_all();
        loop {
            while let Some(runnable) = self.with_core(|core| core.ready.pop_front()) {
                drop(runnable);
            }
            self.home.abandon();
            // [S8]: one that is being woken by another thread right now must be dropped here.
            let waits = self.owner.is_some() && self.home.registry.n_async() > 0;
            if !waits && self.with_core(|core| core.ready.is_empty()) {
                break;
            }
            thread::yield_now();
        }
        // The core refers to us: dropping it breaks the circle.
        drop(current::replace(previous));
        self.home.vacate();
    }
}

impl Resident for LocalShared {
    fn unpark(&self, _worker: usize) {
        self.unpark_driver();
    }

    fn unpark_spare(&self) {}

    fn poller(&self) -> Option<usize> {
        None
    }

    fn unhandled_panic(&self, error: &JoinError) {
        (self.panic_hook)(error);
    }
}

impl fmt::Debug for LocalShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalShared").finish_non_exhaustive()
    }
}

/// Gives the core back, however the driving ends.
struct Driving<'a> {
    shared: &'a Arc<LocalShared>,
    previous: Option<Current>,
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        budget::end_poll();
        let previous = self.previous.take().unwrap_or(Current::Nothing);
        if matches!(previous, Current::Nothing) {
            task::give_back();
        }
        if let Current::Local(core) = current::replace(previous) {
            self.shared.counters.parked(self.shared.scale.ticks());
            *self.shared.core.lock() = Some(core);
            for thread in &*self.shared.waiting.lock() {
                thread.wake_by_ref();
            }
        }
    }
}

/// The waker of a root future on the driving thread.
struct Root {
    woken: AtomicBool,
    shared: Arc<LocalShared>,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the swap in `drive`.
        self.woken.store(true, Release);
        self.shared.unpark_from_elsewhere();
    }
}

/// The waker of a thread that polls a future by itself.
#[derive(Debug)]
pub(crate) struct ThreadWaker {
    pub(crate) parker: Parker,
}

impl ThreadWaker {
    pub(crate) fn new() -> Self {
        Self {
            parker: Parker::new(),
        }
    }
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It never blocks in a driver.
        let (Unpark::Done | Unpark::NotifyDriver) = self.parker.unpark();
    }
}

/// Polls a future on this thread, which blocks meanwhile and runs nothing else.
pub(crate) fn block_thread_on<F: Future>(future: F) -> F::Output {
    let _lifted = budget::lift();
    let mut future = pin!(future);
    let thread = Arc::new(ThreadWaker::new());
    let waker = Waker::from(thread.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread.parker.park(None);
    }
}
