//! The monitor: one thread that watches for polls that last too long.
//!
//! It reads the workers' records every few milliseconds. When a poll has lasted longer than
//! [`LIMIT`] it sees to it that somebody is in the driver and looks after the stuck worker's timers,
//! and gives what that worker has queued to others, the task in its LIFO slot included; when all
//! regular workers are stuck it calls the spare, and when the spare is stuck too, the next one. It
//! reports polls beyond the stall threshold, once each, while they last. It makes no promise: a blocked
//! task stays blocked.
//!
//! It backs off while nothing is amiss, and sleeps without a timeout once every worker has been
//! parked for a while (`scheduler/alarm.rs`): an idle process is not woken by it. When it wakes depends on when the thread in
//! the driver does, which it has moved to another processor if that is late (`monitor/late.rs`).
//!
//! Tests: `tests/it/rescue.rs`.

mod late;
mod load;
mod processor;

use crate::clock::busy_nanos_of;
use crate::clock::tsc::{Scale, Ticks};
use crate::error::ignore_panic;
use crate::report::{Stall, StallHook};
use crate::scheduler::shared::Shared;
use crate::scheduler::slice;
use crate::sync::atomic::Ordering::Relaxed;
use crate::task::Class;
use late::Late;
use load::Others;
use std::sync::Arc;
use std::time::Duration;

/// A poll that lasts longer may be holding others up.
const LIMIT: Duration = Duration::from_millis(1);
/// Between two looks: while something is amiss, and at most.
const MIN_PERIOD: Duration = Duration::from_millis(1);
const MAX_PERIOD: Duration = Duration::from_millis(4);
/// The least between two looks.
const MIN_LOOK: Duration = Duration::from_micros(100);
/// From how long a poll on it may be blocked, and for how long it is watched then whether anything computes.
const BLOCKED: Duration = Duration::from_millis(100);
/// Looks without a long poll after which nothing is amiss: where one was, more will follow.
const CALM: u32 = 200;
/// Looks that find every worker parked before the deep sleep.
const IDLE_LOOKS: u32 = 4;

/// The life of the monitor's thread.
pub(crate) fn run(shared: &Arc<Shared>, hook: Option<&StallHook>) {
    let _slice = shared
        .time_slices
        .then(|| slice::ask_shorter(slice::MONITOR));
    let scale = Scale::get();
    let mut watch = Watch::new(scale, hook);
    let mut others = Others::new(scale);
    let mut late = Late::new(scale);
    let (mut period, mut idle_looks) = (MIN_PERIOD, 0);
    loop {
        if shared.alarm.is_stopped() {
            watch.count(shared, 0, 0);
            return;
        }
        late.look(shared, scale.ticks());
        for stall in watch.look(shared, scale) {
            // PANIC: the hook is user code; the panic hook has spoken, the monitor goes on.
            ignore_panic(|| {
                if let Some(hook) = &hook {
                    (hook.report)(&stall);
                }
            });
        }
        let idle = &shared.home.idle;
        let awake = idle.awake();
        // Where nobody sleeps, nobody asks.
        if awake < idle.workers() {
            if let Some(left) = others.look(scale.ticks(), awake) {
                shared.room.set(left);
            }
        }
        if !shared.home.any_computes() {
            shared.dismiss_spare();
        }
        let at_rest = || {
            let home = shared.home;
            home.idle.all_parked() && !home.spare.works() && !home.any_computes()
        };
        let is_calm = watch.calm >= CALM;
        idle_looks = if at_rest() { idle_looks + 1 } else { 0 };
        let sleeps = idle_looks >= IDLE_LOOKS;
        if (is_calm || sleeps) && shared.home.spare.stands_by() {
            watch.standing_by.clear();
            shared.dismiss_standing_by();
        }
        if sleeps {
            // PANIC: the drop of a joiner's waker is user code; the panic hook has spoken.
            let completed = shared.home.registry.collect_all();
            ignore_panic(|| drop(completed));
            others.forget();
            shared.room.set(usize::MAX);
            shared.alarm.deep_sleep(at_rest);
            (idle_looks, period) = (0, MIN_PERIOD);
            continue;
        }
        period = match is_calm {
            true => (period * 2).min(MAX_PERIOD),
            false => MIN_PERIOD,
        };
        // A poll that is under way is looked at again when it is too long.
        let next_look = Duration::from_nanos(scale.nanos(watch.next_look)).max(MIN_LOOK);
        shared
            .alarm
            .sleep(late::rest(shared, period.min(next_look)));
    }
}

/// What the monitor remembers between two looks.
struct Watch {
    limit: u64,
    blocked: Blocked,
    threshold: u64,
    /// How many suspects were taken, and since when.
    suspects: (Option<usize>, Ticks),
    /// The polls that were found too long, and those that were reported, by worker.
    seen: Vec<Option<Ticks>>,
    reported: Vec<Option<Ticks>>,
    /// Stuck workers that it has counted as computing.
    counted: usize,
    /// Spares that were in a long poll.
    held_up: usize,
    /// Spares that were given a thread before they are needed.
    standing_by: Vec<usize>,
    /// Looks since the last long poll.
    calm: u32,
    /// Ticks until the youngest poll that was seen will have lasted too long.
    next_look: u64,
}

impl Watch {
    fn new(scale: &Scale, hook: Option<&StallHook>) -> Self {
        Self {
            limit: scale.ticks_in(LIMIT),
            blocked: Blocked::new(scale),
            suspects: (None, Ticks::default()),
            threshold: hook.map_or(u64::MAX, |hook| scale.ticks_in(hook.threshold)),
            seen: Vec::new(),
            reported: Vec::new(),
            counted: 0,
            held_up: 0,
            standing_by: Vec::new(),
            calm: CALM,
            next_look: u64::MAX,
        }
    }

