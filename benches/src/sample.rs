//! One run's figures, and what several of them say together.

use crate::cpu;
use std::time::{Duration, Instant};

/// The wall clock; the runtimes' own clocks are among what is measured.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Takes the time and the CPU time of the part of a run that counts.
#[derive(Debug)]
pub struct Stopwatch {
    start: Instant,
    cpu: Option<Duration>,
}

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self {
            cpu: cpu::process_time(),
            start: now(),
        }
    }

    /// Stops it after `operations`.
    pub fn stop(self, operations: u64) -> Sample {
        let elapsed = self.start.elapsed();
        let cpu = cpu::process_time()
            .zip(self.cpu)
            .map(|(after, before)| after - before);
        Sample {
            operations,
            elapsed,
            cpu,
        }
    }
}

/// One run that passed its check.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// What was done.
    pub operations: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What all threads together spent on it.
    pub cpu: Option<Duration>,
}

impl Sample {
    /// Nanoseconds an operation.
    pub fn nanoseconds_each(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.operations as f64
    }

    /// Operations a second.
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// How many cores were busy.
    pub fn cores(&self) -> Option<f64> {
        self.cpu
            .map(|cpu| cpu.as_secs_f64() / self.elapsed.as_secs_f64())
    }
}

/// Several runs' values of one figure.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Half of the values are below.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let median = match values.len() {
            0 => return None,
            odd if odd % 2 == 1 => values[odd / 2],
            even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
        };
        Some(Self {
            median,
            min: values[0],
            max: values[values.len() - 1],
        })
    }
}

/// The smallest of the `sorted` values that a share of them do not exceed.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(Duration::ZERO)
}
