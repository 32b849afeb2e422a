//! The exact loop: CPython's ready queue, scheduled heap and passes (`BaseEventLoop._run_once`).
//!
//! Rules: `[L1]` the ready queue is first in, first out; `[L2]` a pass moves the due timers to the queue's tail,
//! then runs exactly the entries that are queued now; `[L3]` a stop takes effect after the pass, an exit at once;
//! `[L4]` the virtual clock stands still while anything is ready, and jumps to the next timer when nothing is.
//!
//! The queue may be filled from any thread; the coroutines stay on the loop's own, in [`Coroutines`], so they need
//! not be `Send`. Who drives the passes: `runners.rs`.

use std::cell::RefCell;
use std::cmp::Ordering as CmpOrdering;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use heist::time::Instant;
use parking_lot::Mutex;
use slab::Slab;

use crate::completion::{InternalCallback, Watcher};
use crate::events::{EventLoop, Frame, FrameGuard, Handle, LoopTime};
use crate::node::{AnyCell, Node};

/// A coroutine wrapped as a task, without its result type.
pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// The slot of the task that a run is for: its coroutine is on the runner's stack.
pub(crate) const MAIN_SLOT: u32 = u32::MAX;
/// The slot of a task whose coroutine was not handed to the loop yet.
pub(crate) const NO_SLOT: u32 = u32::MAX - 1;

/// An entry of the ready queue.
pub(crate) enum Ready {
    Step(Node),
    /// The first step of a task that another thread created.
    Adopt(Node, Pin<Box<dyn Future<Output = ()> + Send>>),
    Callback(Handle),
    Internal(InternalCallback, Node),
    Watched(Arc<dyn Watcher>, Node, bool),
}

/// The part of an exact loop that all threads see.
pub(crate) struct Exact {
    queues: Mutex<Queues>,
    /// Wakes the thread that drives the loop.
    driver: Mutex<Option<Waker>>,
    /// Where loop time begins.
    start: Instant,
    /// The virtual clock's time, as of the last look at the runtime's clock; a real clock is asked each time.
    now: AtomicI64,
    is_virtual: bool,
}

#[derive(Default)]
struct Queues {
    ready: VecDeque<Ready>,
    scheduled: BinaryHeap<Scheduled>,
    seq: u64,
    /// From which length on the heap is swept of cancelled timers.
    sweep_at: usize,
    stopping: bool,
    closed: bool,
}

/// A timer; the earliest is the heap's greatest.
struct Scheduled {
    when: LoopTime,
    seq: u64,
    handle: Handle,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<CmpOrdering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> CmpOrdering {
        (other.when, other.seq).cmp(&(self.when, self.seq))
    }
}

/// The coroutines of a loop, on its own thread.
#[derive(Default)]
pub(crate) struct Coroutines {
    slots: RefCell<Slab<Option<LocalFuture>>>,
    /// The entries of the pass that runs; between drives, only its memory.
    pass: RefCell<VecDeque<Ready>>,
}

thread_local! {
    /// The loop whose pass runs on this thread.
    static DRIVING: RefCell<Option<(EventLoop, Rc<Coroutines>)>> = const { RefCell::new(None) };
}

/// What a drive of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// `stop` was asked for, and its pass is over; or an exit was raised, and its entry is.
    Stopped,
    /// Nothing is ready; the next timer is due then.
    Until(LoopTime),
    /// Nothing is ready and no timer is pending.
    Nothing,
}

impl Exact {
    /// To be called inside the runtime, whose clock it takes.
    pub(crate) fn new(is_virtual: bool) -> Exact {
        let queues = Mutex::new(Queues {
            sweep_at: 128,
            ..Queues::default()
        });
        let start = Instant::now();
        let (driver, now) = (Mutex::new(None), AtomicI64::new(0));
        Exact {
            queues,
            driver,
            start,
            now,
            is_virtual,
        }
    }

    pub(crate) fn time(&self) -> LoopTime {
        if self.is_virtual {
            // ORDERING: Relaxed; the loop's thread writes it, and others read a clock.
            LoopTime::from_nanos(self.now.load(Ordering::Relaxed))
        } else {
            LoopTime::of(Instant::now().duration_since(self.start))
        }
    }

