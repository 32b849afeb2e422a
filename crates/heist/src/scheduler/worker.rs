//! A worker of the multi-thread scheduler.
//!
//! The worker's private state is its [`Core`]; the part that others may touch is its [`Remote`]. A
//! thread that plays the worker keeps the core in `scheduler/current.rs` and loops [`run`]: `tick`
//! until there is nothing, then park. `tick` never blocks.
//!
//! `block_in_place` takes the core from its thread, leaves it in the remote, and asks for another
//! thread to play the worker. Afterwards the first thread takes the core back if nobody has it
//! yet; else it has lost its role and leaves the loop when its poll ends.
//!
//! # The spare
//!
//! One worker more than was asked for exists to keep IO, timers and light tasks going while every
//! regular worker computes or is stuck. It takes nothing heavy, is not on the list of sleepers, and
//! is called when the last regular worker begins a heavy poll, or by the monitor. While anyone
//! computes it watches over the driver and everybody's timers; afterwards it *rests*: it gives the
//! driver to a regular worker and sleeps aside, so that it costs nothing.
//!
//! - **\[W1\]** Resting is announced before the last look at who computes, and the caller of the
//!   spare looks at the announcement after it has counted itself as computing; so one of the two
//!   sees the other.
//! - **\[W2\]** The spare gives the driver up before it looks for a sleeper to send there, and a
//!   sleeper is on the list before it tries the driver: one of the two gets it.
//!
//! Tests: `tests/it/`; the spare's in `tests/it/rescue.rs`.

use super::current::{self, Current};
use super::home::{COARSE_SHIFT, Home, Resident, coarse};
use super::park::{Parker, Unpark};
use super::queue::LocalQueue;
use super::{Drive, Policy};
use crate::budget;
use crate::clock::tsc::{Scale, Ticks};
use crate::metrics::WorkerCounters;
use crate::monitor::Monitor;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::deque::{Steal, Stealer};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, CachePadded, Condvar, Mutex};
use crate::task::{CurrentTask, Id, JoinError, Runnable};
use std::fmt;
use std::sync::Arc;

/// Polls between two looks at the injector while the own queue is full.
const INJECTOR_INTERVAL: u32 = 61;
/// One local wake in this many is stamped, to measure wake-to-run.
const STAMP_INTERVAL: u32 = 16;

/// Starts threads that play workers.
pub(crate) trait Roles: Send + Sync + 'static {
    /// Has a thread call `f` soon, whatever limits there are.
    fn play(&self, f: Box<dyn FnOnce() + Send>) -> std::io::Result<()>;
}

/// Called with the panic that nobody joined.
pub(crate) type PanicHook = Arc<dyn Fn(&JoinError) + Send + Sync>;

/// What all workers of a runtime see.
pub(crate) struct Shared {
    pub(crate) home: &'static Home,
    /// The regular workers, and the spare last.
    pub(crate) remotes: Box<[CachePadded<Remote>]>,
    drive: Arc<dyn Drive>,
    roles: Arc<dyn Roles>,
    panic_hook: PanicHook,
    /// `Policy::event_interval` in ticks.
    event_interval: u64,
    budget_limit: u64,
    scale: Scale,
    shutdown: AtomicBool,
    spare: AtomicU8,
    pub(crate) monitor: Monitor,
    /// Threads that play a worker; the condition variable tells when it is zero.
    playing: Mutex<usize>,
    all_left: Condvar,
}

/// The part of a worker that others may touch.
pub(crate) struct Remote {
    stealer: Stealer<Runnable>,
    parker: Parker,
    /// The core while no thread plays the worker.
    core: Mutex<Option<Box<Core>>>,
    pub(crate) counters: WorkerCounters,
    /// When the current poll began, in ticks; 0 between polls. Written by the thread that plays
    /// the worker, as the next two; Relaxed, since whoever reads them only judges by them.
    poll_began: AtomicU64,
    /// Which task it polls.
    polled_task: AtomicU64,
    /// The task is heavy, and so the poll is counted by the worker itself.
    polls_heavy: AtomicBool,
}

