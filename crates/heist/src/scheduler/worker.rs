//! A worker of the multi-thread scheduler.
//!
//! The worker's private state is its [`Core`]; the part that others may touch is its [`Remote`]. A
//! thread that plays the worker keeps the core in `scheduler/current.rs` and loops [`run`]: it asks
//! the core for the next [`Step`], and polls a task, gives the driver a turn, or parks. Only parking
//! blocks.
//!
//! `block_in_place` hands the core to another thread meanwhile (`in_place.rs`).
//!
//! What a worker does to compute is in `worker/compute.rs`, what a spare does instead in `worker/spare.rs`, what the worker does for the registry of tasks in
//! `worker/registered.rs`.
//!
//! Tests: `tests/it/`; the spare's in `tests/it/rescue.rs`.

mod compute;
mod in_place;
mod registered;
mod spare;

pub(crate) use in_place::block_in_place;

use super::current::{self, Current};
use super::fork;
use super::home::{COARSE_SHIFT, Home, coarse};
use super::queue::LocalQueue;
use super::record::Polled;
use super::room::Usual;
use super::shared::{Remote, Shared};
use super::slice::{self, Asked, Long};
use crate::budget;
use crate::clock::{self, tsc::Ticks};
use crate::sync::atomic::Ordering::Relaxed;
use crate::task::{self, CurrentTask, Id, Own, Runnable, TOGETHER};
use compute::{run_heavy, serve};
use spare::{hand_over, park_spare, refuses, stand_aside};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Polls between two looks at the injector while the own queue is full.
const INJECTOR_INTERVAL: u32 = 61;
/// One local wake in this many is stamped, to measure wake-to-run.
const STAMP_INTERVAL: u32 = 16;

/// Between two fetches of a regular worker, at least: what it steals, or takes from the injector. Who fetches more often
/// gets one or two tasks at a time, at the heels of whom they come from, and both wait for each other's cache lines. Parking
/// meanwhile would cost the other one more, to wake it.
pub(super) const FETCH_INTERVAL: Duration = Duration::from_micros(4);
/// What the injector gives is more than a little from this many on: then somebody must come for the rest.
const FEW: usize = 8;

/// The part that only the thread that plays the worker touches.
pub(crate) struct Core {
    shared: Arc<Shared>,
    idx: usize,
    queue: LocalQueue,
    /// Its shard of the registry.
    pub(super) own: Option<Own>,
    /// What it has completed of others' shards, until it gives that in.
    foreign: Vec<Id>,
    n_ticks: u32,
    n_wakes: u32,
    searching: bool,
    /// When it last stole, or took a little from the injector.
    fetched: Ticks,
    is_spare: bool,
    /// It polls a heavy task.
    computes: bool,
    /// It has done so since its last turn.
    has_computed: bool,
    /// It polls a task whose last poll was slow.
    slow: bool,
    /// Since when heavy tasks wait for their share, and how long they do.
    heavy_waits: (Ticks, u64),
    /// Tasks that spares have put aside come first: they have waited for a long poll of this worker, or this spare has
    /// tried one, and it was light.
    owes_suspects: bool,
    /// The poll is of a task that may compute, which this spare tries.
    probes: bool,
    /// Wakes come from a turn of the driver: queue them, and wake a peer once, afterwards, if at all (`room.rs`).
    in_turn: bool,
    /// A poll is under way, or has just ended: it is not counted yet.
    in_poll: bool,
    /// When its task was woken, where that was sampled.
    stamp: Option<u32>,
    /// The end of the last poll.
    now: Ticks,
    last_turn: Ticks,
    /// Polls since the last look at the driver, and ticks that they took; and how long they usually are.
    polled: (u32, u64),
    usual: Usual,
    rng: u64,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("idx", &self.idx)
            .finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.give_in();
        if let Some(own) = self.own.take() {
            self.shared.home.registry.take_back(own);
        }
    }
}

