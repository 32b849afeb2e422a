//! `timeout`: a block with a deadline (CPython's `timeouts.py`).
//!
//! Rules: `[D1]` at the deadline the task is cancelled once, which counts; `[D2]` the exit takes that count back, and
//! only where no other request is left turns the cancellation into [`TimeoutError`]; `[D3]` expiry and exit exclude
//! each other: the state's lock is held over the cancel. It does not know what its body awaits.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;

use crate::events::{EventLoop, LoopTime, get_running_loop};
use crate::exceptions::{Exception, Result, TimeoutError, runtime_error};
use crate::parallel::Parallel;
use crate::tasks::{TaskHandle, current_task, poll_scope};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Entered,
    Expiring,
    Expired,
    Exited,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Entered => "active",
            State::Expiring => "expiring",
            State::Expired => "expired",
            State::Exited => "finished",
        }
    }
}

/// A block with a deadline (`asyncio.Timeout`). A clone is the same block.
///
/// [`timeout`] is the short form; make one with [`Timeout::new`] and [`Timeout::run`] to ask it afterwards.
///
/// ```
/// use heist_asyncio as asyncio;
/// use std::time::Duration;
///
/// let expired = asyncio::run(async {
///     let block = asyncio::Timeout::after(Duration::from_millis(5))?;
///     let result = block.run(async |_| asyncio::sleep(Duration::from_secs(60)).await).await;
///     assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
///     Ok(block.expired())
/// });
/// assert!(expired.unwrap());
/// ```
#[derive(Clone)]
pub struct Timeout(Arc<Mutex<Shared>>);

struct Shared {
    state: State,
    when: Option<LoopTime>,
    timer: Option<Timer>,
    task: Option<TaskHandle>,
    /// The task's requests to cancel at entry.
    cancelling: usize,
}

enum Timer {
    Soon(crate::events::Handle),
    At(crate::events::TimerHandle),
}

impl Timer {
    fn cancel(&self) {
        match self {
            Timer::Soon(handle) => handle.cancel(),
            Timer::At(handle) => handle.cancel(),
        }
    }
}

impl Timeout {
    /// A block with this deadline, or none.
    pub fn new(when: impl Into<Option<LoopTime>>) -> Timeout {
        let when = when.into();
        Timeout(Arc::new(Mutex::new(Shared {
            state: State::Created,
            when,
            timer: None,
            task: None,
            cancelling: 0,
        })))
    }

    /// A block whose deadline is so far from now (`asyncio.timeout`).
    ///
    /// # Errors
    /// `RuntimeError` where no loop is running.
    pub fn after(delay: impl Into<Option<Duration>>) -> Result<Timeout> {
        let now = get_running_loop()?.time();
        Ok(Timeout::new(delay.into().map(|delay| now + delay)))
    }

    /// The deadline.
    pub fn when(&self) -> Option<LoopTime> {
        self.0.lock().when
    }

    /// True from the moment at which the deadline passed within the block.
    pub fn expired(&self) -> bool {
        matches!(self.0.lock().state, State::Expiring | State::Expired)
    }

    /// Moves the deadline; one that has passed takes effect soon, never at once; `None` takes it away.
    ///
    /// # Errors
    /// `RuntimeError` outside the block, and once it is expiring.
    pub fn reschedule(&self, when: impl Into<Option<LoopTime>>) -> Result<()> {
        let when = when.into();
        let event_loop = get_running_loop()?;
        let mut shared = self.0.lock();
        match shared.state {
            State::Entered => {}
            State::Created => return Err(runtime_error("the timeout has not been entered")),
            other => {
                return Err(runtime_error(format!(
                    "cannot change state of {} timeout",
                    other.text()
                )));
            }
        }
        shared.when = when;
        let old = shared.timer.take();
        if let Some(old) = &old {
            old.cancel();
        }
        let mut stale = None;
        if event_loop.exact().is_some() {
            shared.timer = when.map(|when| self.arm(&event_loop, when));
        } else {
            // The task arms its own timer: see `run_parallel`.
            stale = shared.task.clone();
        }
        drop(shared);
        drop(old);
        if let Some(task) = stale {
            task.wake();
        }
        Ok(())
    }

    /// The deadline, as long as it can still expire.
    fn armed(&self) -> Option<LoopTime> {
        let shared = self.0.lock();
        shared.when.filter(|_| shared.state == State::Entered)
    }

