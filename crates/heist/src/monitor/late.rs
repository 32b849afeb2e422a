//! When the thread in the driver wakes, and whether it is late.
//!
//! The monitor does not wake at the moment at which a timer wakes that thread: where all processors are busy one of the two
//! would take the other's in the midst of what it does, and after that the kernel gives it to a worker, until its next tick.
//!
//! While everybody computes it wakes a little later. If that thread has not come out by then it waits for its processor, and
//! is moved (`monitor/processor.rs`).
//!
//! Tests: `monitor/late/tests.rs`; `driver/tests/loom.rs` and `runtime/drive/tests.rs` for how it is held meanwhile.

#[cfg(all(test, not(heist_loom)))]
mod tests;

use super::processor;
use crate::clock::tsc::{Scale, Ticks};
use crate::scheduler::shared::Shared;
use crate::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How far from its wake: the two take some 20 µs each, and are late by 50.
const APART: Duration = Duration::from_micros(150);
/// From when on it is late: less than [`APART`], so that the first look after its moment finds it.
const LATE: Duration = Duration::from_micros(75);
/// The least between two looks for its sake. With one in each millisecond the computations got half a percent less, and it
/// was no more on time.
const INTERVAL: Duration = Duration::from_millis(3);
/// The least between two moves, which take some 50 µs of processor time each: where it is late all the time, as beside other
/// programs that leave it little, or with timers that the system makes coarse, they help little.
const MOVE_INTERVAL: Duration = Duration::from_millis(5);

/// See the module.
pub(super) struct Late {
    interval: u64,
    moved: Ticks,
}

impl Late {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            interval: scale.ticks_in(MOVE_INTERVAL),
            moved: Ticks::default(),
        }
    }

    /// If the thread that blocks in the driver is late it is moved to this one's processor.
    pub(super) fn look(&mut self, shared: &Shared, now: Ticks) {
        if !is_watched(shared) || !now.is_away_from(self.moved, self.interval) {
            return;
        }
        let mut moves = false;
        shared.drive.hold_if_late(LATE, &mut |worker, wake| {
            // Relaxed: it was written before that thread went into the driver.
            let thread = shared.remotes[worker].thread.load(Relaxed);
            moves = processor::bring_here(thread, wake);
            // In vain or not.
            self.moved = now;
        });
        if moves {
            processor::move_away();
        }
    }
}

/// How long to sleep, for `wait` or so.
pub(super) fn rest(shared: &Shared, wait: Duration) -> Duration {
    let driver = shared.drive.wakes_in();
    let wait = match driver {
        Some(driver) if is_watched(shared) => wait.min(after(driver)),
        _ => wait,
    };
    apart(wait, driver)
}

/// It may wait for a processor, and would be on time otherwise.
fn is_watched(shared: &Shared) -> bool {
    processor::CAN_MOVE
        && shared.time_slices
        && shared.home.all_compute()
        && shared.drive.is_exact()
}

/// How long to sleep so as to find a late one, which should wake in `driver`.
fn after(driver: Duration) -> Duration {
    (driver + APART).max(INTERVAL)
}

/// How long to sleep so as not to wake beside one that wakes in `driver`.
fn apart(wait: Duration, driver: Option<Duration>) -> Duration {
    match driver {
        Some(driver) if wait.abs_diff(driver) < APART => driver + APART,
        _ => wait,
    }
}
