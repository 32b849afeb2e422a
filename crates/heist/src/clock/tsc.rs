//! A cycle counter for poll boundaries, where `Instant::now` is too dear.
//!
//! Reading it costs a fraction of a clock read and overlaps with the work around it. It is used to
//! *decide* (look at the driver now? is this poll too long?) and to *count* (histograms), never for
//! a deadline. Where the processor does not promise a constant rate, it falls back to `Instant`.
//!
//! Tests: `metrics/tests.rs` compares it with `Instant`.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "reading the time-stamp counter is an intrinsic")
)]

use super::real_now;
use crate::sync::OnceLock;
use std::time::{Duration, Instant};

/// A reading of the counter. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticks(pub(crate) u64);

impl Ticks {
    /// The ticks from `earlier` to `self`, zero if the counters of two cores disagree.
    #[inline]
    pub(crate) fn since(self, earlier: Ticks) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So long after a moment, or before it: a processor's counter may go back while the machine sleeps, and nobody is to
    /// wait until it has come so far again.
    #[inline]
    pub(crate) fn is_away_from(self, moment: Ticks, ticks: u64) -> bool {
        self.0.wrapping_sub(moment.0) >= ticks
    }

    /// The same where the moment may have been read a little later than this.
    #[inline]
    pub(crate) fn is_far_from(self, moment: Ticks, ticks: u64) -> bool {
        self.0.abs_diff(moment.0) >= ticks
    }
}

/// How the counter relates to nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Nanoseconds a tick, as a fixed-point number with 32 fractional bits.
    nanos_per_tick: u64,
    reads_counter: bool,
    origin: Instant,
}

impl Scale {
    /// The process's scale, measured once.
    #[inline]
    pub(crate) fn get() -> &'static Scale {
        static SCALE: OnceLock<Scale> = OnceLock::new();
        SCALE.get_or_init(Scale::measure)
    }

    /// Now.
    #[inline]
    pub(crate) fn ticks(&self) -> Ticks {
        if self.reads_counter {
            Ticks(counter())
        } else {
            self.ticks_of_clock()
        }
    }

    /// Apart, and never inlined: where nobody calls it, it should take no room.
    #[cold]
    fn ticks_of_clock(&self) -> Ticks {
        let elapsed = real_now().saturating_duration_since(self.origin);
        Ticks(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// A difference of ticks in nanoseconds.
    #[inline]
    pub(crate) fn nanos(&self, ticks: u64) -> u64 {
        let product = u128::from(ticks) * u128::from(self.nanos_per_tick);
        u64::try_from(product >> 32).unwrap_or(u64::MAX)
    }

    /// A duration in ticks, rounded down.
    pub(crate) fn ticks_in(&self, duration: Duration) -> u64 {
        let ticks = (duration.as_nanos() << 32) / u128::from(self.nanos_per_tick);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Watches the counter beside the clock for a moment: 100 µs give the rate to 0.1 %, where the thread is not taken off
    /// its processor between the two; else it tries again.
    fn measure() -> Scale {
        let origin = real_now();
        let fallback = Scale {
            nanos_per_tick: 1 << 32,
            reads_counter: false,
            origin,
        };
        if !has_constant_rate() {
            return fallback;
        }
        let tries = std::iter::repeat_with(watch).take(TRIES);
        let Some(Watched { elapsed, ticks, .. }) = best_of(tries) else {
            return fallback;
        };
        let nanos_per_tick = (elapsed.as_nanos() << 32) / u128::from(ticks);
        match u64::try_from(nanos_per_tick) {
            Ok(nanos_per_tick) if nanos_per_tick > 0 => Scale {
                nanos_per_tick,
                reads_counter: true,
                origin,
            },
            _ => fallback,
        }
    }
}

/// So often the counter is watched, until once nothing came between it and the clock.
const TRIES: usize = 8;

/// The counter and the clock, side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Watched {
    pub(super) elapsed: Duration,
    pub(super) ticks: u64,
    /// By how much the ticks may be wrong.
    pub(super) doubt: u64,
}

/// The first that is good to 0.2 %, or else the one in least doubt; none where the counter stood still.
pub(super) fn best_of(tries: impl Iterator<Item = Watched>) -> Option<Watched> {
    let mut best: Option<Watched> = None;
    for watched in tries.filter(|watched| watched.ticks > 0) {
        if watched.doubt <= watched.ticks / 512 {
            return Some(watched);
        }
        if best.is_none_or(|best| watched.doubt < best.doubt) {
            best = Some(watched);
        }
    }
    best
}

fn watch() -> Watched {
    // The clock is read between two looks at the counter.
    let both = || {
        let before = counter();
        let now = real_now();
        (before, now, counter())
    };
    let (start, since, end_of_start) = both();
    loop {
        let (first, now, last) = both();
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= Duration::from_micros(100) {
            return Watched {
                elapsed,
                ticks: first.saturating_sub(start),
                doubt: (end_of_start.saturating_sub(start)).max(last.saturating_sub(first)),
            };
        }
        std::hint::spin_loop();
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC, and the kernels that we run on let user code use
    // it (a kernel that forbids it also clears the invariant-TSC bit, see `has_constant_rate`).
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe, reason = "CPUID is a safe intrinsic on newer compilers")]
fn has_constant_rate() -> bool {
    use core::arch::x86_64::__cpuid;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    // SAFETY: every x86-64 processor has CPUID, and leaf 0x8000_0000 says which leaves exist.
    let last_leaf = unsafe { __cpuid(0x8000_0000) }.eax;
    if last_leaf < POWER_MANAGEMENT {
        return false;
    }
    // SAFETY: CPUID exists, and the leaf was just seen to exist.
    let leaf = unsafe { __cpuid(POWER_MANAGEMENT) };
    leaf.edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn has_constant_rate() -> bool {
    false
}
