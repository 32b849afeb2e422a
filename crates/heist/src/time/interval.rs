//! Ticks at a fixed rate.

use super::{Instant, Sleep, sleep_until};
use crate::budget;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What an [`Interval`] does when a tick is taken too late for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// The missed ticks come at once, one after another, until the schedule is caught up.
    #[default]
    Burst,
    /// The schedule starts anew from the late tick.
    Delay,
    /// The missed ticks are left out; the next comes at its place in the schedule.
    Skip,
}

/// Ticks every `period`, the first time at once.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// use heist::time::{Duration, interval};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut ticks = interval(Duration::from_millis(1));
/// let first = ticks.tick().await;
/// assert!(ticks.tick().await - first >= Duration::from_millis(1));
/// # });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval's period must not be zero");
    Interval {
        delay: sleep_until(start),
        period,
        missed_tick_behavior: MissedTickBehavior::default(),
    }
}

/// A schedule of ticks; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    delay: Sleep,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

/// So much later; in the far future where there is no such moment.
fn after(moment: Instant, wait: Duration) -> Instant {
    moment.checked_add(wait).unwrap_or_else(Instant::far_future)
}

impl Interval {
    /// Waits for the next tick and answers when it was due.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done takes no tick.
    ///
    /// # Panics
    ///
    /// When it is polled outside a runtime, or after the runtime's end.
    pub async fn tick(&mut self) -> Instant {
        std::future::poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll behind [`tick`](Self::tick).
    #[track_caller]
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(budget::poll_proceed(cx));
        ready!(Pin::new(&mut self.delay).poll_elapsed(cx));
        let due = self.delay.deadline();
        let next = self.next_after(due, Instant::now());
        self.delay.reset(next);
        Poll::Ready(due)
    }

    fn next_after(&self, due: Instant, now: Instant) -> Instant {
        let next = after(due, self.period);
        if next > now {
            return next;
        }
        match self.missed_tick_behavior {
            MissedTickBehavior::Burst => next,
            MissedTickBehavior::Delay => after(now, self.period),
            MissedTickBehavior::Skip => {
                let late = (now - due).as_nanos() % self.period.as_nanos();
                // The remainder is less than the period, which is a duration.
                let late =
                    Duration::new((late / 1_000_000_000) as u64, (late % 1_000_000_000) as u32);
                now + (self.period - late)
            }
        }
    }

    /// The next tick comes one period from now.
    pub fn reset(&mut self) {
        self.delay.reset(after(Instant::now(), self.period));
    }

    /// The next tick comes at once.
    pub fn reset_immediately(&mut self) {
        self.delay.reset(Instant::now());
    }

    /// The next tick comes `delay` from now.
    pub fn reset_after(&mut self, delay: Duration) {
        self.delay.reset(after(Instant::now(), delay));
    }

    /// The next tick comes at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.delay.reset(deadline);
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens to missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Sets what happens to missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }
}
