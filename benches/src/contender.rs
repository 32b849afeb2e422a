//! What a workload may ask of a runtime, and the runtimes that answer.

pub mod heist;
pub mod smol;
pub mod tokio;

pub use self::heist::{Heist, HeistCompute, HeistCurrent};
pub use self::smol::{Smol, SmolBlocking, SmolStatic};
pub use self::tokio::{
    Tokio, TokioCurrent, TokioEager, TokioInPlace, TokioPooled, TokioRayon, TokioTwo,
};

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A runtime with all that the workloads use. Its value is a cheap name for a runtime that lives until the process
/// ends, so that no task has to count references to it.
pub trait Contender: Copy + Send + Sync + 'static {
    /// How the table calls it.
    const NAME: &'static str;

    /// Awaits a task's output; the task goes on when it is dropped.
    type Join<T: Send + 'static>: Future<Output = T> + Send + 'static;
    /// A TCP connection.
    type Stream: Send + 'static;
    /// A TCP listener.
    type Listener: Send + 'static;
    /// A connection as hyper takes it.
    type HyperIo: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static;

    /// Whether CPU work goes elsewhere than into a task like any other.
    const OFFLOADS: bool = false;

    /// The runtime with this many workers; the same one each time.
    fn with_workers(workers: usize) -> Self;

    /// The same with each worker on a processor of its own, so that it is not the kernel's placement that is measured.
    fn with_pinned_workers(workers: usize) -> Self;

    /// Runs `future` from a thread outside.
    fn block_on<F: Future>(self, future: F) -> F::Output;

    /// Spawns from outside of the runtime.
    fn spawn_outside<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    /// Spawns from within a task.
    fn spawn<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    /// Runs work that takes a while and never gives way: as a task like any other, unless the contender's setting says
    /// where else.
    fn spawn_cpu<T, W>(self, work: W) -> Self::Join<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.spawn(async move { work() })
    }

    /// Does such work in the middle of a task: right there, unless the contender's setting says where else.
    fn do_cpu<T, W>(self, work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        async move {
            match Self::OFFLOADS {
                true => self.spawn_cpu(work).await,
                false => work(),
            }
        }
    }

    /// Lets a task go on that nobody will await.
    fn detach<T: Send + 'static>(task: Self::Join<T>);

    /// Gives way once, as the runtime means it to be done.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Sleeps.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// `None` if `future` took longer than `limit`.
    fn timeout<F>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> + Send
    where
        F: Future<Output: Send> + Send;

    /// A listener on a free loopback port.
    fn listen() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;

    /// The next connection, without delay.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// A connection, without delay.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Wraps a connection for hyper.
    fn hyper_io(stream: Self::Stream) -> Self::HyperIo;

    /// Fills `bytes`.
    fn read_exact(
        stream: &mut Self::Stream,
        bytes: &mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes all of `bytes`.
    fn write_all(
        stream: &mut Self::Stream,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Runs `future` as a task, and waits for it from outside: what it spawns, it spawns from a worker.
    fn on_a_worker<F>(self, future: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = self.spawn_outside(future);
        self.block_on(task)
    }
}

/// Keeps one runtime for each kind and number of workers.
macro_rules! kept {
    ($workers:expr, $pinned:expr, $kept:ty, $build:expr) => {{
        static KEPT: std::sync::Mutex<Vec<((std::any::TypeId, bool), usize, $kept)>> =
            std::sync::Mutex::new(Vec::new());
        let kind = (std::any::TypeId::of::<Self>(), $pinned);
        let mut kept = KEPT.lock().expect("nothing panics while it is locked");
        let found = kept
            .iter()
            .find(|(id, workers, _)| *id == kind && *workers == $workers);
        match found {
            Some((_, _, runtime)) => *runtime,
            None => {
                let runtime: $kept = $build;
                kept.push((kind, $workers, runtime));
                runtime
            }
        }
    }};
}
pub(crate) use kept;
