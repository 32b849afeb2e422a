//! The echo on threads that share nothing: an event loop a worker, each with its share of the connections and with both
//! ends of each of them.
//!
//! monoio and compio are made for that; their buffers are owned by the kernel while it reads or writes, so that they fit
//! no [`Contender`](heist_benches::Contender). They run at their defaults: no flag of the ring (`COOP_TASKRUN`,
//! `SINGLE_ISSUER`, `DEFER_TASKRUN`) made them faster here. heist and tokio can be used so, too. The floor is the same by
//! hand.

mod compio;
mod current_thread;
mod epoll;
mod monoio;

use crate::check;
use crate::echo::each;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use heist_benches::{Sample, Stopwatch};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{RwLock, mpsc};

pub(crate) fn entries<const N: u64>() -> Vec<Entry> {
    vec![
        current_thread::heist::<N>(),
        current_thread::tokio::<N>(),
        monoio::entry::<N>(),
        compio::entry::<N>(),
        epoll::entry::<N>(),
    ]
}

/// A connection's two ends, which block and send without delay, and the number of its first message.
struct Pair {
    asking: TcpStream,
    answering: TcpStream,
    first: u64,
}

/// The connections of one of `workers` threads.
fn share(worker: usize, workers: usize, connections: u64, each: u64) -> io::Result<Vec<Pair>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let pair = |index| {
        let asking = TcpStream::connect(listener.local_addr()?)?;
        let (answering, _) = listener.accept()?;
        asking.set_nodelay(true)?;
        answering.set_nodelay(true)?;
        Ok(Pair {
            asking,
            answering,
            first: index * each,
        })
    };
    (worker as u64..connections)
        .step_by(workers)
        .map(pair)
        .collect()
}

/// Runs one loop a worker. `prepare` makes one of a thread's connections and of the number of messages that each of them
/// has; what it answers has them sent, and counts those that came back as they went.
fn run<L>(
    options: &Options,
    connections: u64,
    prepare: impl Fn(Vec<Pair>, u64) -> io::Result<L> + Sync,
) -> Outcome
where
    L: FnMut() -> io::Result<u64>,
{
    let each = each(connections, options);
    let count = connections * each;
    let prepare = |worker| prepare(share(worker, options.workers, connections, each)?, each);
    let (sample, same) =
        on_threads(options.workers, count, prepare).map_err(|error| error.to_string())?;
    check("messages that came back", same, count)?;
    Ok(Measured::new(vec![sample.per_second()], sample.cores()))
}

/// Prepares a loop on each thread, and then times how long they run, all at once: what they build first and pull down
/// afterwards does not count.
fn on_threads<L>(
    workers: usize,
    count: u64,
    prepare: impl Fn(usize) -> io::Result<L> + Sync,
) -> io::Result<(Sample, u64)>
where
    L: FnMut() -> io::Result<u64>,
{
    let gate = RwLock::new(());
    // Nothing is ever sent: a channel tells that all threads have dropped their end of it, those that failed as well.
    let (ready, all_ready) = mpsc::channel::<()>();
    let (done, all_done) = mpsc::channel::<()>();
    let one = |worker, ready, done| {
        let prepared = prepare(worker);
        drop(ready);
        drop(gate.read());
        let mut run = prepared?;
        let same = run();
        drop(done);
        same
    };
    std::thread::scope(|scope| {
        let closed = gate.write();
        let one = &one;
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (ready, done) = (ready.clone(), done.clone());
                scope.spawn(move || one(worker, ready, done))
            })
            .collect();
        drop((ready, done));
        let _ = all_ready.recv();
        let watch = Stopwatch::start();
        drop(closed);
        let _ = all_done.recv();
        let sample = watch.stop(count);
        let same: io::Result<Vec<u64>> = threads
            .into_iter()
            .map(|thread| thread.join().expect("the loop does not panic"))
            .collect();
        Ok((sample, same?.iter().sum()))
    })
}
