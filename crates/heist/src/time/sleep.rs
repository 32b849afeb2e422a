//! A timer as a future.
//!
//! It is armed by its first poll, on the wheel of the worker that polls it, and disarmed there when
//! dropped. Between it only replaces its waker where that has changed.

use super::Instant;
use crate::budget;
use crate::context;
use crate::driver::Timers;
use crate::driver::wheel::TimerKey;
use crate::runtime::Handle;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// Waits for a time span. Zero is done at its first poll.
///
/// # Cancel safety
///
/// Dropping it disarms the timer; nothing else is lost.
///
/// # Panics
///
/// When it is polled outside a runtime, or after the runtime's end.
///
/// ```
/// use heist::time::{Duration, Instant, sleep};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let deadline = Instant::now().checked_add(duration);
    sleep_until(deadline.unwrap_or_else(Instant::far_future))
}

/// Waits until a moment. One in the past is done at its first poll.
///
/// # Cancel safety
///
/// Dropping it disarms the timer; nothing else is lost.
///
/// # Panics
///
/// As [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: Timer::Unarmed,
    }
}

enum Timer {
    Unarmed,
    Armed(Arc<Timers>, TimerKey),
    Elapsed,
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It may be polled by different tasks in turn: the last one is woken.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    timer: Timer,
}

impl Sleep {
    /// When it will be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        matches!(self.timer, Timer::Elapsed) || Instant::now() >= self.deadline
    }

    /// Sets another deadline, also after the first has passed.
    ///
    /// A task that waits for this future must poll it again, to be woken at the new time.
    pub fn reset(&mut self, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
        self.timer = Timer::Unarmed;
    }

    fn disarm(&mut self) {
        if let Timer::Armed(timers, key) = std::mem::replace(&mut self.timer, Timer::Unarmed) {
            timers.disarm(key);
        }
    }

    /// As a poll, but without asking the budget.
    #[track_caller]
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.timer {
            Timer::Elapsed => Poll::Ready(()),
            Timer::Unarmed => self.arm(cx),
            Timer::Armed(timers, key) => {
                // Once closed everything fires at once, to bring the task here.
                assert!(!timers.is_closed(), "{RUNTIME_GONE}");
                if timers.update_waker(*key, cx.waker()) {
                    return Poll::Pending;
                }
                self.disarm();
                self.timer = Timer::Elapsed;
                Poll::Ready(())
            }
        }
    }

    #[track_caller]
    fn arm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A waker's clone and drop are user code: both happen while the handle is not borrowed.
        let mut waker = Some(cx.waker().clone());
        // Borrowed and not cloned: the handle's count is a line that all workers would write.
        let armed = context::with(|handle| arm_on(handle, self.deadline, &mut waker));
        drop(waker);
        match armed {
            Ok(Some(timer)) => self.timer = timer,
            Ok(None) => panic!("{RUNTIME_GONE}"),
            Err(error) => panic!("{error}"),
        }
        match self.timer {
            Timer::Elapsed => Poll::Ready(()),
            Timer::Unarmed | Timer::Armed(..) => Poll::Pending,
        }
    }
}

/// Takes the waker where it arms a timer. `None`: the runtime is gone.
fn arm_on(handle: &Handle, deadline: Instant, waker: &mut Option<Waker>) -> Option<Timer> {
    let clock = handle.driver().clock();
    let deadline = clock.nanos_at(deadline.into_std());
    if deadline <= clock.nanos() {
        return Some(Timer::Elapsed);
    }
    let (timers, worker) = handle.timers();
    let armed = match timers.arm(deadline, waker.take()?) {
        Ok(armed) => armed,
        Err(refused) => {
            *waker = Some(refused);
            return None;
        }
    };
    if armed.is_next {
        handle.timer_became_next(worker);
    }
    Some(Timer::Armed(timers, armed.key))
}

const RUNTIME_GONE: &str = "a timer was awaited after its runtime had shut down: it can never fire";

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        self.poll_elapsed(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
