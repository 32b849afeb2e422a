//! Ctrl-C in a run (`Runner._on_sigint`).
//!
//! The first interrupt cancels the main task, which may clean up; another one, or one after main is done, ends the run
//! at once. A task of the core listens; it knows nothing of what the run does.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use heist::runtime::Runtime;
use parking_lot::Mutex;

use crate::cell::Node;
use crate::events::EventLoop;
use crate::exceptions::{Exception, KeyboardInterrupt, Result};
use crate::tasks::TaskHandle;

/// Listens for Ctrl-C as long as it lives.
pub(crate) struct Interrupts {
    shared: Arc<Shared>,
    listener: heist::task::AbortHandle,
}

#[derive(Default)]
struct Shared {
    n_interrupts: AtomicUsize,
    aborted: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Interrupts {
    /// Listens on behalf of a run's main task.
    pub(crate) fn listen(
        runtime: &Runtime,
        event_loop: &EventLoop,
        main: &Node,
    ) -> Result<Interrupts> {
        let shared: Arc<Shared> = Arc::default();
        let mut interrupts = {
            let _inside = runtime.enter();
            heist::signal::signal(heist::signal::SignalKind::interrupt())?
        };
        let (seen, event_loop, main) =
            (shared.clone(), event_loop.clone(), TaskHandle(main.clone()));
        let listener = runtime.spawn(async move {
            while interrupts.recv().await.is_some() {
                // ORDERING: SeqCst is not needed, one task counts; the reader comes after the run's end.
                let is_first = seen.n_interrupts.fetch_add(1, Ordering::Relaxed) == 0;
                if is_first && !main.done() {
                    main.cancel();
                    continue;
                }
                // ORDERING: Release pairs with the load in `unless_aborted`.
                seen.aborted.store(true, Ordering::Release);
                event_loop.stop();
                let waker = seen.waker.lock().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        });
        Ok(Interrupts {
            shared,
            listener: listener.abort_handle(),
        })
    }

    /// Polls a future until it is done or the run is aborted.
    pub(crate) async fn unless_aborted(&self, mut future: Pin<&mut dyn Future<Output = ()>>) {
        poll_fn(|cx| {
            let old = self.shared.waker.lock().replace(cx.waker().clone());
            drop(old);
            // ORDERING: Acquire pairs with the listener's store; the waker was left before.
            if self.shared.aborted.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            future.as_mut().poll(cx)
        })
        .await;
    }

    /// What the run raises: an interrupt where one ended it.
    pub(crate) fn outcome(&self, main: &Node, result: Result<()>) -> Result<()> {
        let interrupted = || Err(Exception::new(KeyboardInterrupt));
        // ORDERING: Acquire, as above.
        if self.shared.aborted.load(Ordering::Acquire) && !main.core().is_done() {
            return interrupted();
        }
        // ORDERING: Relaxed; see `listen`.
        let n_interrupts = self.shared.n_interrupts.load(Ordering::Relaxed);
        match result {
            Err(error) if error.is_cancelled() && n_interrupts > 0 => {
                // Where somebody else cancelled main too, the cancellation stays one.
                if TaskHandle(main.clone()).uncancel() == 0 {
                    interrupted()
                } else {
                    Err(error)
                }
            }
            result => result,
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
