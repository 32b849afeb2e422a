//! The one file that names concurrency primitives.
//!
//! Everything else in the crate says `crate::sync::…`, so that the same source runs on the real
//! primitives and, under `--cfg heist_loom`, on loom's, which explore every interleaving.
//! Both sides have parking_lot's shape: locks do not poison, and a `Condvar` takes and returns the
//! guard.
//!
//! crossbeam-deque knows nothing of loom. The models get a mutexed twin with the same API
//! (`sync/deque_model.rs`), held to the same property tests as the real one
//! (`scheduler/tests/queue.rs`).

#[cfg(not(heist_loom))]
#[path = "sync/real.rs"]
mod primitives;

#[cfg(heist_loom)]
#[path = "sync/model.rs"]
mod primitives;

#[cfg(any(heist_loom, test))]
pub(crate) mod deque_model;

pub(crate) mod barrier;
pub(crate) mod biased;

pub(crate) use primitives::*;

pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use std::sync::OnceLock;

/// Locks that user-visible futures share; never part of a modelled protocol.
pub(crate) use parking_lot::{RwLock, RwLockReadGuard};
