//! The parallel loop: tasks are the core's, on all its workers.
//!
//! Users' callbacks run one at a time, in order, on one serial queue, which a task of the core drains while there is
//! anything in it. Internal callbacks never come here: they run where a cell completes. Timers are the core's.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::runtime::Spawner;
use heist::time::Instant;
use parking_lot::Mutex;

use crate::events::{EventLoop, Handle, LoopTime};

/// How many callbacks run before the serial queue lets others have the worker.
const BATCH: usize = 64;

pub(crate) struct Parallel {
    spawner: Spawner,
    start: Instant,
    serial: Mutex<Serial>,
    closed: AtomicBool,
}

#[derive(Default)]
struct Serial {
    queue: VecDeque<Handle>,
    /// A task drains the queue.
    draining: bool,
}

impl Parallel {
    /// To be called inside the runtime, whose clock it takes.
    pub(crate) fn new(spawner: Spawner) -> Parallel {
        Parallel {
            spawner,
            start: Instant::now(),
            serial: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn time(&self) -> LoopTime {
        LoopTime::of(Instant::now().duration_since(self.start))
    }

    /// A loop time on the runtime's clock.
    pub(crate) fn instant(&self, when: LoopTime) -> Instant {
        self.start + when.since(LoopTime::default())
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed; a flag of its own.
        self.closed.load(Ordering::Relaxed)
    }

    /// Callbacks that are queued now or later never run.
    pub(crate) fn close(&self) {
        // ORDERING: Relaxed; a flag of its own.
        self.closed.store(true, Ordering::Relaxed);
        let dropped = std::mem::take(&mut self.serial.lock().queue);
        drop(dropped);
    }

    #[track_caller]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.spawner.spawn(task));
    }

    pub(crate) fn spawner(&self) -> Spawner {
        self.spawner
    }

    /// Puts a callback at the end of the serial queue.
    pub(crate) fn push(&self, event_loop: &EventLoop, handle: Handle) {
        let mut serial = self.serial.lock();
        // Under the lock that `close` takes after it has said so: nothing is queued behind it.
        if self.is_closed() {
            drop(serial);
            return drop(handle);
        }
        serial.queue.push_back(handle);
        let is_first = !std::mem::replace(&mut serial.draining, true);
        drop(serial);
        if is_first {
            self.spawn(drain(event_loop.clone()));
        }
    }

    /// The next callback; without one, the draining ends.
    fn next(&self) -> Option<Handle> {
        let mut serial = self.serial.lock();
        let next = serial.queue.pop_front();
        serial.draining = next.is_some();
        next
    }

    /// Runs a callback at its time: on the serial queue, or where the timer fires.
    pub(crate) fn push_timer(&self, event_loop: &EventLoop, handle: &Handle, on_serial: bool) {
        let deadline = self.instant(handle.due());
        let (event_loop, timed) = (event_loop.clone(), handle.clone());
        let task = self.spawner.spawn(async move {
            heist::time::sleep_until(deadline).await;
            match event_loop.parallel() {
                Some(parallel) if on_serial => parallel.push(&event_loop, timed),
                _ => timed.run(&event_loop),
            }
        });
        handle.set_timer(task.abort_handle());
    }
}

async fn drain(event_loop: EventLoop) {
    let Some(parallel) = event_loop.parallel() else {
        return;
    };
    let mut n = 0;
    while let Some(handle) = parallel.next() {
        if !handle.cancelled() {
            handle.run(&event_loop);
        }
        n += 1;
        if n % BATCH == 0 {
            heist::task::yield_now().await;
        }
    }
}
