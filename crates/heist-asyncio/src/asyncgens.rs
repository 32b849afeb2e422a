//! Asynchronous generators: coroutines that yield (`async def` with `yield`), as streams with an `aclose`.
//!
//! The body runs inside whoever asks for the next item, as in Python; it is no task. Closing raises [`GeneratorExit`]
//! at the yield where the body stands, so that it may clean up with further awaits. That is why this is no crate's
//! stream of an async block: those know of being dropped only, and a drop awaits nothing.
//!
//! Rules: `[A1]` one call at a time is inside a generator, a second one raises; `[A2]` a body that yields after
//! [`GeneratorExit`] is an error, and is dropped; `[A3]` a generator dropped at a yield is closed by a task of the
//! loop that it was first used on, as one that Python's collector finds; `[A4]` the runner closes those that are
//! left. What the body and its callers share is a slot for each direction, `Channel`; the body never holds the
//! generator, so that no cycle keeps either alive. Tests: `tests/it/asyncgens.rs`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use futures_util::Stream;
use parking_lot::Mutex;
use slab::Slab;

use crate::events::{ErrorContext, EventLoop, with_step};
use crate::exceptions::{Exception, GeneratorExit, Result, runtime_error};
use crate::step_flags::StepFlags;
use crate::tasks::{gather_return_exceptions, poll_scope};

type Body = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An asynchronous generator: it yields `Y`s, and takes an `S` in return where it is sent one.
///
/// It is a [`Stream`] of results (`async for`), and has Python's own methods beside. Dropped at a yield, it is closed
/// by a task of its loop, as Python's collector does; code that wants to know when uses [`aclosing`].
///
/// ```
/// use heist_asyncio as asyncio;
///
/// fn countdown(from: u32) -> asyncio::AsyncGenerator<u32> {
///     asyncio::async_generator(move |y| async move {
///         for n in (1..=from).rev() {
///             y.yield_(n).await?;
///             asyncio::yield_now().await?;
///         }
///         Ok(())
///     })
/// }
///
/// asyncio::run(async {
///     let numbers = countdown(3);
///     assert_eq!(numbers.anext().await?, Some(3));
///     assert_eq!(numbers.anext().await?, Some(2));
///     numbers.aclose().await?;
///     assert_eq!(numbers.anext().await?, None);
///     Ok(())
/// })
/// .unwrap();
/// ```
pub struct AsyncGenerator<Y: Send + 'static, S: Send + 'static = ()> {
    shared: Arc<Shared<Y, S>>,
}

/// What a generator's body yields through.
pub struct Yielder<Y, S = ()> {
    channel: Arc<Mutex<Channel<Y, S>>>,
}

struct Shared<Y, S> {
    channel: Arc<Mutex<Channel<Y, S>>>,
    state: Mutex<State>,
}

struct State {
    /// Out while it is polled; gone when the generator has ended.
    body: Option<Body>,
    place: Place,
    /// A call is inside, `[A1]`.
    running: bool,
    /// The loop that closes it, and its number there.
    home: Option<(EventLoop, usize)>,
}

/// Where the body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Created,
    AtYield,
    /// In an await: a stream was polled and has not answered yet.
    Inside,
}

/// One slot for each direction.
struct Channel<Y, S> {
    yielded: Option<Yielded<Y>>,
    resumed: Option<Resume<S>>,
}

struct Yielded<Y> {
    value: Y,
    /// The running task's mark of that name, which the yield has set.
    was_yielding: bool,
    waker: Waker,
}

/// How a generator is gone on with.
enum Resume<S> {
    Send(Option<S>),
    Throw(Exception),
}