    /// The block's body on many threads: its task arms and polls the core's timer, so the expiry is a part of the
    /// task's own step, and cannot come after the exit.
    async fn run_parallel<T>(
        &self,
        parallel: &Parallel,
        body: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut body = pin!(body);
        let mut timer: Option<(LoopTime, heist::time::Sleep)> = None;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = body.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                let Some(when) = self.armed() else {
                    timer = None;
                    return Poll::Pending;
                };
                if timer.as_ref().is_none_or(|(armed, _)| *armed != when) {
                    timer = Some((when, heist::time::sleep_until(parallel.instant(when))));
                }
                let is_due = timer
                    .as_mut()
                    .is_some_and(|(_, sleep)| Pin::new(sleep).poll(cx).is_ready());
                if !is_due {
                    return Poll::Pending;
                }
                self.expire();
            }
        })
        .await
    }

    fn arm(&self, event_loop: &EventLoop, when: LoopTime) -> Timer {
        let block = self.clone();
        let expire = Box::new(move || block.expire());
        if when <= event_loop.time() {
            Timer::Soon(event_loop.call_soon_in(None, expire))
        } else {
            Timer::At(event_loop.internal_timer(when, expire))
        }
    }

    /// The deadline passed, `[D1]`.
    fn expire(&self) {
        let mut shared = self.0.lock();
        if shared.state != State::Entered {
            return;
        }
        shared.state = State::Expiring;
        let timer = shared.timer.take();
        if let Some(task) = &shared.task {
            // [D3]: cells take no lock of ours, so it may be held.
            task.cancel();
        }
        drop(shared);
        drop(timer);
    }

    fn enter(&self) -> Result<()> {
        let mut shared = self.0.lock();
        if shared.state != State::Created {
            return Err(runtime_error("the timeout has already been entered"));
        }
        let Some(task) = current_task() else {
            return Err(runtime_error("a timeout must be used inside a task"));
        };
        shared.state = State::Entered;
        shared.cancelling = task.cancelling();
        shared.task = Some(task);
        let when = shared.when;
        drop(shared);
        self.reschedule(when)
    }

    /// The exit: `[D2]`.
    fn exit<T>(&self, result: Result<T>) -> Result<T> {
        let mut shared = self.0.lock();
        let timer = shared.timer.take();
        if let Some(timer) = &timer {
            timer.cancel();
        }
        let task = shared.task.take();
        let (state, cancelling) = (shared.state, shared.cancelling);
        shared.state = if state == State::Expiring {
            State::Expired
        } else {
            State::Exited
        };
        drop(shared);
        drop(timer);
        let Some(task) = task.filter(|_| state == State::Expiring) else {
            return result;
        };
        let is_ours = task.uncancel() <= cancelling;
        match result {
            Err(error) if is_ours && error.is_cancelled() => {
                Err(Exception::new(TimeoutError).with_cause(error))
            }
            result => result,
        }
    }

    /// Runs a block, which is given this timeout.
    ///
    /// # Errors
    /// [`TimeoutError`] where the deadline passed and the block was left by the cancellation that this caused; what
    /// the block raises; `RuntimeError` where it was run before, or outside a task.
    ///
    /// # Cancel safety
    /// Dropping it drops the block, and takes its timer and its cancellation back.
    pub async fn run<T, F: AsyncFnOnce(Timeout) -> Result<T>>(&self, body: F) -> Result<T> {
        self.enter()?;
        let mut leave = Leave(Some(self));
        let body = poll_scope(body(self.clone()));
        let event_loop = get_running_loop()?;
        let result = match event_loop.parallel() {
            None => body.await,
            Some(parallel) => self.run_parallel(parallel, body).await,
        };
        leave.0 = None;
        self.exit(result)
    }
}

/// Exits a block that is dropped.
struct Leave<'a>(Option<&'a Timeout>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.0.take() {
            let left: Result<()> = block.exit(Ok(()));
            debug_assert!(left.is_ok());
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.0.lock();
        f.debug_struct("Timeout")
            .field("state", &shared.state.text())
            .field("when", &shared.when)
            .finish()
    }
}

/// Runs a block with a time limit, `None` for none (`async with asyncio.timeout(delay)`). The limit begins at the
/// call.
///
/// ```
/// use heist_asyncio as asyncio;
/// use std::time::Duration;
///
/// let result = asyncio::run(async {
///     asyncio::timeout(Duration::from_millis(5), async |_| asyncio::sleep(Duration::from_secs(60)).await).await
/// });
/// assert!(result.unwrap_err().is::<asyncio::TimeoutError>());
/// ```
///
/// # Errors
/// As [`Timeout::run`].
///
/// # Cancel safety
/// As [`Timeout::run`].
pub fn timeout<T, F: AsyncFnOnce(Timeout) -> Result<T>>(
    delay: impl Into<Option<Duration>>,
    body: F,
) -> impl Future<Output = Result<T>> {
    let block = Timeout::after(delay);
    async move { block?.run(body).await }
}

/// As [`timeout`], until a time of the loop's clock (`asyncio.timeout_at`).
///
/// # Errors
/// As [`Timeout::run`].
///
/// # Cancel safety
/// As [`Timeout::run`].
pub async fn timeout_at<T, F: AsyncFnOnce(Timeout) -> Result<T>>(
    when: impl Into<Option<LoopTime>>,
    body: F,
) -> Result<T> {
    Timeout::new(when).run(body).await
}
