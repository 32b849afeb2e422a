//! How long it takes from a wake until the task runs: on a runtime that is idle before a thread outside wakes it, by a
//! send or through a socket, and on a worker that goes on with something else.

use crate::{Probe, microseconds};
use futures_channel::mpsc;
use futures_util::StreamExt;
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Between two wakes: the workers have parked by then.
const REST: Duration = Duration::from_micros(500);

/// The figures of a probe of latencies.
pub(crate) const fn three(p50: &'static str) -> [Figure; 3] {
    [
        Figure::cost(p50),
        Figure::cost("µs, p99 of the same"),
        Figure::cost("µs, p99.9 of the same"),
    ]
}

pub(crate) fn measured(mut latencies: Vec<Duration>, watch: Stopwatch) -> Outcome {
    let sample = watch.stop(latencies.len() as u64);
    if latencies.is_empty() {
        return Err("nothing came back".to_owned());
    }
    latencies.sort();
    let values = [0.5, 0.99, 0.999].map(|share| microseconds(quantile(&latencies, share)));
    Ok(Measured::new(values.to_vec(), sample.cores()).with_curve(&latencies))
}

/// The same, of as many as there had to be.
fn all(latencies: Vec<Duration>, wakes: u64, watch: Stopwatch) -> Outcome {
    if latencies.len() as u64 != wakes {
        return Err(format!("{} of {wakes} wakes arrived", latencies.len()));
    }
    measured(latencies, watch)
}

/// A thread outside sends one message at a time to a task of an idle runtime.
pub(crate) struct Outside;

impl Probe for Outside {
    const NAME: &'static str = "wake_outside";
    const FIGURES: &'static [Figure] =
        &three("µs, p50 from a send outside to the poll of the task that it wakes");

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let wakes = options.scaled(1_000);
        let (sender, sent) = mpsc::unbounded();
        let receiver = runtime.spawn_outside(receive(sent));
        let watch = Stopwatch::start();
        for _ in 0..wakes {
            cpu::settle(REST);
            sender
                .unbounded_send(now())
                .map_err(|error| error.to_string())?;
        }
        drop(sender);
        all(runtime.block_on(receiver), wakes, watch)
    }
}

async fn receive(mut sent: mpsc::UnboundedReceiver<Instant>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while let Some(sent) = sent.next().await {
        latencies.push(sent.elapsed());
    }
    latencies
}

/// A thread outside writes to a socket that a task of an idle runtime reads.
pub(crate) struct Io;

/// What is written says when it was: nanoseconds after a moment that both ends know.
const STAMP: usize = size_of::<u64>();

fn write_stamps(mut stream: TcpStream, start: Instant, count: u64) -> io::Result<()> {
    for _ in 0..count {
        cpu::settle(REST);
        let written = start.elapsed().as_nanos() as u64;
        stream.write_all(&written.to_le_bytes())?;
    }
    Ok(())
}

fn age(stamp: [u8; STAMP], start: Instant) -> Duration {
    start.elapsed() - Duration::from_nanos(u64::from_le_bytes(stamp))
}

impl Probe for Io {
    const NAME: &'static str = "wake_io";
    const FIGURES: &'static [Figure] =
        &three("µs, p50 from a write outside to the poll of the task that reads it");
    const FLOOR: Option<Entry> = Some(Entry {
        name: "floor: a thread that reads",
        run: by_hand,
    });

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let wakes = options.scaled(1_000);
        let outcome = || -> io::Result<_> {
            let (listener, address) = runtime.on_a_worker(async { C::listen().await })?;
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let start = now();
            let reader = runtime.spawn_outside(async move {
                let mut stream = C::accept(&listener).await?;
                let mut latencies = Vec::new();
                let mut stamp = [0; STAMP];
                while C::read_exact(&mut stream, &mut stamp).await.is_ok() {
                    latencies.push(age(stamp, start));
                }
                io::Result::Ok(latencies)
            });
            let watch = Stopwatch::start();
            write_stamps(stream, start, wakes)?;
            Ok((runtime.block_on(reader)?, watch))
        };
        let (latencies, watch) = outcome().map_err(|error| error.to_string())?;
        all(latencies, wakes, watch)
    }
}

/// What the system's own wake takes: the thread blocks in the read.
fn by_hand(options: &Options) -> Outcome {
    let wakes = options.scaled(1_000);
    let outcome = || -> io::Result<_> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_nodelay(true)?;
        let (mut reading, _) = listener.accept()?;
        let start = now();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut latencies = Vec::new();
                let mut stamp = [0; STAMP];
                while reading.read_exact(&mut stamp).is_ok() {
                    latencies.push(age(stamp, start));
                }
                latencies
            });
            let watch = Stopwatch::start();
            write_stamps(stream, start, wakes)?;
            Ok((reader.join().expect("the reader does not panic"), watch))
        })
    };
    let (latencies, watch) = outcome().map_err(|error| error.to_string())?;
    all(latencies, wakes, watch)
}

/// A task wakes another and goes on computing, so that another worker has to take it.
pub(crate) struct Worker;

const GOES_ON: Duration = Duration::from_micros(100);

impl Probe for Worker {
    const NAME: &'static str = "wake_worker";
    const FIGURES: &'static [Figure] = &three(
        "µs, p50 from a send by a task that computes for 100 µs more to the poll of the other",
    );

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let wakes = options.scaled(1_000);
        let result = cpu::burn(GOES_ON);
        let watch = Stopwatch::start();
        let (latencies, right) = runtime.on_a_worker(async move {
            let (sender, sent) = mpsc::unbounded();
            let receiver = runtime.spawn(receive(sent));
            let mut right = 0;
            for _ in 0..wakes {
                C::sleep(REST).await;
                sender.unbounded_send(now()).expect("the other listens");
                right += u64::from(cpu::burn(GOES_ON) == result);
            }
            drop(sender);
            (receiver.await, right)
        });
        if right != wakes {
            return Err(format!("{right} of {wakes} computations were right"));
        }
        all(latencies, wakes, watch)
    }
}
