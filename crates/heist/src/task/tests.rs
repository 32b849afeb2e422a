//! Tests of the task, by level.

#[cfg(not(heist_loom))]
mod cell;
#[cfg(heist_loom)]
mod loom;
#[cfg(not(any(heist_loom, heist_plain_memory)))]
mod memory;
#[cfg(not(heist_loom))]
mod registry;
#[cfg(not(heist_loom))]
mod state;
#[cfg(not(heist_loom))]
mod stateful;
pub(crate) mod support;
#[cfg(not(heist_loom))]
mod weight;