    /// Looks at the runtime's clock; it moves only while nothing is ready, [L4].
    pub(crate) fn look_at_clock(&self) {
        if self.is_virtual {
            let now = LoopTime::of(Instant::now().duration_since(self.start));
            // ORDERING: Relaxed; see `time`.
            self.now.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// A loop time on the runtime's clock.
    pub(crate) fn instant(&self, when: LoopTime) -> Instant {
        self.start + when.since(LoopTime::default())
    }

    pub(crate) fn push(&self, entry: Ready) {
        let mut queues = self.queues.lock();
        if queues.closed {
            drop(queues);
            // A closed loop runs nothing; the entry's destructor is user code and holds no lock.
            drop(entry);
            return;
        }
        queues.ready.push_back(entry);
        drop(queues);
        self.wake_driver();
    }

    pub(crate) fn push_timer(&self, handle: Handle) {
        let mut swept = Vec::new();
        let mut queues = self.queues.lock();
        if queues.closed {
            drop(queues);
            drop(handle);
            return;
        }
        let seq = queues.seq;
        queues.seq += 1;
        queues.scheduled.push(Scheduled {
            when: handle.due(),
            seq,
            handle,
        });
        if queues.scheduled.len() > queues.sweep_at {
            let all = std::mem::take(&mut queues.scheduled);
            let (dead, live): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|timer| timer.handle.cancelled());
            swept = dead;
            queues.scheduled = live.into();
            queues.sweep_at = (queues.scheduled.len() * 2).max(128);
        }
        drop(queues);
        drop(swept);
        self.wake_driver();
    }

    /// Wakes the driving thread, where it is another one or not in a pass.
    pub(crate) fn wake_driver(&self) {
        let is_in_pass = DRIVING.try_with(|driving| match &*driving.borrow() {
            Some((event_loop, _)) => event_loop
                .exact()
                .is_some_and(|exact| std::ptr::eq(exact, self)),
            None => false,
        });
        if is_in_pass == Ok(true) {
            return;
        }
        let waker = self.driver.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn set_driver(&self, waker: &Waker) {
        let old = self.driver.lock().replace(waker.clone());
        drop(old);
    }

    pub(crate) fn stop(&self) {
        self.queues.lock().stopping = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queues.lock().closed
    }

    /// Clears the queues: what is in them never runs.
    pub(crate) fn close(&self) {
        let mut queues = self.queues.lock();
        queues.closed = true;
        let (ready, scheduled) = (
            std::mem::take(&mut queues.ready),
            std::mem::take(&mut queues.scheduled),
        );
        drop(queues);
        drop((ready, scheduled));
    }

    /// Moves the due timers to the ready queue, and takes what the pass has to run, `[L2]`.
    fn begin_pass(&self, pass: &mut VecDeque<Ready>) {
        debug_assert!(pass.is_empty(), "a pass runs all that it has");
        let mut dead = Vec::new();
        let mut queues = self.queues.lock();
        let now = if queues.scheduled.is_empty() {
            LoopTime::default()
        } else {
            self.time()
        };
        while let Some(timer) = queues.scheduled.peek() {
            if timer.handle.cancelled() || timer.when <= now {
                let Some(timer) = queues.scheduled.pop() else {
                    break;
                };
                if timer.handle.cancelled() {
                    dead.push(timer);
                } else {
                    queues.ready.push_back(Ready::Callback(timer.handle));
                }
            } else {
                break;
            }
        }
        std::mem::swap(&mut queues.ready, pass);
        drop(queues);
        drop(dead);
    }

    /// Puts back what is left of a pass that an exit has ended, before what was queued since.
    fn leave_pass(&self, rest: &mut VecDeque<Ready>) {
        let mut queues = self.queues.lock();
        rest.append(&mut queues.ready);
        std::mem::swap(&mut queues.ready, rest);
        queues.stopping = false;
    }

    /// What the loop has to do between passes.
    fn idle(&self) -> Option<Idle> {
        let mut queues = self.queues.lock();
        if queues.stopping {
            queues.stopping = false;
            return Some(Idle::Stopped);
        }
        if !queues.ready.is_empty() {
            return None;
        }
        let mut dead = Vec::new();
        while queues
            .scheduled
            .peek()
            .is_some_and(|timer| timer.handle.cancelled())
        {
            dead.extend(queues.scheduled.pop());
        }
        let next = queues.scheduled.peek().map(|timer| timer.when);
        drop(queues);
        drop(dead);
        match next {
            Some(when) if when <= self.time() => None,
            Some(when) => Some(Idle::Until(when)),
            None => Some(Idle::Nothing),
        }
    }
}

/// The task that a run is for, with its coroutine on the runner's stack.
pub(crate) type Main<'a> = Option<Pin<&'a mut dyn Future<Output = ()>>>;

/// Runs passes until nothing is ready, a stop takes effect, an exit is raised, or so many entries have run (`None`).
pub(crate) fn run_passes(
    event_loop: &EventLoop,
    coroutines: &Rc<Coroutines>,
    main: &mut Main<'_>,
    n_entries: usize,
) -> Option<Idle> {
    let exact = event_loop.exact()?;
    let driving = Driving::enter(event_loop.clone(), coroutines.clone());
    let frame = FrameGuard::enter(Frame {
        event_loop: Some(event_loop.clone()),
        ..Frame::default()
    });
    let mut idle = None;
    let mut n_run = 0;
    let mut pass = coroutines.pass.take();
    let exit = &event_loop.0.exit;
    while n_run < n_entries {
        exact.begin_pass(&mut pass);
        // A pass counts even where it is empty.
        n_run += pass.len().max(1);
        while !exit.is_raised() {
            let Some(entry) = pass.pop_front() else {
                break;
            };
            run_entry(event_loop, coroutines, main, entry);
        }
        if exit.is_raised() {
            exact.leave_pass(&mut pass);
            idle = Some(Idle::Stopped);
            break;
        }
        idle = exact.idle();
        if idle.is_some() {
            break;
        }
    }
    coroutines.pass.replace(pass);
    drop(frame);
    drop(driving);
    idle
}

fn run_entry(event_loop: &EventLoop, coroutines: &Coroutines, main: &mut Main<'_>, entry: Ready) {
    match entry {
        Ready::Step(node) => coroutines.step(&node, main),
        Ready::Adopt(node, future) => {
            coroutines.insert(&node, future);
            coroutines.step(&node, main);
        }
        Ready::Callback(handle) => handle.run(event_loop),
        Ready::Internal(callback, node) => callback(&node),
        Ready::Watched(watcher, node, failed) => watcher.completed(&node, failed),
    }
}

/// Marks this thread as the one that drives a loop.
struct Driving(Option<(EventLoop, Rc<Coroutines>)>);

impl Driving {
    fn enter(event_loop: EventLoop, coroutines: Rc<Coroutines>) -> Driving {
        Driving(DRIVING.with(|driving| driving.replace(Some((event_loop, coroutines)))))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let outer = self.0.take();
        drop(DRIVING.with(|driving| driving.replace(outer)));
    }
}

/// The coroutines of this loop, where this thread drives it.
pub(crate) fn driven_here(event_loop: &EventLoop) -> Option<Rc<Coroutines>> {
    DRIVING.with(|driving| match &*driving.borrow() {
        Some((driven, coroutines)) if driven == event_loop => Some(coroutines.clone()),
        _ => None,
    })
}

impl Coroutines {
    /// Takes a task's coroutine into the loop.
    pub(crate) fn insert(&self, node: &Node, future: LocalFuture) {
        if let Some(meta) = &node.core().meta {
            let slot = self.slots.borrow_mut().insert(Some(future));
            let slot = u32::try_from(slot).ok().filter(|&slot| slot < NO_SLOT);
            let slot = slot.expect("four billion tasks on one loop");
            // ORDERING: Relaxed; only the loop's thread reads it.
            meta.slot.store(slot, Ordering::Relaxed);
        }
    }

    /// One step of a task.
    fn step(&self, node: &Node, main: &mut Main<'_>) {
        let Some(meta) = &node.core().meta else {
            return;
        };
        // ORDERING: Release and Acquire through the swap in `wake`: a wake after this store schedules another step.
        meta.scheduled.store(false, Ordering::Release);
        // ORDERING: Relaxed; see `insert`.
        let slot = meta.slot.load(Ordering::Relaxed);
        let waker = AnyCell::into_waker(node.clone());
        let mut cx = Context::from_waker(&waker);
        if slot == MAIN_SLOT {
            let is_done = match main {
                Some(future) => future.as_mut().poll(&mut cx).is_ready(),
                None => false,
            };
            if is_done {
                *main = None;
                // ORDERING: Relaxed; see `insert`. A late wake of this task must not step the next run's.
                meta.slot.store(NO_SLOT, Ordering::Relaxed);
            }
            return;
        }
        let slot = slot as usize;
        // The coroutine is out of its slot while it runs: it may create tasks.
        let future = self.slots.borrow_mut().get_mut(slot).and_then(Option::take);
        let Some(mut future) = future else { return };
        match future.as_mut().poll(&mut cx) {
            Poll::Pending => {
                if let Some(place) = self.slots.borrow_mut().get_mut(slot) {
                    *place = Some(future);
                }
            }
            Poll::Ready(()) => {
                // ORDERING: Relaxed; see `insert`. A late wake must not step the slot's next tenant.
                meta.slot.store(NO_SLOT, Ordering::Relaxed);
                self.slots.borrow_mut().try_remove(slot);
                drop(future);
            }
        }
    }

    /// The first step of an eager task, inside its creation.
    pub(crate) fn step_now(&self, node: &Node) {
        self.step(node, &mut None);
    }

    /// Drops what is left, in order, after the loop has closed.
    pub(crate) fn clear(&self) {
        loop {
            let slots = std::mem::take(&mut *self.slots.borrow_mut());
            if slots.is_empty() {
                break;
            }
            drop(slots);
        }
    }
}
