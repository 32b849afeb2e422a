//! What the runtime says without being asked.
//!
//! With the feature `tracing` it says it in events, whose target is `heist`: panics that nobody
//! joins (error), polls that last too long (warning), tasks that were found to compute (debug).
//! Without, panics go to standard error, and the rest is said to who asks: by
//! [`Builder::on_stall`](crate::runtime::Builder::on_stall) and the metrics.
//!
//! Tests: `tests/tracing.rs`.

use crate::task::{Details, Id, JoinError};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Called with the panic that nobody joined.
pub(crate) type PanicHook = Arc<dyn Fn(&JoinError) + Send + Sync>;

/// A poll that lasts too long; see [`Builder::on_stall`](crate::runtime::Builder::on_stall).
#[derive(Clone, Debug)]
pub struct Stall {
    pub(crate) task: Id,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) site: Option<&'static Location<'static>>,
    pub(crate) worker: usize,
    pub(crate) lasted: Duration,
    pub(crate) heavy: bool,
}

impl Stall {
    /// The task that is polled.
    pub fn task(&self) -> Id {
        self.task
    }

    /// The name that it was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned; `None` where it ended while it was being looked up.
    pub fn spawn_site(&self) -> Option<&'static Location<'static>> {
        self.site
    }

    /// The number of the worker that polls it.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How long the poll has lasted so far.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// The task was found to compute before: it waits behind light tasks, and others serve IO and
    /// timers meanwhile.
    pub fn is_heavy(&self) -> bool {
        self.heavy
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = self.lasted.as_secs_f64();
        write!(
            f,
            "worker {} is stuck in one poll for {lasted:.3} s: ",
            self.worker
        )?;
        write!(f, "task {}", self.task)?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        match self.site {
            Some(site) => write!(f, ", spawned at {site}"),
            None => Ok(()),
        }
    }
}

/// What is done about stalls.
#[derive(Clone)]
pub(crate) struct StallHook {
    pub(crate) threshold: Duration,
    pub(crate) report: Arc<dyn Fn(&Stall) + Send + Sync>,
}

#[cfg(feature = "tracing")]
mod said {
    use super::{Arc, Details, Duration, Id, PanicHook, StallHook};

    /// A poll that lasts so long is worth a warning.
    const STALL: Duration = Duration::from_millis(100);

    pub(crate) fn panic_hook() -> PanicHook {
        Arc::new(|error| tracing::error!(target: "heist", "{error}; nobody joined it"))
    }

    pub(crate) fn stall_hook() -> Option<StallHook> {
        Some(StallHook {
            threshold: STALL,
            report: Arc::new(|stall| {
                tracing::warn!(
                    target: "heist",
                    task = %stall.task(),
                    name = stall.name(),
                    site = stall.spawn_site().map(tracing::field::display),
                    worker = stall.worker(),
                    lasted_ms = u64::try_from(stall.lasted().as_millis()).unwrap_or(u64::MAX),
                    heavy = stall.is_heavy(),
                    "a poll lasts too long",
                );
            }),
        })
    }

    pub(crate) fn heavy(id: Id, details: &Details, why: &str) {
        tracing::debug!(
            target: "heist",
            task = %id,
            name = details.name(),
            site = %details.birth.site,
            "goes behind light tasks from now on: {why}",
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod said {
    use super::{Arc, Details, Id, PanicHook, StallHook};

    pub(crate) fn panic_hook() -> PanicHook {
        Arc::new(|error| eprintln!("heist: {error}; nobody joined it"))
    }

    pub(crate) fn stall_hook() -> Option<StallHook> {
        None
    }

    pub(crate) fn heavy(_id: Id, _details: &Details, _why: &str) {}
}

pub(crate) use said::{heavy, panic_hook, stall_hook};
