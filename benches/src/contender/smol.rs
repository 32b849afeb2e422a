//! smol: async-executor on threads of its own with async-io, borrowed or leaked.

use super::{Contender, kept};
use async_executor::{Executor, StaticExecutor, Task};
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// An `Executor` on as many threads as workers, each in `async_io::block_on`.
#[derive(Debug, Clone, Copy)]
pub struct Smol(&'static Executor<'static>);

/// The same with a `StaticExecutor`, smol's fast path for one that is never dropped.
#[derive(Debug, Clone, Copy)]
pub struct SmolStatic(&'static StaticExecutor);

fn threads<F: Future<Output: Send> + 'static>(
    workers: usize,
    run: impl Fn() -> F + Copy + Send + 'static,
) {
    for index in 0..workers {
        std::thread::Builder::new()
            .name(format!("smol-{index}"))
            .spawn(move || async_io::block_on(run()))
            .expect("the system has a thread left");
    }
}

macro_rules! contender {
    ($type:ident, $name:literal, $executor:ty, $leaked:expr) => {
        impl Contender for $type {
            const NAME: &'static str = $name;

            type Join<T: Send + 'static> = Task<T>;
            type Stream = TcpStream;
            type Listener = TcpListener;

            fn with_workers(workers: usize) -> Self {
                let build = || -> &'static $executor {
                    let executor: &'static $executor = $leaked;
                    threads(workers, move || executor.run(std::future::pending::<()>()));
                    executor
                };
                Self(kept!(workers, &'static $executor, build()))
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
    Executor<'static>,
    Box::leak(Box::new(Executor::new()))
);
contender!(
    SmolStatic,
    "smol, static",
    StaticExecutor,
    Executor::leak(Executor::new())
);
