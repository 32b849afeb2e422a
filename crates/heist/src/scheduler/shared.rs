//! What all workers of a multi-thread runtime see, and what others may do with a worker.
//!
//! Knows how workers are started, woken, rescued and ended; what a worker does is in `worker.rs`.

use super::alarm::Alarm;
use super::home::{Home, Resident};
use super::park::{Parker, Unpark};
use super::queue::{Aged, LocalQueue};
use super::record::{self, Record};
use super::room::Room;
use super::slice;
use super::spare::Called;
use super::worker::{self, Core, run};
use super::{Drive, Policy};
use crate::budget;
use crate::clock::tsc::{Scale, Ticks};
use crate::metrics::{WorkerCounters, WorkerMetrics};
use crate::report::PanicHook;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::deque::Stealer;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, CachePadded, Condvar, Mutex};
use crate::task::{JoinError, Runnable};
use std::fmt;
use std::sync::Arc;

/// Spares that have a thread before they are needed. One is eaten up in a millisecond, and a thread that is new may wait
/// four for a processor.
const STANDING_BY: usize = 4;
/// So often the number of tasks is taken where workers give in what they have completed meanwhile.
const LOOKS: usize = 8;

/// Starts threads that play workers.
pub(crate) trait Roles: Send + Sync + 'static {
    /// Has a thread call `f` soon, whatever limits there are.
    fn play(&self, f: Box<dyn FnOnce() + Send>) -> std::io::Result<()>;
}

/// Counts as one that plays, however that ends.
struct Player(Arc<Shared>);

impl Drop for Player {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What all workers of a runtime see.
pub(crate) struct Shared {
    pub(crate) home: &'static Home,
    /// The regular workers, and the spares after them.
    pub(crate) remotes: Box<[CachePadded<Remote>]>,
    n_regular: usize,
    /// Spares that may be put in charge: no thread plays them, or one that stands by or waits for their timers [W4].
    free_spares: Mutex<Vec<usize>>,
    /// So many of the spares have ever been in charge; others run nothing. Written by the monitor; who reads an
    /// old value misses one that has nothing queued yet.
    spares_used: AtomicUsize,
    pub(crate) drive: Arc<dyn Drive>,
    pub(super) roles: Arc<dyn Roles>,
    pub(super) panic_hook: PanicHook,
    /// `Policy::event_interval` in ticks.
    pub(super) event_interval: u64,
    /// Threads ask the kernel for time slices of their own (`slice.rs`).
    pub(crate) time_slices: bool,
    pub(super) budget_limit: u64,
    pub(crate) room: Room,
    /// `worker::FETCH_INTERVAL` in ticks.
    pub(super) fetch_interval: u64,
    pub(super) scale: Scale,
    pub(super) shutdown: AtomicBool,
    pub(crate) alarm: Alarm,
    /// Threads that play a worker; the condition variable tells when it is zero.
    pub(super) playing: Mutex<usize>,
    pub(super) all_left: Condvar,
}

/// The part of a worker that others may touch.
pub(crate) struct Remote {
    pub(super) stealer: Stealer<Runnable>,
    pub(super) aged: Aged,
    pub(super) parker: Parker,
    /// The core while no thread plays the worker.
    pub(super) core: Mutex<Option<Box<Core>>>,
    /// Who plays the worker, as the clock knows it.
    pub(crate) thread: AtomicU32,
    pub(super) counters: WorkerCounters,
    pub(crate) record: Record,
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
        let scale = *Scale::get();
        debug_assert!(policy.n_spares > 0, "validated by the builder");
        home.spare.set_has_another(policy.n_spares > 1);
        let n_players = n_workers + policy.n_spares;
        let (queues, slots): (Vec<LocalQueue>, Vec<Aged>) =
            (0..n_players).map(|_| LocalQueue::new()).unzip();
        let remotes = queues.iter().zip(slots).map(|(queue, aged)| {
            CachePadded::new(Remote {
                stealer: queue.stealer(),
                aged,
                parker: Parker::new(),
                core: Mutex::new(None),
                thread: AtomicU32::new(0),
                counters: WorkerCounters::new(),
                record: Record::new(),
            })
        });
        let shared = Arc::new(Self {
            home,
            remotes: remotes.collect(),
            n_regular: n_workers,
            // The first is in charge; of the others the first comes next.
            free_spares: Mutex::new((1..policy.n_spares).rev().collect()),
            spares_used: AtomicUsize::new(1),
            drive,
            roles,
            panic_hook,
            // Not zero: a worker whose turn is always due polls nothing.
            event_interval: scale.ticks_in(policy.event_interval).max(1),
            time_slices: policy.time_slices,
            budget_limit: scale.ticks_in(budget::LIMIT),
            room: Room::new(&scale),
            fetch_interval: scale.ticks_in(worker::FETCH_INTERVAL),
            scale,
            shutdown: AtomicBool::new(false),
            alarm: Alarm::new(),
            playing: Mutex::new(0),
            all_left: Condvar::new(),
        });
        for (idx, queue) in queues.into_iter().enumerate() {
            let core = Core::new(shared.clone(), idx, queue);
            *shared.remotes[idx].core.lock() = Some(Box::new(core));
        }
        shared
    }

