//! What a shutdown left behind.

use super::TaskInfo;
use std::fmt;

/// A task whose poll, or a blocking call, that did not end in time. It was detached: it ends by
/// itself, or with the process.
pub type Stuck = TaskInfo;

/// How a shutdown went.
///
/// ```
/// use std::time::Duration;
///
/// let runtime = heist::runtime::Runtime::new()?;
/// runtime.spawn(std::future::pending::<()>());
/// let report = runtime.shutdown_timeout(Duration::from_secs(5));
/// assert!(report.is_clean());
/// # Ok::<(), heist::runtime::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it says what is stuck"]
pub struct ShutdownReport {
    stuck: Vec<Stuck>,
}

impl ShutdownReport {
    pub(super) fn new(stuck: Vec<Stuck>) -> Self {
        Self { stuck }
    }

    /// Nothing was left.
    pub fn is_clean(&self) -> bool {
        self.stuck.is_empty()
    }

    /// What was left.
    pub fn stuck(&self) -> &[Stuck] {
        &self.stuck
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("the runtime has shut down");
        }
        let n = self.stuck.len();
        write!(
            f,
            "the runtime has shut down, but {n} did not end in time and were detached:"
        )?;
        for stuck in &self.stuck {
            write!(f, "\n  {stuck}")?;
        }
        Ok(())
    }
}
