//! A scheduler's home: the part that tasks point at, which outlives them all.
//!
//! Every task needs its scheduler: to be queued when woken, to leave the registry when complete.
//! Counting references to it would make every worker write one cache line for every task. So homes
//! are leaked and used again: a pool hands them out to runtimes and takes them back when they are
//! drained. A process holds as many as it ever had runtimes at once.
//!
//! A waker that outlives its runtime finds its task complete and touches nothing. One that is
//! half-way through a wake while its runtime ends still has its runnable, so the task is not
//! complete, the registry is not drained, and the home is not given back: \[S6\] costs no count.
//! One that helps to empty an abandoned home counts itself, and nobody moves in meanwhile \[S7\]. The
//! worst that a straggler can do is to unpark a worker of the home's next runtime for nothing.
//!
//! Tests: `scheduler/tests/home.rs`, `tests/it/shutdown.rs`.

use super::current::{self, Newborn, SHARDS_A_THREAD};
use super::fork::Forks;
use super::idle::Idle;
use super::record::Record;
use super::sites::Sites;
use super::spare::Spare;
use super::suspects::Suspects;
use crate::budget::{self, Length};
use crate::clock::tsc::{Scale, Ticks};
use crate::error::ignore_panic;
use crate::report;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::deque::{Injector, Steal};
use crate::sync::{AtomicBool, AtomicUsize, CachePadded, RwLock, RwLockReadGuard, fence};
use crate::task::{
    Birth, Details, Id, JoinError, JoinHandle, NewTask, Registry, Runnable, Schedule, TaskRef,
    Weight,
};
use std::fmt;

/// What a home needs of the runtime that lives in it.
pub(crate) trait Resident: Send + Sync + 'static {
    /// Interrupts this parked worker.
    fn unpark(&self, worker: usize);

    /// Every regular worker computes: interrupts the spare.
    fn unpark_spare(&self);

    /// The worker to be woken last, because it blocks in the driver.
    fn poller(&self) -> Option<usize>;

    /// A task panicked and nobody will join it.
    fn unhandled_panic(&self, error: &JoinError);
}

/// See the module.
pub(crate) struct Home {
    injector: Injector<Runnable>,
    /// Tasks that compute for long: run when nothing light is ready.
    heavy: Injector<Runnable>,
    /// Those that may turn out to, and that the spare did not take: they come before the heavy ones.
    pub(crate) suspects: Suspects,
    pub(crate) spare: Spare,
    sites: Sites,
    /// Heavy tasks and sites are found out by their polls.
    learns: AtomicBool,
    pub(crate) registry: Registry,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) forks: Forks,
    /// No worker will look at the injector any more \[S7\].
    abandoned: AtomicBool,
    /// Threads that help to empty an abandoned home \[S7\]; while there are any, nobody moves in.
    helpers: AtomicUsize,
    /// Local tasks are dropped by their owner alone \[S8\].
    local: AtomicBool,
    /// Apart: whoever pushes from outside writes it each time.
    remote_schedules: CachePadded<AtomicUsize>,
    /// Tasks and spawn sites that were found to be heavy.
    found_heavy: AtomicUsize,
    /// Taken for a moment by whoever must unpark a worker, never on the common path.
    resident: RwLock<Option<std::sync::Arc<dyn Resident>>>,
}

/// Homes that no runtime lives in. One whose registry is not drained yet waits for a straggler.
static VACANT: RwLock<Vec<&'static Home>> = RwLock::new(Vec::new());

