//! Guests of the heist runtime: hyper's and tokio's traits over its sockets, timers and tasks, and parallel iterators
//! on its workers.
//!
//! The traits of one crate cannot be implemented for the types of another, so each guest has a wrapper here, named as
//! hyper-util names tokio's:
//!
//! | guest | wrapper | feature |
//! |---|---|---|
//! | hyper's `rt::Read` and `rt::Write` | [`HeistIo`] over a socket, [`FuturesIo`] over any other stream | `hyper` |
//! | hyper's `rt::Executor` | [`HeistExecutor`] | `hyper` |
//! | hyper's `rt::Timer` | [`HeistTimer`] | `hyper` |
//! | tokio's `AsyncRead` and `AsyncWrite` | [`TokioIo`] | `tokio-io` |
//! | orx-parallel's `ThreadPool` | `HeistPool` | `orx-parallel`, off unless asked for |
//!
//! No tokio runtime is needed for any of them. What is read goes straight into the guest's memory, which need not be
//! initialised first; vectored writes stay vectored.
//!
//! # Examples
//!
//! A server that answers each request with a greeting:
//!
//! ```no_run
//! use bytes::Bytes;
//! use heist::net::TcpListener;
//! use heist_compat::{HeistIo, HeistTimer};
//! use http_body_util::Full;
//! use hyper::service::service_fn;
//! use hyper::{Response, server::conn::http1};
//! use std::convert::Infallible;
//!
//! #[heist::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         let (socket, _) = listener.accept().await?;
//!         let hello = service_fn(async |_| {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello\n"))))
//!         });
//!         heist::spawn(async move {
//!             let connection = http1::Builder::new()
//!                 .timer(HeistTimer)
//!                 .serve_connection(HeistIo::new(socket), hello);
//!             if let Err(error) = connection.await {
//!                 eprintln!("connection: {error}");
//!             }
//!         });
//!     }
//! }
//! ```

#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "orx-parallel")]
mod orx_parallel;
mod socket;
#[cfg(feature = "tokio-io")]
mod tokio_io;

#[cfg(feature = "hyper")]
pub use crate::hyper::{FuturesIo, HeistExecutor, HeistIo, HeistTimer};
#[cfg(feature = "orx-parallel")]
pub use crate::orx_parallel::{HeistPool, HeistScope};
pub use socket::Socket;
#[cfg(feature = "tokio-io")]
pub use tokio_io::TokioIo;

/// The snippets of the book and of the README, built with the documentation's tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/porting.md")]
    struct Porting;
    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