/// No thread has played the spare yet.
const SPARE_UNBORN: u8 = 0;
const SPARE_RESTS: u8 = 1;
const SPARE_WORKS: u8 = 2;

/// The part that only the thread that plays the worker touches.
pub(crate) struct Core {
    shared: Arc<Shared>,
    idx: usize,
    queue: LocalQueue,
    n_ticks: u32,
    n_wakes: u32,
    searching: bool,
    is_spare: bool,
    /// It polls a heavy task.
    computes: bool,
    /// When heavy tasks have waited long enough for their share.
    heavy_due: Ticks,
    /// Wakes come from a turn of the driver: queue them, and wake a peer once, afterwards.
    in_turn: bool,
    /// The end of the last poll.
    now: Ticks,
    last_turn: Ticks,
    rng: u64,
}

impl Shared {
    pub(crate) fn new(
        home: &'static Home,
        n_workers: usize,
        drive: Arc<dyn Drive>,
        roles: Arc<dyn Roles>,
        policy: &Policy,
        panic_hook: PanicHook,
    ) -> Arc<Self> {
        let scale = Scale::get();
        let queues: Vec<LocalQueue> = (0..=n_workers).map(|_| LocalQueue::new()).collect();
        let remotes = queues.iter().map(|queue| {
            CachePadded::new(Remote {
                stealer: queue.stealer(),
                parker: Parker::new(),
                core: Mutex::new(None),
                counters: WorkerCounters::new(),
                poll_began: AtomicU64::new(0),
                polled_task: AtomicU64::new(0),
                polls_heavy: AtomicBool::new(false),
            })
        });
        let shared = Arc::new(Self {
            home,
            remotes: remotes.collect(),
            drive,
            roles,
            panic_hook,
            event_interval: scale.ticks_in(policy.event_interval),
            budget_limit: scale.ticks_in(budget::LIMIT),
            scale,
            shutdown: AtomicBool::new(false),
            spare: AtomicU8::new(SPARE_UNBORN),
            monitor: Monitor::new(),
            playing: Mutex::new(0),
            all_left: Condvar::new(),
        });
        for (idx, queue) in queues.into_iter().enumerate() {
            let core = Core {
                shared: shared.clone(),
                idx,
                queue,
                n_ticks: 0,
                n_wakes: 0,
                searching: false,
                is_spare: idx == n_workers,
                computes: false,
                heavy_due: Ticks::default(),
                in_turn: false,
                now: scale.ticks(),
                last_turn: scale.ticks(),
                rng: 0x9e37_79b9_7f4a_7c15 ^ ((idx as u64 + 1) << 17),
            };
            *shared.remotes[idx].core.lock() = Some(Box::new(core));
        }
        shared
    }

    fn spare_idx(&self) -> usize {
        self.remotes.len() - 1
    }

    /// The regular workers.
    pub(crate) fn regular(&self) -> &[CachePadded<Remote>] {
        &self.remotes[..self.spare_idx()]
    }

    /// Someone must look after IO, timers and light tasks [W1].
    #[cold]
    pub(crate) fn call_spare(self: &Arc<Self>) {
        // ORDERING: SeqCst: after the caller has counted itself as computing, pairs with the
        // announcement in `rest`.
        match self.spare.swap(SPARE_WORKS, SeqCst) {
            SPARE_WORKS => {}
            SPARE_RESTS => self.unpark_worker(self.spare_idx()),
            _ => {
                // Without a thread to be had, nobody is worse off than without a spare.
                if self.start(self.spare_idx()).is_err() {
                    // ORDERING: SeqCst, as above.
                    self.spare.store(SPARE_UNBORN, SeqCst);
                }
            }
        }
    }

    /// Sends a parked regular worker to the driver, if nobody is there [W2].
    pub(crate) fn man_the_driver(&self) {
        if self.drive.poller().is_none() {
            if let Some(worker) = self.home.idle.any_sleeper() {
                self.unpark_worker(worker);
            }
        }
    }

