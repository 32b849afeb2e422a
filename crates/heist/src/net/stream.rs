//! What TCP and Unix streams have in common: reading, writing, and being split.

use crate::budget;
use crate::driver::registration::IoSource;
use crate::driver::source::Side;
use crate::driver::sys::AsSource;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

pub(super) fn poll_read<S: AsSource>(
    io: &IoSource<S>,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a S: Read,
{
    io.poll_transfer(Side::Read, buf.len(), cx, |mut socket| socket.read(buf))
}

pub(super) fn poll_read_vectored<S: AsSource>(
    io: &IoSource<S>,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a S: Read,
{
    let len = bufs.iter().map(|buf| buf.len()).sum();
    io.poll_transfer(Side::Read, len, cx, |mut socket| socket.read_vectored(bufs))
}

/// Reads into memory that need not be initialized; answers the part that was filled.
///
/// `recv` takes the buffer and gives the filled part back, so this cannot try twice: where
/// readiness came back between the try and the wait, the task is woken to try anew.
#[cfg(unix)]
pub(super) fn poll_read_uninit<'b, S: AsSource>(
    io: &IoSource<S>,
    cx: &mut Context<'_>,
    buf: &'b mut [MaybeUninit<u8>],
) -> Poll<io::Result<&'b mut [u8]>> {
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};
    ready!(budget::poll_proceed(cx));
    let seen = ready!(io.poll_ready(Side::Read, cx))?;
    let len = buf.len();
    match recv(&**io, buf, RecvFlags::empty()) {
        Ok(((filled, _), n)) => {
            if 0 < n && n < len {
                io.clear_after_short(seen);
            }
            return Poll::Ready(Ok(filled));
        }
        // Also its other name, `EWOULDBLOCK`.
        Err(Errno::AGAIN) => io.clear(seen),
        Err(Errno::INTR) => {}
        Err(error) => return Poll::Ready(Err(error.into())),
    }
    if io.poll_ready(Side::Read, cx)?.is_ready() {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

pub(super) fn poll_write<S: AsSource>(
    io: &IoSource<S>,
    cx: &mut Context<'_>,
    buf: &[u8],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a S: Write,
{
    io.poll_transfer(Side::Write, buf.len(), cx, |mut socket| socket.write(buf))
}

pub(super) fn poll_write_vectored<S: AsSource>(
    io: &IoSource<S>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>>
where
    for<'a> &'a S: Write,
{
    let len = bufs.iter().map(|buf| buf.len()).sum();
    io.poll_transfer(Side::Write, len, cx, |mut socket| {
        socket.write_vectored(bufs)
    })
}

/// `AsyncRead` and the read methods, for a type from which `$io` gets the `IoSource`.
macro_rules! impl_read {
    ($type:ty, |$this:ident| $io:expr) => {
        impl futures_util::io::AsyncRead for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = &*self;
                crate::net::stream::poll_read($io, cx, buf)
            }

            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = &*self;
                crate::net::stream::poll_read_vectored($io, cx, bufs)
            }
        }
    };
}

/// `AsyncWrite`, for a type from which `$io` gets the `IoSource`. Closing shuts the writing side.
macro_rules! impl_write {
    ($type:ty, |$this:ident| $io:expr) => {
        impl futures_util::io::AsyncWrite for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = &*self;
                crate::net::stream::poll_write($io, cx, buf)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = &*self;
                crate::net::stream::poll_write_vectored($io, cx, bufs)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let $this = &*self;
                std::task::Poll::Ready(crate::net::stream::close($io))
            }
        }
    };
}

/// Shuts the writing side; a stream that the other side has ended already is closed enough.
pub(super) fn close<S: Shutdown>(socket: &S) -> io::Result<()> {
    match socket.shutdown_write() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        done => done,
    }
}

/// A socket whose writing side can be shut.
pub(super) trait Shutdown {
    fn shutdown_write(&self) -> io::Result<()>;
}

impl Shutdown for std::net::TcpStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

#[cfg(unix)]
impl Shutdown for std::os::unix::net::UnixStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

impl<S: Shutdown + AsSource> Shutdown for IoSource<S> {
    fn shutdown_write(&self) -> io::Result<()> {
        (**self).shutdown_write()
    }
}

