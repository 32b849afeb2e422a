//! Errors that are not one operation's alone, and panics that are nobody's.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code that has nobody to report a panic to; the panic hook has spoken by then.
pub(crate) fn ignore_panic(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        // Even the payload's drop can panic; leaking it is the lesser evil.
        std::mem::forget(payload);
    }
}

/// Why a runtime could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An option has a value that cannot work. The message says what to do.
    #[error("{option}: {problem}")]
    #[non_exhaustive]
    Option {
        /// The builder's method.
        option: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system gave no poller or no thread.
    #[error("the operating system refused: {0}")]
    Io(#[from] io::Error),
}

impl From<BuildError> for io::Error {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Io(error) => error,
            option @ BuildError::Option { .. } => Self::new(io::ErrorKind::InvalidInput, option),
        }
    }
}

/// There is no current runtime: the calling thread neither belongs to one nor has entered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryCurrentError(pub(crate) ());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there is no heist runtime on this thread; call this inside `block_on` or a task, or \
             hold a guard of `Handle::enter`",
        )
    }
}

impl std::error::Error for TryCurrentError {}

/// Under a virtual clock: nothing is ready and nothing can ever be, yet the future is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    pub(crate) tasks: Vec<String>,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "deadlock: the future waits, but no task is ready, no timer is armed, and no IO or \
             blocking call is under way",
        )?;
        for task in &self.tasks {
            write!(f, "\n  waiting: {task}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Deadlock {}