impl Core {
    pub(super) fn new(shared: Arc<Shared>, idx: usize, queue: LocalQueue) -> Self {
        let now = shared.scale.ticks();
        Self {
            usual: Usual::new(&shared.scale),
            is_spare: shared.is_spare(idx),
            own: shared.home.registry.lend(idx),
            foreign: Vec::with_capacity(TOGETHER),
            shared,
            idx,
            queue,
            n_ticks: 0,
            n_wakes: 0,
            searching: false,
            fetched: Ticks::default(),
            computes: false,
            has_computed: false,
            slow: false,
            heavy_waits: (now, 0),
            owes_suspects: false,
            probes: false,
            in_turn: false,
            in_poll: false,
            stamp: None,
            now,
            last_turn: now,
            polled: (0, 0),
            rng: 0x9e37_79b9_7f4a_7c15 ^ ((idx as u64 + 1) << 17),
        }
    }

    /// Drops what is queued: nobody will run it.
    pub(super) fn drain(&mut self) {
        while let Some(runnable) = self.queue.pop() {
            drop(runnable);
        }
    }

    #[inline]
    pub(crate) fn works_for(&self, home: &'static Home) -> bool {
        std::ptr::eq(self.shared.home, home)
    }

    pub(crate) fn idx(&self) -> usize {
        self.idx
    }

