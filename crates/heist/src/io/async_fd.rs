//! A foreign descriptor in the reactor.

use super::{Interest, Ready};
use crate::budget;
use crate::driver::registration::IoSource;
use crate::driver::source::{Readiness, Seen, Side};
use crate::runtime::Handle;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

/// Any non-blocking descriptor, watched by the current runtime.
///
/// Wait for readiness, try the operation, and say so when it would have blocked:
/// [`AsyncFdReadyGuard::try_io`] does the two last steps. The descriptor must be pollable, which
/// regular files are not, and in non-blocking mode.
///
/// ```
/// use heist::io::AsyncFd;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let ours = AsyncFd::new(ours)?;
/// theirs.write_all(b"hello")?;
/// let mut buf = [0; 16];
/// let n = loop {
///     let mut guard = ours.readable().await?;
///     if let Ok(done) = guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
///         break done?;
///     }
/// };
/// assert_eq!(&buf[..n], b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncFd<T: AsFd> {
    io: IoSource<T>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Registers `inner` with the current runtime. It is closed if that fails.
    ///
    /// # Errors
    ///
    /// Those of the poller: a descriptor that cannot be polled, or one that is registered already.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(inner: T) -> io::Result<Self> {
        let handle = Handle::current();
        let io = IoSource::new(handle.driver(), inner, Readiness::NONE)?;
        Ok(Self { io })
    }

    /// The descriptor's owner.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Takes the descriptor's owner back, deregistered.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub fn into_inner(self) -> io::Result<T> {
        self.io.into_io()
    }

    /// Waits until reading may succeed. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until writing may succeed. Otherwise as [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits for any of `interest`. Otherwise as [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let seen = self.io.ready(interest.readiness()).await?;
        Ok(AsyncFdReadyGuard { fd: self, seen })
    }

    /// The poll behind [`readable`](Self::readable), for one task at a time.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        ready!(budget::poll_proceed(cx));
        let seen = ready!(self.io.poll_ready(Side::Read, cx))?;
        Poll::Ready(Ok(AsyncFdReadyGuard { fd: self, seen }))
    }

    /// The poll behind [`writable`](Self::writable), for one task at a time.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        ready!(budget::poll_proceed(cx));
        let seen = ready!(self.io.poll_ready(Side::Write, cx))?;
        Poll::Ready(Ok(AsyncFdReadyGuard { fd: self, seen }))
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.get_ref()).finish()
    }
}

/// Readiness that was seen, to be taken back if the operation says otherwise.
#[must_use = "try the operation, and clear the readiness if it would block"]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    fd: &'a AsyncFd<T>,
    seen: Seen,
}

/// The operation would have blocked after all: wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block; wait for readiness again")
    }
}

impl std::error::Error for TryIoError {}

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    /// What was seen.
    pub fn ready(&self) -> Ready {
        Ready(self.seen.ready)
    }

    /// Takes the readiness back: only if the operation really said `WouldBlock`, else the next
    /// wait may last for ever. An event that came in between stays.
    pub fn clear_ready(&mut self) {
        self.fd.io.clear(self.seen);
    }

    /// Calls `op`, and takes the readiness back if it says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] for `WouldBlock`; any other error is inside.
    pub fn try_io<R>(
        &mut self,
        op: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match op(self.fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            done => Ok(done),
        }
    }
}

impl<T: AsFd> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard")
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}