    /// Makes whoever is in the driver look at the timers of stuck workers, too.
    pub(crate) fn refresh_driver(&self) {
        self.drive.notify();
    }

    /// Asks for a thread that plays worker `idx`.
    pub(crate) fn start(self: &Arc<Self>, idx: usize) -> std::io::Result<()> {
        *self.playing.lock() += 1;
        let shared = self.clone();
        let role = Box::new(move || {
            run(&shared, idx);
            shared.leave();
        });
        let started = self.roles.play(role);
        if started.is_err() {
            self.leave();
        }
        started
    }

    /// A thread stopped playing. The last one drops what is left.
    fn leave(&self) {
        let mut playing = self.playing.lock();
        *playing -= 1;
        if *playing == 0 {
            drop(playing);
            if self.is_shut_down() {
                self.close();
            }
            self.all_left.notify_all();
        }
    }

    /// Stops every worker after its current poll.
    pub(crate) fn shut_down(&self) {
        // ORDERING: Release pairs with the Acquire in `is_shut_down`.
        self.shutdown.store(true, Release);
        for worker in 0..self.remotes.len() {
            self.unpark_worker(worker);
        }
        self.monitor.stop();
        self.home.registry.close_and_abort_all();
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `shut_down`.
        self.shutdown.load(Acquire)
    }

    /// Drops every task: those in queues, those that wait, and with [S7] those on their way.
    fn close(&self) {
        self.home.registry.close_and_abort_all();
        for remote in &self.remotes {
            let core = remote.core.lock().take();
            if let Some(mut core) = core {
                while let Some(runnable) = core.queue.pop() {
                    drop(runnable);
                }
            }
        }
        self.home.abandon();
        self.home.vacate();
    }

    /// Waits until no thread plays a worker; `false` if the timeout came first.
    pub(crate) fn wait_until_left(&self, deadline: Option<std::time::Instant>) -> bool {
        let mut playing = self.playing.lock();
        while *playing > 0 {
            match deadline {
                None => playing = self.all_left.wait(playing),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(crate::clock::real_now());
                    if left.is_zero() {
                        return false;
                    }
                    playing = self.all_left.wait_for(playing, left).0;
                }
            }
        }
        true
    }

    pub(crate) fn unpark_worker(&self, worker: usize) {
        if self.remotes[worker].parker.unpark() == Unpark::NotifyDriver {
            self.drive.notify();
        }
    }
}

impl Resident for Shared {
    fn unpark(&self, worker: usize) {
        self.unpark_worker(worker);
    }

    fn unpark_spare(&self) {
        self.unpark_worker(self.spare_idx());
    }

    fn poller(&self) -> Option<usize> {
        self.drive.poller()
    }

    fn unhandled_panic(&self, error: &JoinError) {
        (self.panic_hook)(error);
    }
}

impl Remote {
    /// The poll that the worker is in: the task, and when it began.
    pub(crate) fn poll(&self) -> Option<(Id, Ticks)> {
        // Relaxed, both: see the fields.
        let began = self.poll_began.load(Relaxed);
        let task = self.polled_task.load(Relaxed);
        match began {
            0 => None,
            _ => Some((Id::from_bits(task), Ticks(began))),
        }
    }

    /// The worker has counted itself among those that compute.
    pub(crate) fn counts_itself(&self) -> bool {
        // Relaxed: see the fields.
        self.polls_heavy.load(Relaxed)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("n_workers", &self.remotes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("idx", &self.idx)
            .finish_non_exhaustive()
    }
}

impl Core {
    #[inline]
    pub(crate) fn works_for(&self, home: &'static Home) -> bool {
        std::ptr::eq(self.shared.home, home)
    }

    pub(crate) fn idx(&self) -> usize {
        self.idx
    }

    /// It polls a heavy task, behind which nothing should wait.
    #[inline]
    pub(super) fn computes(&self) -> bool {
        self.computes
    }

    fn remote(&self) -> &Remote {
        &self.shared.remotes[self.idx]
    }

