//! Counters that are always on, and the snapshot of them.
//!
//! A worker's counters are written by the thread that plays the worker, with plain stores, and read
//! by anyone; a poll costs one read of the cycle counter. Times are kept in ticks and turned into
//! durations by the snapshot.
//!
//! Tests: `tests/it/metrics.rs`; the buckets of the histogram, and what is not given in, in `metrics/tests.rs`.

#[cfg(test)]
mod tests;

use crate::clock::tsc::{Scale, Ticks};
use crate::sync::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A number with one writer. All accesses are Relaxed: nothing is published by a statistic.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Only the owner calls this: it is no atomic addition.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    #[inline]
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many completed tasks a worker has not given in yet, and how often it has given any in: the same number at two
/// looks says that the registry had them all the while.
#[derive(Debug, Default)]
pub(crate) struct Foreign(Counter);

impl Foreign {
    const TIMES: u64 = 1 << 16;

    #[inline]
    pub(crate) fn one_more(&self) {
        self.0.add(1);
    }

    pub(crate) fn given_in(&self) {
        self.0.set((self.0.get() / Self::TIMES + 1) * Self::TIMES);
    }

    /// How many, and how often.
    pub(crate) fn look(&self) -> (u64, u64) {
        let word = self.0.get();
        (word % Self::TIMES, word / Self::TIMES)
    }
}

/// Each power of two has this many buckets, as a power of two.
const SUB_BITS: u32 = 2;
const BUCKETS: usize = 64 << SUB_BITS;

/// A histogram of ticks with one writer: a bucket is at most 25 % wide.
#[derive(Debug)]
pub(crate) struct TickHistogram {
    buckets: Box<[Counter; BUCKETS]>,
    sum: Counter,
}

fn bucket_of(ticks: u64) -> usize {
    match ticks.checked_ilog2() {
        Some(exponent) if exponent >= SUB_BITS => {
            let sub = (ticks >> (exponent - SUB_BITS)) as usize & ((1 << SUB_BITS) - 1);
            ((exponent as usize) << SUB_BITS) | sub
        }
        _ => ticks as usize,
    }
}

/// The first value beyond a bucket.
fn bucket_end(bucket: usize) -> u64 {
    let exponent = bucket as u32 >> SUB_BITS;
    if exponent < SUB_BITS {
        return bucket as u64 + 1;
    }
    let sub = (bucket & ((1 << SUB_BITS) - 1)) as u64 + (1 << SUB_BITS) + 1;
    // The last bucket would end at 2^64.
    u64::try_from(u128::from(sub) << (exponent - SUB_BITS)).unwrap_or(u64::MAX)
}

impl TickHistogram {
    fn new() -> Self {
        Self {
            buckets: Box::new(std::array::from_fn(|_| Counter::default())),
            sum: Counter::default(),
        }
    }

    #[inline]
    pub(crate) fn record(&self, ticks: u64) {
        self.buckets[bucket_of(ticks)].add(1);
        self.sum.add(ticks);
    }

    fn snapshot(&self, scale: &Scale) -> Histogram {
        let buckets = self.buckets.iter().enumerate();
        let counted = buckets.filter(|(_, counter)| counter.get() > 0);
        Histogram {
            buckets: counted
                .map(|(bucket, counter)| {
                    let end = scale.nanos(bucket_end(bucket));
                    (Duration::from_nanos(end), counter.get())
                })
                .collect(),
            sum: Duration::from_nanos(scale.nanos(self.sum.get())),
        }
    }
}

/// What a worker counts.
#[derive(Debug)]
pub(crate) struct WorkerCounters {
    pub(crate) steals: Counter,
    pub(crate) parks: Counter,
    pub(crate) poll_ticks: TickHistogram,
    pub(crate) wait_ticks: TickHistogram,
    /// Tasks of others' shards of the registry that it has completed.
    pub(crate) foreign: Foreign,
    /// Ticks that it was parked, and [`PARKED`]: one word, so that whoever reads it takes no park for work.
    idle: Counter,
}

/// In the lowest bit of the word: the worker is parked. What is above it is the moment, less all earlier parks, then.
const PARKED: u64 = 1;
const IDLE_SHIFT: u32 = 1;

impl WorkerCounters {
    pub(crate) fn new() -> Self {
        Self {
            steals: Counter::default(),
            parks: Counter::default(),
            poll_ticks: TickHistogram::new(),
            wait_ticks: TickHistogram::new(),
            foreign: Foreign::default(),
            idle: Counter::default(),
        }
    }

    pub(crate) fn parked(&self, now: Ticks) {
        let idle = self.idle.get() >> IDLE_SHIFT;
        self.idle
            .set((now.0.saturating_sub(idle) << IDLE_SHIFT) | PARKED);
        self.parks.add(1);
    }

    pub(crate) fn unparked(&self, now: Ticks) {
        self.idle.set(self.idle_ticks(now) << IDLE_SHIFT);
    }

    /// How long it was parked until now.
    fn idle_ticks(&self, now: Ticks) -> u64 {
        let idle = self.idle.get();
        match idle & PARKED {
            0 => idle >> IDLE_SHIFT,
            _ => now.0.saturating_sub(idle >> IDLE_SHIFT),
        }
    }

