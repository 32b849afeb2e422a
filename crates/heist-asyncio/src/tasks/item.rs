//! What can be awaited, and what can become a task: coroutines, tasks and futures alike.
//!
//! [`Awaitable`] is what an inline await takes; [`IntoTask`] what `gather`, `shield` and `as_completed` take, which
//! run coroutines as tasks of their own. Python decides at run time (`ensure_future`); here the types do, and
//! [`Item`] mixes them in one list.

use std::fmt;
use std::future::{Future as StdFuture, IntoFuture};
use std::pin::Pin;

use crate::exceptions::Result;
use crate::futures::Future;
use crate::node::{CellRef, Node};
use crate::tasks::{Task, create_task};
use crate::wait::{Fetch, Waiting, fetch_clone, fetch_take};

/// The task or future behind an awaitable, where there is one.
#[doc(hidden)]
pub struct Existing(pub(crate) Option<Node>);

impl fmt::Debug for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Existing").field(&self.0.is_some()).finish()
    }
}

/// What can be awaited where it stands: a coroutine, a task, a future.
pub trait Awaitable: Sized {
    /// What it gives.
    type Value;
    /// The Rust future that waits for it.
    type Wait: StdFuture<Output = Result<Self::Value>>;

    /// The Rust future that waits for it.
    fn into_wait(self) -> Self::Wait;

    #[doc(hidden)]
    fn existing(&self) -> Existing {
        Existing(None)
    }
}

impl<T, F: StdFuture<Output = Result<T>>> Awaitable for F {
    type Value = T;
    type Wait = F;

    fn into_wait(self) -> F {
        self
    }
}

macro_rules! awaitable {
    ($(($cell_of:ty, $($bound:tt)+)),*) => {$(
        impl<T: $($bound)+> Awaitable for $cell_of {
            type Value = T;
            type Wait = Waiting<T>;

            fn into_wait(self) -> Waiting<T> {
                self.into_future()
            }

            fn existing(&self) -> Existing {
                Existing(Some(self.0.node()))
            }
        }
    )*};
}
awaitable!(
    (Task<T>, Send + 'static),
    (&Task<T>, Clone + Send + 'static),
    (Future<T>, Clone + Send + 'static),
    (&Future<T>, Clone + Send + 'static)
);

/// A task or future that somebody collects the result of.
pub struct Child<T: Send + 'static>(pub(crate) CellRef<T>, pub(crate) Fetch<T>);

impl<T: Send + 'static> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").finish_non_exhaustive()
    }
}

/// What can become a task or is one already.
pub trait IntoTask<T: Send + 'static>: Sized {
    /// The task or future; a coroutine is made a new task.
    #[track_caller]
    fn into_task(self) -> Child<T>;
}

impl<T: Send + 'static, F: StdFuture<Output = Result<T>> + Send + 'static> IntoTask<T> for F {
    #[track_caller]
    fn into_task(self) -> Child<T> {
        Child(create_task(self).0, fetch_take)
    }
}

impl<T: Send + 'static> IntoTask<T> for Task<T> {
    fn into_task(self) -> Child<T> {
        Child(self.0, fetch_take)
    }
}

impl<T: Clone + Send + 'static> IntoTask<T> for &Task<T> {
    fn into_task(self) -> Child<T> {
        Child(self.0.clone(), fetch_clone)
    }
}

impl<T: Clone + Send + 'static> IntoTask<T> for Future<T> {
    fn into_task(self) -> Child<T> {
        Child(self.0, fetch_clone)
    }
}

impl<T: Clone + Send + 'static> IntoTask<T> for &Future<T> {
    fn into_task(self) -> Child<T> {
        Child(self.0.clone(), fetch_clone)
    }
}

/// A coroutine or a task or a future, to mix them in one list.
///
/// ```
/// use heist_asyncio as asyncio;
/// use asyncio::Item;
///
/// let sum: i32 = asyncio::run(async {
///     let task = asyncio::create_task(async { Ok(1) });
///     let items = vec![Item::from(&task), Item::coroutine(async { Ok(2) }), Item::from(&task)];
///     Ok(asyncio::gather(items).await?.into_iter().sum())
/// })
/// .unwrap();
/// assert_eq!(sum, 4);
/// ```
pub struct Item<T: Send + 'static>(Kind<T>);

enum Kind<T: Send + 'static> {
    Child(Child<T>),
    Coroutine(Pin<Box<dyn StdFuture<Output = Result<T>> + Send>>),
}

impl<T: Send + 'static> Item<T> {
    /// A coroutine, which becomes a task where the list is used.
    pub fn coroutine(coroutine: impl StdFuture<Output = Result<T>> + Send + 'static) -> Item<T> {
        Item(Kind::Coroutine(Box::pin(coroutine)))
    }
}

impl<T: Send + 'static> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Child(_) => "task",
            Kind::Coroutine(_) => "coroutine",
        };
        f.debug_tuple("Item").field(&kind).finish()
    }
}

impl<T: Send + 'static> IntoTask<T> for Item<T> {
    #[track_caller]
    fn into_task(self) -> Child<T> {
        match self.0 {
            Kind::Child(child) => child,
            Kind::Coroutine(coroutine) => coroutine.into_task(),
        }
    }
}

impl<T: Send + 'static> Awaitable for Item<T> {
    type Value = T;
    type Wait = Pin<Box<dyn StdFuture<Output = Result<T>> + Send>>;

    fn into_wait(self) -> Self::Wait {
        match self.0 {
            Kind::Child(Child(cell, fetch)) => Box::pin(Waiting::new(cell, fetch)),
            Kind::Coroutine(coroutine) => coroutine,
        }
    }

    fn existing(&self) -> Existing {
        match &self.0 {
            Kind::Child(child) => Existing(Some(child.0.node())),
            Kind::Coroutine(_) => Existing(None),
        }
    }
}

impl<T: Send + 'static> From<Task<T>> for Item<T> {
    fn from(task: Task<T>) -> Item<T> {
        Item(Kind::Child(task.into_task()))
    }
}

impl<T: Clone + Send + 'static> From<&Task<T>> for Item<T> {
    fn from(task: &Task<T>) -> Item<T> {
        Item(Kind::Child(task.into_task()))
    }
}

impl<T: Clone + Send + 'static> From<Future<T>> for Item<T> {
    fn from(future: Future<T>) -> Item<T> {
        Item(Kind::Child(future.into_task()))
    }
}

impl<T: Clone + Send + 'static> From<&Future<T>> for Item<T> {
    fn from(future: &Future<T>) -> Item<T> {
        Item(Kind::Child(future.into_task()))
    }
}
