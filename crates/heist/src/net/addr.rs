//! Addresses, and names that stand for them.

use crate::task::spawn_blocking;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be turned into socket addresses: addresses themselves, and names with a port, which
/// are looked up on the blocking pool.
///
/// The trait is sealed; it is implemented for the types for which
/// [`std::net::ToSocketAddrs`] is.
pub trait ToSocketAddrs: sealed::Sealed {}

mod sealed {
    use super::Addresses;

    pub trait Sealed {
        fn addresses(&self) -> Addresses;
    }
}

/// Known, or to be looked up.
#[doc(hidden)]
#[derive(Debug)]
pub enum Addresses {
    Known(Vec<SocketAddr>),
    /// `host:port`.
    Text(String),
    Host(String, u16),
}

macro_rules! known {
    ($($type:ty => $convert:expr;)*) => {
        $(
            impl ToSocketAddrs for $type {}
            impl sealed::Sealed for $type {
                fn addresses(&self) -> Addresses {
                    let convert: fn(&$type) -> Vec<SocketAddr> = $convert;
                    Addresses::Known(convert(self))
                }
            }
        )*
    };
}

known! {
    SocketAddr => |addr| vec![*addr];
    SocketAddrV4 => |addr| vec![(*addr).into()];
    SocketAddrV6 => |addr| vec![(*addr).into()];
    (IpAddr, u16) => |addr| vec![(*addr).into()];
    (Ipv4Addr, u16) => |addr| vec![(*addr).into()];
    (Ipv6Addr, u16) => |addr| vec![(*addr).into()];
    [SocketAddr] => |addrs| addrs.to_vec();
    Vec<SocketAddr> => Vec::clone;
}

impl ToSocketAddrs for str {}
impl sealed::Sealed for str {
    fn addresses(&self) -> Addresses {
        match self.parse() {
            Ok(addr) => Addresses::Known(vec![addr]),
            Err(_) => Addresses::Text(self.to_owned()),
        }
    }
}

impl ToSocketAddrs for String {}
impl sealed::Sealed for String {
    fn addresses(&self) -> Addresses {
        self.as_str().addresses()
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl sealed::Sealed for (&str, u16) {
    fn addresses(&self) -> Addresses {
        match self.0.parse::<IpAddr>() {
            Ok(ip) => Addresses::Known(vec![(ip, self.1).into()]),
            Err(_) => Addresses::Host(self.0.to_owned(), self.1),
        }
    }
}

impl ToSocketAddrs for (String, u16) {}
impl sealed::Sealed for (String, u16) {
    fn addresses(&self) -> Addresses {
        (self.0.as_str(), self.1).addresses()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToSocketAddrs + ?Sized> sealed::Sealed for &T {
    fn addresses(&self) -> Addresses {
        (**self).addresses()
    }
}

/// Looks a name up. Addresses are returned as they are, without a thread.
///
/// # Errors
///
/// Those of the system's resolver.
///
/// # Cancel safety
///
/// Dropping it leaves the look-up to end by itself.
///
/// # Panics
///
/// Outside a runtime, where there is a name to be looked up.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut addrs = heist::net::lookup_host("127.0.0.1:80").await?;
/// assert_eq!(addrs.next(), Some(([127, 0, 0, 1], 80).into()));
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    resolve(host.addresses()).await.map(Vec::into_iter)
}

pub(super) async fn resolve(addresses: Addresses) -> io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs;
    match addresses {
        Addresses::Known(addrs) => Ok(addrs),
        Addresses::Text(text) => {
            spawn_blocking(move || text.to_socket_addrs().map(Iterator::collect)).await?
        }
        Addresses::Host(host, port) => {
            spawn_blocking(move || (host, port).to_socket_addrs().map(Iterator::collect)).await?
        }
    }
}

/// Tries `connect` on each address until one succeeds; the last error counts.
pub(super) async fn try_each<T>(
    addrs: impl ToSocketAddrs,
    mut connect: impl AsyncFnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last_error = None;
    for addr in resolve(addrs.addresses()).await? {
        match connect(addr).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name stands for no address at all",
        )
    }))
}