    /// Queues a task that was woken here. `true`: a peer may be wanted [S3].
    #[inline]
    pub(super) fn push(&mut self, runnable: Runnable) -> bool {
        self.n_wakes = self.n_wakes.wrapping_add(1);
        if self.n_wakes % STAMP_INTERVAL == 0 {
            runnable.stamp_wake(coarse(self.shared.scale.ticks().0));
        }
        if self.in_turn {
            self.queue.push_back(runnable);
            return false;
        }
        self.queue.push_lifo(runnable)
    }

    /// Queues a task that yielded.
    #[inline]
    pub(super) fn push_back(&mut self, runnable: Runnable) -> bool {
        self.queue.push_back(runnable);
        !self.in_turn
    }

    /// The next task to run, from wherever there is one.
    fn next(&mut self) -> Option<Runnable> {
        self.n_ticks = self.n_ticks.wrapping_add(1);
        if self.now >= self.heavy_due && !self.is_spare {
            if let Some(runnable) = self.take_heavy() {
                return Some(runnable);
            }
            // Nothing heavy waits: look again in a while.
            self.heavy_due = Ticks(self.now.0.saturating_add(self.shared.budget_limit));
        }
        if self.n_ticks % INJECTOR_INTERVAL == 0 {
            if let Some(runnable) = self.queue.take_from(self.shared.home.injector()) {
                return Some(runnable);
            }
        }
        if let Some(runnable) = self.queue.pop() {
            return Some(runnable);
        }
        if let Some(runnable) = self.queue.take_from(self.shared.home.injector()) {
            return Some(runnable);
        }
        self.steal().or_else(|| match self.is_spare {
            true => None,
            false => self.take_heavy(),
        })
    }

    fn take_heavy(&self) -> Option<Runnable> {
        loop {
            match self.shared.home.heavy().steal() {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => return None,
            }
        }
    }

    fn steal(&mut self) -> Option<Runnable> {
        if !self.searching && !self.is_spare {
            self.searching = self.shared.home.idle.start_searching();
            if !self.searching {
                return None;
            }
        }
        let n = self.shared.remotes.len();
        let start = self.random(n);
        for offset in 0..n {
            let victim = (start + offset) % n;
            if victim == self.idx {
                continue;
            }
            if let Some(runnable) = self.queue.steal_from(&self.shared.remotes[victim].stealer) {
                self.remote().counters.steals.add(1);
                return Some(runnable);
            }
        }
        self.queue.take_from(self.shared.home.injector())
    }

    /// xorshift: only to spread thieves.
    fn random(&mut self, n: usize) -> usize {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng % n as u64) as usize
    }

    /// The worker is about to run a task. `true`: it was the last to search [S5].
    fn found_work(&mut self) -> bool {
        if !self.searching {
            return false;
        }
        self.searching = false;
        self.shared.home.idle.stop_searching()
    }

    /// Writes down for the monitor what is about to be polled.
    #[inline]
    fn begin_poll(&self, runnable: &Runnable) {
        let remote = self.remote();
        let heavy = runnable.weight().is_heavy();
        // Relaxed, all: see the fields.
        if remote.polls_heavy.load(Relaxed) != heavy {
            remote.polls_heavy.store(heavy, Relaxed);
        }
        remote.polled_task.store(runnable.id().to_bits(), Relaxed);
        remote.poll_began.store(self.now.0, Relaxed);
    }

    /// Something that a thief, or this worker at a second look, could run.
    fn sees_work(&self, look_at_peers: bool) -> bool {
        let home = self.shared.home;
        if self.queue.len() > 0 || !home.injector().is_empty() {
            return true;
        }
        if !self.is_spare && !home.heavy().is_empty() {
            return true;
        }
        look_at_peers && self.shared.remotes.iter().any(|r| !r.stealer.is_empty())
    }

