//! Sockets: TCP, UDP and Unix-domain, and name resolution.
//!
//! Streams implement futures-io's [`AsyncRead`](crate::io::AsyncRead) and
//! [`AsyncWrite`](crate::io::AsyncWrite), also through a shared reference. Operations are tried
//! first and wait only if they would block.
//!
//! Every socket belongs to the runtime that was current when it was made, and must be made inside
//! one. After that runtime's end its operations fail.

mod addr;
mod stream;
mod tcp;
mod udp;
#[cfg(unix)]
mod unix;

pub use addr::{ToSocketAddrs, lookup_host};
pub use tcp::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpListener, TcpStream, WriteHalf,
};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{
    OwnedReadHalf as UnixOwnedReadHalf, OwnedWriteHalf as UnixOwnedWriteHalf,
    ReadHalf as UnixReadHalf, ReuniteError as UnixReuniteError, UnixDatagram, UnixListener,
    UnixStream, WriteHalf as UnixWriteHalf,
};

use crate::driver::registration::IoSource;
use crate::driver::source::Readiness;
use crate::driver::sys::AsSource;
use crate::runtime::Handle;
use std::io;

/// Registers a socket that is in non-blocking mode with the current runtime.
#[track_caller]
fn register<T: AsSource>(socket: T, assumed: Readiness) -> io::Result<IoSource<T>> {
    IoSource::new(Handle::current().driver(), socket, assumed)
}

/// A connected socket is worth trying at once.
fn optimistic() -> Readiness {
    Readiness::READABLE | Readiness::WRITABLE
}
