//! Echoes beside forks that never rest: does the IO feel them, and what is left of them?
//!
//! The peer is tokio for the IO with rayon for the forks, each with a thread a core.

use crate::pool::{self, Pool};
use heist_benches::Contender;
use heist_benches::contender;
use heist_benches::runner::{Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two messages of a connection, of which there are few: what is asked is how late they are.
const PERIOD: Duration = Duration::from_millis(4);
const CONNECTIONS: usize = 8;
const BYTES: usize = 64;

pub(crate) fn case() -> Case {
    Case {
        name: "beside",
        figures: vec![
            Figure::cost("ms, p99 of an echo beside forks"),
            Figure::rate("million forks a second beside the echoes"),
        ],
        entries: vec![
            Entry {
                name: "heist",
                run: run::<contender::Heist, pool::Heist>,
            },
            Entry {
                name: "tokio and rayon",
                run: run::<contender::Tokio, pool::Rayon>,
            },
        ],
    }
}

async fn serve<C: Contender>(mut stream: C::Stream) {
    let mut message = [0; BYTES];
    while C::read_exact(&mut stream, &mut message).await.is_ok() {
        if C::write_all(&mut stream, &message).await.is_err() {
            return;
        }
    }
}

/// One message each period; the latency counts from when it was due.
async fn ask<C: Contender>(mut stream: C::Stream, end: Instant) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = now();
    while due < end {
        let wait = due.saturating_duration_since(now());
        if !wait.is_zero() {
            C::sleep(wait).await;
        }
        let mut message = [7; BYTES];
        C::write_all(&mut stream, &message).await?;
        C::read_exact(&mut stream, &mut message).await?;
        latencies.push(due.elapsed());
        due += PERIOD;
    }
    Ok(latencies)
}

async fn echoes<C: Contender>(runtime: C, duration: Duration) -> io::Result<Vec<Duration>> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = C::connect(address).await?;
        C::detach(runtime.spawn(serve::<C>(C::accept(&listener).await?)));
        clients.push(runtime.spawn(ask::<C>(client, now() + duration)));
    }
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await?);
    }
    Ok(latencies)
}

fn tree<P: Pool>(scope: &mut P::Scope<'_>, depth: u32) -> u64 {
    if depth == 0 {
        return 0;
    }
    let (a, b) = P::join(
        scope,
        |scope| tree::<P>(scope, depth - 1),
        |scope| tree::<P>(scope, depth - 1),
    );
    a + b + 1
}

/// A thread that has one tree after the other computed, until stopped.
fn load<P: Pool>(pool: P, stop: &AtomicBool, forks: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        forks.fetch_add(pool.enter(|scope| tree::<P>(scope, 18)), Ordering::Relaxed);
    }
}

fn run<C: Contender, P: Pool>(options: &Options) -> Outcome {
    let runtime = C::with_workers(options.workers);
    let pool = P::with_workers(options.workers);
    let duration = Duration::from_millis(if options.quick { 500 } else { 3_000 });
    let (stop, forks) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let loads = {
        let (stop, forks) = (Arc::clone(&stop), Arc::clone(&forks));
        let thread = std::thread::Builder::new().name("load".to_owned());
        thread.spawn(move || load(pool, &stop, &forks))
    };
    let loads = loads.map_err(|error| error.to_string())?;
    let watch = Stopwatch::start();
    let latencies = runtime.on_a_worker(async move { echoes(runtime, duration).await });
    stop.store(true, Ordering::Relaxed);
    let joined = loads.join();
    let sample = watch.stop(forks.load(Ordering::Relaxed));
    joined.map_err(|_| "the load panicked")?;
    let mut latencies = latencies.map_err(|error| error.to_string())?;
    if latencies.is_empty() || sample.operations == 0 {
        return Err("nothing was done".to_owned());
    }
    latencies.sort();
    let values = vec![
        quantile(&latencies, 0.99).as_secs_f64() * 1e3,
        sample.per_second() / 1e6,
    ];
    Ok(Measured::new(values, sample.cores()).with_curve(&latencies))
}
