//! UDP.

use super::addr::{ToSocketAddrs, resolve, try_each};
use super::stream::impl_as_source;
use super::{optimistic, register};
use crate::driver::registration::IoSource;
use crate::driver::source::{Readiness, Side};
use crate::io::{Interest, Ready};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

/// A UDP socket. Any number of tasks may send and receive through one reference.
///
/// ```
/// use heist::net::UdpSocket;
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let a = UdpSocket::bind("127.0.0.1:0").await?;
/// let b = UdpSocket::bind("127.0.0.1:0").await?;
/// a.send_to(b"ping", b.local_addr()?).await?;
/// let mut buf = [0; 16];
/// let (n, from) = b.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..n], from), (&b"ping"[..], a.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UdpSocket {
    io: IoSource<std::net::UdpSocket>,
}

impl_as_source!(UdpSocket);

impl UdpSocket {
    /// Binds to the first address that can be bound. Port 0 lets the system choose one.
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
        let bind = async |addr: SocketAddr| Self::from_std(std::net::UdpSocket::bind(addr)?);
        try_each(addr, bind).await
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
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = register(socket, optimistic())?;
        Ok(Self { io })
    }

    /// Gives the standard socket back, in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.io.into_io()
    }

    /// Sets the one peer to send to and receive from.
    ///
    /// # Errors
    ///
    /// Those of the system, for the last address tried.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it looks a name up, it leaves the peer as it was.
    ///
    /// # Panics
    ///
    /// Outside a runtime, where the address is a name.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        try_each(addr, async |addr: SocketAddr| self.io.connect(addr)).await
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

    /// The poll behind [`send`](Self::send), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(Side::Write, cx, |socket| socket.send(buf))
    }

    /// Receives from the connected peer. What does not fit is lost.
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

    /// The poll behind [`recv`](Self::recv), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(Side::Read, cx, |socket| socket.recv(buf))
    }

    /// Sends to an address. Of a name's addresses the first is used.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has sent nothing.
    ///
    /// # Panics
    ///
    /// Outside a runtime, where the address is a name.
    pub async fn send_to(&self, buf: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let addrs = resolve(target.addresses()).await?;
        let Some(&addr) = addrs.first() else {
            let message = "the name stands for no address at all";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let send = |socket: &std::net::UdpSocket| socket.send_to(buf, addr);
        self.io.io(Readiness::WRITE, send).await
    }

    /// The poll behind [`send_to`](Self::send_to), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &std::net::UdpSocket| socket.send_to(buf, target);
        self.io.poll_io(Side::Write, cx, send)
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

    /// The poll behind [`recv_from`](Self::recv_from), for one task at a time.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io
            .poll_io(Side::Read, cx, |socket| socket.recv_from(buf))
    }

    /// As [`recv_from`](Self::recv_from), without removing the datagram.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing, so there is nothing to lose.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .io(Readiness::READ, |socket| socket.peek_from(buf))
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

    /// Receives from the connected peer without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing, and those of the socket.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Readiness::READ, |socket| socket.recv(buf))
    }

    /// Sends to an address without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is no room, and those of the socket.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.io
            .try_io(Readiness::WRITE, |socket| socket.send_to(buf, target))
    }

    /// Receives a datagram without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing, and those of the socket.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .try_io(Readiness::READ, |socket| socket.recv_from(buf))
    }

    /// Waits for any of `interest`.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let seen = self.io.ready(interest.readiness()).await?;
        Ok(Ready(seen.ready))
    }

    /// Waits until there is a datagram.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until there is room to send.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
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
    /// Those of the system: there may be no peer.
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

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.broadcast()
    }

    /// Allows sending to broadcast addresses.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.io.set_broadcast(on)
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

    /// Sets whether what is sent to a group comes back to this machine.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.io.set_multicast_loop_v4(on)
    }

    /// Sets the hop limit of what is sent to a group.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.io.set_multicast_ttl_v4(ttl)
    }

    /// Joins a group on the interface with this address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.join_multicast_v4(&group, &interface)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.leave_multicast_v4(&group, &interface)
    }

    /// Joins a group on the interface with this index.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.join_multicast_v6(group, interface)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.leave_multicast_v6(group, interface)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