    /// `queue_depth`: what is queued now.
    pub(crate) fn snapshot(&self, started: Ticks, queue_depth: usize) -> WorkerMetrics {
        let scale = Scale::get();
        let now = scale.ticks();
        let idle = self.idle_ticks(now);
        let poll_time = self.poll_ticks.snapshot(scale);
        WorkerMetrics {
            polls: poll_time.count(),
            steals: self.steals.get(),
            parks: self.parks.get(),
            local_queue_depth: queue_depth,
            busy: Duration::from_nanos(scale.nanos(now.since(started).saturating_sub(idle))),
            poll_time,
            wake_to_run: self.wait_ticks.snapshot(scale),
        }
    }
}

/// A histogram of durations, as it was at one moment.
///
/// Buckets are at most 25 % wide; empty ones are left out.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<(Duration, u64)>,
    sum: Duration,
}

impl Histogram {
    /// The buckets in rising order: the end of each, and how many values it holds.
    pub fn buckets(&self) -> &[(Duration, u64)] {
        &self.buckets
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, n)| n).sum()
    }

    /// The sum of all values.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The end of the bucket that holds the value at this quantile, between 0 and 1. Zero where
    /// nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile.clamp(0.0, 1.0) * self.count() as f64).ceil() as u64;
        let mut seen = 0;
        for &(end, n) in &self.buckets {
            seen += n;
            if seen >= rank.max(1) {
                return end;
            }
        }
        Duration::ZERO
    }

    /// Adds another histogram to this one.
    pub fn merge(&mut self, other: &Histogram) {
        for &(end, n) in &other.buckets {
            match self.buckets.binary_search_by_key(&end, |&(e, _)| e) {
                Ok(at) => self.buckets[at].1 += n,
                Err(at) => self.buckets.insert(at, (end, n)),
            }
        }
        self.sum += other.sum;
    }
}

/// One worker's counters, as they were at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Tasks polled.
    pub polls: u64,
    /// Times that this worker stole from another.
    pub steals: u64,
    /// Times that this worker blocked because it found nothing.
    pub parks: u64,
    /// Tasks in the worker's own queue, without the one that it will run next if it was woken last.
    pub local_queue_depth: usize,
    /// Time since the start that the worker was not parked.
    pub busy: Duration,
    /// How long polls took.
    pub poll_time: Histogram,
    /// From a task's wake to its poll; wakes by the worker itself are sampled, one in 16.
    pub wake_to_run: Histogram,
}

/// A runtime's counters, as they were at one moment.
///
/// ```
/// # let runtime = heist::runtime::Runtime::new().unwrap();
/// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
/// let metrics = runtime.metrics();
/// assert_eq!(metrics.alive_tasks, 0);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// The workers.
    pub workers: Vec<WorkerMetrics>,
    /// Tasks that are alive, those of `spawn_blocking` included.
    pub alive_tasks: usize,
    /// Tasks in the injector.
    pub injector_depth: usize,
    /// Tasks that were made runnable from outside the workers.
    pub remote_schedules: usize,
    /// How often a task, or a spawn site, was found to compute and moved behind what is light.
    pub found_heavy: usize,
    /// How many of the spare workers have been called on so far.
    pub spare_workers: usize,
    /// Threads of the blocking pool, without those that play workers.
    pub blocking_threads: usize,
    /// Blocking calls that wait for a thread.
    pub blocking_queue_depth: usize,
    /// IO objects that are registered.
    pub io_sources: usize,
    /// IO events taken from the operating system.
    pub io_events: usize,
    /// Waits in the poller that brought events.
    pub io_turns: usize,
    /// Timers that are armed.
    pub timers: usize,
    /// Time since the runtime was built.
    pub uptime: Duration,
}

impl RuntimeMetrics {
    /// The workers.
    pub fn workers(&self) -> &[WorkerMetrics] {
        &self.workers
    }

    /// Tasks polled by all workers.
    pub fn polls(&self) -> u64 {
        self.workers.iter().map(|w| w.polls).sum()
    }

    /// The share of the workers' time that they were not parked, between 0 and 1.
    pub fn busy_share(&self) -> f64 {
        let busy: f64 = self.workers.iter().map(|w| w.busy.as_secs_f64()).sum();
        let total = self.uptime.as_secs_f64() * self.workers.len() as f64;
        match total > 0.0 {
            true => (busy / total).min(1.0),
            false => 0.0,
        }
    }

    /// How long polls took, over all workers.
    pub fn poll_time(&self) -> Histogram {
        self.merged(|worker| &worker.poll_time)
    }

    /// From wake to poll, over all workers.
    pub fn wake_to_run(&self) -> Histogram {
        self.merged(|worker| &worker.wake_to_run)
    }

    fn merged(&self, of: impl Fn(&WorkerMetrics) -> &Histogram) -> Histogram {
        let mut merged = Histogram::default();
        for worker in &self.workers {
            merged.merge(of(worker));
        }
        merged
    }
}