    pub(super) fn home(&self) -> &'static Home {
        self.shared.home
    }

    /// It polls a heavy task, behind which nothing should wait.
    #[inline]
    pub(super) fn computes(&self) -> bool {
        self.computes
    }

    fn remote(&self) -> &Remote {
        &self.shared.remotes[self.idx]
    }

    /// There is something that others could steal.
    #[inline]
    pub(super) fn has_stealable(&self) -> bool {
        self.queue.has_stealable()
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
        if self.slow && self.shared.home.idle.has_takers() {
            // In the slot it would wait for the rest of the poll. Where nobody would take it, it does so anyway.
            self.queue.push_back(runnable);
            return true;
        }
        self.queue.push_lifo(runnable)
    }

    /// Queues a task that yielded, or that was woken by one that computes. `true`: a peer may be wanted; not
    /// for one that yields alone, which the worker takes up again at once.
    #[inline]
    pub(super) fn push_back(&mut self, runnable: Runnable) -> bool {
        self.queue.push_back(runnable);
        !self.in_turn && (self.computes || self.queue.len() > 1)
    }

    /// The worker is about to look at the driver.
    fn note_polls(&mut self) {
        let (n, ticks) = std::mem::take(&mut self.polled);
        if let Some(length) = ticks.checked_div(u64::from(n)) {
            self.usual.note(length);
        }
    }

    /// A turn of the driver has queued more than the worker should do alone.
    fn wants_help(&self) -> bool {
        let behind = self.queue.len().saturating_sub(1);
        let idle = &self.shared.home.idle;
        behind > 0
            && self.queue.has_stealable()
            && (self.shared.room).is_worth_a_wake(self.usual.of(behind), idle.awake())
    }

    /// The next task to run, from wherever there is one.
    fn next(&mut self) -> Option<Runnable> {
        self.n_ticks = self.n_ticks.wrapping_add(1);
        let (since, share) = self.heavy_waits;
        // After a computation `since` is a little later than `now`, which is the end of the poll as the budget noted it.
        if self.now.is_far_from(since, share) && !self.is_spare {
            if let Some(runnable) = self.shared.home.take_heavy() {
                return Some(runnable);
            }
            // Nothing heavy waits: look again in a while.
            self.heavy_waits = (self.now, self.shared.budget_limit);
        }
        if self.owes_suspects {
            if let Some(runnable) = self.shared.home.suspects.take() {
                return Some(runnable);
            }
            self.owes_suspects = false;
        }
        if self.n_ticks % INJECTOR_INTERVAL == 0 {
            if let Some(runnable) = self.queue.take_from(self.shared.home.injector()) {
                return Some(runnable);
            }
        }
        if let Some(runnable) = self.queue.pop() {
            return Some(runnable);
        }
        if self.may_fetch() {
            if let Some(runnable) = self.take_injected() {
                return Some(runnable);
            }
        }
        if let Some(runnable) = self.steal() {
            return Some(runnable);
        }
        if self.waits_to_fetch() {
            return None;
        }
        match self.may_take_heavy() {
            true => self.shared.home.take_heavy(),
            false => self.try_suspect(),
        }
    }

    /// There is something to fetch, and it is too soon: what comes after it in order waits, too.
    fn waits_to_fetch(&self) -> bool {
        !self.may_fetch() && self.sees_light_work(true)
    }

    fn may_fetch(&self) -> bool {
        self.is_spare
            || self
                .now
                .is_away_from(self.fetched, self.shared.fetch_interval)
    }

    fn take_injected(&mut self) -> Option<Runnable> {
        let taken = self.queue.take_from(self.shared.home.injector())?;
        if self.queue.len() < FEW {
            self.fetched = self.now;
        }
        Some(taken)
    }

    /// It is no spare, or one that has to [W5].
    fn may_take_heavy(&self) -> bool {
        !self.is_spare || self.shared.home.spare.takes_heavy()
    }

    fn steal(&mut self) -> Option<Runnable> {
        if !self.searching && !self.is_spare {
            self.searching = self.shared.home.idle.start_searching();
            if !self.searching {
                return None;
            }
        }
        if !self.may_fetch() {
            return None;
        }
        let n = self.shared.in_use().len();
        let start = self.random(n);
        for offset in 0..n {
            let victim = (start + offset) % n;
            if victim == self.idx {
                continue;
            }
            if let Some(runnable) = self.queue.steal_from(&self.shared.remotes[victim].stealer) {
                self.remote().counters.steals.add(1);
                self.fetched = self.now;
                return Some(runnable);
            }
        }
        self.take_injected()
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

    /// What to do now; `again`: what the last poll was of, if it goes behind what is queued.
    #[inline]
    fn step(&mut self, again: Option<Runnable>) -> Step {
        self.end_poll();
        let wake_peer = again.is_some_and(|again| self.push_back(again));
        if (self.now).is_away_from(self.last_turn, self.shared.event_interval) {
            self.remote().record.forget();
            return Step::Turn(wake_peer);
        }
        match self.next() {
            Some(runnable) => {
                self.begin_poll(&runnable);
                // What waits behind a slow one should not, though it may be too little to wake anybody for otherwise.
                let holds_up = self.slow && self.queue.has_stealable();
                Step::Run(runnable, self.found_work() || holds_up || wake_peer)
            }
            None => {
                self.remote().record.forget();
                match self.waits_to_fetch() {
                    true => Step::Linger,
                    false => Step::Park,
                }
            }
        }
    }

    /// Writes down for the monitor what is about to be polled.
    #[inline]
    fn begin_poll(&mut self, runnable: &Runnable) {
        self.in_poll = true;
        self.slow = runnable.weight().is_slow();
        self.stamp = runnable.take_wake_stamp();
        budget::begin_poll(self.now, self.shared.budget_limit);
        self.remote().record.begin(runnable, self.now);
    }

    /// Something that a thief, or this worker at a second look, could run.
    fn sees_work(&self, look_at_peers: bool) -> bool {
        let home = self.shared.home;
        if self.may_take_heavy() && home.has_heavy() {
            return true;
        }
        let more = match self.is_spare {
            true => home.suspects.has_one_to_try(),
            false => home.forks.look_before_parking(),
        };
        if more {
            return true;
        }
        self.sees_light_work(look_at_peers)
    }

    fn sees_light_work(&self, look_at_peers: bool) -> bool {
        if self.queue.len() > 0 || !self.shared.home.injector().is_empty() {
            return true;
        }
        let peers = self.shared.in_use();
        look_at_peers && peers.iter().any(|peer| !peer.stealer.is_empty())
    }

    /// Counts the poll that has ended, if there was one.
    #[inline(always)]
    fn end_poll(&mut self) {
        if !std::mem::take(&mut self.in_poll) {
            return;
        }
        let start = self.now;
        let end = budget::take_end();
        self.now = end.unwrap_or_else(|| self.shared.scale.ticks());
        let lasted = self.now.since(start);
        let (n, ticks) = self.polled;
        self.polled = (n.wrapping_add(1), ticks.wrapping_add(lasted));
        if lasted > self.shared.budget_limit || self.probes {
            self.look_back(lasted > self.shared.budget_limit);
        }
        let counters = &self.remote().counters;
        counters.poll_ticks.record(lasted);
        if let Some(stamp) = self.stamp {
            let waited = coarse(start.0).wrapping_sub(stamp);
            // A stamp newer than our clock reading is a wait of nothing.
            let waited = if waited > u32::MAX / 2 { 0 } else { waited };
            counters
                .wait_ticks
                .record(u64::from(waited) << COARSE_SHIFT);
        }
    }
}

