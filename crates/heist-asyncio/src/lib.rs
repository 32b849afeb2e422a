//! asyncio on the heist runtime: CPython's tasks, cancellation, timeouts, groups, queues and locks, for Rust.
//!
//! Use it as `use heist_asyncio as asyncio;`. The rules are CPython 3.13's, and its own behaviour is the judge: random
//! programs run on both, event for event.

#![forbid(unsafe_code)]

mod asyncgens;
mod barrier;
mod base_events;
mod cell;
mod completion;
mod contextlib;
pub mod contextvars;
mod events;
mod exceptions;
mod exits;
mod few;
mod futures;
#[cfg(unix)]
mod interrupts;
mod locks;
mod loop_handle;
mod node;
mod parallel;
mod queues;
mod registry;
mod runners;
mod semaphore;
pub mod signals;
mod staggered;
mod step_flags;
mod sync;
mod taskgroups;
mod tasks;
mod threads;
mod timeouts;
mod wait;

pub use asyncgens::{AsyncGenerator, Yielder, aclosing, async_generator, two_way_generator};
pub use barrier::Barrier;
pub use contextlib::AsyncExitStack;
pub use contextvars::{Context, ContextVar, Token, copy_context};
pub use events::{
    ErrorContext, EventLoop, ExceptionHandler, Handle, LoopTime, TimerHandle, get_running_loop,
};
pub use exceptions::{
    BrokenBarrierError, CancelledError, DeadlockError, Except, Exception, ExceptionGroup,
    GeneratorExit, IncompleteReadError, InvalidStateError, KeyboardInterrupt, LimitOverrunError,
    LookupError, PanicError, QueueEmpty, QueueFull, QueueShutDown, Result, RuntimeError,
    SystemExit, TimeoutError, ValueError,
};
pub use futures::{CallbackId, Future};
pub use locks::{Condition, ConditionGuard, Event, Lock, LockGuard};
pub use queues::{LifoQueue, PriorityQueue, Queue, QueueStore};
pub use runners::{Runner, run};
pub use semaphore::{BoundedSemaphore, Semaphore, SemaphoreGuard};
pub use staggered::{Race, staggered_race};
pub use taskgroups::{ChildBuilder, TaskGroup};
#[doc(hidden)]
pub use tasks::GatherTuple;
pub use tasks::{
    AsCompleted, Awaitable, Builder, Child, Gathering, IntoTask, Item, ReturnWhen, Shielded, Task,
    TaskHandle, TaskId, Waitable, all_tasks, as_completed, cancellable, create_local_task,
    create_named_task, create_task, current_task, ensure_future, gather, gather_return_exceptions,
    shield, sleep, sleep_with, wait, wait_for, wrap_future, wrap_join_handle, yield_now,
};
pub use threads::{
    ConcurrentFuture, asyncify, run_coroutine_threadsafe, run_in_executor, sync, to_thread,
};
pub use timeouts::{Timeout, timeout, timeout_at};
pub use wait::Waiting;

/// The book's chapter, whose snippets are tested here.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/asyncio.md")]
struct Book;