/// Makes an asynchronous generator of its body, which begins at the first call.
///
/// ```
/// use futures_util::TryStreamExt;
/// use heist_asyncio as asyncio;
///
/// let squares: Vec<u32> = asyncio::run(async {
///     let squares = asyncio::async_generator(|y| async move {
///         for n in 1..4 {
///             y.yield_(n * n).await?;
///         }
///         Ok(())
///     });
///     squares.try_collect().await // [square async for square in squares]
/// })
/// .unwrap();
/// assert_eq!(squares, [1, 4, 9]);
/// ```
pub fn async_generator<Y, F, B>(body: F) -> AsyncGenerator<Y>
where
    Y: Send + 'static,
    F: FnOnce(Yielder<Y>) -> B,
    B: Future<Output = Result<()>> + Send + 'static,
{
    two_way_generator(body)
}

/// As [`async_generator`], for a generator that is sent values: a yield gives the one of [`AsyncGenerator::asend`].
pub fn two_way_generator<Y, S, F, B>(body: F) -> AsyncGenerator<Y, S>
where
    Y: Send + 'static,
    S: Send + 'static,
    F: FnOnce(Yielder<Y, S>) -> B,
    B: Future<Output = Result<()>> + Send + 'static,
{
    let channel = Arc::new(Mutex::new(Channel {
        yielded: None,
        resumed: None,
    }));
    let yielder = Yielder {
        channel: channel.clone(),
    };
    let state = State {
        body: Some(Box::pin(body(yielder))),
        place: Place::Created,
        running: false,
        home: None,
    };
    let shared = Arc::new(Shared {
        channel,
        state: Mutex::new(state),
    });
    AsyncGenerator { shared }
}

/// Runs a block with a generator, and then closes it, whatever became of the block (`contextlib.aclosing`).
///
/// ```
/// use futures_util::StreamExt;
/// use heist_asyncio as asyncio;
///
/// asyncio::run(async {
///     let lines = asyncio::async_generator(|y| async move {
///         let result = async {
///             for line in ["a", "b", "c"] {
///                 y.yield_(line.to_owned()).await?;
///             }
///             Ok(())
///         }
///         .await;
///         asyncio::yield_now().await?; // closing a file, say
///         result
///     });
///     asyncio::aclosing(lines, async |lines| {
///         assert_eq!(lines.next().await.unwrap()?, "a");
///         Ok(()) // leaves the loop early: the generator cleans up here, and not some time later
///     })
///     .await
/// })
/// .unwrap();
/// ```
///
/// # Errors
/// What the block raises, or closing the generator.
///
/// # Cancel safety
/// Dropped, it drops the generator.
pub async fn aclosing<Y, S, T, F>(mut generator: AsyncGenerator<Y, S>, body: F) -> Result<T>
where
    Y: Send + 'static,
    S: Send + 'static,
    F: AsyncFnOnce(&mut AsyncGenerator<Y, S>) -> Result<T>,
{
    let result = poll_scope(body(&mut generator)).await;
    generator.aclose().await?;
    result
}

impl<Y: Send + 'static, S: Send + 'static> AsyncGenerator<Y, S> {
    /// The next item; `None` after the last, where Python raises `StopAsyncIteration` (`anext`).
    ///
    /// # Errors
    /// What the body raises, which ends it; `RuntimeError` where another call is inside.
    ///
    /// # Cancel safety
    /// Dropped inside the body, it drops the body: the generator has ended.
    pub async fn anext(&self) -> Result<Option<Y>> {
        self.call("anext()", Resume::Send(None)).await
    }

