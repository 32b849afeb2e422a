//! asyncio's exceptions, and [`Exception`], the one error type that tasks carry.
//!
//! `Exception` is a cheap-to-clone dynamic error: `?` takes any [`std::error::Error`], and the named
//! errors below are asked for with [`Exception::is`] and [`Exception::downcast_ref`]. A cancellation
//! without a message is the null pointer, so it costs no allocation. This file knows nothing of tasks.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a coroutine gives: a value, or the exception that ended it.
pub type Result<T, E = Exception> = std::result::Result<T, E>;

/// The message of a cancellation, as `Task.cancel(msg=…)` takes it.
pub(crate) type Message = Option<Arc<str>>;

/// An exception: any error, cheap to clone. It mirrors Python's `BaseException` instances.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// fn parse(text: &str) -> asyncio::Result<i32> {
///     Ok(text.parse::<i32>()?)
/// }
/// let error = parse("x").unwrap_err();
/// assert!(error.is::<std::num::ParseIntError>());
/// assert!(!error.is_cancelled());
/// ```
#[derive(Clone)]
pub struct Exception(Option<Arc<Raised>>);

/// The error of an exception that is not a bare cancellation.
struct Raised {
    error: Box<dyn StdError + Send + Sync>,
    cause: Option<Exception>,
}

/// What a bare cancellation is seen as.
static BARE: CancelledError = CancelledError { message: None };

impl Exception {
    /// An exception of this error. A [`CancelledError`] makes a cancellation.
    pub fn new<E: StdError + Send + Sync + 'static>(error: E) -> Exception {
        // A downcast of the option moves the error out without naming its type twice.
        let mut error = Some(error);
        let seen: &mut dyn Any = &mut error;
        if let Some(Some(CancelledError { message: None })) =
            seen.downcast_ref::<Option<CancelledError>>()
        {
            return Exception(None);
        }
        Exception(error.map(|error| {
            Arc::new(Raised {
                error: Box::new(error),
                cause: None,
            })
        }))
    }

    /// The cancellation, without a message.
    pub fn cancelled() -> Exception {
        Exception(None)
    }

    /// The cancellation with a message, an empty one included.
    pub fn cancelled_with(message: impl Into<Arc<str>>) -> Exception {
        Exception::from_message(Some(message.into()))
    }

    pub(crate) fn from_message(message: Message) -> Exception {
        match message {
            None => Exception(None),
            message => Exception::new(CancelledError { message }),
        }
    }

    /// Says that this exception was raised from another, as `raise … from cause` does.
    #[must_use]
    pub fn with_cause(self, cause: Exception) -> Exception {
        let error: Box<dyn StdError + Send + Sync> = match self.0 {
            None => Box::new(BARE.clone()),
            Some(raised) => match Arc::try_unwrap(raised) {
                Ok(raised) => raised.error,
                Err(shared) => Box::new(Shared(shared)),
            },
        };
        Exception(Some(Arc::new(Raised {
            error,
            cause: Some(cause),
        })))
    }

    /// The exception that this one was raised from.
    pub fn cause(&self) -> Option<&Exception> {
        self.0.as_ref().and_then(|raised| raised.cause.as_ref())
    }

    /// True where the error is an `E`.
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// The error, where it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &self.0 {
            None => {
                let bare: &dyn Any = &BARE;
                bare.downcast_ref::<E>()
            }
            Some(raised) => raised.downcast_ref::<E>(),
        }
    }

    /// True for a cancellation: asyncio's `CancelledError`.
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            None => true,
            Some(_) => self.is::<CancelledError>(),
        }
    }

    /// True for the errors that `except Exception` does not catch: a cancellation, [`GeneratorExit`],
    /// [`KeyboardInterrupt`] and [`SystemExit`].
    pub fn is_base(&self) -> bool {
        self.is_cancelled() || self.is_exit() || self.is::<GeneratorExit>()
    }

    /// True for the two errors that leave the loop: [`KeyboardInterrupt`] and [`SystemExit`].
    pub(crate) fn is_exit(&self) -> bool {
        self.0.is_some() && (self.is::<KeyboardInterrupt>() || self.is::<SystemExit>())
    }

    /// The message of a cancellation.
    pub fn cancel_message(&self) -> Option<&str> {
        self.downcast_ref::<CancelledError>()
            .and_then(|error| error.message.as_deref())
    }

    /// True where both are one exception (clones of it), and not merely equal ones. A cancellation without a message is
    /// no object, so it is the same as nothing, its own clone included.
    pub fn is_same(&self, other: &Exception) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn as_error(&self) -> &(dyn StdError + 'static) {
        match &self.0 {
            None => &BARE,
            Some(raised) => &*raised.error,
        }
    }
}