    /// The spare in charge.
    pub(crate) fn spare_idx(&self) -> usize {
        self.n_regular + self.home.spare.in_charge()
    }

    pub(crate) fn is_spare(&self, worker: usize) -> bool {
        worker >= self.n_regular
    }

    /// The regular workers.
    pub(crate) fn regular(&self) -> &[CachePadded<Remote>] {
        &self.remotes[..self.n_regular]
    }

    /// How many tasks of this runtime are alive; while many complete, rather too many than too few.
    pub(crate) fn n_alive(&self, epoch: u64) -> usize {
        let look = || (self.remotes.iter()).map(|remote| remote.counters.foreign.look());
        let mut alive = 0;
        for _ in 0..LOOKS {
            let before: Vec<(u64, u64)> = look().collect();
            let listed = self.home.registry.len(epoch);
            // Of what a worker has given in meanwhile, nobody knows whether it was still listed.
            let (same, other): (Vec<_>, Vec<_>) =
                (before.into_iter().zip(look())).partition(|(before, after)| before.1 == after.1);
            let complete = same.into_iter().map(|((n, _), _)| n).sum::<u64>();
            alive = listed.saturating_sub(complete as usize);
            if other.is_empty() {
                break;
            }
        }
        alive
    }

    /// The regular workers, and those spares that have ever worked.
    pub(crate) fn in_use(&self) -> &[CachePadded<Remote>] {
        &self.remotes[..self.n_regular + self.spares_used()]
    }

    pub(crate) fn spares_used(&self) -> usize {
        // Relaxed: see the field.
        self.spares_used.load(Relaxed)
    }

    /// Someone must look after IO, timers and light tasks [W1]. `true`: it comes, and looks at every queue,
    /// or there is none.
    #[cold]
    pub(crate) fn call_spare(self: &Arc<Self>) -> bool {
        match self.home.spare.call() {
            Called::Unpark => self.unpark_worker(self.spare_idx()),
            // It may sleep outside the driver, because someone else had a turn there when it came.
            Called::Nothing if self.drive.poller().is_none() => {
                self.unpark_worker(self.spare_idx());
            }
            Called::Nothing => return false,
            Called::Start => {
                // Without a thread to be had, nobody is worse off than without a spare.
                if self.start(self.spare_idx()).is_err() {
                    self.home.spare.stillborn();
                }
            }
        }
        true
    }

    /// The spare in charge is held up: another one takes over, if there is one [W4]. Called by the monitor
    /// alone.
    #[cold]
    pub(crate) fn replace_spare(self: &Arc<Self>) {
        let mut free = self.free_spares.lock();
        let Some(next) = free.pop() else { return };
        self.home.spare.set_has_another(!free.is_empty());
        let before = self.home.spare.in_charge();
        // Relaxed: see the field.
        self.spares_used
            .store(self.spares_used().max(next + 1), Relaxed);
        if self.time_slices {
            // First: it asks for it again when it finds that another is in charge.
            // Relaxed: whoever plays the spare has done so for a millisecond.
            slice::lengthen(
                self.remotes[self.n_regular + before].thread.load(Relaxed),
                slice::SPARE,
            );
        }
        self.home.spare.put_in_charge(next);
        // Two threads for one role would be in each other's way just now.
        if !self.is_unplayed(self.n_regular + next) || self.start(self.n_regular + next).is_ok() {
            // The one before may have come free just now, and sleep; the next one may stand aside.
            self.unpark_worker(self.n_regular + before);
            self.unpark_worker(self.n_regular + next);
            return;
        }
        // Without a thread to be had, it is as if there were no other.
        self.home.spare.put_in_charge(before);
        free.push(next);
        self.there_is_another();
        if self.is_unplayed(self.n_regular + before) {
            // It has left meanwhile: the next call starts it anew.
            self.home.spare.stillborn();
        }
    }

    /// Sees to it that the spares that come next have threads, which are there when one is put in charge. `started`
    /// are those that were asked for: a thread may not have come to its role yet. Called by the monitor alone.
    pub(crate) fn keep_some_standing_by(self: &Arc<Self>, started: &mut Vec<usize>) {
        self.home.spare.set_stands_by(true);
        let free = self.free_spares.lock();
        for worker in free
            .iter()
            .rev()
            .map(|spare| self.n_regular + spare)
            .take(STANDING_BY)
        {
            let is_asked_for = started.contains(&worker) || !self.is_unplayed(worker);
            // Without a thread to be had, it is started when it is put in charge.
            if !is_asked_for && self.start(worker).is_ok() {
                started.push(worker);
            }
        }
    }

