//! The driver: the reactor and the timers of one runtime.
//!
//! One poller, one thread at a time in it. Whoever has the turn waits for events, marks the sources'
//! readiness, and then, with no lock held, wakes whoever waits. Each worker has a timer wheel of
//! its own behind its own lock: the thread that plays the worker is almost the only one that takes
//! it. A parked worker that is not in the poller sleeps until its own wheel's deadline, so no timer
//! needs another thread.
//!
//! - **\[D1\]** At most one thread is in the poller's wait.
//! - **\[D2\]** No waker is called, and none is dropped, under a lock of the driver.
//! - **\[D3\]** A timer that is armed from a thread which does not play the wheel's worker, and that
//!   is now the earliest, unparks that worker, who may sleep towards a later deadline.
//! - **\[D4\]** At most [`FIRE_LIMIT`] timers fire in one step, so that a million of them do not
//!   hold up IO.
//!
//! It knows nothing of tasks or workers: it holds `Waker`s, and wheels have numbers.
//!
//! Tests: `driver/tests/`.

pub(crate) mod lead;
pub(crate) mod registration;
pub(crate) mod sleeper;
pub(crate) mod source;
pub(crate) mod sys;
pub(crate) mod wheel;

#[cfg(test)]
mod tests;

use crate::clock::{Clock, Nanos};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, CachePadded, Mutex, MutexGuard};
use lead::{Lead, Until};
use slab::Slab;
use source::{Readiness, Source};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use sys::{Events, Poller};
use wheel::{Look, TimerKey, Wheel};

/// Timers fired in one step.
const FIRE_LIMIT: usize = 512;

/// Timers that come so thick that so many fire at once ...
const THICK: usize = 4;
/// ... are waited for so long at least: each wake costs some ten microseconds, and what came thick for one wake comes thick
/// for the next ...
const THICK_WAIT: Nanos = 80_000;
/// ... if that comes soon.
const THICK_FOR: Nanos = 1_000_000;

/// One worker's timers.
#[derive(Debug)]
pub(crate) struct Timers {
    wheel: Mutex<Wheel>,
    /// The wheel's next deadline, for looks without the lock; `u64::MAX` for none. Written under
    /// the lock.
    next: AtomicU64,
    /// Until then they are taken to come thick.
    thick_until: AtomicU64,
    /// How long before the deadline the owner asks to be woken.
    lead: Lead,
    closed: AtomicBool,
}

/// What arming a timer says.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) key: TimerKey,
    /// It is the earliest now.
    pub(crate) is_next: bool,
}

