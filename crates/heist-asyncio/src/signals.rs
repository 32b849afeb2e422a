//! Signals in the sense of `aiosignal`: receivers that are awaited one by one, and a variant that collects.
//!
//! A receiver may be an asynchronous function or a plain one; [`IntoReceiver`] takes both. Plain ones may block: they
//! run on the blocking pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::exceptions::Result;
use crate::threads::to_thread;

type BoxFuture<R> = Pin<Box<dyn Future<Output = Result<R>> + Send>>;

/// A function that a signal calls.
pub struct Receiver<A, R>(Arc<dyn Fn(A) -> BoxFuture<R> + Send + Sync>);

impl<A, R> Clone for Receiver<A, R> {
    fn clone(&self) -> Receiver<A, R> {
        Receiver(self.0.clone())
    }
}

impl<A, R> fmt::Debug for Receiver<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Marks plain functions.
#[derive(Debug)]
pub struct Plain;

/// Marks asynchronous functions.
#[derive(Debug)]
pub struct Asynchronous;

/// What can receive: a plain function or an asynchronous one. The marker is inferred.
pub trait IntoReceiver<A, R, Marker> {
    /// The receiver.
    fn into_receiver(self) -> Receiver<A, R>;
}

impl<A, R, F, Fut> IntoReceiver<A, R, (Asynchronous, Fut)> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R>> + Send + 'static,
{
    fn into_receiver(self) -> Receiver<A, R> {
        Receiver(Arc::new(move |argument| Box::pin(self(argument))))
    }
}

impl<A, R, F> IntoReceiver<A, R, Plain> for F
where
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A) -> Result<R> + Send + Sync + 'static,
{
    fn into_receiver(self) -> Receiver<A, R> {
        let function = Arc::new(self);
        Receiver(Arc::new(move |argument| {
            let function = function.clone();
            Box::pin(to_thread(move || function(argument)))
        }))
    }
}

/// A list of receivers that is still open (`aiosignal.Signal` before `freeze`).
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let mut signal = asyncio::signals::Signal::new();
/// signal.connect(async |name: String| {
///     assert_eq!(name, "started");
///     Ok(())
/// });
/// signal.connect(|name: String| {
///     assert_eq!(name.len(), 7);
///     Ok(())
/// });
/// let signal = signal.freeze();
/// asyncio::run(async move { signal.send("started".to_owned()).await }).unwrap();
/// ```
#[derive(Debug)]
pub struct Signal<A> {
    receivers: Vec<Receiver<A, ()>>,
}

impl<A> Default for Signal<A> {
    fn default() -> Signal<A> {
        Signal::new()
    }
}

impl<A> Signal<A> {
    /// A signal without receivers.
    pub fn new() -> Signal<A> {
        Signal {
            receivers: Vec::new(),
        }
    }

    /// Adds a receiver at the end; the same one may be added twice.
    pub fn connect<M>(&mut self, receiver: impl IntoReceiver<A, (), M>) {
        self.receivers.push(receiver.into_receiver());
    }

    /// How many receivers there are.
    pub fn len(&self) -> usize {
        self.receivers.len()
    }

    /// True where there is no receiver.
    pub fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// Closes the list. Only a frozen signal sends: the types say what `aiosignal` raises.
    pub fn freeze(self) -> FrozenSignal<A> {
        FrozenSignal {
            receivers: self.receivers.into(),
        }
    }
}

/// A signal that can be sent (`aiosignal.Signal` after `freeze`). A clone is the same signal.
#[derive(Clone, Debug)]
pub struct FrozenSignal<A> {
    receivers: Arc<[Receiver<A, ()>]>,
}

impl<A: Clone> FrozenSignal<A> {
    /// Awaits the receivers one by one, in their order. The first error stops the rest.
    ///
    /// # Errors
    /// The receiver's; the cancellation.
    ///
    /// # Cancel safety
    /// Dropped, the receivers after the one at work are not called.
    pub async fn send(&self, argument: A) -> Result<()> {
        for receiver in &*self.receivers {
            (receiver.0)(argument.clone()).await?;
        }
        Ok(())
    }
}

type WeakReceiver<A, R> = Weak<dyn Fn(A) -> BoxFuture<R> + Send + Sync>;

/// A signal that holds its receivers weakly and collects what they answer. A clone is the same signal.
pub struct CollectingSignal<A, R> {
    receivers: Arc<Mutex<Vec<WeakReceiver<A, R>>>>,
}

/// Keeps a receiver connected; dropping it disconnects.
#[must_use = "dropping the connection disconnects the receiver"]
pub struct Connection<A, R>(Receiver<A, R>);

impl<A, R> fmt::Debug for Connection<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.0).finish()
    }
}

impl<A, R> Clone for CollectingSignal<A, R> {
    fn clone(&self) -> Self {
        CollectingSignal {
            receivers: self.receivers.clone(),
        }
    }
}

impl<A, R> fmt::Debug for CollectingSignal<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectingSignal")
            .field("receivers", &self.receivers.lock().len())
            .finish()
    }
}

impl<A, R> Default for CollectingSignal<A, R> {
    fn default() -> Self {
        CollectingSignal {
            receivers: Arc::default(),
        }
    }
}

impl<A: Clone, R> CollectingSignal<A, R> {
    /// A signal without receivers.
    pub fn new() -> Self {
        CollectingSignal::default()
    }

    /// Connects a receiver for as long as the connection lives.
    pub fn connect<M>(&self, receiver: impl IntoReceiver<A, R, M>) -> Connection<A, R> {
        let receiver = receiver.into_receiver();
        self.receivers.lock().push(Arc::downgrade(&receiver.0));
        Connection(receiver)
    }

    /// Disconnects all.
    pub fn disconnect_all(&self) {
        let dropped = std::mem::take(&mut *self.receivers.lock());
        drop(dropped);
    }

    /// How many receivers live.
    pub fn live_receivers(&self) -> usize {
        self.receivers
            .lock()
            .iter()
            .filter(|receiver| receiver.strong_count() > 0)
            .count()
    }

    /// Awaits all live receivers, in their order, and collects what they return or raise.
    ///
    /// # Cancel safety
    /// Dropped, the receivers after the one at work are not called.
    pub async fn send(&self, argument: A) -> Vec<Result<R>> {
        let live: Vec<_> = {
            let mut receivers = self.receivers.lock();
            receivers.retain(|receiver| receiver.strong_count() > 0);
            receivers.iter().filter_map(Weak::upgrade).collect()
        };
        let mut answers = Vec::with_capacity(live.len());
        for receiver in live {
            answers.push(receiver(argument.clone()).await);
        }
        answers
    }
}
