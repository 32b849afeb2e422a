//! `Queue`, `PriorityQueue`, `LifoQueue` (CPython's `queues.py`).
//!
//! Any number of tasks may put and get, on any thread. Waking is first come, first served, but reserves nothing: who
//! is woken and finds the item taken goes to the back of the line, as in asyncio. Rule: `[Q1]` a woken waiter that
//! leaves by a cancellation or a drop wakes the next, so no item and no slot is stranded.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::exceptions::{QueueEmpty, QueueFull, QueueShutDown, Result, value_error};
use crate::locks::{Event, Waiter, Woken, dispatch};
use crate::node::{is_same_node, new_future};
use crate::wait::WaitNode;

/// Where a queue keeps its items: what subclasses override in Python (`_init`, `_put`, `_get`).
///
/// It is called, and items are compared, under the queue's lock: neither may use the queue, which would wait for itself.
pub trait QueueStore<T>: Send + 'static {
    /// Stores an item.
    ///
    /// # Errors
    /// Whatever the order of the items makes impossible: it comes out of `put`.
    fn put(&mut self, item: T) -> Result<()>;

    /// Takes the next item; it is called only where there is one.
    ///
    /// # Errors
    /// As [`QueueStore::put`].
    fn get(&mut self) -> Result<Option<T>>;

    /// How many items there are.
    fn len(&self) -> usize;

    /// True where there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// First in, first out.
impl<T: Send + 'static> QueueStore<T> for VecDeque<T> {
    fn put(&mut self, item: T) -> Result<()> {
        self.push_back(item);
        Ok(())
    }

    fn get(&mut self) -> Result<Option<T>> {
        Ok(self.pop_front())
    }

    fn len(&self) -> usize {
        VecDeque::len(self)
    }
}

/// Last in, first out.
impl<T: Send + 'static> QueueStore<T> for Vec<T> {
    fn put(&mut self, item: T) -> Result<()> {
        self.push(item);
        Ok(())
    }

    fn get(&mut self) -> Result<Option<T>> {
        Ok(self.pop())
    }

    fn len(&self) -> usize {
        Vec::len(self)
    }
}

/// The lowest first.
impl<T: Ord + Send + 'static> QueueStore<T> for BinaryHeap<Reverse<T>> {
    fn put(&mut self, item: T) -> Result<()> {
        self.push(Reverse(item));
        Ok(())
    }

    fn get(&mut self) -> Result<Option<T>> {
        Ok(self.pop().map(|Reverse(item)| item))
    }

    fn len(&self) -> usize {
        BinaryHeap::len(self)
    }
}

/// A queue between tasks (`asyncio.Queue`). A clone is the same queue.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let sum = asyncio::run(async {
///     let queue = asyncio::Queue::new(2);
///     let producer = queue.clone();
///     let task = asyncio::create_task(async move {
///         for n in 1..=4 {
///             producer.put(n).await?;
///         }
///         Ok(())
///     });
///     let mut sum = 0;
///     for _ in 0..4 {
///         sum += queue.get().await?;
///         queue.task_done()?;
///     }
///     task.await?;
///     queue.join().await?;
///     Ok(sum)
/// });
/// assert_eq!(sum.unwrap(), 10);
/// ```
pub struct Queue<T, S = VecDeque<T>>(Arc<Shared<S>>, std::marker::PhantomData<fn(T) -> T>);