/// What a worker is to do next.
enum Step {
    /// Poll it; before, wake a peer if so said [S3, S5].
    Run(Runnable, bool),
    /// Give the driver a turn; before, wake a peer if so said.
    Turn(bool),
    /// Wait until it may fetch.
    Linger,
    /// Nothing to run anywhere.
    Park,
}

/// Polls a task. Never blocks. The answer is to be queued behind what this worker has. A spare has none, since it may stand
/// aside next.
#[inline]
fn poll(
    shared: &Arc<Shared>,
    slice: &mut Long,
    is_spare: bool,
    runnable: Runnable,
) -> Option<Runnable> {
    let id = CurrentTask::enter(runnable.id());
    let again = match runnable.weight().is_heavy() {
        true => run_heavy(shared, slice, || runnable.run()),
        false => runnable.run(),
    };
    budget::end_poll();
    drop(id);
    let again = again?;
    if is_spare || again.weight().is_heavy() {
        shared.home.schedule_again(again);
        return None;
    }
    Some(again)
}

/// Gives the driver a turn, after a peer was woken if so said; what it wakes is queued here, and one peer is woken for it if it is worth that.
fn turn(shared: &Arc<Shared>, wake_peer: bool) {
    if wake_peer {
        shared.home.wake_after_local_push();
    }
    let Some((idx, before, was_watched)) = current::with_worker(|core| {
        core.give_in();
        core.note_polls();
        core.in_turn = true;
        (core.idx, core.queue.len(), core.was_watched())
    }) else {
        return;
    };
    // PANIC: wakers are user code; the driver catches what they throw.
    match was_watched {
        true => shared.drive.fire(idx),
        false => shared.drive.turn(idx),
    }
    let more = current::with_worker(|core| {
        core.in_turn = false;
        core.now = core.shared.scale.ticks();
        core.last_turn = core.now;
        budget::note_cpu(core.now);
        core.queue.len() > before && core.wants_help()
    });
    if more == Some(true) {
        shared.home.wake_after_local_push();
    }
}

/// Waits until the worker may fetch again, if it has just done so. True where there is something then.
fn linger(shared: &Arc<Shared>) -> bool {
    if current::with_worker(|core| core.may_fetch()) != Some(false) {
        return false;
    }
    loop {
        let found = current::with_worker(|core| {
            core.now = shared.scale.ticks();
            let is_over = core.may_fetch() || shared.is_shut_down();
            is_over.then(|| core.sees_light_work(true))
        });
        match found {
            Some(None) => std::hint::spin_loop(),
            Some(Some(sees)) => return sees,
            // Another thread plays this worker now.
            None => return true,
        }
    }
}

/// Whether this thread plays a worker of `home`.
pub(crate) fn plays_worker_of(home: &'static Home) -> bool {
    current::with_worker(|core| core.works_for(home)) == Some(true)
}

