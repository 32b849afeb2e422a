//! tokio: multi-threaded at its defaults, with a look at its driver after each poll, with each of the places that its
//! users have for CPU work, and on one thread.

use super::{Contender, kept};
use crate::cpu::Pins;
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

/// Where CPU work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Into a task like any other.
    Task,
    /// The same, in `block_in_place`.
    InPlace,
    /// Into the blocking pool.
    Pool,
    /// Into rayon's, with a oneshot for the result.
    Rayon,
    /// Into a second runtime.
    Second,
}

/// How a tokio runtime is built.
pub trait Setting: Copy + Send + Sync + 'static {
    /// How the table calls it.
    const NAME: &'static str;

    /// Where CPU work goes.
    const CPU: Place = Place::Task;

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

/// CPU work in the blocking pool, which may have no more threads than there are workers: tokio at its best beside CPU
/// work, at the price of a second pool.
#[derive(Debug, Clone, Copy)]
pub struct Pooled;

impl Setting for Pooled {
    const NAME: &'static str = "tokio, capped pool";
    const CPU: Place = Place::Pool;

    fn builder(workers: usize) -> Builder {
        let mut builder = Default::builder(workers);
        builder.max_blocking_threads(workers);
        builder
    }
}

/// CPU work in `block_in_place`.
#[derive(Debug, Clone, Copy)]
pub struct InPlace;

impl Setting for InPlace {
    const NAME: &'static str = "tokio, block_in_place";
    const CPU: Place = Place::InPlace;

    fn builder(workers: usize) -> Builder {
        Default::builder(workers)
    }
}

/// CPU work in rayon's pool.
#[derive(Debug, Clone, Copy)]
pub struct Rayon;

impl Setting for Rayon {
    const NAME: &'static str = "tokio, rayon";
    const CPU: Place = Place::Rayon;

    fn builder(workers: usize) -> Builder {
        Default::builder(workers)
    }
}

/// CPU work in a runtime of its own.
#[derive(Debug, Clone, Copy)]
pub struct Two;

impl Setting for Two {
    const NAME: &'static str = "tokio, two runtimes";
    const CPU: Place = Place::Second;

    fn builder(workers: usize) -> Builder {
        Default::builder(workers)
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

/// The second runtime is another one than that at its defaults.
#[derive(Debug, Clone, Copy)]
struct SecondDefault;

impl Setting for SecondDefault {
    const NAME: &'static str = "tokio, for CPU work";

    fn builder(workers: usize) -> Builder {
        Default::builder(workers)
    }
}

/// The multi-threaded runtime at its defaults.
pub type Tokio = WithSetting<Default>;
/// The multi-threaded runtime with `event_interval(1)`.
pub type TokioEager = WithSetting<Eager>;
/// The multi-threaded runtime with CPU work in its capped blocking pool.
pub type TokioPooled = WithSetting<Pooled>;
/// The multi-threaded runtime with CPU work in `block_in_place`.
pub type TokioInPlace = WithSetting<InPlace>;
/// The multi-threaded runtime with CPU work in rayon's pool.
pub type TokioRayon = WithSetting<Rayon>;
/// The multi-threaded runtime with CPU work in a second one.
pub type TokioTwo = WithSetting<Two>;
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

impl<S: Setting> WithSetting<S> {
    fn kept(workers: usize, pinned: bool) -> Self {
        let build = || -> &'static Runtime {
            let mut builder = S::builder(workers);
            if pinned {
                builder.on_thread_start(Pins::default().of_threads());
            }
            let runtime = builder.enable_all().build();
            Box::leak(Box::new(runtime.expect("tokio builds its runtime")))
        };
        let runtime = kept!(workers, pinned, &'static Runtime, build());
        Self(runtime, PhantomData)
    }
}

impl<S: Setting> Contender for WithSetting<S> {
    const NAME: &'static str = S::NAME;

    const OFFLOADS: bool = !matches!(S::CPU, Place::Task);

    type Join<T: Send + 'static> = Join<T>;
    type Stream = TcpStream;
    type Listener = TcpListener;
    type HyperIo = hyper_util::rt::TokioIo<TcpStream>;

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
        Join(tokio::spawn(future))
    }

    fn spawn_cpu<T, W>(self, work: W) -> Join<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match S::CPU {
            Place::Task => self.spawn(async { work() }),
            Place::InPlace => self.spawn(async { tokio::task::block_in_place(work) }),
            Place::Pool => Join(tokio::task::spawn_blocking(work)),
            Place::Rayon => {
                let (done, result) = tokio::sync::oneshot::channel();
                rayon::spawn(move || {
                    // Nobody drops the receiver.
                    let _ = done.send(work());
                });
                self.spawn(async { result.await.expect("rayon does the work") })
            }
            Place::Second => {
                let second =
                    WithSetting::<SecondDefault>::with_workers(self.0.metrics().num_workers());
                Join(second.0.spawn(async { work() }))
            }
        }
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

    fn hyper_io(stream: TcpStream) -> Self::HyperIo {
        hyper_util::rt::TokioIo::new(stream)
    }

    async fn read_exact(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<()> {
        stream.read_exact(bytes).await.map(|_| ())
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }
}
