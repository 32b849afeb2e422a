//! 64 connections at a fixed low rate beside eight jobs of 5 ms that are always under way, inline: what does the IO
//! feel of the CPU work?

use crate::{Probe, microseconds, milliseconds};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) struct CpuPlusIo;

const CONNECTIONS: u32 = 64;
/// Messages a second, of all connections together: few enough that a message is back before the next one is due, even
/// on a runtime where each of its hops waits behind all jobs.
const RATE: u32 = 500;
const JOBS: usize = 8;
const JOB: Duration = Duration::from_millis(5);
const BYTES: usize = 64;

async fn serve<C: Contender>(mut stream: C::Stream) {
    let mut message = [0; BYTES];
    while C::read_exact(&mut stream, &mut message).await.is_ok() {
        if C::write_all(&mut stream, &message).await.is_err() {
            return;
        }
    }
}

/// One message each period; the latency counts from when it was due.
async fn ask<C: Contender>(
    mut stream: C::Stream,
    first: Instant,
    period: Duration,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = first;
    let mut number = 0_u8;
    while due < end {
        let wait = due.saturating_duration_since(now());
        if !wait.is_zero() {
            C::sleep(wait).await;
        }
        let question = [number; BYTES];
        let mut answer = [0; BYTES];
        C::write_all(&mut stream, &question).await?;
        C::read_exact(&mut stream, &mut answer).await?;
        if answer != question {
            return Err(io::Error::other("the echo is not the message"));
        }
        latencies.push(due.elapsed());
        due += period;
        number = number.wrapping_add(1);
    }
    Ok(latencies)
}

/// One job after the other, each in a task of its own; counts those with the right result.
async fn jobs<C: Contender>(runtime: C, result: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut right = 0;
    while !stop.load(Ordering::Relaxed) {
        right += u64::from(runtime.spawn(async { cpu::burn(JOB) }).await == result);
    }
    right
}

async fn run<C: Contender>(
    runtime: C,
    duration: Duration,
    result: u64,
) -> io::Result<(Vec<Duration>, u64)> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = C::connect(address).await?;
        C::detach(runtime.spawn(serve::<C>(C::accept(&listener).await?)));
        clients.push(client);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| runtime.spawn(jobs(runtime, result, Arc::clone(&stop))))
        .collect();
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
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for job in jobs {
        done += job.await;
    }
    Ok((latencies, done))
}

impl Probe for CpuPlusIo {
    const NAME: &'static str = "cpu_plus_io";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("µs, p50 of an echo at a low rate beside 8 jobs of 5 ms, inline"),
        Figure::cost("ms, p99 of the same"),
        Figure::cost("ms, p99.9 of the same"),
        Figure::rate("jobs/s"),
    ];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let duration = Duration::from_millis(if options.quick { 500 } else { 5_000 });
        let result = cpu::burn(JOB);
        let watch = Stopwatch::start();
        let (mut latencies, done) = runtime
            .on_a_worker(async move { run(runtime, duration, result).await })
            .map_err(|error| error.to_string())?;
        let sample = watch.stop(done);
        if latencies.is_empty() || done == 0 {
            return Err(format!("{} messages and {done} jobs", latencies.len()));
        }
        latencies.sort();
        let values = vec![
            microseconds(quantile(&latencies, 0.5)),
            milliseconds(quantile(&latencies, 0.99)),
            milliseconds(quantile(&latencies, 0.999)),
            sample.per_second(),
        ];
        Ok(Measured {
            values,
            cores: sample.cores(),
        })
    }
}