    /// As [`AsyncGenerator::anext`], and gives the yield where the body stands a value (`asend`).
    ///
    /// # Errors
    /// As there; `RuntimeError` where the body does not stand at a yield yet.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn asend(&self, value: S) -> Result<Option<Y>> {
        self.call("asend()", Resume::Send(Some(value))).await
    }

    /// As [`AsyncGenerator::anext`], and raises an exception at the yield where the body stands (`athrow`).
    ///
    /// # Errors
    /// As there; the exception itself where the body has not begun or does not handle it.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn athrow(&self, exception: impl Into<Exception>) -> Result<Option<Y>> {
        self.call("athrow()", Resume::Throw(exception.into())).await
    }

    /// Raises [`GeneratorExit`] at the yield where the body stands, and waits until the body has ended (`aclose`). A
    /// body that has not begun never does; one that has ended stays so.
    ///
    /// # Errors
    /// What the body raises instead; `RuntimeError` where it yields, and where another call is inside.
    ///
    /// # Cancel safety
    /// As [`AsyncGenerator::anext`].
    pub async fn aclose(&self) -> Result<()> {
        self.shared.clone().close().await
    }

    /// True while a call is inside (`ag_running`).
    pub fn is_running(&self) -> bool {
        self.shared.state.lock().running
    }

    fn call(&self, what: &'static str, resume: Resume<S>) -> Call<'_, Y, S> {
        Call {
            shared: &self.shared,
            what,
            resume: Some(resume),
            is_inside: false,
        }
    }
}

/// `async for`: the stream ends where the body does.
impl<Y: Send + 'static, S: Send + 'static> Stream for AsyncGenerator<Y, S> {
    type Item = Result<Y>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Y>>> {
        let shared = &self.shared;
        match shared.begin("anext()", Resume::Send(None)) {
            Err(error) => Poll::Ready(Some(Err(error))),
            Ok(Begun::Ended) => Poll::Ready(None),
            Ok(Begun::Inside) => {
                let leave = Leave(shared);
                let item = shared.poll_body(cx);
                drop(leave);
                item.map(Result::transpose)
            }
        }
    }
}

impl<Y: Send + 'static, S: Send + 'static> Drop for AsyncGenerator<Y, S> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let home = state.home.take();
        let is_suspended = state.body.is_some() && state.place == Place::AtYield;
        drop(state);
        let Some((event_loop, number)) = home else {
            return;
        };
        event_loop.0.asyncgens.forget(number);
        if is_suspended && !event_loop.is_closed() {
            // [A3]
            let (shared, on) = (self.shared.clone(), event_loop.clone());
            event_loop.call_soon(move || {
                // A loop that has closed by now drops the body.
                drop(on.create_task(shared.close()));
            });
        }
    }
}

impl<Y: Send + 'static, S: Send + 'static> fmt::Debug for AsyncGenerator<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncGenerator")
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}

/// What beginning a call came to.
enum Begun {
    Inside,
    /// There is nothing to run, and nothing to raise.
    Ended,
}

impl<Y: Send + 'static, S: Send + 'static> Shared<Y, S> {
    /// Enters the generator for one call.
    fn begin(self: &Arc<Self>, what: &str, resume: Resume<S>) -> Result<Begun> {
        let mut state = self.state.lock();
        if state.running {
            return Err(runtime_error(format!(
                "{what}: asynchronous generator is already running"
            )));
        }
        if state.body.is_none() {
            return Ok(Begun::Ended);
        }
        // What came for a yield that was dropped.
        let mut stale = None;
        match (state.place, resume) {
            (Place::Created, Resume::Send(None)) => {
                drop(state);
                self.register();
                state = self.state.lock();
            }
            (Place::Inside, Resume::Send(None)) => {}
            (Place::Created | Place::Inside, Resume::Send(Some(value))) => {
                drop(state);
                drop(value);
                return Err(runtime_error(
                    "can't send a value to a generator that does not stand at a yield",
                ));
            }
            (Place::Created | Place::Inside, Resume::Throw(exception)) => {
                let dropped = state.body.take();
                drop(state);
                drop(dropped);
                return Err(exception);
            }
            (Place::AtYield, resume) => {
                stale = self.channel.lock().resumed.replace(resume);
            }
        }
        state.running = true;
        drop(state);
        drop(stale);
        Ok(Begun::Inside)
    }