impl Home {
    pub(crate) fn build() -> &'static Home {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Box::leak(Box::new(Self {
            injector: Injector::new(),
            heavy: Injector::new(),
            suspects: Suspects::new(),
            spare: Spare::new(),
            sites: Sites::new(),
            learns: AtomicBool::new(true),
            registry: Registry::new((SHARDS_A_THREAD * threads.next_power_of_two()).min(128)),
            idle: CachePadded::new(Idle::new()),
            forks: Forks::new(),
            abandoned: AtomicBool::new(false),
            helpers: AtomicUsize::new(0),
            local: AtomicBool::new(false),
            remote_schedules: CachePadded::new(AtomicUsize::new(0)),
            found_heavy: AtomicUsize::new(0),
            resident: RwLock::new(None),
        }))
    }

    /// Moves in: `workers` workers, all awake. `local`: tasks may be `!Send`.
    ///
    /// The answer's epoch must be named by every spawn, so that none comes through a handle of an
    /// earlier resident.
    pub(crate) fn acquire(workers: usize, local: bool) -> (&'static Home, u64) {
        let vacant = {
            let mut vacant = VACANT.write();
            let free = |home: &&Home| home.registry.is_drained() && home.let_to(local);
            let drained = vacant.iter().position(free);
            drained.map(|position| vacant.swap_remove(position))
        };
        let home = vacant.unwrap_or_else(Self::build);
        let epoch = home.registry.reopen();
        home.idle.reset(workers);
        // Relaxed: the home reaches other threads through the runtime.
        home.local.store(local, Relaxed);
        home.remote_schedules.store(0, Relaxed);
        home.found_heavy.store(0, Relaxed);
        home.spare.reset();
        home.sites.reset();
        home.suspects.reset();
        home.learns.store(true, Relaxed);
        (home, epoch)
    }

    /// Switches the learning off.
    pub(crate) fn learn_nothing(&self) {
        // Relaxed: before the runtime reaches other threads.
        self.learns.store(false, Relaxed);
    }

    pub(crate) fn set_resident(&self, resident: std::sync::Arc<dyn Resident>) {
        *self.resident.write() = Some(resident);
    }

    /// Moves out: nothing of the runtime will touch the home again, but for stragglers \[S6\].
    pub(crate) fn vacate(&'static self) {
        *self.resident.write() = None;
        // PANIC: the drop of a joiner's waker is user code; the panic hook has spoken.
        let completed = self.registry.collect_all();
        ignore_panic(|| drop(completed));
        VACANT.write().push(self);
    }

    /// Registers a task and makes it runnable. After shutdown its future is dropped and the handle
    /// says that it was aborted.
    #[inline]
    pub(crate) fn spawn<T>(
        &'static self,
        epoch: u64,
        task: NewTask<T>,
        details: Details,
    ) -> JoinHandle<T> {
        self.start(epoch, task.runnable, task.registered, details);
        JoinHandle::new(task.join)
    }

    /// The same for any task, by the two references that it is born with.
    #[inline]
    pub(crate) fn start(
        &'static self,
        epoch: u64,
        runnable: Runnable,
        registered: TaskRef,
        details: Details,
    ) {
        match details.name {
            None => self.start_plain(
                Newborn {
                    runnable,
                    registered,
                    birth: details.birth,
                },
                epoch,
            ),
            Some(_) => self.start_anywhere(epoch, runnable, registered, details),
        }
    }

    fn start_plain(&'static self, newborn: Newborn, epoch: u64) {
        self.judge_site(&newborn.runnable, newborn.birth);
        if let Err(newborn) = current::start(self, epoch, newborn) {
            let details = Details {
                birth: newborn.birth,
                name: None,
            };
            self.start_anywhere(epoch, newborn.runnable, newborn.registered, details);
        }
    }

    #[cold]
    fn start_anywhere(
        &'static self,
        epoch: u64,
        runnable: Runnable,
        registered: TaskRef,
        details: Details,
    ) {
        if let Some(runnable) = self.register(epoch, runnable, registered, details) {
            self.schedule_new(runnable);
        }
    }

    /// Registers a task. After shutdown there is nothing to run: its future is dropped here.
    pub(crate) fn register(
        &'static self,
        epoch: u64,
        runnable: Runnable,
        registered: TaskRef,
        details: Details,
    ) -> Option<Runnable> {
        self.judge_site(&runnable, details.birth);
        // Closed: the runnable goes, and with it the future.
        let id = current::insert(self, epoch, registered, details).ok()?;
        runnable.set_id(id);
        Some(runnable)
    }

    /// A task from a heavy site is heavy from birth.
    #[inline]
    fn judge_site(&self, runnable: &Runnable, birth: Birth) {
        let site = Sites::place_of(birth.site, runnable.type_address());
        runnable.weight().set_site(site);
        if self.sites.is_heavy(site) {
            runnable.weight().begin_heavy();
        }
    }

    /// A worker is in a poll that is long already. If it is a first one, more of its kind may follow.
    pub(crate) fn suspect_site_of(&self, record: &Record, now: Ticks) {
        // Relaxed: set before the runtime reaches other threads.
        if self.learns.load(Relaxed) {
            if let Some(site) = record.site_of_newborn() {
                self.sites.suspect(site);
                self.suspects.delay(now);
            }
        }
    }

    /// Whether a spare may try a suspect now.
    pub(super) fn tries(&self, weight: &Weight, now: Ticks) -> bool {
        let (may_be_light, held_up) = (self.may_be_light(weight), self.spare.held_up());
        self.spare.has_another() && self.suspects.tries(may_be_light, held_up, now)
    }

    /// Of a suspect: it was light before, or others from its site were.
    fn may_be_light(&self, weight: &Weight) -> bool {
        weight.has_computed() || self.sites.has_light(weight.site())
    }

    /// A task that was not polled yet, and comes from a site that has become suspect; or one whose last poll computed, unless
    /// only one spare is left: what that one does not take may be what all regular workers wait for.
    pub(super) fn is_suspect(&self, weight: &Weight) -> bool {
        let is_new_suspect = || weight.is_newborn() && self.sites.is_suspect(weight.site());
        (weight.has_computed() && self.spare.has_another()) || is_new_suspect()
    }

    #[inline]
    fn schedule_new(&'static self, runnable: Runnable) {
        if runnable.weight().is_heavy() {
            return self.schedule_heavy(runnable);
        }
        if let Err(runnable) = current::push(self, runnable) {
            self.schedule_remote(runnable);
        }
    }

    /// Queues a task that was woken while it ran: behind the others.
    pub(super) fn schedule_again(&'static self, runnable: Runnable) {
        if runnable.weight().is_heavy() {
            return self.schedule_heavy(runnable);
        }
        if let Err(runnable) = current::push_back(self, runnable) {
            self.schedule_remote(runnable);
        }
    }

    /// Behind everything that is light.
    #[cold]
    fn schedule_heavy(&'static self, runnable: Runnable) {
        // A current-thread scheduler has one order for all.
        let runnable = match current::push_local(self, runnable) {
            Ok(()) => return,
            Err(runnable) => runnable,
        };
        runnable.stamp_wake(coarse(Scale::get().ticks().0));
        self.heavy.push(runnable);
        self.after_push_behind();
    }

    /// What a spare should not run. A suspect may be light: it waits for the first regular worker.
    pub(super) fn put_behind(&'static self, runnable: Runnable) {
        if runnable.weight().is_heavy() {
            return self.schedule_heavy(runnable);
        }
        runnable.stamp_wake(coarse(Scale::get().ticks().0));
        let may_be_light = self.may_be_light(runnable.weight());
        self.suspects.push(runnable, may_be_light);
        self.after_push_behind();
    }

    /// What is to run when nothing light is ready.
    pub(super) fn take_heavy(&self) -> Option<Runnable> {
        self.suspects.take().or_else(|| take(&self.heavy))
    }

    /// Whether there is any.
    pub(super) fn has_heavy(&self) -> bool {
        !self.heavy.is_empty() || !self.suspects.is_empty()
    }

    /// Queues what another worker had queued and does not come to.
    pub(super) fn schedule_elsewhere(&self, runnable: Runnable) {
        self.injector.push(runnable);
        self.after_remote_push();
    }

    /// From a thread that is none of the scheduler's.
    fn schedule_remote(&'static self, runnable: Runnable) {
        // Zero means not sampled.
        runnable.stamp_wake(coarse(Scale::get().ticks().0));
        // Relaxed: a statistic.
        self.remote_schedules.fetch_add(1, Relaxed);
        self.injector.push(runnable);
        self.after_remote_push();
    }

    /// Empties an abandoned home. A helper counts itself, and looks again; whoever moves in first
    /// takes the sign down, and then looks for helpers. So no helper meets a new resident.
    #[cold]
    pub(super) fn help(&self) {
        // ORDERING: SeqCst, and a fence: the count comes before the second look, pairs with
        // `let_to`.
        self.helpers.fetch_add(1, SeqCst);
        fence(SeqCst);
        // ORDERING: SeqCst, as above.
        if self.abandoned.load(SeqCst) && !self.local.load(SeqCst) {
            self.drain();
        }
        // ORDERING: SeqCst, for the single order of the count.
        self.helpers.fetch_sub(1, SeqCst);
    }

    /// Takes the sign down, unless somebody still helps the last resident.
    pub(super) fn let_to(&self, local: bool) -> bool {
        // ORDERING: SeqCst, and a fence: the sign comes down before the look for helpers, pairs
        // with `help`.
        self.abandoned.store(false, SeqCst);
        fence(SeqCst);
        // ORDERING: SeqCst, as above.
        if self.helpers.load(SeqCst) > 0 {
            // ORDERING: SeqCst, as above.
            self.abandoned.store(true, SeqCst);
            return false;
        }
        // ORDERING: SeqCst, as above.
        self.local.store(local, SeqCst);
        true
    }

    fn after_remote_push(&self) {
        self.wake_after_remote_push();
        self.help_if_abandoned();
    }

    /// The same for what a spare takes only where it is let [W5]: one that watches beside tasks that compute a
    /// millisecond at a time would be woken at the end of each.
    fn after_push_behind(&self) {
        if !self.wake_sleeper() && self.spare.takes_heavy() {
            self.wake_spare();
        }
        self.help_if_abandoned();
    }

    /// After a SeqCst fence that comes after a push.
    fn help_if_abandoned(&self) {
        // ORDERING: SeqCst after the fence: either we see the home abandoned, or whoever abandons it sees our push,
        // [S7].
        if self.abandoned.load(SeqCst) {
            self.help();
        }
    }

    /// Unparks a worker for what was pushed to the injector, or to the queue of a worker that
    /// computes, if one is needed.
    pub(crate) fn wake_after_remote_push(&self) {
        if !self.wake_sleeper() {
            self.wake_spare();
        }
    }

    /// Issues a SeqCst fence, and unparks a regular worker if one is needed and there is one.
    fn wake_sleeper(&self) -> bool {
        // Gone before anybody looks at it again: whoever moves out may wait for it, and a second look would wait
        // behind that one.
        let mut resident = None;
        let worker = self.idle.after_remote_push(|| self.poller(&mut resident));
        if let Some(worker) = worker {
            unpark(resident.as_deref(), worker);
        }
        worker.is_some()
    }

    /// After a push and a SeqCst fence: wakes the spare if only it could come for it [W3].
    #[inline]
    pub(super) fn wake_spare(&self) {
        if self.all_compute() && self.spare.wants_wake() {
            self.unpark_spare();
        }
    }

    /// Every regular worker is in a long poll: only the spare could run something light.
    #[inline]
    pub(crate) fn all_compute(&self) -> bool {
        self.spare.computing() >= self.idle.workers()
    }

    /// A regular worker begins a heavy poll. `true`: it was the last one that did not compute.
    pub(crate) fn begin_heavy(&self) -> bool {
        self.spare.begin() >= self.idle.workers()
    }

    pub(crate) fn end_heavy(&self) {
        self.spare.end();
    }

    /// Some regular worker computes, or a spare is held up.
    pub(crate) fn any_computes(&self) -> bool {
        self.spare.computing() > 0 || self.spare.held_up() > 0
    }

    #[cold]
    fn unpark_spare(&self) {
        let resident = self.resident.read().clone();
        if let Some(resident) = resident {
            resident.unpark_spare();
        }
    }

    /// Unparks a worker for what was pushed to a local queue, if one is wanted.
    #[inline]
    pub(crate) fn wake_after_local_push(&self) {
        self.wake_after_fork(1);
    }

    /// The same for `n` forked jobs that anyone may take: as many workers may be on their way at once. Each
    /// job may be long, and one that is woken takes long to come.
    #[inline]
    pub(crate) fn wake_after_fork(&self, n: usize) {
        let mut resident = None;
        let worker = self.idle.after_local_push(n, || self.poller(&mut resident));
        if let Some(worker) = worker {
            unpark(resident.as_deref(), worker);
        }
    }

    /// Who should be woken last. The resident is kept for who is woken: each look is a write to a line that all
    /// workers use.
    #[cold]
    fn poller<'a>(&'a self, kept: &mut Option<Lodger<'a>>) -> Option<usize> {
        let resident = kept.insert(self.resident.read());
        resident.as_ref().and_then(|resident| resident.poller())
    }

    pub(crate) fn heavy(&self) -> &Injector<Runnable> {
        &self.heavy
    }

    pub(crate) fn injector(&self) -> &Injector<Runnable> {
        &self.injector
    }

    pub(crate) fn found_heavy_count(&self) -> usize {
        // Relaxed: a statistic.
        self.found_heavy.load(Relaxed)
    }

    pub(crate) fn remote_schedules(&self) -> usize {
        // Relaxed: a statistic.
        self.remote_schedules.load(Relaxed)
    }

    /// The last worker has left: from now on pushers drop what they push \[S7\].
    pub(crate) fn abandon(&self) {
        // ORDERING: SeqCst, then a look at the injector: see `schedule_remote`.
        self.abandoned.store(true, SeqCst);
        fence(SeqCst);
        self.drain();
    }

    /// Drops every queued task's future.
    pub(crate) fn drain(&self) {
        for queue in [&self.injector, &self.heavy, self.suspects.queue()] {
            loop {
                match queue.steal() {
                    Steal::Success(runnable) => drop(runnable),
                    Steal::Retry => {}
                    Steal::Empty => break,
                }
            }
        }
    }
}

