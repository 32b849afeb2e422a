//! Integration tests: the public API on real threads and loopback sockets, in one binary.
//!
//! Nothing here sleeps to wait: a test waits for an event, or moves the virtual clock.

mod abort;
mod blocking;
mod fairness;
mod install;
mod io;
mod local;
mod metrics;
mod nesting;
mod panics;
mod parallel;
mod rescue;
mod run;
mod shutdown;
mod spawn;
mod stateful;
mod support;
mod tcp;
mod time;
mod udp;
#[cfg(unix)]
mod unix;
mod virtual_clock;