impl Timers {
    fn new() -> Self {
        Self {
            wheel: Mutex::new(Wheel::new()),
            next: AtomicU64::new(Nanos::MAX),
            thick_until: AtomicU64::new(0),
            lead: Lead::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Arms a timer. See rule \[D3\] for what must follow if it is the earliest.
    ///
    /// # Errors
    ///
    /// The waker, to be dropped where user code may run: the runtime is gone.
    pub(crate) fn arm(&self, deadline: Nanos, waker: Waker) -> Result<Armed, Waker> {
        let mut wheel = self.wheel.lock();
        // Under the lock that `close` takes after it has said so: no timer is armed behind it.
        if self.is_closed() {
            return Err(waker);
        }
        let key = wheel.insert(deadline, waker);
        // Relaxed: written under the lock that we hold.
        let is_next = deadline < self.next.load(Relaxed);
        if is_next {
            // ORDERING: pairs with the Acquire in `next_deadline`.
            self.next.store(deadline, Release);
        }
        Ok(Armed { key, is_next })
    }

    /// Replaces a timer's waker; `false`: it has fired.
    pub(crate) fn update_waker(&self, key: TimerKey, waker: &Waker) -> bool {
        let look = self.wheel.lock().look(key, waker);
        match look {
            Look::Fired => false,
            Look::Same => true,
            Look::Other => {
                // [D2]: clones and drops are user code.
                let waker = waker.clone();
                let replaced = self.wheel.lock().replace_waker(key, waker);
                replaced.is_ok()
            }
        }
    }

    /// Disarms a timer, fired or not.
    pub(crate) fn disarm(&self, key: TimerKey) {
        let waker = self.wheel.lock().remove(key);
        // [D2]: user code may run in this drop.
        drop(waker);
    }

    /// The runtime is gone, and with it whoever would fire.
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: pairs with the Release in `close`.
        self.closed.load(Acquire)
    }

    fn next_deadline(&self) -> Option<Nanos> {
        // ORDERING: pairs with the Release of the stores: the timer is in the wheel.
        match self.next.load(Acquire) {
            Nanos::MAX => None,
            deadline => Some(deadline),
        }
    }

    /// How long the owner should sleep.
    fn wait(&self, now: Nanos) -> Option<Nanos> {
        let wait = self.next_deadline()?.saturating_sub(now);
        Some(match wait {
            1..THICK_WAIT if self.are_thick(now) => THICK_WAIT,
            wait => wait,
        })
    }

    fn are_thick(&self, now: Nanos) -> bool {
        // Relaxed: a hint, which the owner wrote, or whoever fired for it.
        now < self.thick_until.load(Relaxed)
    }

    /// Timers are armed. `next_deadline` may be that of one which was disarmed meanwhile.
    fn is_armed(&self) -> bool {
        let wheel = self.wheel.lock();
        let next = wheel.next_deadline().unwrap_or(Nanos::MAX);
        // ORDERING: pairs with the Acquire in `next_deadline`.
        self.next.store(next, Release);
        next != Nanos::MAX
    }

    /// Fires what is due. `true`: more is due.
    fn fire(&self, now: Nanos) -> bool {
        // Relaxed is enough to see what this thread armed; others unpark us after arming [D3].
        if self.next.load(Relaxed) > now {
            return false;
        }
        let mut fired: Vec<Waker> = Vec::new();
        let more = {
            let mut wheel = self.wheel.lock();
            let more = wheel.advance(now, FIRE_LIMIT, &mut fired);
            let next = wheel.next_deadline().unwrap_or(Nanos::MAX);
            // ORDERING: pairs with the Acquire in `next_deadline`.
            self.next.store(next, Release);
            more
        };
        let until = match fired.len() {
            THICK.. => now.saturating_add(THICK_FOR),
            _ => 0,
        };
        // Relaxed: see `wait`.
        self.thick_until.store(until, Relaxed);
        fired.into_iter().for_each(wake);
        more
    }

    fn close(&self) {
        let guard = self.wheel.lock();
        // ORDERING: pairs with the Acquire in `is_closed`: who is woken below sees it.
        self.closed.store(true, Release);
        drop(guard);
        while self.fire(Nanos::MAX) {}
    }
}

/// What the thread in the poller needs.
struct Turn {
    events: Events,
    wakers: Vec<Waker>,
    tick: usize,
}

/// A registered source, and a generation that tells it from an earlier one with its index.
#[derive(Debug)]
struct Slot {
    source: Arc<Source>,
    generation: u32,
}

#[derive(Debug, Default)]
struct Sources {
    slots: Slab<Slot>,
    generation: u32,
    closed: bool,
}

/// See the module.
pub(crate) struct Driver {
    clock: Clock,
    poller: Poller,
    sources: Mutex<Sources>,
    turn: Mutex<Turn>,
    timers: Box<[CachePadded<Arc<Timers>>]>,
    n_turns: AtomicUsize,
    n_events: AtomicUsize,
}

impl Driver {
    /// A driver with `n_wheels` timer wheels.
    ///
    /// # Errors
    ///
    /// Those of the operating system, such as a limit on descriptors.
    pub(crate) fn new(clock: Clock, n_wheels: usize) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            clock,
            poller: Poller::new()?,
            sources: Mutex::new(Sources::default()),
            turn: Mutex::new(Turn {
                events: Events::new(),
                wakers: Vec::new(),
                tick: 0,
            }),
            timers: (0..n_wheels)
                .map(|_| CachePadded::new(Arc::new(Timers::new())))
                .collect(),
            n_turns: AtomicUsize::new(0),
            n_events: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn timers(&self, wheel: usize) -> &Arc<Timers> {
        &self.timers[wheel]
    }

    /// Interrupts the thread in the poller, or the next one to come.
    pub(crate) fn notify(&self) {
        self.poller.notify();
    }

    /// Who waits in the poller until a moment wakes then, and not at the next millisecond, as far as is known.
    pub(crate) fn is_exact(&self) -> bool {
        self.poller.is_exact()
    }

    /// Fires the due timers of a wheel. `true`: more are due.
    pub(crate) fn fire(&self, wheel: usize) -> bool {
        let timers = &self.timers[wheel];
        // Relaxed: see `Timers::fire`; without timers not even the clock is read.
        if timers.next.load(Relaxed) == Nanos::MAX {
            return false;
        }
        timers.fire(self.clock.nanos())
    }

    /// Until when a wheel's owner may sleep. `None`: until woken.
    pub(crate) fn sleeps_until(&self, wheel: usize) -> Option<Until> {
        let now = self.clock.nanos();
        let timers = &self.timers[wheel];
        Some(Until {
            moment: now.saturating_add(timers.wait(now)?),
            is_thick: timers.are_thick(now),
        })
    }

    /// Until when someone may sleep who looks after every wheel.
    pub(crate) fn all_sleep_until(&self) -> Option<Until> {
        let now = self.clock.nanos();
        let until = |timers: &CachePadded<Arc<Timers>>| {
            Some(Until {
                moment: timers.next_deadline()?,
                is_thick: timers.are_thick(now),
            })
        };
        let all = self.timers.iter().filter_map(until);
        all.min_by_key(|until| until.moment)
    }