/// The first of a queue that all threads share.
pub(super) fn take(queue: &Injector<Runnable>) -> Option<Runnable> {
    // A look costs no fence; a steal does.
    while !queue.is_empty() {
        match queue.steal() {
            Steal::Success(runnable) => return Some(runnable),
            Steal::Retry => std::hint::spin_loop(),
            Steal::Empty => return None,
        }
    }
    None
}

/// The resident, while it is looked at.
type Lodger<'a> = RwLockReadGuard<'a, Option<std::sync::Arc<dyn Resident>>>;

/// Nothing in here is user code, or asks for the resident again.
#[cold]
fn unpark(resident: Option<&Option<std::sync::Arc<dyn Resident>>>, worker: usize) {
    if let Some(Some(resident)) = resident {
        resident.unpark(worker);
    }
}

/// Ticks in units that give a 32-bit stamp some tens of minutes of range.
#[inline]
pub(crate) fn coarse(ticks: u64) -> u32 {
    // Never zero, which means "not sampled".
    ((ticks >> COARSE_SHIFT) as u32).max(1)
}

/// Ticks in one unit of [`coarse`], as a shift.
pub(crate) const COARSE_SHIFT: u32 = 8;

impl Home {
    /// A poll has returned `Pending`.
    #[inline(never)]
    fn learn_from_poll(&self, weight: &Weight, length: Length, slow: bool, goes_on: bool) {
        weight.set_slow(slow);
        // Relaxed: set before the runtime reaches other threads.
        if !self.learns.load(Relaxed) {
            return;
        }
        if length == Length::Short && weight.never_waited() {
            self.sites.trust(weight.site());
            if weight.is_born_heavy() {
                self.sites.record(weight.site(), length);
            }
        }
        if weight.record(length, goes_on) {
            self.found_heavy("its polls are long");
        }
    }

