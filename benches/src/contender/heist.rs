//! heist at its defaults, with CPU work in tasks like any other or spawned as computations, and on one thread.

use super::{Contender, kept};
use crate::cpu::Pins;
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use heist_compat::HeistIo;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How a heist runtime is built, and where CPU work goes.
pub trait Setting: Copy + Send + Sync + 'static {
    /// How the table calls it.
    const NAME: &'static str;
    /// CPU work goes through `heist::compute`.
    const COMPUTES: bool = false;

    /// A builder with the setting applied.
    fn builder(workers: usize) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers);
        builder
    }
}

/// The multi-threaded runtime at its defaults.
#[derive(Debug, Clone, Copy)]
pub struct Default;

impl Setting for Default {
    const NAME: &'static str = "heist";
}

/// The same, with CPU work spawned as computations.
#[derive(Debug, Clone, Copy)]
pub struct Compute;

impl Setting for Compute {
    const NAME: &'static str = "heist, compute";
    const COMPUTES: bool = true;
}

/// The single-threaded runtime.
#[derive(Debug, Clone, Copy)]
pub struct Current;

impl Setting for Current {
    const NAME: &'static str = "heist, current thread";

    fn builder(_workers: usize) -> Builder {
        Builder::new_current_thread()
    }
}

/// heist, built with a setting.
#[derive(Debug, Clone, Copy)]
pub struct WithSetting<S>(&'static Runtime, PhantomData<S>);

/// The multi-threaded runtime, where CPU work is a task like any other.
pub type Heist = WithSetting<Default>;
/// The multi-threaded runtime, where CPU work goes through `heist::compute`.
pub type HeistCompute = WithSetting<Compute>;
/// The single-threaded runtime.
pub type HeistCurrent = WithSetting<Current>;

impl<S: Setting> WithSetting<S> {
    fn kept(workers: usize, pinned: bool) -> Self {
        let build = || -> &'static Runtime {
            let mut builder = S::builder(workers);
            if pinned {
                builder.on_thread_start(Pins::default().of_threads());
            }
            let runtime = builder.build();
            Box::leak(Box::new(runtime.expect("heist builds its runtime")))
        };
        Self(
            kept!(workers, pinned, &'static Runtime, build()),
            PhantomData,
        )
    }
}

/// A join handle whose task does not fail.
#[derive(Debug)]
pub struct Join<T>(heist::task::JoinHandle<T>);

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

    const OFFLOADS: bool = S::COMPUTES;

    type Join<T: Send + 'static> = Join<T>;
    type Stream = TcpStream;
    type Listener = TcpListener;
    type HyperIo = HeistIo<TcpStream>;

    fn with_workers(workers: usize) -> Self {
        Self::kept(workers, false)
    }

    fn with_pinned_workers(workers: usize) -> Self {
        Self::kept(workers, true)
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
        Join(heist::spawn(future))
    }

    fn spawn_cpu<T, W>(self, work: W) -> Join<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match S::COMPUTES {
            true => Join(heist::compute(work)),
            false => self.spawn(async { work() }),
        }
    }

    fn detach<T: Send + 'static>(task: Join<T>) {
        drop(task);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        heist::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        heist::time::sleep(duration)
    }

    async fn timeout<F>(limit: Duration, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        heist::time::timeout(limit, future).await.ok()
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

    fn hyper_io(stream: TcpStream) -> Self::HyperIo {
        HeistIo::new(stream)
    }

    async fn read_exact(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<()> {
        stream.read_exact(bytes).await
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }
}