    /// One look at every worker. Answers the stalls that are new.
    fn look(&mut self, shared: &Arc<Shared>, scale: &Scale) -> Vec<Stall> {
        let now = scale.ticks();
        self.reported.resize(shared.remotes.len(), None);
        self.seen.resize(shared.remotes.len(), None);
        let spare = shared.spare_idx();
        let (mut stuck, mut held_up, mut stalls) = (0, 0, Vec::new());
        let mut n_blocked = 0;
        let mut spare_is_stuck = false;
        self.next_look = u64::MAX;
        self.calm = self.calm.saturating_add(1);
        for (worker, remote) in shared.in_use().iter().enumerate() {
            let Some((task, began)) = remote.record.poll() else {
                continue;
            };
            let (lasted, class) = (now.since(began), remote.record.class());
            // One that is known to be heavy has seen to the others' needs itself.
            let light = class == Class::Light;
            if lasted <= self.limit {
                if light {
                    self.next_look = self.next_look.min(self.limit - lasted);
                }
                continue;
            }
            shared.relieve(worker);
            if light {
                self.calm = 0;
                // Once for each poll: what others show meanwhile is not forgotten.
                if self.seen[worker] != Some(began) {
                    self.seen[worker] = Some(began);
                    shared.home.suspect_site_of(&remote.record, now);
                }
            }
            match shared.is_spare(worker) {
                true => held_up += usize::from(light),
                false => stuck += usize::from(light),
            }
            spare_is_stuck |= worker == spare;
            n_blocked += usize::from(!shared.is_spare(worker) && lasted > self.blocked.limit);
            // Who was declared to compute may take its time.
            let reportable = lasted > self.threshold && class != Class::Declared;
            if reportable && self.reported[worker] != Some(began) {
                self.reported[worker] = Some(began);
                let details = shared.home.registry.details(task);
                stalls.push(Stall {
                    task,
                    site: details.as_ref().map(|details| details.birth.site),
                    name: details.and_then(|details| details.name),
                    worker,
                    lasted: Duration::from_nanos(scale.nanos(lasted)),
                    heavy: class == Class::Heavy,
                });
            }
        }
        self.count(shared, stuck, held_up);
        if shared.home.all_compute() {
            if spare_is_stuck {
                shared.replace_spare();
            }
            if stuck > 0 {
                // What else is light may turn out to compute, too.
                shared.keep_some_standing_by(&mut self.standing_by);
            }
        }
        let all_blocked =
            n_blocked >= shared.regular().len() && self.blocked.look(shared, now, scale);
        self.look_at_suspects(shared, now, all_blocked);
        shared.let_spare_take_heavy(all_blocked);
        stalls
    }

    /// Has one tried where nobody has come for them for a while. The last spare leaves them to the regular workers, unless
    /// those seem to be blocked: one of them may be what they wait for [W5].
    fn look_at_suspects(&mut self, shared: &Arc<Shared>, now: Ticks, all_blocked: bool) {
        let (suspects, held_up) = (&shared.home.suspects, shared.home.spare.held_up());
        let taken = suspects.n_taken();
        if taken.is_none() || taken != self.suspects.0 {
            self.suspects = (taken, now);
        } else if now.since(self.suspects.1) > suspects.patience(held_up)
            && (all_blocked || shared.has_tries_left())
        {
            self.suspects.1 = now;
            shared.let_spare_try();
        }
    }

    /// Counts stuck workers among those that compute, and sees to it that the others' needs are
    /// met.
    fn count(&mut self, shared: &Arc<Shared>, stuck: usize, held_up: usize) {
        let more = stuck > self.counted || held_up > self.held_up;
        self.held_up = held_up;
        shared.home.spare.set_held_up(held_up);
        while self.counted < stuck {
            self.counted += 1;
            shared.home.begin_heavy();
        }
        while self.counted > stuck {
            self.counted -= 1;
            shared.home.end_heavy();
        }
        if !shared.home.any_computes() {
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

/// Whether workers that are all in very long polls block in them. Asked only while they are.
struct Blocked {
    limit: u64,
    /// The last look, and how long the workers had been busy then.
    read_at: Ticks,
    read: Vec<Option<u64>>,
    answer: bool,
}

impl Blocked {
    fn new(scale: &Scale) -> Self {
        Self {
            limit: scale.ticks_in(BLOCKED),
            read_at: Ticks::default(),
            read: Vec::new(),
            answer: false,
        }
    }

    /// They are if each was on a processor, or waiting for one, for less than half of the time since the last look. It
    /// is no harm to be wrong, as where the system does not tell: then some computations share processors.
    fn look(&mut self, shared: &Shared, now: Ticks, scale: &Scale) -> bool {
        let since = now.since(self.read_at);
        if since <= self.limit {
            return self.answer;
        }
        // Relaxed: it is an opinion.
        let threads = shared
            .regular()
            .iter()
            .map(|remote| remote.thread.load(Relaxed));
        let read: Vec<_> = threads.map(busy_nanos_of).collect();
        let enough = scale.nanos(since) / 2;
        let busy =
            |(now, then): (&Option<u64>, &Option<u64>)| Some((*now)?.saturating_sub((*then)?));
        let mut all_busy = read.iter().zip(&self.read).filter_map(busy);
        // An old reading says nothing of the polls that are under way.
        self.answer = since <= 2 * self.limit && all_busy.all(|busy| busy < enough);
        (self.read_at, self.read) = (now, read);
        self.answer
    }
}
