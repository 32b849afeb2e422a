//! The poller of the operating system, behind one inherent API.
//!
//! On Linux the hot calls go straight to epoll (`sys/epoll.rs`): `polling`'s own wait makes up to
//! four system calls more. Everywhere else, and on Linux under `--cfg heist_portable_poller` so
//! that it is tested there, `polling` does it all (`sys/portable.rs`).

#[cfg(all(target_os = "linux", not(heist_portable_poller)))]
#[path = "sys/epoll.rs"]
mod poller;

#[cfg(all(target_os = "linux", not(heist_portable_poller)))]
mod exact;

#[cfg(any(not(target_os = "linux"), heist_portable_poller))]
#[path = "sys/portable.rs"]
mod poller;

pub(crate) use poller::{Events, IS_ONESHOT, Poller, TELLS_READ_CLOSED};

/// What can be registered: a file descriptor, or a socket on Windows.
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as AsSource;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsSocket as AsSource;
