//! The handles to a task from outside: join, abort, and the error of a join.

use super::id::Id;
use super::raw::{JoinRef, TaskRef};
use super::registry::Details;
use std::any::Any;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The handle to a task that [`spawn`](super::spawn) returns. Awaiting it gives the task's result.
///
/// Dropping the handle detaches the task: it goes on, and its result is dropped when it is done; a
/// panic that nobody joined is reported.
///
/// # Cancel safety
///
/// Dropping the handle's poll loses nothing: await it again, through `&mut`.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::spawn(async { 6 * 7 });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
pub struct JoinHandle<T> {
    join: JoinRef<T>,
}

impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(join: JoinRef<T>) -> Self {
        Self { join }
    }

    /// Asks that the task's future be dropped at its next yield instead of being polled again.
    ///
    /// The future itself is not told: it sees its drop. A task that is polled right now goes on to
    /// its next await; one that completes there completes normally. Awaiting the handle tells when
    /// the future is gone, and whether it was aborted.
    pub fn abort(&self) {
        self.join.task().abort();
    }

    /// A handle that can abort the task but not join it.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            task: self.join.task().clone(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.join.task().id()
    }

    /// Whether the task is complete: it returned, panicked, or was aborted and dropped.
    pub fn is_finished(&self) -> bool {
        self.join.task().is_complete()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(crate::budget::poll_proceed(cx));
        self.join.poll(cx)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .finish()
    }
}

/// A handle that can abort a task but not join it. Dropping it does nothing.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::spawn(std::future::pending::<()>());
/// let abort = task.abort_handle();
/// abort.abort();
/// assert!(task.await.unwrap_err().is_aborted());
/// # });
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.task.is_complete()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}

/// How a task ended without output.
pub(crate) enum Failure {
    Aborted,
    Panic(Box<PanicFailure>),
}

/// A caught panic with what is known of the task.
pub(crate) struct PanicFailure {
    /// In a mutex only to be `Sync`, so that the error is.
    payload: std::sync::Mutex<Box<dyn Any + Send>>,
    name: Option<Arc<str>>,
    site: Option<&'static Location<'static>>,
}

/// Why a task has no output: it panicked, or it was aborted.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let error = heist::spawn(async { panic!("no") }).await.unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no");
/// # });
/// ```
pub struct JoinError {
    id: Id,
    failure: Failure,
}

impl JoinError {
    pub(crate) fn new(id: Id, failure: Failure) -> Self {
        Self { id, failure }
    }

    pub(super) fn panic(id: Id, payload: Box<dyn Any + Send>, details: Option<Details>) -> Self {
        let (name, site) = match details {
            Some(details) => (details.name, Some(details.birth.site)),
            None => (None, None),
        };
        let failure = PanicFailure {
            payload: std::sync::Mutex::new(payload),
            name,
            site,
        };
        Self::new(id, Failure::Panic(Box::new(failure)))
    }

    /// The id of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.failure, Failure::Panic(_))
    }

    /// The task was aborted: by a handle, or because its runtime shut down.
    pub fn is_aborted(&self) -> bool {
        matches!(self.failure, Failure::Aborted)
    }

    /// What the task panicked with, to be given to [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; [`try_into_panic`](Self::try_into_panic) asks.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("into_panic() on a task that did not panic: {error}"),
        }
    }

    /// What the task panicked with, or the error back.
    ///
    /// # Errors
    ///
    /// `self`, if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.failure {
            Failure::Panic(panic) => Ok(panic
                .payload
                .into_inner()
                .unwrap_or_else(|poison| poison.into_inner())),
            Failure::Aborted => Err(self),
        }
    }
}

/// The text of a panic, where it is a text.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure::Panic(panic) = &self.failure else {
            return write!(f, "task {} was aborted", self.id);
        };
        match &panic.name {
            Some(name) => write!(f, "task {} `{name}`", self.id)?,
            None => write!(f, "task {}", self.id)?,
        }
        if let Some(site) = panic.site {
            write!(f, " spawned at {site}")?;
        }
        f.write_str(" panicked")?;
        let payload = panic.payload.lock().unwrap_or_else(|e| e.into_inner());
        match panic_message(&**payload) {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}
