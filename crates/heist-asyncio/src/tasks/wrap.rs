//! `wrap_future`: what other libraries wait for, as a future of the facade's.

use std::future::Future as StdFuture;

use crate::exceptions::{Exception, PanicError, Result};
use crate::futures::Future;
use crate::tasks::create_task;

/// A future for any Rust future whose error can be an exception (`asyncio.wrap_future`). It begins at the call, as a
/// task; cancelled, it drops what it wraps.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let port = asyncio::run(async {
///     let parsed = asyncio::wrap_future(async { "8080".parse::<u16>() });
///     Ok(asyncio::gather([&parsed, &parsed]).await?[1])
/// });
/// assert_eq!(port.unwrap(), 8080);
/// ```
///
/// # Panics
/// Where no loop is running.
#[track_caller]
pub fn wrap_future<T, E>(
    future: impl StdFuture<Output = std::result::Result<T, E>> + Send + 'static,
) -> Future<T>
where
    T: Send + 'static,
    E: Into<Exception>,
{
    create_task(async move { future.await.map_err(Into::into) }).shared()
}

/// A future for a task of the core: it has the task's output, or its panic. Cancelled, it aborts the task, as
/// `asyncio.wrap_future` cancels the future that it wraps.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let sum = asyncio::run(async {
///     asyncio::wrap_join_handle(heist::spawn(async { 40 + 2 })).await
/// });
/// assert_eq!(sum.unwrap(), 42);
/// ```
///
/// # Panics
/// Where no loop is running.
#[track_caller]
pub fn wrap_join_handle<T: Send + 'static>(handle: heist::task::JoinHandle<T>) -> Future<T> {
    let guard = AbortOnDrop(handle.abort_handle());
    let wrapped = async move {
        let output: Result<T> = match handle.await {
            Ok(output) => Ok(output),
            Err(error) if error.is_panic() => {
                Err(Exception::new(PanicError::new(error.into_panic())))
            }
            // An abort from elsewhere.
            Err(_) => Err(Exception::cancelled()),
        };
        drop(guard);
        output
    };
    create_task(wrapped).shared()
}

/// Aborts a task of the core that is not waited for any more; one that is done stays so.
struct AbortOnDrop(heist::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
