//! TCP.

use super::addr::{ToSocketAddrs, try_each};
use super::register;
use super::stream::{impl_as_source, impl_stream};
use crate::driver::registration::IoSource;
use crate::driver::source::{Readiness, Side};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Connections that may wait to be accepted: as many as the system allows.
const BACKLOG: i32 = i32::MAX;

/// A TCP socket that accepts connections.
///
/// ```
/// use heist::io::{AsyncReadExt, AsyncWriteExt};
/// use heist::net::{TcpListener, TcpStream};
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let addr = listener.local_addr()?;
/// let server = heist::spawn(async move {
///     let (mut stream, _peer) = listener.accept().await?;
///     stream.write_all(b"hello").await
/// });
/// let mut text = String::new();
/// TcpStream::connect(addr).await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// server.await?
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpListener {
    io: IoSource<std::net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first address that can be bound. Port 0 lets the system choose one. On Unix
    /// the address may be bound again at once after its last use.
    ///
    /// # Errors
    ///
    /// Those of the system, for the last address tried.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done binds nothing.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        try_each(addr, async |addr| Self::bind_to(addr)).await
    }

    fn bind_to(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // On Windows the option would let two processes share the port.
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&addr.into())?;
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
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let io = register(listener, Readiness::READABLE)?;
        Ok(Self { io })
    }

    /// Gives the standard listener back, in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.io.into_io()
    }

    /// Accepts a connection. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// Those of the system. Most concern one connection, or pass (too many open files): a server
    /// should go on, after a short pause.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost by dropping it.
    ///
    /// # Panics
    ///
    /// Outside a runtime, to which the stream would belong; the connection is closed then.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, addr) = self
            .io
            .io(Readiness::READ, |socket| socket.accept())
            .await?;
        Ok((TcpStream::from_std(stream)?, addr))
    }

    /// The poll behind [`accept`](Self::accept), for one task at a time.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Panics
    ///
    /// Outside a runtime, to which the stream would belong; the connection is closed then.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accept = |socket: &std::net::TcpListener| socket.accept();
        let (stream, addr) = ready!(self.io.poll_io(Side::Read, cx, accept))?;
        Poll::Ready(TcpStream::from_std(stream).map(|stream| (stream, addr)))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The hop limit of accepted connections.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.ttl()
    }

    /// Sets the hop limit of connections that are accepted from now on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.set_ttl(ttl)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

impl_as_source!(TcpListener);

/// A TCP connection. See [`TcpListener`] for an example.
///
/// One task may read and one write at a time; [`split`](Self::split) and
/// [`into_split`](Self::into_split) help with that.
pub struct TcpStream {
    io: IoSource<std::net::TcpStream>,
}

impl_stream!(TcpStream, std::net::TcpStream);
impl_as_source!(TcpStream);

impl TcpStream {
    /// Connects to the first address that accepts.
    ///
    /// # Errors
    ///
    /// Those of the system, for the last address tried.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection that is being made.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        try_each(addr, Self::connect_to).await
    }

    async fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&addr.into()) {
            Err(error) if !is_in_progress(&error) => return Err(error),
            _ => {}
        }
        // Nothing is assumed: the first event says that the connection is made, or failed.
        let io = register(std::net::TcpStream::from(socket), Readiness::NONE)?;
        let stream = Self { io };
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Reads without removing what was read.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.io(Readiness::READ, |socket| socket.peek(buf)).await
    }

    /// The poll behind [`peek`](Self::peek), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(Side::Read, cx, |socket| socket.peek(buf))
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

    /// Whether small packets are sent at once.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.nodelay()
    }

    /// Sends small packets at once, instead of waiting for more to go with them.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.set_nodelay(nodelay)
    }

    /// How long a close may linger to send what is left.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(&*self.io).linger()
    }

    /// Sets how long a close may linger. Zero resets the connection.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(&*self.io).set_linger(linger)
    }

    /// The hop limit.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.ttl()
    }

    /// Sets the hop limit.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.set_ttl(ttl)
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

#[cfg(unix)]
fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

#[cfg(windows)]
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