/// Blocks until there may be something to do.
fn park(shared: &Arc<Shared>) {
    // PANIC: the drop of a joiner's waker is user code; the task's end catches what it throws.
    drop(current::with_worker(Core::collect));
    if current::with_worker(|core| core.is_spare) == Some(true) {
        return park_spare(shared);
    }
    let parked = current::with_worker(|core| {
        let home = core.shared.home;
        let was_last_searcher = home.idle.park(core.idx, core.searching);
        core.searching = false;
        core.note_polls();
        let counters = &core.remote().counters;
        counters.parked(core.shared.scale.ticks());
        // [S2]: we have said that we park; now look once more. The queues of workers that compute
        // have nobody else who would come to them.
        let look_at_peers = was_last_searcher || home.any_computes();
        let stay = core.sees_work(look_at_peers) || core.shared.is_shut_down();
        core.in_turn = true;
        (core.idx, stay)
    });
    let Some((idx, stay)) = parked else { return };
    if !stay {
        // PANIC: wakers are user code; the driver catches what they throw.
        let watch = || shared.home.any_computes();
        (shared.drive).park(idx, &watch, &shared.remotes[idx].parker);
    }
    let wake_peer = current::with_worker(|core| {
        core.in_turn = false;
        core.searching = core.shared.home.idle.unpark(core.idx);
        core.now = core.shared.scale.ticks();
        core.last_turn = core.now;
        budget::forget_cpu();
        core.remote().counters.unparked(core.now);
        // Whoever pushed what we have seen counted on us to search: we may be long in the first
        // task that we take, so another one looks for the rest [S5].
        stay || core.wants_help()
    });
    shared.alarm.worker_awake();
    if wake_peer == Some(true) {
        shared.home.wake_after_local_push();
    }
}

/// Where the core is while a thread plays the worker. However that ends, it goes back to where the next one finds it.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    idx: usize,
    previous: Option<Current>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let previous = self.previous.take().unwrap_or(Current::Nothing);
        if let Current::Worker(core) = current::replace(previous) {
            *self.shared.remotes[self.idx].core.lock() = Some(core);
        }
    }
}

/// Plays worker `idx` until the role is lost or the runtime shuts down.
pub(super) fn run(shared: &Arc<Shared>, idx: usize) {
    let Some(mut core) = shared.remotes[idx].core.lock().take() else {
        // The thread that blocked took its core back before we came.
        return;
    };
    // Relaxed: for the monitor, which judges by it.
    (shared.remotes[idx].thread).store(clock::this_thread(), Relaxed);
    // It may have lain there for long.
    core.now = shared.scale.ticks();
    budget::forget_cpu();
    budget::note_cpu(core.now);
    let is_spare = core.is_spare;
    let short = (is_spare && shared.time_slices)
        .then(|| slice::ask_shorter(slice::SPARE))
        .flatten();
    let mut long = Long::new(shared.time_slices && !is_spare);
    let place = Place {
        shared,
        idx,
        previous: Some(current::replace(Current::Worker(core))),
    };
    let _role = fork::begin_role();
    let mut leaves = false;
    // What the last poll was of, and goes behind what is queued.
    let mut again: Option<Runnable> = None;
    while !leaves && !shared.is_shut_down() {
        // Before it takes anything: nobody would see it held up.
        if is_spare && current::with_worker(Core::is_relieved) == Some(true) {
            // The monitor has given it another, if it was held up.
            short.iter().for_each(Asked::renew);
            leaves = stand_aside(shared);
            continue;
        }
        // `None`: another thread plays this worker now.
        match current::with_worker(|core| core.step(again.take())) {
            Some(Step::Run(runnable, _)) if is_spare && refuses(&runnable) => {
                shared.home.put_behind(runnable);
            }
            Some(Step::Run(runnable, wake_peer)) => {
                if wake_peer {
                    shared.home.wake_after_local_push();
                }
                again = poll(shared, &mut long, is_spare, runnable);
            }
            Some(Step::Turn(wake_peer)) => turn(shared, wake_peer),
            Some(Step::Linger) => {
                linger(shared);
            }
            Some(Step::Park) => {
                if !serve(shared, &mut long) && !linger(shared) {
                    if !shared.home.any_computes() {
                        long.end();
                    }
                    park(shared);
                }
            }
            None => break,
        }
    }
    if let Some(again) = again {
        // Another thread plays this worker, or it is the end.
        shared.home.schedule_again(again);
    }
    current::with_worker(Core::end_poll);
    // PANIC: the drop of a joiner's waker is user code; the task's end catches what it throws.
    drop(current::with_worker(Core::collect));
    if leaves {
        hand_over(shared);
    }
    drop(place);
    task::give_back();
    if leaves {
        shared.spare_is_free(idx);
    }
}
