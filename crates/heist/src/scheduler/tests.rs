//! Tests of the schedulers' parts, by level. The schedulers as a whole: `tests/it/`.

#[cfg(not(heist_loom))]
mod biased;
#[cfg(not(heist_loom))]
mod home;
#[cfg(not(heist_loom))]
mod idle;
#[cfg(not(heist_loom))]
mod in_place;
#[cfg(heist_loom)]
mod loom;
#[cfg(not(heist_loom))]
mod park;
#[cfg(not(heist_loom))]
mod queue;
#[cfg(not(heist_loom))]
mod room;
#[cfg(not(heist_loom))]
mod sites;
#[cfg(all(target_os = "linux", not(heist_loom)))]
mod slice;
#[cfg(not(heist_loom))]
pub(crate) mod support;
#[cfg(not(heist_loom))]
mod suspects;
#[cfg(not(heist_loom))]
mod workers;