impl Raised {
    fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        if let Some(found) = self.error.downcast_ref::<E>() {
            return Some(found);
        }
        self.error
            .downcast_ref::<Shared>()
            .and_then(|shared| shared.0.downcast_ref::<E>())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Exception {
    fn from(error: E) -> Exception {
        Exception::new(error)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_error(), f)
    }
}

impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_error(), f)
    }
}

/// An error that clones of an exception still hold, inside one that was raised from something.
#[derive(Clone)]
struct Shared(Arc<Raised>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.error, f)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.error, f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}

/// An [`Exception`] as a [`std::error::Error`]: what `Box<dyn Error>` holds after `?`.
#[derive(Clone)]
struct Boxed(Exception);

impl fmt::Debug for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.cause() {
            Some(cause) => Some(cause.as_error()),
            None => self.0.as_error().source(),
        }
    }
}

impl From<Exception> for Box<dyn StdError + Send + Sync> {
    fn from(exception: Exception) -> Self {
        Box::new(Boxed(exception))
    }
}

impl From<Exception> for Box<dyn StdError> {
    fn from(exception: Exception) -> Self {
        Box::new(Boxed(exception))
    }
}

/// `except Exception` for results.
pub trait Except<T>: Sized {
    /// Handles an ordinary exception, as `except Exception` does: a cancellation, [`GeneratorExit`],
    /// [`KeyboardInterrupt`] and [`SystemExit`] pass through.
    ///
    /// # Errors
    /// What passes through, and what the handler raises.
    fn except(self, handler: impl FnOnce(Exception) -> Result<T>) -> Result<T>;
}

impl<T> Except<T> for Result<T> {
    fn except(self, handler: impl FnOnce(Exception) -> Result<T>) -> Result<T> {
        match self {
            Err(error) if !error.is_base() => handler(error),
            other => other,
        }
    }
}

/// The task or future was cancelled (`asyncio.CancelledError`).
#[derive(Clone, Debug, Default, thiserror::Error)]
#[error("cancelled{}", message.as_ref().map_or_else(String::new, |m| format!(": {m}")))]
pub struct CancelledError {
    /// The `msg` of the `cancel` call.
    pub message: Option<Arc<str>>,
}

/// A deadline passed (`TimeoutError`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct TimeoutError;

/// A result was asked for too early, or set twice (`asyncio.InvalidStateError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidStateError(pub &'static str);

/// `get_nowait` found the queue empty (`asyncio.QueueEmpty`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the queue is empty")]
pub struct QueueEmpty;

/// `put_nowait` found the queue full (`asyncio.QueueFull`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct QueueFull;

/// The queue was shut down (`asyncio.QueueShutDown`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the queue is shut down")]
pub struct QueueShutDown;

/// The barrier was aborted or reset (`asyncio.BrokenBarrierError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenBarrierError(pub &'static str);

/// The stream ended before the read was complete (`asyncio.IncompleteReadError`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} bytes read on a total of {} expected bytes", partial.len(),
        expected.map_or_else(|| "undefined".to_owned(), |n| n.to_string()))]
pub struct IncompleteReadError {
    /// What was read before the end.
    pub partial: Vec<u8>,
    /// How much was asked for, where that is known.
    pub expected: Option<usize>,
}

/// The separator was not found within the limit (`asyncio.LimitOverrunError`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LimitOverrunError {
    /// What went wrong.
    pub message: &'static str,
    /// How many bytes of the buffer belong to the line that is too long.
    pub consumed: usize,
}

/// Misuse: what CPython answers with `RuntimeError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeError(pub Cow<'static, str>);

/// A value that makes no sense: what CPython answers with `ValueError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub Cow<'static, str>);

