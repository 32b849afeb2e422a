//! The traits of asynchronous reading and writing, which are futures-io's, and registration of
//! foreign descriptors.
//!
//! The sockets of [`net`](crate::net) implement these traits; so everything written for
//! `futures` works on them. hyper's and tokio's traits are in the crate `heist-compat`.

#[cfg(unix)]
mod async_fd;
mod interest;

#[cfg(unix)]
pub use async_fd::{AsyncFd, AsyncFdReadyGuard, TryIoError};
pub use interest::{Interest, Ready};

pub use futures_util::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufWriter, copy, copy_buf, empty, repeat, sink,
};
