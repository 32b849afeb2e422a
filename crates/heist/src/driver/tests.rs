//! Tests of the driver's parts, by level. The driver as a whole: `tests/it/`.

#[cfg(not(heist_loom))]
mod lead;
#[cfg(heist_loom)]
mod loom;
#[cfg(all(target_os = "linux", not(any(heist_loom, heist_portable_poller))))]
mod poller;
#[cfg(not(heist_loom))]
mod source;
#[cfg(not(heist_loom))]
mod timers;
#[cfg(not(heist_loom))]
mod wheel;