macro_rules! named_queue {
    ($(#[$doc:meta])* $name:ident<T $(: $order:ident)?>, $store:ty) => {
        $(#[$doc])*
        pub struct $name<T>(Queue<T, $store>);

        impl<T: $($order +)? Send + 'static> $name<T> {
            /// A queue for so many items, 0 for any number.
            pub fn new(max_size: usize) -> $name<T> {
                $name(Queue::with_store(max_size, <$store>::default()))
            }
        }

        impl<T> std::ops::Deref for $name<T> {
            type Target = Queue<T, $store>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> $name<T> {
                $name(self.0.clone())
            }
        }

        impl<T: $($order +)? Send + 'static> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

named_queue! {
    /// A queue that gives the lowest item first (`asyncio.PriorityQueue`). Otherwise it is a [`Queue`].
    PriorityQueue<T: Ord>, BinaryHeap<Reverse<T>>
}

named_queue! {
    /// A queue that gives the newest item first (`asyncio.LifoQueue`). Otherwise it is a [`Queue`].
    LifoQueue<T>, Vec<T>
}

struct Shared<S> {
    max_size: usize,
    state: Mutex<State<S>>,
    finished: Event,
}

struct State<S> {
    store: S,
    getters: VecDeque<Waiter>,
    putters: VecDeque<Waiter>,
    n_unfinished: usize,
    is_shut_down: bool,
}

/// Which line a waiter stands in.
#[derive(Clone, Copy)]
enum Line {
    Get,
    Put,
}

impl<S> State<S> {
    fn line(&mut self, line: Line) -> &mut VecDeque<Waiter> {
        match line {
            Line::Get => &mut self.getters,
            Line::Put => &mut self.putters,
        }
    }

    /// Wakes the first who still waits, and takes it and the dead before it out of the line.
    fn wake_up_next(&mut self, line: Line) -> Option<Woken> {
        let line = self.line(line);
        while let Some(waiter) = line.pop_front() {
            if let Ok(completion) = waiter.typed().try_set_result(()) {
                return Some((waiter, completion));
            }
        }
        None
    }
}

impl<T: Send + 'static> Queue<T> {
    /// A queue for so many items, 0 for any number.
    pub fn new(max_size: usize) -> Queue<T> {
        Queue::with_store(max_size, VecDeque::new())
    }
}

impl<T: Send + 'static, S: QueueStore<T>> Queue<T, S> {
    /// A queue that keeps its items in a store of the caller's.
    pub fn with_store(max_size: usize, store: S) -> Queue<T, S> {
        let finished = Event::new();
        finished.set();
        let (getters, putters) = (VecDeque::new(), VecDeque::new());
        let state = Mutex::new(State {
            store,
            getters,
            putters,
            n_unfinished: 0,
            is_shut_down: false,
        });
        Queue(
            Arc::new(Shared {
                max_size,
                state,
                finished,
            }),
            std::marker::PhantomData,
        )
    }

    /// How many items are in the queue. On many threads another may change it at once.
    pub fn qsize(&self) -> usize {
        self.0.state.lock().store.len()
    }

    /// How many items it takes, 0 for any number.
    pub fn maxsize(&self) -> usize {
        self.0.max_size
    }

    /// True where no item is in it.
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// True where it takes no item more; never for an unbounded queue.
    pub fn full(&self) -> bool {
        self.is_full(&self.0.state.lock())
    }

    fn is_full(&self, state: &State<S>) -> bool {
        self.0.max_size > 0 && state.store.len() >= self.0.max_size
    }

    fn is_usable(&self, state: &State<S>, line: Line) -> bool {
        match line {
            Line::Get => !state.store.is_empty(),
            Line::Put => !self.is_full(state),
        }
    }

    /// Puts an item, waiting for a free slot.
    ///
    /// # Errors
    /// [`QueueShutDown`], also while it waits; the cancellation.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the item is not in the queue.
    pub async fn put(&self, item: T) -> Result<()> {
        let mut item = item;
        // Full or not is decided, and acted on, under one lock: on many threads another may come between.
        while let Some(refused) = self.try_put(item)? {
            item = refused;
            self.stand_in_line(Line::Put).await?;
        }
        Ok(())
    }

    /// Puts an item where there is a free slot.
    ///
    /// # Errors
    /// [`QueueShutDown`], else [`QueueFull`].
    pub fn put_nowait(&self, item: T) -> Result<()> {
        match self.try_put(item)? {
            None => Ok(()),
            Some(_) => Err(QueueFull.into()),
        }
    }

    /// Puts an item, or gives it back where the queue is full.
    fn try_put(&self, item: T) -> Result<Option<T>> {
        let mut state = self.0.state.lock();
        if state.is_shut_down {
            drop(state);
            drop(item);
            return Err(QueueShutDown.into());
        }
        if self.is_full(&state) {
            return Ok(Some(item));
        }
        state.store.put(item)?;
        state.n_unfinished += 1;
        if state.n_unfinished == 1 {
            self.0.finished.clear();
        }
        let woken = state.wake_up_next(Line::Get);
        drop(state);
        dispatch(woken);
        Ok(None)
    }

    /// Gets an item, waiting for one.
    ///
    /// # Errors
    /// [`QueueShutDown`] where the queue is shut down and empty; the cancellation.
    ///
    /// # Cancel safety
    /// Dropped before it returns, no item is taken.
    pub async fn get(&self) -> Result<T> {
        loop {
            if let Some(item) = self.try_get()? {
                return Ok(item);
            }
            self.stand_in_line(Line::Get).await?;
        }
    }

    /// Gets an item where there is one.
    ///
    /// # Errors
    /// Where it is empty: [`QueueShutDown`] on one that is shut down, else [`QueueEmpty`].
    pub fn get_nowait(&self) -> Result<T> {
        self.try_get()?.ok_or_else(|| QueueEmpty.into())
    }

    /// Gets an item, `None` where the queue is empty.
    fn try_get(&self) -> Result<Option<T>> {
        let mut state = self.0.state.lock();
        if state.store.is_empty() {
            return if state.is_shut_down {
                Err(QueueShutDown.into())
            } else {
                Ok(None)
            };
        }
        let item = state.store.get()?;
        let woken = state.wake_up_next(Line::Put);
        drop(state);
        dispatch(woken);
        item.map_or_else(|| Err(QueueEmpty.into()), |item| Ok(Some(item)))
    }

    async fn stand_in_line(&self, line: Line) -> Result<()> {
        let waiter = new_future();
        {
            let mut state = self.0.state.lock();
            // On many threads the queue may have changed since it was found wanting.
            if state.is_shut_down || self.is_usable(&state, line) {
                return Ok(());
            }
            state.line(line).push_back(waiter.clone());
        }
        let mut queued = Queued {
            queue: self,
            line,
            waiter: Some(waiter.clone()),
        };
        let result = WaitNode::new(waiter.into_node()).await;
        if result.is_ok() {
            queued.waiter = None;
        }
        result
    }

    /// Says that the work on an item that was got is done.
    ///
    /// # Errors
    /// `ValueError` where it is called more often than items were put.
    pub fn task_done(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        if state.n_unfinished == 0 {
            return Err(value_error("task_done() called too many times"));
        }
        state.n_unfinished -= 1;
        // Under the queue's lock, so that no put comes between; scheduled after it.
        let woken = if state.n_unfinished == 0 {
            self.0.finished.mark_set()
        } else {
            Vec::new()
        };
        drop(state);
        dispatch(woken);
        Ok(())
    }

    /// Waits until all items that were put are done.
    ///
    /// # Errors
    /// The cancellation.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn join(&self) -> Result<()> {
        if self.0.state.lock().n_unfinished > 0 {
            self.0.finished.wait().await?;
        }
        Ok(())
    }

    /// Shuts the queue down: puts fail from now on, gets once it is empty, and all who wait look again. With
    /// `immediate` the items are dropped, and count as done.
    pub fn shutdown(&self, immediate: bool) {
        let mut dropped = Vec::new();
        let mut state = self.0.state.lock();
        state.is_shut_down = true;
        let mut woken: Vec<Woken> = Vec::new();
        if immediate {
            while !state.store.is_empty() {
                dropped.push(state.store.get());
                state.n_unfinished = state.n_unfinished.saturating_sub(1);
            }
            if state.n_unfinished == 0 {
                woken = self.0.finished.mark_set();
            }
        }
        woken.extend(std::iter::from_fn(|| state.wake_up_next(Line::Get)));
        woken.extend(std::iter::from_fn(|| state.wake_up_next(Line::Put)));
        drop(state);
        dispatch(woken);
        drop(dropped);
    }

    /// True after [`Queue::shutdown`].
    pub fn is_shut_down(&self) -> bool {
        self.0.state.lock().is_shut_down
    }

    /// How many wait for an item, and how many for a slot.
    pub fn n_waiting(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        (state.getters.len(), state.putters.len())
    }
}

