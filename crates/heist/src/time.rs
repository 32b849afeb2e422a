//! Sleeping, timeouts and intervals, on the runtime's clock.
//!
//! Timers are exact: they are rounded to no millisecond, and fire as soon as the kernel wakes the
//! worker, on an idle machine well within 1 ms. Where they come thick, four or more at once, a worker
//! that has nothing else to do sleeps for 80 µs at least before it fires the next ones together. One
//! that is armed and dropped costs two short visits to the worker's own wheel.
//!
//! Inside a runtime with a [virtual clock](crate::runtime::Builder::virtual_clock) everything here
//! follows that clock.

mod instant;
mod interval;
mod sleep;
mod timeout;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::Duration;
pub use timeout::{Timeout, timeout, timeout_at};

/// Errors of this module.
pub mod error {
    pub use super::timeout::Elapsed;
}