    fn count_poll(&mut self, stamp: Option<u32>) {
        let start = self.now;
        let end = budget::take_end();
        self.now = end.unwrap_or_else(|| self.shared.scale.ticks());
        let remote = self.remote();
        // Relaxed: see the field.
        remote.poll_began.store(0, Relaxed);
        let counters = &remote.counters;
        counters.polls.add(1);
        counters.queue_depth.set(self.queue.len() as u64);
        counters.poll_ticks.record(self.now.since(start));
        if let Some(stamp) = stamp {
            let waited = coarse(start.0).wrapping_sub(stamp);
            // A stamp newer than our clock reading is a wait of nothing.
            let waited = if waited > u32::MAX / 2 { 0 } else { waited };
            counters
                .wait_ticks
                .record(u64::from(waited) << COARSE_SHIFT);
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Ran,
    /// Nothing to run anywhere.
    Idle,
    /// Another thread plays this worker now.
    Lost,
}

/// One step: perhaps a turn of the driver, then one task. Never blocks.
fn tick(shared: &Arc<Shared>) -> Tick {
    let due =
        current::with_worker(|core| core.now.since(core.last_turn) >= core.shared.event_interval);
    match due {
        None => return Tick::Lost,
        Some(true) => turn(shared),
        Some(false) => {}
    }
    let next = current::with_worker(|core| {
        core.next().map(|runnable| {
            core.begin_poll(&runnable);
            (runnable, core.found_work(), core.now)
        })
    });
    let (runnable, last_searcher, now) = match next {
        None => return Tick::Lost,
        Some(None) => return Tick::Idle,
        Some(Some(next)) => next,
    };
    if last_searcher {
        shared.home.wake_after_local_push();
    }
    let stamp = runnable.take_wake_stamp();
    let id = CurrentTask::enter(runnable.id());
    budget::begin_poll(now, shared.budget_limit);
    match runnable.weight().is_heavy() {
        true => run_heavy(shared, runnable),
        false => runnable.run(),
    }
    budget::end_poll();
    drop(id);
    match current::with_worker(|core| core.count_poll(stamp)) {
        Some(()) => Tick::Ran,
        None => Tick::Lost,
    }
}

/// Polls a heavy task, with the spare at hand for everything else.
fn run_heavy(shared: &Arc<Shared>, runnable: Runnable) {
    let set = |computes| {
        current::with_worker(|core| core.computes = computes);
    };
    set(true);
    if shared.home.begin_heavy() {
        shared.call_spare();
    }
    runnable.run();
    shared.home.end_heavy();
    set(false);
    current::with_worker(|core| {
        // Heavy tasks get at least one part in eight of a worker's time.
        let now = core.shared.scale.ticks();
        let took = now.since(core.now).max(core.shared.budget_limit);
        core.heavy_due = Ticks(now.0.saturating_add(7 * took));
    });
}

/// Gives the driver a turn; what it wakes is queued here, and one peer is woken for it.
fn turn(shared: &Arc<Shared>) {
    let Some((idx, before)) = current::with_worker(|core| {
        core.in_turn = true;
        (core.idx, core.queue.len())
    }) else {
        return;
    };
    // PANIC: wakers are user code; the driver catches what they throw.
    shared.drive.turn(idx);
    let more = current::with_worker(|core| {
        core.in_turn = false;
        core.now = core.shared.scale.ticks();
        core.last_turn = core.now;
        core.queue.has_stealable() && core.queue.len() > before.max(1)
    });
    if more == Some(true) {
        shared.home.wake_after_local_push();
    }
}

/// Blocks until there may be something to do.
fn park(shared: &Arc<Shared>) {
    if current::with_worker(|core| core.is_spare) == Some(true) {
        return park_spare(shared);
    }
    let parked = current::with_worker(|core| {
        let home = core.shared.home;
        let was_last_searcher = home.idle.park(core.idx, core.searching);
        core.searching = false;
        let counters = &core.remote().counters;
        counters.parked(core.shared.scale.ticks());
        // [S2]: we have said that we park; now look once more.
        let stay = core.sees_work(was_last_searcher) || core.shared.is_shut_down();
        core.in_turn = true;
        (core.idx, stay)
    });
    let Some((idx, stay)) = parked else { return };
    if !stay {
        // PANIC: wakers are user code; the driver catches what they throw.
        let watch = shared.home.any_computes();
        shared.drive.park(idx, watch, &shared.remotes[idx].parker);
    }
    let wake_peer = current::with_worker(|core| {
        core.in_turn = false;
        core.searching = core.shared.home.idle.unpark(core.idx);
        core.now = core.shared.scale.ticks();
        core.last_turn = core.now;
        core.remote().counters.unparked(core.now);
        core.queue.len() > 1
    });
    shared.monitor.worker_awake();
    if wake_peer == Some(true) {
        shared.home.wake_after_local_push();
    }
}

/// The spare found nothing: it watches while anyone computes, else it rests.
fn park_spare(shared: &Arc<Shared>) {
    let idx = shared.spare_idx();
    let parker = &shared.remotes[idx].parker;
    let set_in_turn = |in_turn| {
        current::with_worker(|core| {
            core.in_turn = in_turn;
            core.now = core.shared.scale.ticks();
            core.last_turn = core.now;
        });
    };
    set_in_turn(true);
    if shared.home.any_computes() {
        // Whoever pushes while all compute leaves us the token, so nothing is missed between this
        // look and the wait.
        if current::with_worker(|core| core.sees_work(true)) == Some(false) {
            // PANIC: wakers are user code; the driver catches what they throw.
            shared.drive.park(idx, true, parker);
        }
    } else {
        rest(shared);
    }
    set_in_turn(false);
}

/// Sleeps aside until called [W1, W2].
fn rest(shared: &Arc<Shared>) {
    let idx = shared.spare_idx();
    // ORDERING: SeqCst: the announcement comes before the look at who computes, pairs with the
    // count before the swap in `call_spare`.
    shared.spare.store(SPARE_RESTS, SeqCst);
    let called = shared.home.all_compute() || shared.is_shut_down();
    let work = current::with_worker(|core| core.queue.len() > 0);
    if !called && work == Some(false) {
        shared.man_the_driver();
        // PANIC: wakers are user code; the driver catches what they throw.
        shared.drive.park_aside(idx, &shared.remotes[idx].parker);
    }
    // ORDERING: SeqCst, as above.
    shared.spare.store(SPARE_WORKS, SeqCst);
}

/// Plays worker `idx` until the role is lost or the runtime shuts down.
fn run(shared: &Arc<Shared>, idx: usize) {
    let Some(core) = shared.remotes[idx].core.lock().take() else {
        // The thread that blocked took its core back before we came.
        return;
    };
    let previous = current::replace(Current::Worker(core));
    while !shared.is_shut_down() {
        match tick(shared) {
            Tick::Ran => {}
            Tick::Idle => park(shared),
            Tick::Lost => break,
        }
    }
    if let Current::Worker(core) = current::replace(previous) {
        *shared.remotes[idx].core.lock() = Some(core);
    }
}

/// Lets another thread play this thread's worker while `f` blocks. Elsewhere it just calls `f`.
pub(crate) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let core = match current::replace(Current::Nothing) {
        Current::Worker(core) => core,
        other => {
            current::replace(other);
            return f();
        }
    };
    let shared = core.shared.clone();
    let idx = core.idx;
    let searching = core.searching;
    debug_assert!(!searching, "a worker that runs a task does not search");
    *shared.remotes[idx].core.lock() = Some(core);
    // The core comes back even if `f` unwinds.
    let _take_back = TakeBack {
        shared: shared.clone(),
        idx,
    };
    if shared.start(idx).is_err() {
        // No thread to be had: the worker stands still while we block, as it would have without
        // us. Its queue can be stolen from.
        if let Some(core) = &mut *shared.remotes[idx].core.lock() {
            core.queue.flush_lifo();
        }
        shared.home.wake_after_local_push();
    }
    f()
}

struct TakeBack {
    shared: Arc<Shared>,
    idx: usize,
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        if let Some(core) = self.shared.remotes[self.idx].core.lock().take() {
            current::replace(Current::Worker(core));
        }
    }
}