    fn is_unplayed(&self, worker: usize) -> bool {
        self.remotes[worker].core.lock().is_some()
    }

    /// Only a spare could try a task that may turn out to compute, and it need not be the last one.
    pub(crate) fn has_tries_left(&self) -> bool {
        self.home.all_compute() && self.home.spare.has_another()
    }

    /// A task that may turn out to compute has waited for long: only a try can tell. Called by the monitor alone.
    pub(crate) fn let_spare_try(&self) {
        self.home.suspects.let_one_be_tried();
        self.unpark_worker(self.spare_idx());
    }

    /// Whether all regular workers seem to be blocked [W5]. Called by the monitor alone.
    pub(crate) fn let_spare_take_heavy(&self, all_blocked: bool) {
        let lets = all_blocked && self.home.has_heavy();
        if self.home.spare.set_takes_heavy(lets) {
            self.unpark_worker(self.spare_idx());
        }
    }

    /// The spare in charge is not the last one any more, which leaves what is heavy alone [W5].
    fn there_is_another(&self) {
        self.home.spare.set_has_another(true);
        if self.home.spare.takes_heavy() {
            self.unpark_worker(self.spare_idx());
        }
    }

    /// This spare can be put in charge again: it stands aside, or no thread plays it any more [W4].
    pub(super) fn spare_is_free(&self, worker: usize) {
        let spare = worker - self.n_regular;
        let mut free = self.free_spares.lock();
        if spare != self.home.spare.in_charge() {
            // It may be in the list from when it stood aside.
            if !free.contains(&spare) {
                free.push(spare);
                self.there_is_another();
            }
        } else if self.is_unplayed(worker) {
            // It was put in charge again as it left, and no thread plays it: the next call starts one.
            self.home.spare.stillborn();
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

    /// A timer of `worker` was armed by another thread, and is its earliest now.
    pub(crate) fn timer_armed_elsewhere(&self, worker: usize) {
        self.unpark_worker(worker);
        // The worker may be in a long poll: then the driver must know.
        self.drive.entrust_timers(worker);
    }

    /// The worker is in a long poll: what it has queued is for others, and so is the driver, if it is
    /// the spare.
    pub(crate) fn relieve(&self, worker: usize) {
        if self.is_spare(worker) {
            self.man_the_driver();
        }
        let remote = &self.remotes[worker];
        if let Some(tenant) = remote.aged.take() {
            self.home.schedule_elsewhere(tenant);
        } else if !remote.stealer.is_empty() {
            self.home.wake_after_remote_push();
        }
    }

    /// Nobody computes any more: the spare should rest.
    pub(crate) fn dismiss_spare(&self) {
        if self.home.spare.works() {
            self.unpark_worker(self.spare_idx());
        }
    }

    /// Those that stand by should leave.
    pub(crate) fn dismiss_standing_by(&self) {
        self.home.spare.set_stands_by(false);
        for spare in &*self.free_spares.lock() {
            self.unpark_worker(self.n_regular + spare);
        }
    }

    /// Makes whoever is in the driver look at the timers of stuck workers, too.
    pub(crate) fn refresh_driver(&self) {
        self.drive.notify();
    }

    /// Asks for a thread that plays worker `idx`.
    pub(crate) fn start(self: &Arc<Self>, idx: usize) -> std::io::Result<()> {
        self.play(move |shared| run(shared, idx))
    }

    /// Asks for a thread that watches the workers.
    pub(crate) fn start_monitor(
        self: &Arc<Self>,
        monitor: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<()> {
        match record::IS_READ {
            true => self.play(monitor),
            false => Ok(()),
        }
    }

    /// Asks for a thread for a role. Who is at one uses the home: the last to leave gives that back.
    fn play(
        self: &Arc<Self>,
        role: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<()> {
        *self.playing.lock() += 1;
        // Made here: without a thread to be had the role is dropped, and leaves so.
        let player = Player(self.clone());
        self.roles.play(Box::new(move || role(&player.0)))
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
        // As one that plays: the home must not be given back while we close its registry, or we
        // would close the next resident's.
        *self.playing.lock() += 1;
        // ORDERING: Release pairs with the Acquire in `is_shut_down`.
        self.shutdown.store(true, Release);
        for worker in 0..self.remotes.len() {
            self.unpark_worker(worker);
        }
        self.alarm.stop();
        self.home.registry.close_and_abort_all();
        self.leave();
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
                core.drain();
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
        // A straggler of the home's last resident may name a worker that this one has not.
        let Some(remote) = self.remotes.get(worker) else {
            return;
        };
        if remote.parker.unpark() == Unpark::NotifyDriver {
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
    pub(crate) fn snapshot(&self, started: Ticks) -> WorkerMetrics {
        self.counters.snapshot(started, self.stealer.len())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("n_workers", &self.remotes.len())
            .finish_non_exhaustive()
    }
}