    /// Has a wheel's owner block until then, or until something comes, which `block` says.
    pub(crate) fn sleep(
        &self,
        wheel: usize,
        until: Option<Until>,
        block: impl FnOnce(Option<Duration>) -> bool,
    ) {
        match until {
            Some(until) => self.timers[wheel].lead.sleep(&self.clock, until, block),
            None => {
                block(None);
            }
        }
    }

    /// Fires the due timers of every wheel.
    pub(crate) fn fire_all(&self) {
        for wheel in 0..self.timers.len() {
            self.fire(wheel);
        }
    }

    /// Timers of a wheel are armed.
    pub(crate) fn has_timers(&self, wheel: usize) -> bool {
        self.timers[wheel].is_armed()
    }

    /// The exact deadline of a wheel.
    pub(crate) fn next_deadline(&self, wheel: usize) -> Option<Nanos> {
        self.timers[wheel].next_deadline()
    }

    /// The right to be in the poller, if nobody has it \[D1\].
    pub(crate) fn try_turn(&self) -> Option<Turning<'_>> {
        let turn = self.turn.try_lock()?;
        Some(Turning { driver: self, turn })
    }

    /// How many sources are registered.
    pub(crate) fn n_sources(&self) -> usize {
        self.sources.lock().slots.len()
    }

    pub(crate) fn n_turns(&self) -> usize {
        // Relaxed: a statistic.
        self.n_turns.load(Relaxed)
    }

    pub(crate) fn n_events(&self) -> usize {
        // Relaxed: a statistic.
        self.n_events.load(Relaxed)
    }

    pub(crate) fn n_timers(&self) -> usize {
        self.timers.iter().map(|t| t.wheel.lock().len()).sum()
    }

    /// Nothing will ever turn the driver again: tells every waiter.
    pub(crate) fn close(&self) {
        let sources: Vec<Arc<Source>> = {
            let mut sources = self.sources.lock();
            sources.closed = true;
            sources
                .slots
                .iter()
                .map(|(_, s)| s.source.clone())
                .collect()
        };
        let mut wakers = Vec::new();
        for source in sources {
            source.set(usize::MAX >> 8, Readiness::SHUTDOWN, &mut wakers);
        }
        wakers.into_iter().for_each(wake);
        for timers in &self.timers {
            timers.close();
        }
    }
}

/// The right to be in the poller.
pub(crate) struct Turning<'a> {
    driver: &'a Driver,
    turn: MutexGuard<'a, Turn>,
}

impl Turning<'_> {
    /// Waits for events; `Some(ZERO)` only looks. `true`: something came, be it that the wait was interrupted, as far as the
    /// poller tells.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let waited = self.driver.poller.wait(&mut self.turn.events, timeout);
        // The poller fails only when its descriptor is bad: nothing could go on.
        waited.unwrap_or_else(|error| panic!("waiting for IO events failed: {error}"))
    }

    /// Marks what came, gives the turn up, and wakes who waits. Answers how many events there were.
    pub(crate) fn dispatch(mut self) -> usize {
        let n = self.turn.events.len();
        if n == 0 {
            return 0;
        }
        // Relaxed: statistics.
        self.driver.n_turns.fetch_add(1, Relaxed);
        self.driver.n_events.fetch_add(n, Relaxed);
        self.turn.tick += 1;
        let mut wakers = std::mem::take(&mut self.turn.wakers);
        {
            let sources = self.driver.sources.lock();
            for (token, ready) in self.turn.events.iter() {
                let (index, generation) = split(token);
                // An event of a source that was deregistered meanwhile finds nothing.
                match sources.slots.get(index) {
                    Some(slot) if slot.generation == generation => {
                        slot.source.set(self.turn.tick, ready, &mut wakers);
                    }
                    _ => {}
                }
            }
        }
        self.turn.events.clear();
        let driver = self.driver;
        drop(self);
        // [D2]: no lock is held from here.
        for waker in wakers.drain(..) {
            wake(waker);
        }
        if let Some(mut turn) = driver.turn.try_lock() {
            turn.wakers = wakers;
        }
        n
    }
}

/// Wakes; a waker that panics is not ours to die of.
// PANIC: a foreign waker may unwind; the hook has reported it, and the driver goes on.
fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        std::mem::forget(payload);
    }
}

fn token(index: usize, generation: u32) -> u64 {
    (u64::from(generation) << 32) | index as u64
}

fn split(token: u64) -> (usize, u32) {
    ((token & 0xffff_ffff) as usize, (token >> 32) as u32)
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("n_sources", &self.n_sources())
            .finish_non_exhaustive()
    }
}
