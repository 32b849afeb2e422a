//! The monitor: one thread that watches for polls that last too long.
//!
//! It reads the workers' records every few milliseconds. When a poll has lasted longer than
//! [`LIMIT`] it sees to it that somebody is in the driver and looks after the stuck worker's timers;
//! when all regular workers are stuck it calls the spare. It reports polls beyond the stall
//! threshold, once each, while they last. It makes no promise: a blocked task stays blocked.
//!
//! It backs off while nothing is amiss, and sleeps without a timeout once every worker has been
//! parked for a while: an idle process is not woken by it.
//!
//! - **\[M1\]** Before the deep sleep it says so, and then looks once more whether a worker is awake;
//!   a worker that wakes looks at the word after it is off the list. So one of the two sees the
//!   other.
//!
//! Tests: `tests/it/rescue.rs`.

use crate::clock::tsc::{Scale, Ticks};
use crate::scheduler::park::{Parker, Unpark};
use crate::scheduler::worker::Shared;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicBool, fence};
use crate::task::Id;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A poll that lasts longer may be holding others up.
const LIMIT: Duration = Duration::from_millis(1);
/// Between two looks: while something is amiss, and at most.
const MIN_PERIOD: Duration = Duration::from_millis(1);
const MAX_PERIOD: Duration = Duration::from_millis(4);
/// Looks that find every worker parked before the deep sleep.
const IDLE_LOOKS: u32 = 4;

/// A poll that lasts too long; see [`Builder::on_stall`](crate::runtime::Builder::on_stall).
#[derive(Clone, Debug)]
pub struct Stall {
    task: Id,
    name: Option<Arc<String>>,
    site: Option<&'static Location<'static>>,
    worker: usize,
    lasted: Duration,
}

impl Stall {
    /// The task that is polled.
    pub fn task(&self) -> Id {
        self.task
    }

    /// The name that it was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| name.as_str())
    }

    /// Where it was spawned; `None` where it ended while it was being looked up.
    pub fn spawn_site(&self) -> Option<&'static Location<'static>> {
        self.site
    }

    /// The number of the worker that polls it.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How long the poll has lasted so far.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = self.lasted.as_secs_f64();
        write!(
            f,
            "worker {} is stuck in one poll for {lasted:.3} s: ",
            self.worker
        )?;
        write!(f, "task {}", self.task)?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        match self.site {
            Some(site) => write!(f, ", spawned at {site}"),
            None => Ok(()),
        }
    }
}

/// What is done about stalls.
#[derive(Clone)]
pub(crate) struct StallHook {
    pub(crate) threshold: Duration,
    pub(crate) report: Arc<dyn Fn(&Stall) + Send + Sync>,
}

/// The monitor's place to sleep.
pub(crate) struct Monitor {
    parker: Parker,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            parker: Parker::new(),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// A worker has come out of a park.
    #[inline]
    pub(crate) fn worker_awake(&self) {
        // ORDERING: SeqCst fence between the worker's leaving the list and this look [M1].
        fence(SeqCst);
        if self.asleep.load(Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // It never blocks in a driver.
        let (Unpark::Done | Unpark::NotifyDriver) = self.parker.unpark();
    }

    /// Ends the monitor's thread soon.
    pub(crate) fn stop(&self) {
        // ORDERING: SeqCst, before the unpark.
        self.stopped.store(true, SeqCst);
        self.wake();
    }

    /// \[M1\]
    fn deep_sleep(&self, all_parked: impl FnOnce() -> bool) {
        // ORDERING: SeqCst: the word comes before the last look, pairs with the fence in
        // `worker_awake`.
        self.asleep.store(true, SeqCst);
        fence(SeqCst);
        if all_parked() {
            self.parker.park(None);
        }
        // ORDERING: SeqCst, for the single order of the word.
        self.asleep.store(false, SeqCst);
    }
}

/// The life of the monitor's thread.
pub(crate) fn run(shared: &Weak<Shared>, hook: Option<&StallHook>) {
    let scale = Scale::get();
    let mut watch = Watch {
        limit: scale.ticks_in(LIMIT),
        threshold: hook.map_or(u64::MAX, |hook| scale.ticks_in(hook.threshold)),
        reported: Vec::new(),
        counted: 0,
    };
    let (mut period, mut idle_looks) = (MIN_PERIOD, 0);
    while let Some(shared) = shared.upgrade() {
        // ORDERING: SeqCst: pairs with `stop`.
        if shared.monitor.stopped.load(SeqCst) {
            watch.count(&shared, 0);
            return;
        }
        for stall in watch.look(&shared, &scale) {
            // PANIC: the hook is user code; the panic hook has spoken, the monitor goes on.
            let call = AssertUnwindSafe(|| hook.map(|hook| (hook.report)(&stall)));
            let _ = catch_unwind(call);
        }
        let all_parked = shared.home.idle.all_parked();
        idle_looks = if all_parked { idle_looks + 1 } else { 0 };
        if idle_looks >= IDLE_LOOKS {
            let look = || shared.home.idle.all_parked();
            shared.monitor.deep_sleep(look);
            (idle_looks, period) = (0, MIN_PERIOD);
            continue;
        }
        period = match watch.counted {
            0 => (period * 2).min(MAX_PERIOD),
            _ => MIN_PERIOD,
        };
        shared.monitor.parker.park(Some(period));
    }
}

/// What the monitor remembers between two looks.
struct Watch {
    limit: u64,
    threshold: u64,
    /// The polls that were reported, by worker.
    reported: Vec<Option<Ticks>>,
    /// Stuck workers that it has counted as computing.
    counted: usize,
}

impl Watch {
    /// One look at every worker. Answers the stalls that are new.
    fn look(&mut self, shared: &Arc<Shared>, scale: &Scale) -> Vec<Stall> {
        let now = scale.ticks();
        self.reported.resize(shared.remotes.len(), None);
        let (mut stuck, mut stalls) = (0, Vec::new());
        for (worker, remote) in shared.remotes.iter().enumerate() {
            let Some((task, began)) = remote.poll() else {
                continue;
            };
            let lasted = now.since(began);
            if lasted <= self.limit {
                continue;
            }
            let is_regular = worker < shared.regular().len();
            stuck += usize::from(is_regular && !remote.counts_itself());
            if lasted > self.threshold && self.reported[worker] != Some(began) {
                self.reported[worker] = Some(began);
                let details = shared.home.registry.details(task);
                stalls.push(Stall {
                    task,
                    site: details.as_ref().map(|details| details.site),
                    name: details.and_then(|details| details.name),
                    worker,
                    lasted: Duration::from_nanos(scale.nanos(lasted)),
                });
            }
        }
        self.count(shared, stuck);
        stalls
    }

    /// Counts stuck workers among those that compute, and sees to it that the others' needs are
    /// met.
    fn count(&mut self, shared: &Arc<Shared>, stuck: usize) {
        let more = stuck > self.counted;
        while self.counted < stuck {
            self.counted += 1;
            shared.home.begin_heavy();
        }
        while self.counted > stuck {
            self.counted -= 1;
            shared.home.end_heavy();
        }
        if stuck == 0 {
            return;
        }
        if shared.home.all_compute() {
            shared.call_spare();
        }
        shared.man_the_driver();
        if more {
            // Whoever is there went to sleep for the sake of its own timers alone.
            shared.refresh_driver();
        }
    }
}
