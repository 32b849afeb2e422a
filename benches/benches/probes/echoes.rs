//! The latency of an echo over TCP at a steady rate.

use crate::Probe;
use crate::wakes::{measured, three};
use heist_benches::Contender;
use heist_benches::runner::{Options, Outcome};
use heist_benches::sample::{Stopwatch, now};
use heist_benches::table::Figure;
use std::io;
use std::time::{Duration, Instant};

/// 64 connections, 5,000 messages a second of all together.
pub(crate) struct Steady;

const CONNECTIONS: u32 = 64;
const RATE: u32 = 5_000;
const BYTES: usize = 64;

async fn serve<C: Contender>(mut stream: C::Stream) {
    let mut message = [0; BYTES];
    while C::read_exact(&mut stream, &mut message).await.is_ok() {
        if C::write_all(&mut stream, &message).await.is_err() {
            return;
        }
    }
}

async fn ask<C: Contender>(
    mut stream: C::Stream,
    first: Instant,
    period: Duration,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = first;
    while due < end {
        let wait = due.saturating_duration_since(now());
        if !wait.is_zero() {
            C::sleep(wait).await;
        }
        // How late the timer is has rows of its own.
        let sent = now();
        let mut message = [7; BYTES];
        C::write_all(&mut stream, &message).await?;
        C::read_exact(&mut stream, &mut message).await?;
        latencies.push(sent.elapsed());
        due += period;
    }
    Ok(latencies)
}

async fn run<C: Contender>(runtime: C, duration: Duration) -> io::Result<Vec<Duration>> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = C::connect(address).await?;
        C::detach(runtime.spawn(serve::<C>(C::accept(&listener).await?)));
        clients.push(client);
    }
    let start = now();
    let period = Duration::from_secs(1) * CONNECTIONS / RATE;
    let clients: Vec<_> = (0..)
        .zip(clients)
        .map(|(index, client)| {
            let first = start + period * index / CONNECTIONS;
            runtime.spawn(ask::<C>(client, first, period, start + duration))
        })
        .collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await?);
    }
    Ok(latencies)
}

impl Probe for Steady {
    const NAME: &'static str = "echo_steady";
    const FIGURES: &'static [Figure] = &three("µs, p50 of a TCP echo at 5,000 a second");

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let duration = Duration::from_millis(if options.quick { 200 } else { 3_000 });
        let watch = Stopwatch::start();
        let latencies = runtime.on_a_worker(async move { run(runtime, duration).await });
        measured(latencies.map_err(|error| error.to_string())?, watch)
    }
}
