//! The live tasks, for people.

use crate::clock::tsc::{Scale, Ticks};
use crate::task::{Details, Id, Kind, Phase};
use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for a wake.
    Waiting,
    /// It is queued.
    Scheduled,
    /// It is polled right now, was just spawned, or has woken itself in its last poll and is queued behind the others.
    Running,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
        })
    }
}

impl super::Handle {
    /// Adds this runtime's tasks that are alive and whose state is, too, to a list of their maker's, by
    /// [`State::list`](crate::task::State::list), in no particular order.
    ///
    /// ```
    /// use heist::task::{State, Stateful};
    /// use std::any::Any;
    /// use std::pin::Pin;
    /// use std::sync::Arc;
    ///
    /// struct Job(u32);
    ///
    /// impl State for Job {
    ///     fn list<F>(task: &Pin<Arc<Stateful<Job, F>>>, list: &mut dyn Any)
    ///     where
    ///         F: Future<Output = ()> + Send + 'static,
    ///     {
    ///         if let Some(jobs) = list.downcast_mut::<Vec<u32>>() {
    ///             jobs.push(task.state().0);
    ///         }
    ///     }
    /// }
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let _jobs = [3, 4].map(|number| {
    ///     heist::task::spawn_stateful(Job(number), |_| std::future::pending())
    /// });
    /// let mut jobs: Vec<u32> = Vec::new();
    /// heist::runtime::Handle::current().list_stateful(&mut jobs);
    /// assert_eq!(jobs.iter().sum::<u32>(), 7);
    /// # });
    /// ```
    pub fn list_stateful(&self, list: &mut dyn Any) {
        self.spawner().list_stateful(list);
    }
}

/// What is known of a live task; see [`Handle::tasks`](super::Handle::tasks).
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let task = heist::task::Builder::new().name("idler").spawn(std::future::pending::<()>());
/// let tasks = heist::runtime::Handle::current().tasks();
/// let info = tasks.iter().find(|info| info.id() == task.id()).unwrap();
/// assert_eq!(info.name(), Some("idler"));
/// println!("{info}");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct TaskInfo {
    id: Id,
    details: Details,
    state: TaskState,
    listed: Ticks,
}

impl TaskInfo {
    pub(super) fn new(listed: crate::task::Listed) -> Self {
        Self {
            id: listed.id,
            details: listed.details,
            state: match listed.phase {
                Phase::Waiting => TaskState::Waiting,
                Phase::Scheduled => TaskState::Scheduled,
                Phase::Running | Phase::Complete => TaskState::Running,
            },
            listed: Scale::get().ticks(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The name that it was spawned with.
    pub fn name(&self) -> Option<&str> {
        self.details.name()
    }

    /// Where it was spawned.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.details.birth.site
    }

    /// Where it is in its life.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// It is a blocking call, not a future.
    pub fn is_blocking(&self) -> bool {
        self.details.birth.kind() == Kind::Blocking
    }

    /// The time from its spawn to the listing; where a task spawned it, from the begin of that
    /// task's poll.
    pub fn age(&self) -> Duration {
        let ticks = self.listed.since(self.details.birth.born());
        Duration::from_nanos(Scale::get().nanos(ticks))
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_blocking() {
            "blocking call"
        } else {
            "task"
        };
        write!(f, "{kind} {}", self.id)?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        write!(f, ", {}, spawned at {} ", self.state, self.spawn_site())?;
        write!(f, "{:.3} s ago", self.age().as_secs_f64())
    }
}
