//! The primitives of what is modelled: the loom models have their own in this place (`tests/loom.rs`).

pub(crate) use futures_util::task::AtomicWaker;
pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Stands between a sequentially consistent store and such a load. Loom takes them for weaker ones, and has a fence here.
#[inline]
pub(crate) fn between_seq_cst() {}