/// A place in a line.
struct Queued<'a, T: Send + 'static, S: QueueStore<T>> {
    queue: &'a Queue<T, S>,
    line: Line,
    waiter: Option<Waiter>,
}

impl<T: Send + 'static, S: QueueStore<T>> Drop for Queued<'_, T, S> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let mut state = self.queue.0.state.lock();
        let line = state.line(self.line);
        if let Some(idx) = line.iter().position(|other| is_same_node(other, &waiter)) {
            line.remove(idx);
        }
        // [Q1]
        let was_woken = waiter.core().is_done() && !waiter.core().is_cancelled();
        let woken = if was_woken && self.queue.is_usable(&state, self.line) {
            state.wake_up_next(self.line)
        } else {
            None
        };
        drop(state);
        dispatch(woken);
    }
}

impl<T, S> Clone for Queue<T, S> {
    fn clone(&self) -> Queue<T, S> {
        Queue(self.0.clone(), std::marker::PhantomData)
    }
}

impl<T: Send + 'static, S: QueueStore<T>> fmt::Debug for Queue<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Queue")
            .field("maxsize", &self.0.max_size)
            .field("len", &state.store.len())
            .field("getters", &state.getters.len())
            .field("putters", &state.putters.len())
            .field("unfinished", &state.n_unfinished)
            .finish()
    }
}
