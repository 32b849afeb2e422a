//! smol: async-executor on threads of its own with async-io, borrowed or leaked.

use super::{Contender, kept};
use crate::cpu::Pins;
use async_executor::{Executor, StaticExecutor, Task};
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use heist_compat::FuturesIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// An `Executor` on as many threads as workers, each in `async_io::block_on`.
#[derive(Debug, Clone, Copy)]
pub struct Smol(&'static Executor<'static>);

/// The same with a `StaticExecutor`, smol's fast path for one that is never dropped.
#[derive(Debug, Clone, Copy)]
pub struct SmolStatic(&'static StaticExecutor);

/// The same, with CPU work in the pool of the `blocking` crate.
#[derive(Debug, Clone, Copy)]
pub struct SmolBlocking(&'static Executor<'static>);

fn threads<F: Future<Output: Send> + 'static>(
    workers: usize,
    pinned: bool,
    run: impl Fn() -> F + Copy + Send + 'static,
) {
    let pin = Pins::default().of_threads();
    for index in 0..workers {
        let pin = pin.clone();
        std::thread::Builder::new()
            .name(format!("smol-{index}"))
            .spawn(move || {
                if pinned {
                    pin();
                }
                async_io::block_on(run())
            })
            .expect("the system has a thread left");
    }
}

macro_rules! contender {
    ($type:ident, $name:literal, $offloads:literal, $executor:ty, $leaked:expr) => {
        impl $type {
            fn kept(workers: usize, pinned: bool) -> Self {
                let build = || -> &'static $executor {
                    let executor: &'static $executor = $leaked;
                    threads(workers, pinned, move || {
                        executor.run(std::future::pending::<()>())
                    });
                    executor
                };
                Self(kept!(workers, pinned, &'static $executor, build()))
            }
        }

        impl Contender for $type {
            const NAME: &'static str = $name;

            const OFFLOADS: bool = $offloads;

            type Join<T: Send + 'static> = Task<T>;
            type Stream = TcpStream;
            type Listener = TcpListener;
            type HyperIo = FuturesIo<TcpStream>;

            fn with_workers(workers: usize) -> Self {
                Self::kept(workers, false)
            }

            fn with_pinned_workers(workers: usize) -> Self {
                Self::kept(workers, true)
            }

            fn block_on<F: Future>(self, future: F) -> F::Output {
                futures_lite::future::block_on(future)
            }

            fn spawn_outside<F>(self, future: F) -> Task<F::Output>
            where
                F: Future<Output: Send + 'static> + Send + 'static,
            {
                self.0.spawn(future)
            }

            fn spawn<F>(self, future: F) -> Task<F::Output>
            where
                F: Future<Output: Send + 'static> + Send + 'static,
            {
                self.0.spawn(future)
            }

            fn spawn_cpu<T, W>(self, work: W) -> Task<T>
            where
                T: Send + 'static,
                W: FnOnce() -> T + Send + 'static,
            {
                match $offloads {
                    true => self.spawn(blocking::unblock(work)),
                    false => self.spawn(async { work() }),
                }
            }

            fn detach<T: Send + 'static>(task: Task<T>) {
                task.detach();
            }

            fn yield_now() -> impl Future<Output = ()> + Send {
                futures_lite::future::yield_now()
            }

            async fn sleep(duration: Duration) {
                async_io::Timer::after(duration).await;
            }

            async fn timeout<F>(limit: Duration, future: F) -> Option<F::Output>
            where
                F: Future<Output: Send> + Send,
            {
                let expiry = async {
                    async_io::Timer::after(limit).await;
                    None
                };
                async { Some(future.await) }.or(expiry).await
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
                FuturesIo::new(stream)
            }

            async fn read_exact(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<()> {
                stream.read_exact(bytes).await
            }

            async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
                stream.write_all(bytes).await
            }
        }
    };
}

contender!(
    Smol,
    "smol",
    false,
    Executor<'static>,
    Box::leak(Box::new(Executor::new()))
);
contender!(
    SmolStatic,
    "smol, static",
    false,
    StaticExecutor,
    Executor::leak(Executor::new())
);
contender!(
    SmolBlocking,
    "smol, blocking",
    true,
    Executor<'static>,
    Box::leak(Box::new(Executor::new()))
);