/// The methods that both kinds of stream have, for a struct with a field `io: IoSource<$std>`.
macro_rules! impl_stream {
    ($type:ident, $std:ty) => {
        crate::net::stream::impl_read!($type, |this| &this.io);
        crate::net::stream::impl_read!(&$type, |this| &this.io);
        crate::net::stream::impl_write!($type, |this| &this.io);
        crate::net::stream::impl_write!(&$type, |this| &this.io);
        crate::net::stream::impl_read!(ReadHalf<'_>, |this| &this.0.io);
        crate::net::stream::impl_write!(WriteHalf<'_>, |this| &this.0.io);
        crate::net::stream::impl_read!(OwnedReadHalf, |this| &this.stream.io);
        crate::net::stream::impl_write!(OwnedWriteHalf, |this| &this.stream.io);

        impl $type {
            /// Takes over a standard stream, and puts it into non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(stream: $std) -> std::io::Result<Self> {
                stream.set_nonblocking(true)?;
                let io = crate::net::register(stream, crate::net::optimistic())?;
                Ok(Self { io })
            }

            /// Gives the standard stream back, in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the poller.
            pub fn into_std(self) -> std::io::Result<$std> {
                self.io.into_io()
            }

            /// Waits until reading may succeed: there is data, or the end.
            ///
            /// # Errors
            ///
            /// If the runtime has shut down.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost by dropping it.
            pub async fn readable(&self) -> std::io::Result<()> {
                self.ready(crate::io::Interest::READABLE).await.map(drop)
            }

            /// Waits until writing may succeed. Otherwise as [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// If the runtime has shut down.
            pub async fn writable(&self) -> std::io::Result<()> {
                self.ready(crate::io::Interest::WRITABLE).await.map(drop)
            }

            /// Waits for any of `interest`. Otherwise as [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// If the runtime has shut down.
            pub async fn ready(
                &self,
                interest: crate::io::Interest,
            ) -> std::io::Result<crate::io::Ready> {
                let seen = self.io.ready(interest.readiness()).await?;
                Ok(crate::io::Ready(seen.ready))
            }

            /// Reads what there is, without waiting.
            ///
            /// # Errors
            ///
            /// `WouldBlock` where there is nothing.
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                use std::io::Read;
                self.try_io(crate::io::Interest::READABLE, || (&*self.io).read(buf))
            }

            /// Writes what fits, without waiting.
            ///
            /// # Errors
            ///
            /// `WouldBlock` where nothing fits.
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                use std::io::Write;
                self.try_io(crate::io::Interest::WRITABLE, || (&*self.io).write(buf))
            }

            /// As [`try_write`](Self::try_write), from several buffers.
            ///
            /// # Errors
            ///
            /// `WouldBlock` where nothing fits.
            pub fn try_write_vectored(
                &self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                use std::io::Write;
                self.try_io(crate::io::Interest::WRITABLE, || {
                    (&*self.io).write_vectored(bufs)
                })
            }

            /// Calls an operation of one's own on the socket, if it is taken for ready, and takes
            /// the readiness back if the operation says `WouldBlock`.
            ///
            /// # Errors
            ///
            /// `WouldBlock` where the socket is not ready, and those of the operation.
            pub fn try_io<R>(
                &self,
                interest: crate::io::Interest,
                op: impl FnOnce() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.io.try_io(interest.readiness(), |_| op())
            }

            /// Reads into memory that need not be initialized, and answers the part that was
            /// filled: empty at the end of the stream.
            ///
            /// # Errors
            ///
            /// Those of the socket.
            #[cfg(unix)]
            pub fn poll_read_uninit<'b>(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &'b mut [std::mem::MaybeUninit<u8>],
            ) -> std::task::Poll<std::io::Result<&'b mut [u8]>> {
                crate::net::stream::poll_read_uninit(&self.io, cx, buf)
            }

            /// Splits into halves that borrow the stream, for use within one task.
            pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Splits into halves that share the stream, for use in two tasks. Dropping the
            /// writing half shuts the writing side.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                let stream = std::sync::Arc::new(self);
                let read = OwnedReadHalf {
                    stream: stream.clone(),
                };
                let write = OwnedWriteHalf {
                    stream,
                    shut_on_drop: true,
                };
                (read, write)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.io.fmt(f)
            }
        }

        /// The reading half of a stream, borrowed.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $type);

        /// The writing half of a stream, borrowed.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $type);

        /// The reading half of a stream, shared.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            stream: std::sync::Arc<$type>,
        }

        /// The writing half of a stream, shared. Its drop shuts the writing side.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: std::sync::Arc<$type>,
            shut_on_drop: bool,
        }

        impl AsRef<$type> for ReadHalf<'_> {
            fn as_ref(&self) -> &$type {
                self.0
            }
        }

        impl AsRef<$type> for WriteHalf<'_> {
            fn as_ref(&self) -> &$type {
                self.0
            }
        }

        impl AsRef<$type> for OwnedReadHalf {
            fn as_ref(&self) -> &$type {
                &self.stream
            }
        }

        impl AsRef<$type> for OwnedWriteHalf {
            fn as_ref(&self) -> &$type {
                &self.stream
            }
        }

        impl OwnedReadHalf {
            /// Puts the two halves together again.
            ///
            /// # Errors
            ///
            /// [`ReuniteError`], with both, if they are not of one stream.
            pub fn reunite(self, write: OwnedWriteHalf) -> Result<$type, ReuniteError> {
                if !std::sync::Arc::ptr_eq(&self.stream, &write.stream) {
                    return Err(ReuniteError(self, write));
                }
                write.forget();
                let stream = std::sync::Arc::into_inner(self.stream);
                Ok(stream.expect("there are two halves, and one was just dropped"))
            }
        }

        impl OwnedWriteHalf {
            /// Puts the two halves together again.
            ///
            /// # Errors
            ///
            /// [`ReuniteError`], with both, if they are not of one stream.
            pub fn reunite(self, read: OwnedReadHalf) -> Result<$type, ReuniteError> {
                read.reunite(self)
            }

            /// Drops the half without shutting the writing side.
            pub fn forget(mut self) {
                self.shut_on_drop = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shut_on_drop {
                    // There is nobody to tell of an error.
                    let _ = crate::net::stream::close(&self.stream.io);
                }
            }
        }

        /// The halves are not of one stream; both are given back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl std::fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the two halves belong to different streams")
            }
        }

        impl std::error::Error for ReuniteError {}
    };
}

/// Passes the descriptor (or socket) of `$field` on.
macro_rules! impl_as_source {
    ($type:ident) => {
        #[cfg(unix)]
        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.as_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.as_raw_fd()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsSocket for $type {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                self.io.as_socket()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsRawSocket for $type {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                self.io.as_raw_socket()
            }
        }
    };
}

pub(super) use {impl_as_source, impl_read, impl_stream, impl_write};