    /// The first use: the running loop is the one that will close it.
    fn register(self: &Arc<Self>) {
        let Some(event_loop) = EventLoop::running() else {
            return;
        };
        let this: Arc<dyn Close> = self.clone();
        let number = event_loop
            .0
            .asyncgens
            .register(&event_loop, Arc::downgrade(&this));
        self.state.lock().home = Some((event_loop, number));
    }

    /// Runs the body up to its next yield.
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Y>>> {
        let body = self.state.lock().body.take();
        let Some(mut body) = body else {
            return Poll::Ready(Ok(None));
        };
        let was_in_leaf = with_step(StepFlags::is_in_leaf).unwrap_or_default();
        // PANIC: the body goes down with its panic, which is the caller's; the generator has ended.
        if let Poll::Ready(result) = body.as_mut().poll(cx) {
            drop(body);
            return Poll::Ready(result.map(|()| None));
        }
        let yielded = self.channel.lock().yielded.take();
        let mut state = self.state.lock();
        state.body = Some(body);
        state.place = match &yielded {
            Some(_) => Place::AtYield,
            None => Place::Inside,
        };
        drop(state);
        match yielded {
            Some(yielded) => {
                // For the scopes around the call nothing is suspended here.
                with_step(|step| {
                    step.set_yielding(yielded.was_yielding);
                    step.set_in_leaf(was_in_leaf);
                });
                if !yielded.waker.will_wake(cx.waker()) {
                    // Some combinator inside the body polls only what has woken it: the yield is due at the next call.
                    yielded.waker.wake();
                }
                Poll::Ready(Ok(Some(yielded.value)))
            }
            None => Poll::Pending,
        }
    }

    /// `aclose`, without the generator.
    async fn close(self: Arc<Self>) -> Result<()> {
        let call = Call {
            shared: &self,
            what: "aclose()",
            resume: Some(Resume::Throw(GeneratorExit.into())),
            is_inside: false,
        };
        match call.await {
            Ok(None) => Ok(()),
            Ok(Some(value)) => {
                // [A2]
                let dropped = self.state.lock().body.take();
                drop((dropped, value));
                Err(runtime_error("async generator ignored GeneratorExit"))
            }
            Err(error) if error.is::<GeneratorExit>() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// One call into a generator.
struct Call<'a, Y: Send + 'static, S: Send + 'static> {
    shared: &'a Arc<Shared<Y, S>>,
    what: &'static str,
    resume: Option<Resume<S>>,
    is_inside: bool,
}

/// Nothing in it is pinned.
impl<Y: Send + 'static, S: Send + 'static> Unpin for Call<'_, Y, S> {}

impl<Y: Send + 'static, S: Send + 'static> Future for Call<'_, Y, S> {
    type Output = Result<Option<Y>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<Y>>> {
        if let Some(resume) = self.resume.take() {
            match self.shared.begin(self.what, resume)? {
                Begun::Ended => return Poll::Ready(Ok(None)),
                Begun::Inside => self.is_inside = true,
            }
        }
        let item = ready!(self.shared.poll_body(cx));
        self.is_inside = false;
        self.shared.state.lock().running = false;
        Poll::Ready(item)
    }
}

impl<Y: Send + 'static, S: Send + 'static> Drop for Call<'_, Y, S> {
    fn drop(&mut self) {
        if self.is_inside {
            // The body's waits belong to the task that polled it: none may go on with it later.
            let mut state = self.shared.state.lock();
            state.running = false;
            let dropped = state.body.take();
            drop(state);
            drop(dropped);
        }
    }
}

/// Ends one poll of a stream, after a panic too.
struct Leave<'a, Y, S>(&'a Shared<Y, S>);

impl<Y, S> Drop for Leave<'_, Y, S> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
    }
}

