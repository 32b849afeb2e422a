//! hyper 1 on heist: its executor, timer and IO traits.
#![expect(
    unsafe_code,
    reason = "hyper's read cursor hands out memory that is not yet initialised"
)]

use crate::socket::Socket;
use futures_util::io::{AsyncRead, AsyncWrite};
use heist::time::Instant;
use hyper::rt::{Executor, Read, ReadBuf, ReadBufCursor, Sleep, Timer, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// hyper's IO traits over a socket of the runtime, and the runtime's over what hyper hands back.
///
/// Around a [`Socket`] it is what hyper serves or connects on. Around a type with hyper's traits, such as
/// `hyper::upgrade::Upgraded`, it has the runtime's `AsyncRead` and `AsyncWrite`.
#[derive(Debug)]
pub struct HeistIo<T> {
    io: T,
}

impl<T> HeistIo<T> {
    /// Wraps `io`.
    pub fn new(io: T) -> Self {
        Self { io }
    }

    /// What is wrapped.
    pub fn inner(&self) -> &T {
        &self.io
    }

    /// What is wrapped, to be changed.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: Socket + Unpin> Read for HeistIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: no byte may be uninitialised that was initialised. The slice goes only to `Socket::poll_fill`, which
        // promises just that, and is sealed to the core's sockets.
        let spare = unsafe { buffer.as_mut() };
        let count = ready!(self.io.poll_fill(cx, spare))?;
        // SAFETY: the next `count` bytes must be initialised: `Socket::poll_fill` promises that of as many bytes as it
        // answers, from the front of this very slice.
        unsafe { buffer.advance(count) };
        Poll::Ready(Ok(()))
    }
}

impl<T: Socket + AsyncWrite + Unpin> Write for HeistIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

impl<T: Read + Unpin> AsyncRead for HeistIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: Write + Unpin> AsyncWrite for HeistIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// hyper's IO traits over any stream with futures' `AsyncRead` and `AsyncWrite`, such as TLS over a socket.
///
/// A bare socket is better off in [`HeistIo`]: this wrapper has to initialise hyper's memory before it reads, and
/// writes one slice at a time.
#[derive(Debug)]
pub struct FuturesIo<T> {
    io: T,
}

impl<T> FuturesIo<T> {
    /// Wraps `io`.
    pub fn new(io: T) -> Self {
        Self { io }
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T: AsyncRead + Unpin> Read for FuturesIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let spare = buffer.initialize_unfilled();
        let room = spare.len();
        let count = ready!(Pin::new(&mut self.io).poll_read(cx, spare))?;
        assert!(count <= room, "a stream read {count} bytes into {room}");
        // SAFETY: the next `count` bytes must be initialised. `initialize_unfilled` did that for all the room there is,
        // nobody can have undone it through the `&mut [u8]`, and `count` is within it.
        unsafe { buffer.advance(count) };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for FuturesIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// Spawns hyper's tasks on the current runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeistExecutor;

impl<F> Executor<F> for HeistExecutor
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// # Panics
    ///
    /// Panics outside of a runtime, as [`heist::spawn`] does.
    #[track_caller]
    fn execute(&self, future: F) {
        drop(heist::spawn(future));
    }
}

/// hyper's timer on the runtime's clock, the virtual one included.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeistTimer;

impl Timer for HeistTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(TimerSleep(heist::time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(TimerSleep(heist::time::sleep_until(Instant::from(
            deadline,
        ))))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<TimerSleep>() {
            Some(ours) => Pin::new(&mut ours.get_mut().0).reset(Instant::from(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

#[derive(Debug)]
struct TimerSleep(heist::time::Sleep);

impl Future for TimerSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for TimerSleep {}
