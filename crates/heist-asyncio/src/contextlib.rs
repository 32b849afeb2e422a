//! `AsyncExitStack`: cleanups that are awaited when a block ends (Python's `contextlib`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::exceptions::Result;
use crate::tasks::poll_scope;

type Cleanup = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Cleanups that run when the block ends, the last one first (`contextlib.AsyncExitStack`). A clone is the same stack.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// asyncio::run(async {
///     asyncio::AsyncExitStack::scope(async |stack| {
///         stack.push_async_callback(async { asyncio::yield_now().await });
///         stack.callback(|| println!("first to go"));
///         Ok(())
///     })
///     .await
/// })
/// .unwrap();
/// ```
#[derive(Clone, Default)]
pub struct AsyncExitStack(Arc<Mutex<Vec<Cleanup>>>);

impl AsyncExitStack {
    /// Runs a block, and then its cleanups, whatever became of it. A cancellation reaches the block; the cleanups may
    /// await in peace, unless another one comes.
    ///
    /// # Errors
    /// The last error raised: a cleanup's takes the place of what came before.
    ///
    /// # Cancel safety
    /// Dropped, the asynchronous cleanups do not run.
    pub async fn scope<T, F: AsyncFnOnce(AsyncExitStack) -> Result<T>>(body: F) -> Result<T> {
        let stack = AsyncExitStack::default();
        let result = poll_scope(body(stack.clone())).await;
        match stack.aclose().await {
            Ok(()) => result,
            Err(error) => Err(error),
        }
    }

    /// Awaits this when the block ends.
    pub fn push_async_callback(&self, cleanup: impl Future<Output = Result<()>> + Send + 'static) {
        self.0.lock().push(Box::pin(cleanup));
    }

    /// Calls this when the block ends.
    pub fn callback(&self, cleanup: impl FnOnce() + Send + 'static) {
        self.push_async_callback(async move {
            cleanup();
            Ok(())
        });
    }

    /// Takes the cleanups away: they belong to the new stack.
    #[must_use = "the cleanups run when the new stack is closed"]
    pub fn pop_all(&self) -> AsyncExitStack {
        AsyncExitStack(Arc::new(Mutex::new(std::mem::take(&mut *self.0.lock()))))
    }

    /// Runs the cleanups now, the last one first; all of them, also after an error.
    ///
    /// # Errors
    /// The last error raised.
    ///
    /// # Cancel safety
    /// Dropped, the rest stays on the stack.
    pub async fn aclose(&self) -> Result<()> {
        let mut result = Ok(());
        loop {
            let next = self.0.lock().pop();
            let Some(cleanup) = next else { return result };
            if let Err(error) = cleanup.await {
                result = Err(error);
            }
        }
    }
}

impl fmt::Debug for AsyncExitStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncExitStack")
            .field("cleanups", &self.0.lock().len())
            .finish()
    }
}
