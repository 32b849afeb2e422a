//! What a run cost the machine, and work that costs a known amount.

use crate::sample::{Stopwatch, now};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The CPU time of all threads of this process so far; `None` where the system does not tell.
pub fn process_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(Duration::new(
            time.tv_sec.try_into().ok()?,
            time.tv_nsec.try_into().ok()?,
        ))
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// How often this process's threads have gone to sleep of their own will; `None` where there is no `/proc`.
///
/// Threads that have ended are not counted, so ask while those of interest are alive.
pub fn voluntary_switches() -> Option<u64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |path: std::path::PathBuf| -> Option<u64> {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    Some(
        threads
            .flatten()
            .filter_map(|thread| of_thread(thread.path()))
            .sum(),
    )
}

/// The memory that is resident, in bytes; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Computes what takes about `duration` on a core of its own: an amount of work, not a time on the clock, so that a
/// thread that is preempted has not worked less. The result is the same for the same duration.
pub fn burn(duration: Duration) -> u64 {
    rounds(duration.as_nanos() as u64 * rounds_per_microsecond() / 1_000)
}

fn rounds_per_microsecond() -> u64 {
    static SPEED: OnceLock<u64> = OnceLock::new();
    *SPEED.get_or_init(|| {
        const ROUNDS: u64 = 200_000;
        let best = (0..20)
            .map(|_| {
                let watch = Stopwatch::start();
                black_box(rounds(ROUNDS));
                watch.stop(ROUNDS).elapsed
            })
            .min()
            .unwrap_or(Duration::from_micros(1));
        (ROUNDS * 1_000 / best.as_nanos().max(1) as u64).max(1)
    })
}

/// A chain of multiplications that no compiler shortens.
fn rounds(count: u64) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..count {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state = black_box(state.wrapping_mul(0x2545_f491_4f6c_dd1d));
    }
    state
}

/// Holds this thread, without work: what a blocking call does to a worker.
#[expect(
    clippy::disallowed_methods,
    reason = "the probe asks what a blocked worker does to the others"
)]
pub fn block(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lets the process come to rest, so that workers are parked.
pub fn settle(duration: Duration) {
    let until = now() + duration;
    while let Some(left) = until
        .checked_duration_since(now())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}

/// Gives each thread that asks the next processor in turn.
#[derive(Debug, Default)]
pub struct Pins(AtomicUsize);

impl Pins {
    /// What a thread is to call when it starts. Where the system has no such call, nothing happens.
    pub fn of_threads(self) -> impl Fn() + Clone + Send + Sync + 'static {
        let pins = Arc::new(self);
        move || {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            let turn = numbered().unwrap_or_else(|| pins.0.fetch_add(1, Ordering::Relaxed));
            pin(turn % processors);
        }
    }
}

/// The number at the end of the thread's name: of threads that start at once, only the name says which is which.
fn numbered() -> Option<usize> {
    let thread = std::thread::current();
    thread.name()?.rsplit('-').next()?.parse().ok()
}

#[cfg(target_os = "linux")]
fn pin(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    // A machine that refuses is measured as it is.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
fn pin(_processor: usize) {}
