//! Latencies at a steady rate: an echo over TCP, and a task that a thread outside wakes.

use crate::{Probe, microseconds};
use futures_channel::mpsc;
use futures_util::StreamExt;
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
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

/// The figures of both probes.
const fn three(p50: &'static str) -> [Figure; 3] {
    [
        Figure::cost(p50),
        Figure::cost("µs, p99 of the same"),
        Figure::cost("µs, p99.9 of the same"),
    ]
}

fn measured(mut latencies: Vec<Duration>, watch: Stopwatch) -> Outcome {
    let sample = watch.stop(latencies.len() as u64);
    if latencies.is_empty() {
        return Err("nothing came back".to_owned());
    }
    latencies.sort();
    let values = [0.5, 0.99, 0.999].map(|share| microseconds(quantile(&latencies, share)));
    Ok(Measured::new(values.to_vec(), sample.cores()).with_curve(&latencies))
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

/// A thread outside sends one message at a time to a task of an idle runtime.
pub(crate) struct Outside;

impl Probe for Outside {
    const NAME: &'static str = "wake_outside";
    const FIGURES: &'static [Figure] =
        &three("µs, p50 from a send outside to the poll of the task that it wakes");

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let (sender, mut sent) = mpsc::unbounded::<Instant>();
        let receiver = runtime.spawn_outside(async move {
            let mut latencies = Vec::new();
            while let Some(sent) = sent.next().await {
                latencies.push(sent.elapsed());
            }
            latencies
        });
        let watch = Stopwatch::start();
        for _ in 0..options.scaled(1_000) {
            cpu::settle(Duration::from_micros(500));
            sender
                .unbounded_send(now())
                .map_err(|error| error.to_string())?;
        }
        drop(sender);
        measured(runtime.block_on(receiver), watch)
    }
}
