//! Fork-join: computing in parallel on the runtime's workers.
//!
//! [`join`] runs two closures, maybe at the same time; everything else is made of it. [`scope`] runs
//! any number of closures that may borrow from their caller; [`par_for`], [`par_map`] and
//! [`par_reduce`] go over ranges, slices and chunks of slices.
//!
//! ```
//! use heist::parallel;
//!
//! # heist::runtime::Runtime::new().unwrap().block_on(async {
//! let squares = heist::compute(|| parallel::par_map(0..1_000_usize, |i| i * i));
//! assert_eq!(squares.await.unwrap()[31], 961);
//! # });
//! ```
//!
//! # Where it is parallel
//!
//! On a worker of a multi-thread runtime: in the closure of [`compute`](crate::compute), and in tasks.
//! From async code, call `compute` and await it, so that nothing that waits for IO waits for the
//! computation. On a thread that is none of the runtime's, call
//! [`Runtime::install`](crate::runtime::Runtime::install): it computes right there, with the workers' help. Elsewhere
//! (another thread without that, the future of `block_on`, `spawn_blocking`, a current-thread runtime) the same closures
//! run one after the other on the caller.
//!
//! # What is promised
//!
//! - **Interactive work goes first.** A worker takes a forked job only when no task is ready, and looks
//!   again after each. While every worker computes, the spare one keeps IO, timers and light tasks going.
//! - **Locks may be held.** A `join` that waits runs nothing but what was forked below it. So no closure
//!   that locks the mutex which the waiting one holds can come upon it from elsewhere.
//! - **Panics go to whoever waits**, when everything that it waits for has ended.
//! - **The task stays the same.** In a job that another worker runs, [`task::id`](crate::task::id) is the
//!   task that forked it, and the current runtime is the same. Other thread-locals are those of the
//!   worker that runs it.
//!
//! Tests: `parallel/tests/`, `tests/it/parallel.rs`.

mod join;
mod map;
mod scope;
mod split;

#[cfg(all(test, heist_loom))]
mod tests;

pub use join::join;
pub use map::par_map;
pub use scope::{Scope, scope};
pub use split::{
    AtLeast, Chunks, ChunksMut, Numbered, Split, chunks, chunks_mut, par_for, par_reduce,
};

/// The guide's examples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/parallel.md")]
struct Guide;
