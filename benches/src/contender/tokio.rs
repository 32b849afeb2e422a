//! tokio: multi-threaded at its defaults, with a look at its driver after each poll, and on one thread.

use super::{Contender, kept};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// How a tokio runtime is built.
pub trait Setting: Copy + Send + Sync + 'static {
    /// How the table calls it.
    const NAME: &'static str;

    /// The builder with this many workers.
    fn builder(workers: usize) -> Builder;
}

/// The multi-threaded runtime at its defaults.
#[derive(Debug, Clone, Copy)]
pub struct Default;

impl Setting for Default {
    const NAME: &'static str = "tokio";

    fn builder(workers: usize) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers);
        builder
    }
}

/// The stable setting that keeps timers and IO most punctual beside long polls.
#[derive(Debug, Clone, Copy)]
pub struct Eager;

impl Setting for Eager {
    const NAME: &'static str = "tokio, event_interval(1)";

    fn builder(workers: usize) -> Builder {
        let mut builder = Default::builder(workers);
        builder.event_interval(1);
        builder
    }
}

/// All on the thread that blocks.
#[derive(Debug, Clone, Copy)]
pub struct Current;

impl Setting for Current {
    const NAME: &'static str = "tokio, current thread";

    fn builder(_workers: usize) -> Builder {
        Builder::new_current_thread()
    }
}

/// The multi-threaded runtime at its defaults.
pub type Tokio = WithSetting<Default>;
/// The multi-threaded runtime with `event_interval(1)`.
pub type TokioEager = WithSetting<Eager>;
/// The single-threaded runtime.
pub type TokioCurrent = WithSetting<Current>;

/// tokio, built with a setting.
#[derive(Clone, Copy)]
pub struct WithSetting<S>(&'static Runtime, PhantomData<S>);

impl<S: Setting> fmt::Debug for WithSetting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::NAME)
    }
}

/// A join handle whose task does not fail.
#[derive(Debug)]
pub struct Join<T>(tokio::task::JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|outcome| outcome.expect("no task of a workload fails"))
    }
}

impl<S: Setting> Contender for WithSetting<S> {
    const NAME: &'static str = S::NAME;

    type Join<T: Send + 'static> = Join<T>;
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn with_workers(workers: usize) -> Self {
        let build = || -> &'static Runtime {
            let runtime = S::builder(workers).enable_all().build();
            Box::leak(Box::new(runtime.expect("tokio builds its runtime")))
        };
        Self(kept!(workers, &'static Runtime, build()), PhantomData)
    }

    fn block_on<F: Future>(self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn_outside<F>(self, future: F) -> Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Join(self.0.spawn(future))
    }

    fn spawn<F>(self, future: F) -> Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Join(tokio::spawn(future))
    }

    fn detach<T: Send + 'static>(task: Join<T>) {
        drop(task);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    async fn timeout<F>(limit: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        tokio::time::timeout(limit, future).await.ok()
    }

    async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read_exact(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<()> {
        stream.read_exact(bytes).await.map(|_| ())
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }
}
