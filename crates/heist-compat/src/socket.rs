//! What the wrappers ask of a stream that they read into memory that is not initialised.
//!
//! The trait is sealed: the unsafe code of the wrappers believes what `Socket::poll_fill` returns, and only the core's
//! own sockets may be believed.

use heist::net::{OwnedReadHalf, ReadHalf, TcpStream};
use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

/// A socket of the runtime, or the reading half of one.
pub trait Socket: sealed::Sealed {
    /// Reads into the front of `spare`. As many bytes of it as the answer says are initialised then; none has become
    /// uninitialised.
    #[doc(hidden)]
    fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        spare: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>>;
}

mod sealed {
    //! Keeps other crates from implementing `Socket`.

    pub trait Sealed {}
}

macro_rules! socket {
    ($stream:ty; $($half:ty),+) => {
        impl sealed::Sealed for $stream {}

        impl Socket for $stream {
            #[cfg(unix)]
            fn poll_fill(
                &self,
                cx: &mut Context<'_>,
                spare: &mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<usize>> {
                let front = spare.as_ptr().cast::<u8>();
                self.poll_read_uninit(cx, spare).map_ok(|filled| {
                    assert!(std::ptr::eq(filled.as_ptr(), front), "a socket fills the front");
                    filled.len()
                })
            }

            #[cfg(not(unix))]
            fn poll_fill(
                &self,
                cx: &mut Context<'_>,
                spare: &mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<usize>> {
                through_the_stack(self, cx, spare)
            }
        }

        $(
            impl sealed::Sealed for $half {}

            impl Socket for $half {
                fn poll_fill(
                    &self,
                    cx: &mut Context<'_>,
                    spare: &mut [MaybeUninit<u8>],
                ) -> Poll<io::Result<usize>> {
                    let stream: &$stream = self.as_ref();
                    stream.poll_fill(cx, spare)
                }
            }
        )+
    };
}

socket!(TcpStream; ReadHalf<'_>, OwnedReadHalf);
#[cfg(unix)]
socket!(
    heist::net::UnixStream;
    heist::net::UnixReadHalf<'_>, heist::net::UnixOwnedReadHalf
);

/// Reads into initialised memory first where the system offers nothing else; a copy costs less than initialising all
/// of a large buffer for a small read.
#[cfg(not(unix))]
fn through_the_stack(
    mut stream: &TcpStream,
    cx: &mut Context<'_>,
    spare: &mut [MaybeUninit<u8>],
) -> Poll<io::Result<usize>> {
    use futures_util::io::AsyncRead;
    let mut bytes = [0; 16 * 1024];
    let room = spare.len().min(bytes.len());
    std::pin::Pin::new(&mut stream)
        .poll_read(cx, &mut bytes[..room])
        .map_ok(|count| {
            for (slot, byte) in spare.iter_mut().zip(&bytes[..count]) {
                slot.write(*byte);
            }
            count
        })
}