impl<Y, S> Yielder<Y, S> {
    /// Gives an item to whoever asked for the next one, and waits until another is asked for. Gives what was sent, if
    /// something was.
    ///
    /// # Errors
    /// [`GeneratorExit`] where the generator is closed: the body may clean up, and then ends; what
    /// [`AsyncGenerator::athrow`] raises; `RuntimeError` where another yield of this body waits.
    ///
    /// # Cancel safety
    /// Dropped, it has given its item, or not.
    pub async fn yield_(&self, value: Y) -> Result<Option<S>> {
        Yield {
            channel: &self.channel,
            value: Some(value),
        }
        .await
    }
}

impl<Y, S> fmt::Debug for Yielder<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

struct Yield<'a, Y, S> {
    channel: &'a Mutex<Channel<Y, S>>,
    /// Until the first poll.
    value: Option<Y>,
}

/// Nothing in it is pinned.
impl<Y, S> Unpin for Yield<'_, Y, S> {}

impl<Y, S> Future for Yield<'_, Y, S> {
    type Output = Result<Option<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<S>>> {
        let value = self.value.take();
        let mut channel = self.channel.lock();
        let Some(value) = value else {
            return match channel.resumed.take() {
                Some(Resume::Send(value)) => Poll::Ready(Ok(value)),
                Some(Resume::Throw(exception)) => Poll::Ready(Err(exception)),
                None => Poll::Pending,
            };
        };
        if channel.yielded.is_some() {
            drop(channel);
            drop(value);
            return Poll::Ready(Err(runtime_error("another yield of this body waits")));
        }
        // A scope inside the body must not take the yield for a foreign future.
        let was_yielding = with_step(|step| step.set_yielding(true)).unwrap_or_default();
        channel.yielded = Some(Yielded {
            value,
            was_yielding,
            waker: cx.waker().clone(),
        });
        // What came for a yield that was dropped is not for this one.
        let stale = channel.resumed.take();
        drop(channel);
        drop(stale);
        Poll::Pending
    }
}

/// A generator that can be closed, without its types.
pub(crate) trait Close: Send + Sync {
    fn close(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;
}

impl<Y: Send + 'static, S: Send + 'static> Close for Shared<Y, S> {
    fn close(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(Shared::close(self))
    }
}

/// A loop's generators that have begun and were not dropped.
#[derive(Default)]
pub(crate) struct Asyncgens(Mutex<Live>);

#[derive(Default)]
struct Live {
    generators: Slab<Weak<dyn Close>>,
    shutdown_called: bool,
}

impl Asyncgens {
    fn register(&self, event_loop: &EventLoop, generator: Weak<dyn Close>) -> usize {
        let mut live = self.0.lock();
        let number = live.generators.insert(generator);
        let is_late = live.shutdown_called;
        drop(live);
        if is_late {
            event_loop.call_exception_handler(&ErrorContext::new(
                "asynchronous generator was scheduled after loop.shutdown_asyncgens() call",
            ));
        }
        number
    }

    fn forget(&self, number: usize) {
        let forgotten = self.0.lock().generators.try_remove(number);
        drop(forgotten);
    }
}

impl EventLoop {
    /// Closes the asynchronous generators that have begun and are still held somewhere; a runner does so at its end
    /// (`loop.shutdown_asyncgens`). Errors go to the exception handler.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropped, the rest is closed all the same: each by a task.
    pub async fn shutdown_asyncgens(&self) -> Result<()> {
        let live: Vec<Arc<dyn Close>> = {
            let mut live = self.0.asyncgens.0.lock();
            live.shutdown_called = true;
            let generators = live.generators.iter();
            generators.filter_map(|(_, weak)| weak.upgrade()).collect()
        };
        if live.is_empty() {
            return Ok(());
        }
        let results = gather_return_exceptions(live.into_iter().map(Close::close)).await?;
        for error in results.into_iter().filter_map(Result::err) {
            if !error.is_base() {
                let mut context =
                    ErrorContext::new("an error occurred during closing of asynchronous generator");
                context.exception = Some(error);
                self.call_exception_handler(&context);
            }
        }
        Ok(())
    }
}
