//! `staggered_race`: start one after the other, first success wins (CPython's `staggered.py`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::exceptions::{Exception, Result, TimeoutError};
use crate::locks::Event;
use crate::tasks::{ReturnWhen, TaskHandle, create_task, wait, wait_for};

type Coroutine<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What became of a race.
#[derive(Debug)]
pub struct Race<T> {
    /// The winner's result and index, where there is a winner.
    pub winner: Option<(T, usize)>,
    /// For each that was started, in order, what it raised; `None` for the winner.
    pub exceptions: Vec<Option<Exception>>,
}

struct Shared<T> {
    entrants: std::vec::IntoIter<Coroutine<T>>,
    race: Race<T>,
    tasks: Vec<TaskHandle>,
}

/// Starts the next one when the one before has failed, or after the delay; the first success wins, and the others are
/// cancelled (`asyncio.staggered.staggered_race`). Without a delay each waits for the failure of the one before.
///
/// # Errors
/// The cancellation, which cancels all who were started.
///
/// # Cancel safety
/// Dropping it cancels all who were started.
pub async fn staggered_race<T, F>(
    entrants: impl IntoIterator<Item = F>,
    delay: impl Into<Option<Duration>>,
) -> Result<Race<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let delay = delay.into();
    let entrants: Vec<Coroutine<T>> = entrants
        .into_iter()
        .map(|entrant| -> Coroutine<T> { Box::pin(entrant) })
        .collect();
    let race = Race {
        winner: None,
        exceptions: Vec::new(),
    };
    let shared = Arc::new(Mutex::new(Shared {
        entrants: entrants.into_iter(),
        race,
        tasks: Vec::new(),
    }));
    let _left = CancelAll(shared.clone());
    start(&shared, None, delay);
    loop {
        let tasks = shared.lock().tasks.clone();
        wait(&tasks, None, ReturnWhen::AllCompleted).await?;
        let mut state = shared.lock();
        if state.tasks.len() == tasks.len() {
            let over = Race {
                winner: None,
                exceptions: Vec::new(),
            };
            return Ok(std::mem::replace(&mut state.race, over));
        }
    }
}

/// Makes the task that will run the next entrant.
fn start<T: Send + 'static>(
    shared: &Arc<Mutex<Shared<T>>>,
    previous_failed: Option<Event>,
    delay: Option<Duration>,
) {
    let runner = run_one(shared.clone(), previous_failed, delay);
    let task = create_task(runner);
    shared.lock().tasks.push(task.handle());
}

fn run_one<T: Send + 'static>(
    shared: Arc<Mutex<Shared<T>>>,
    previous_failed: Option<Event>,
    delay: Option<Duration>,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
    Box::pin(async move {
        if let Some(failed) = previous_failed {
            match wait_for(failed.wait(), delay).await {
                Err(error) if !error.is::<TimeoutError>() => return Err(error),
                _ => {}
            }
        }
        let (entrant, index) = {
            let mut state = shared.lock();
            if state.race.winner.is_some() {
                return Ok(());
            }
            let Some(entrant) = state.entrants.next() else {
                return Ok(());
            };
            state.race.exceptions.push(None);
            (entrant, state.race.exceptions.len() - 1)
        };
        let failed = Event::new();
        start(&shared, Some(failed.clone()), delay);
        match entrant.await {
            Err(error) => {
                shared.lock().race.exceptions[index] = Some(error);
                failed.set();
            }
            Ok(value) => {
                let losers = {
                    let mut state = shared.lock();
                    if state.race.winner.is_none() {
                        state.race.winner = Some((value, index));
                    }
                    let me = crate::tasks::current_task();
                    state
                        .tasks
                        .iter()
                        .filter(|task| me.as_ref() != Some(task))
                        .cloned()
                        .collect::<Vec<_>>()
                };
                losers.iter().for_each(|task| {
                    task.cancel();
                });
            }
        }
        Ok(())
    })
}

/// Leaves no task running, however the race is left.
struct CancelAll<T>(Arc<Mutex<Shared<T>>>);

impl<T> Drop for CancelAll<T> {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut self.0.lock().tasks);
        for task in tasks {
            task.cancel();
        }
    }
}