/// A context variable without a value (`LookupError`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the context variable {0} has no value")]
pub struct LookupError(pub &'static str);

/// The asynchronous generator is being closed: its body cleans up and ends (`GeneratorExit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the generator is being closed")]
pub struct GeneratorExit;

/// The program was interrupted with Ctrl-C (`KeyboardInterrupt`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct KeyboardInterrupt;

/// The program asks to end with this status (`SystemExit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("exit with status {0}")]
pub struct SystemExit(pub i32);

/// The program can never go on: nothing is ready, no timer is pending, and nothing outside is awaited. CPython would
/// wait for ever; a loop with a virtual clock says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("deadlock: no task is ready and no timer is pending")]
pub struct DeadlockError;

/// A task or callback panicked. The panic's payload can be taken out once.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {message}")]
pub struct PanicError {
    message: String,
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl PanicError {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> PanicError {
        let message = match (
            payload.downcast_ref::<&'static str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a value that is not text".to_owned(),
        };
        PanicError {
            message,
            payload: Mutex::new(Some(payload)),
        }
    }

    /// The text of the panic.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Takes the payload, to go on with [`std::panic::resume_unwind`]. The second call finds nothing.
    pub fn take_payload(&self) -> Option<Box<dyn Any + Send>> {
        self.payload.lock().take()
    }
}

/// Several exceptions at once (`ExceptionGroup`), as a task group raises them.
#[derive(Clone, Debug)]
pub struct ExceptionGroup {
    message: Cow<'static, str>,
    exceptions: Vec<Exception>,
}

impl ExceptionGroup {
    /// A group of these exceptions.
    ///
    /// # Errors
    /// [`ValueError`] where there are none.
    pub fn new(
        message: impl Into<Cow<'static, str>>,
        exceptions: Vec<Exception>,
    ) -> Result<ExceptionGroup> {
        if exceptions.is_empty() {
            return Err(ValueError("a group needs at least one exception".into()).into());
        }
        Ok(ExceptionGroup {
            message: message.into(),
            exceptions,
        })
    }

    pub(crate) fn of(message: &'static str, exceptions: Vec<Exception>) -> Exception {
        debug_assert!(!exceptions.is_empty());
        Exception::new(ExceptionGroup {
            message: message.into(),
            exceptions,
        })
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The members, in the order in which they were collected.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The members that fulfil the condition, nested groups searched and kept in shape (`subgroup`). `None` where
    /// there is none.
    pub fn subgroup(&self, condition: &dyn Fn(&Exception) -> bool) -> Option<ExceptionGroup> {
        self.split(condition).0
    }

    /// The members that fulfil the condition, and the rest (`split`): what `except*` is made of. Nested groups are
    /// searched and keep their shape.
    pub fn split(
        &self,
        condition: &dyn Fn(&Exception) -> bool,
    ) -> (Option<ExceptionGroup>, Option<ExceptionGroup>) {
        let (mut matching, mut rest) = (Vec::new(), Vec::new());
        for exception in &self.exceptions {
            if condition(exception) {
                matching.push(exception.clone());
            } else if let Some(group) = exception.downcast_ref::<ExceptionGroup>() {
                let (inside, outside) = group.split(condition);
                matching.extend(inside.map(Exception::new));
                rest.extend(outside.map(Exception::new));
            } else {
                rest.push(exception.clone());
            }
        }
        let derive = |exceptions: Vec<Exception>| {
            (!exceptions.is_empty()).then(|| ExceptionGroup {
                message: self.message.clone(),
                exceptions,
            })
        };
        (derive(matching), derive(rest))
    }
}

impl fmt::Display for ExceptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.exceptions.len();
        write!(
            f,
            "{} ({n} sub-exception{})",
            self.message,
            if n == 1 { "" } else { "s" }
        )?;
        for exception in &self.exceptions {
            write!(f, "; {exception}")?;
        }
        Ok(())
    }
}

impl StdError for ExceptionGroup {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.exceptions.first().map(Exception::as_error)
    }
}

pub(crate) fn runtime_error(text: impl Into<Cow<'static, str>>) -> Exception {
    Exception::new(RuntimeError(text.into()))
}

pub(crate) fn value_error(text: impl Into<Cow<'static, str>>) -> Exception {
    Exception::new(ValueError(text.into()))
}