    /// A task is done.
    #[inline(never)]
    fn learn_from_end(&self, weight: &Weight, length: Length) {
        // Relaxed: set before the runtime reaches other threads.
        let judged = weight.never_waited() && self.learns.load(Relaxed);
        // One that is known to have been off the processor says nothing.
        let judged = judged && (length != Length::Long || !budget::knows_cpu());
        if judged && self.sites.record(weight.site(), length) {
            self.found_heavy("tasks from its spawn site compute");
        }
    }

    /// The task that this thread polls has given itself, or its spawn site, away.
    #[cold]
    fn found_heavy(&self, why: &str) {
        // Relaxed: a statistic.
        self.found_heavy.fetch_add(1, Relaxed);
        let id = crate::task::try_id();
        if let Some((id, details)) = id.and_then(|id| Some((id, self.registry.details(id)?))) {
            // PANIC: who hears of it is user code; the panic hook has spoken.
            ignore_panic(|| report::heavy(id, &details, why));
        }
    }
}

impl Schedule for &'static Home {
    #[inline]
    fn schedule(&self, runnable: Runnable) {
        self.schedule_new(runnable);
    }

    #[inline]
    fn polled(&self, weight: &Weight, goes_on: bool) {
        let (length, slow) = budget::poll_length();
        // Nearly always there is nothing to learn.
        if length.is_long() || !weight.is_settled(slow) {
            self.learn_from_poll(weight, length, slow, goes_on);
        }
    }

    #[inline]
    fn release(&self, id: Id, weight: &Weight) -> bool {
        let (length, _) = budget::poll_length();
        // Nearly always there is nothing to learn.
        if length.is_long() || self.sites.remembers(weight.site()) {
            self.learn_from_end(weight, length);
        }
        match current::release(self, id) {
            Some(released) => released,
            None => self.registry.release(id),
        }
    }

    #[inline]
    fn ends(&self, weight: &Weight) {
        // Suspects come first: they are many at times.
        if weight.is_heavy() && self.suspects.is_empty() {
            current::end_heavy(self);
        }
    }

    fn details(&self, id: Id) -> Option<Details> {
        self.registry.details(id)
    }

    fn unhandled_panic(&self, error: &JoinError) {
        let resident = self.resident.read().clone();
        if let Some(resident) = resident {
            resident.unhandled_panic(error);
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
