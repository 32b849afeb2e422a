//! tokio's `AsyncRead` and `AsyncWrite` over heist's sockets, and the runtime's traits over a tokio stream.
#![expect(
    unsafe_code,
    reason = "tokio's ReadBuf hands out memory that is not yet initialised"
)]

use crate::socket::Socket;
use futures_util::io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// tokio's IO traits over a socket of the runtime, and the runtime's over a stream with tokio's.
///
/// # Examples
///
/// tokio's own helpers on a heist socket:
///
/// ```
/// use heist::net::{TcpListener, TcpStream};
/// use heist_compat::TokioIo;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[heist::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TokioIo::new(TcpStream::connect(listener.local_addr()?).await?);
/// let (server, _) = listener.accept().await?;
///
/// client.write_u32(42).await?;
/// assert_eq!(TokioIo::new(server).read_u32().await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TokioIo<T> {
    io: T,
}

impl<T> TokioIo<T> {
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

impl<T: Socket + Unpin> tokio::io::AsyncRead for TokioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: no byte may be uninitialised that was initialised. The slice goes only to `Socket::poll_fill`, which
        // promises just that, and is sealed to the core's sockets.
        let spare = unsafe { buffer.unfilled_mut() };
        let count = ready!(self.io.poll_fill(cx, spare))?;
        // SAFETY: the first `count` bytes that are unfilled must be initialised: `Socket::poll_fill` promises that of as many
        // bytes as it answers, from the front of this very slice.
        unsafe { buffer.assume_init(count) };
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> tokio::io::AsyncWrite for TokioIo<T> {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl<T: tokio::io::AsyncRead + Unpin> AsyncRead for TokioIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: tokio::io::AsyncWrite + Unpin> AsyncWrite for TokioIo<T> {
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
