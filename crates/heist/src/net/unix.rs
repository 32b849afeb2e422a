//! Unix-domain sockets.

use super::stream::{impl_as_source, impl_stream};
use super::{optimistic, register};
use crate::driver::registration::IoSource;
use crate::driver::source::{Readiness, Side};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll, ready};

/// Connections that may wait to be accepted: as many as the system allows.
const BACKLOG: i32 = i32::MAX;

/// A Unix-domain socket that accepts connections. The path is not removed when it is dropped.
///
/// ```
/// use heist::io::{AsyncReadExt, AsyncWriteExt};
/// use heist::net::{UnixListener, UnixStream};
///
/// # let dir = std::env::temp_dir().join(format!("heist-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// # let path = dir.join("socket");
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let listener = UnixListener::bind(&path)?;
/// let mut client = UnixStream::connect(&path).await?;
/// let (mut server, _peer) = listener.accept().await?;
/// server.write_all(b"hello").await?;
/// let mut buf = [0; 5];
/// client.read_exact(&mut buf).await?;
/// assert_eq!(&buf, b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixListener {
    io: IoSource<net::UnixListener>,
}

impl_as_source!(UnixListener);

impl UnixListener {
    /// Listens at a path, which must not exist.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        Self::from_std(socket.into())
    }

    /// Takes over a standard listener, and puts it into non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let io = register(listener, Readiness::READABLE)?;
        Ok(Self { io })
    }

    /// Gives the standard listener back, in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        self.io.into_io()
    }

    /// Accepts a connection. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost by dropping it.
    ///
    /// # Panics
    ///
    /// Outside a runtime, to which the stream would belong; the connection is closed then.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, addr) = self
            .io
            .io(Readiness::READ, |socket| socket.accept())
            .await?;
        Ok((UnixStream::from_std(stream)?, addr))
    }

    /// The poll behind [`accept`](Self::accept), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime, to which the stream would belong; the connection is closed then.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accept = |socket: &net::UnixListener| socket.accept();
        let (stream, addr) = ready!(self.io.poll_io(Side::Read, cx, accept))?;
        Poll::Ready(UnixStream::from_std(stream).map(|stream| (stream, addr)))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// A Unix-domain connection. See [`UnixListener`] for an example.
pub struct UnixStream {
    io: IoSource<net::UnixStream>,
}

impl_stream!(UnixStream, net::UnixStream);
impl_as_source!(UnixStream);

impl UnixStream {
    /// Connects to the socket at a path.
    ///
    /// # Errors
    ///
    /// Those of the system. `WouldBlock` means that the listener's queue is full.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It is done at its first poll, so there is nothing to lose.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // It connects at once or not at all: there is no network to wait for.
        socket.connect(&SockAddr::unix(path)?)?;
        Self::from_std(socket.into())
    }

    /// Two streams that are connected with one another.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = net::UnixStream::pair()?;
        Ok((Self::from_std(a)?, Self::from_std(b)?))
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }

    /// Takes the socket's pending error.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.take_error()
    }

    /// Shuts one side or both; the shutdown of writing that
    /// [`AsyncWrite`](crate::io::AsyncWrite)'s close does is the usual one.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn shutdown_std(&self, how: std::net::Shutdown) -> io::Result<()> {
        self.io.shutdown(how)
    }
}

/// A Unix-domain datagram socket. Any number of tasks may send and receive through one reference.
///
/// ```
/// use heist::net::UnixDatagram;
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let (a, b) = UnixDatagram::pair()?;
/// a.send(b"ping").await?;
/// let mut buf = [0; 16];
/// let n = b.recv(&mut buf).await?;
/// assert_eq!(&buf[..n], b"ping");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixDatagram {
    io: IoSource<net::UnixDatagram>,
}

impl_as_source!(UnixDatagram);

impl UnixDatagram {
    /// Binds to a path, which must not exist. It is not removed on drop.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(net::UnixDatagram::bind(path)?)
    }

    /// A socket without an address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Self::from_std(net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected with one another.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = net::UnixDatagram::pair()?;
        Ok((Self::from_std(a)?, Self::from_std(b)?))
    }

    /// Takes over a standard socket, and puts it into non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = register(socket, optimistic())?;
        Ok(Self { io })
    }

    /// Gives the standard socket back, in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        self.io.into_io()
    }

    /// Sets the one peer to send to.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io.connect(path)
    }

    /// Sends to the connected peer.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has sent nothing.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io
            .io(Readiness::WRITE, |socket| socket.send(buf))
            .await
    }

    /// Receives a datagram. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has taken nothing.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.io(Readiness::READ, |socket| socket.recv(buf)).await
    }

    /// Sends to the socket at a path.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has sent nothing.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let send = |socket: &net::UnixDatagram| socket.send_to(buf, &path);
        self.io.io(Readiness::WRITE, send).await
    }

    /// Receives a datagram and its sender's address. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has taken nothing.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .io(Readiness::READ, |socket| socket.recv_from(buf))
            .await
    }

    /// Sends to the connected peer without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is no room, and those of the socket.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_io(Readiness::WRITE, |socket| socket.send(buf))
    }

    /// Receives without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing, and those of the socket.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Readiness::READ, |socket| socket.recv(buf))
    }

    /// The poll behind [`recv`](Self::recv), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(Side::Read, cx, |socket| socket.recv(buf))
    }

    /// The poll behind [`send`](Self::send), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(Side::Write, cx, |socket| socket.send(buf))
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The connected peer's address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
