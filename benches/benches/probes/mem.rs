//! What parked tasks weigh and cost: a million of them, the memory that is resident before and after, and the time that
//! it takes until each has been polled once.
//!
//! Each measurement has a process of its own, which ends with its tasks still parked.

use crate::{Probe, child};
use futures_channel::oneshot;
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::Stopwatch;
use heist_benches::table::Figure;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

pub(crate) struct Mem;

pub(crate) const EMPTY: &str = "mem";
pub(crate) const SMALL: &str = "mem_small";

impl Probe for Mem {
    const NAME: &'static str = "mem";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("resident bytes for each empty task that is parked"),
        Figure::cost("the same for a task of 64 bytes"),
    ];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let tasks = options.scaled(1_000_000);
        let bytes = [EMPTY, SMALL].map(|figure| child::measure::<C>(figure, 2, tasks));
        let bytes: Result<Vec<Vec<f64>>, String> = bytes.into_iter().collect();
        Ok(Measured::new(bytes?.concat(), None))
    }
}

pub(crate) struct SpawnParked;

pub(crate) const TIME: &str = "spawn_parked";

impl Probe for SpawnParked {
    const NAME: &'static str = "spawn_parked";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "ns/task of 64 bytes, from a worker: spawn and first poll of a million that stay parked",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let mut values = child::measure::<C>(TIME, options.workers, options.scaled(1_000_000))?;
        let cores = values.drain(1..).next();
        Ok(Measured::new(values, cores))
    }
}

/// The tasks that have not been polled yet, and whom the last one tells.
static LEFT: AtomicU64 = AtomicU64::new(0);
static ALL_PARKED: Mutex<Option<oneshot::Sender<()>>> = Mutex::new(None);

/// What comes once so many tasks are parked.
fn all_parked(tasks: u64) -> oneshot::Receiver<()> {
    let (last, all_parked) = oneshot::channel();
    LEFT.store(tasks, Ordering::Relaxed);
    *ALL_PARKED
        .lock()
        .expect("nothing panics while it is locked") = Some(last);
    all_parked
}

/// A task of so many words that is never ready. Nobody wakes it, so that it is polled once.
#[derive(Clone, Copy)]
pub(crate) struct Parked<const WORDS: usize>(pub(crate) [u64; WORDS]);

impl<const WORDS: usize> Future for Parked<WORDS> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<u64> {
        std::hint::black_box(&self.0);
        if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
            let last = ALL_PARKED
                .lock()
                .expect("nothing panics while it is locked")
                .take();
            last.expect("it is told once")
                .send(())
                .expect("the measurement waits for it");
        }
        Poll::Pending
    }
}

/// Nobody wakes the task and nobody awaits it, but there is somebody who might: an executor that keeps no list of its
/// tasks frees one that no waker and no handle names any more.
fn keep<C: Contender, const WORDS: usize>(runtime: C, task: Parked<WORDS>) {
    std::mem::forget(runtime.spawn(task));
}

/// Bytes.
pub(crate) fn measure<C: Contender, const WORDS: usize>(
    runtime: C,
    tasks: u64,
    task: Parked<WORDS>,
) -> Result<Vec<f64>, String> {
    let resident = || cpu::resident_bytes().ok_or("the system does not tell the resident memory");
    // The threads are up, and have polled something.
    runtime.on_a_worker(async { C::yield_now().await });
    let before = resident()?;
    let all_parked = all_parked(tasks);
    runtime.on_a_worker(async move {
        for index in 0..tasks {
            keep(runtime, task);
            // What is measured is tasks that are parked, not a queue of new ones.
            if index % 64 == 0 {
                C::yield_now().await;
            }
        }
        all_parked.await.expect("the last one tells");
    });
    let after = resident()?;
    if after <= before {
        return Err(format!("{before} bytes before, {after} after"));
    }
    Ok(vec![(after - before) as f64 / tasks as f64])
}

/// Nanoseconds and cores.
pub(crate) fn time<C: Contender>(runtime: C, tasks: u64) -> Result<Vec<f64>, String> {
    runtime.on_a_worker(async { C::yield_now().await });
    let all_parked = all_parked(tasks);
    let sample = runtime.on_a_worker(async move {
        let watch = Stopwatch::start();
        for _ in 0..tasks {
            keep(runtime, Parked([0; 8]));
        }
        all_parked.await.expect("the last one tells");
        watch.stop(tasks)
    });
    let left = LEFT.load(Ordering::Relaxed);
    if left != 0 {
        return Err(format!(
            "{left} more polls than tasks",
            left = left.wrapping_neg()
        ));
    }
    Ok([sample.nanoseconds_each()]
        .into_iter()
        .chain(sample.cores())
        .collect())
}
