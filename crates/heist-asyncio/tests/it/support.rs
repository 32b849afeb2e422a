//! What the ported tests share: a run on the exact loop with the virtual clock, and a record of what happened.

use std::sync::Arc;
use std::time::Duration;

use heist_asyncio as asyncio;
use parking_lot::Mutex;

/// Runs a coroutine on the exact loop with the virtual clock.
#[track_caller]
pub(crate) fn run<T: Send + 'static>(main: impl Future<Output = asyncio::Result<T>>) -> T {
    try_run(main).unwrap()
}

/// As `run`, for one that may raise.
pub(crate) fn try_run<T: Send + 'static>(
    main: impl Future<Output = asyncio::Result<T>>,
) -> asyncio::Result<T> {
    let mut runner = asyncio::Runner::virtual_clock();
    let result = runner.run_local(main);
    runner.close()?;
    result
}

/// Lets everything that is ready run for so many passes.
pub(crate) async fn passes(n: usize) {
    for _ in 0..n {
        asyncio::yield_now().await.unwrap();
    }
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The loop's time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    asyncio::get_running_loop().unwrap().time().as_nanos() / 1_000_000
}

/// A list that tasks share.
pub(crate) struct Record<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Record<T> {
    pub(crate) fn new() -> Record<T> {
        Record(Arc::default())
    }

    pub(crate) fn push(&self, value: T) {
        self.0.lock().push(value);
    }

    pub(crate) fn get(&self) -> Vec<T> {
        self.0.lock().clone()
    }
}

impl<T> Clone for Record<T> {
    fn clone(&self) -> Record<T> {
        Record(self.0.clone())
    }
}

/// An exception of the tests' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Oops(pub(crate) &'static str);

/// What the loop's exception handler was told.
pub(crate) fn record_errors(event_loop: &asyncio::EventLoop) -> Record<String> {
    let record = Record::new();
    let told = record.clone();
    event_loop.set_exception_handler(Some(Arc::new(move |_, context| {
        told.push(context.message.clone());
    })));
    record
}
