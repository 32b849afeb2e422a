//! Time: the only file (with `clock/tsc.rs`) that reads it.
//!
//! A [`Clock`] counts nanoseconds from its own start. It is real, or virtual: a virtual clock
//! stands still until it is told to jump, which the current-thread scheduler does when nothing is
//! ready. Deadlines throughout the driver are such nanoseconds, exact, in a `u64` (584 years).
//!
//! [`tsc`] is the cheap cycle counter that workers read at poll boundaries.

pub(crate) mod tsc;

#[cfg(all(test, not(heist_loom)))]
mod tests;

use crate::sync::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Nanoseconds since a clock's start, or a deadline on that scale.
pub(crate) type Nanos = u64;

/// A runtime's source of time.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    /// Nanoseconds that a virtual clock has moved since `base`. Written by the one thread that
    /// drives the runtime, read by anyone.
    virtual_now: Option<AtomicU64>,
}

impl Clock {
    pub(crate) fn real() -> Self {
        Self {
            base: real_now(),
            virtual_now: None,
        }
    }

    pub(crate) fn simulated() -> Self {
        Self {
            base: real_now(),
            virtual_now: Some(AtomicU64::new(0)),
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.virtual_now.is_some()
    }

    /// Nanoseconds since the clock's start.
    pub(crate) fn nanos(&self) -> Nanos {
        match &self.virtual_now {
            // ORDERING: pairs with the Release in `jump_to`; whoever sees the new time also sees
            // what was done before the jump.
            Some(now) => now.load(Acquire),
            None => saturating_nanos(real_now().saturating_duration_since(self.base)),
        }
    }

    /// The current time as an `Instant`.
    pub(crate) fn now(&self) -> Instant {
        match &self.virtual_now {
            Some(_) => self.base + Duration::from_nanos(self.nanos()),
            None => real_now(),
        }
    }

    /// `instant` on this clock's scale: 0 if it is before the clock's start.
    pub(crate) fn nanos_at(&self, instant: Instant) -> Nanos {
        saturating_nanos(instant.saturating_duration_since(self.base))
    }

    /// Moves a virtual clock forward. Going back is a no-op.
    ///
    /// # Panics
    ///
    /// If the clock is real.
    pub(crate) fn jump_to(&self, nanos: Nanos) {
        let now = self
            .virtual_now
            .as_ref()
            .expect("only a virtual clock jumps");
        // The driving thread is the only writer, so a plain read is current.
        if nanos > now.load(Relaxed) {
            // ORDERING: pairs with the Acquire in `nanos`.
            now.store(nanos, Release);
        }
    }
}

fn saturating_nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long the calling thread has been on a processor. A system call: not for common paths.
#[cfg(unix)]
pub(crate) fn thread_cpu_nanos() -> Option<Nanos> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u64::try_from(time.tv_nsec).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Nobody tells.
#[cfg(not(unix))]
pub(crate) fn thread_cpu_nanos() -> Option<Nanos> {
    None
}

/// The calling thread, for [`busy_nanos_of`].
#[cfg(target_os = "linux")]
pub(crate) fn this_thread() -> u32 {
    rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
}

/// How long a thread of this process has been on a processor, or waiting for one. Opens a file: only for what is
/// rare.
#[cfg(target_os = "linux")]
pub(crate) fn busy_nanos_of(thread: u32) -> Option<Nanos> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let mut fields = stat.split_ascii_whitespace().map(str::parse::<Nanos>);
    let (ran, waited) = (fields.next()?.ok()?, fields.next()?.ok()?);
    ran.checked_add(waited)
}

/// Nobody is asked about it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn this_thread() -> u32 {
    0
}

/// Nobody tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn busy_nanos_of(_thread: u32) -> Option<Nanos> {
    None
}

/// The machine's monotonic time.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn real_now() -> Instant {
    Instant::now()
}
