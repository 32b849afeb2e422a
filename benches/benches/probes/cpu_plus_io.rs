//! 64 connections at a fixed low rate beside CPU work: what does the IO feel of it?
//!
//! Two forms. In `cpu_plus_io` eight jobs of 5 ms are always under way. In `cpu_in_handler` one request in twenty costs
//! 5 ms in its connection's own task, and what counts is the latency of the others. In both, the work is done where it
//! comes up, unless a row's name says where else.

mod alone;
mod by_hand;

use crate::{microseconds, milliseconds};
use heist_benches::Contender;
use heist_benches::contender::{
    Heist, HeistCompute, Smol, SmolBlocking, Tokio, TokioEager, TokioInPlace, TokioPooled,
    TokioRayon, TokioTwo,
};
use heist_benches::cpu;
use heist_benches::runner::{Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::{Sample, Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: u32 = 64;
/// Messages a second, of all connections together: few enough that a message is back before the next one is due, even
/// on a runtime where each of its hops waits behind all jobs.
const RATE: u32 = 500;
const JOBS: usize = 8;
const JOB: Duration = Duration::from_millis(5);
const BYTES: usize = 64;
/// One request in so many is heavy, in the second form.
const HEAVY_EVERY: u8 = 20;
/// How a heavy request begins.
const HEAVY: u8 = u8::MAX;

async fn serve<C: Contender>(runtime: C, mut stream: C::Stream, result: u64) {
    let mut message = [0; BYTES];
    while C::read_exact(&mut stream, &mut message).await.is_ok() {
        if message[0] == HEAVY && runtime.do_cpu(|| cpu::burn(JOB)).await != result {
            return;
        }
        if C::write_all(&mut stream, &message).await.is_err() {
            return;
        }
    }
}

/// One message each period; the latency of light ones counts from when they were due.
async fn ask<C: Contender>(
    mut stream: C::Stream,
    first: Instant,
    period: Duration,
    end: Instant,
    heavy_from: Option<u8>,
) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = first;
    // Connections are heavy in turn.
    let mut number = heavy_from.unwrap_or(0);
    while due < end {
        let wait = due.saturating_duration_since(now());
        if !wait.is_zero() {
            C::sleep(wait).await;
        }
        let heavy = heavy_from.is_some() && number % HEAVY_EVERY == 0;
        let question = [if heavy { HEAVY } else { number }; BYTES];
        let mut answer = [0; BYTES];
        C::write_all(&mut stream, &question).await?;
        C::read_exact(&mut stream, &mut answer).await?;
        if answer != question {
            return Err(io::Error::other("the echo is not the message"));
        }
        if !heavy {
            latencies.push(due.elapsed());
        }
        due += period;
        number = (number + 1) % (10 * HEAVY_EVERY);
    }
    Ok(latencies)
}

/// One job after the other, each in a task of its own; counts those with the right result.
async fn jobs<C: Contender>(runtime: C, result: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut right = 0;
    while !stop.load(Ordering::Relaxed) {
        right += u64::from(runtime.spawn_cpu(|| cpu::burn(JOB)).await == result);
    }
    right
}

/// Latencies of light messages, and jobs that were done beside them.
async fn run<C: Contender>(
    runtime: C,
    duration: Duration,
    result: u64,
    n_jobs: usize,
) -> io::Result<(Vec<Duration>, Sample)> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = C::connect(address).await?;
        let stream = C::accept(&listener).await?;
        C::detach(runtime.spawn(serve(runtime, stream, result)));
        clients.push(client);
    }
    let watch = Stopwatch::start();
    let stop = Arc::new(AtomicBool::new(false));
    let jobs: Vec<_> = (0..n_jobs)
        .map(|_| runtime.spawn(jobs(runtime, result, Arc::clone(&stop))))
        .collect();
    let start = now();
    let period = Duration::from_secs(1) * CONNECTIONS / RATE;
    let clients: Vec<_> = (0..)
        .zip(clients)
        .map(|(index, client)| {
            let first = start + period * index / CONNECTIONS;
            let end = start + duration;
            let heavy_from = (n_jobs == 0).then_some((index % u32::from(HEAVY_EVERY)) as u8);
            runtime.spawn(ask::<C>(client, first, period, end, heavy_from))
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
    Ok((latencies, watch.stop(done)))
}

fn measure<C: Contender>(options: &Options, n_jobs: usize) -> Outcome {
    let runtime = C::with_workers(options.workers);
    let duration = duration(options);
    let result = cpu::burn(JOB);
    let (latencies, sample) = runtime
        .on_a_worker(async move { run(runtime, duration, result, n_jobs).await })
        .map_err(|error| error.to_string())?;
    outcome(latencies, sample, n_jobs > 0)
}

fn duration(options: &Options) -> Duration {
    Duration::from_millis(if options.quick { 300 } else { 4_000 })
}

/// `sample` is of the jobs, if there were any to do.
fn outcome(mut latencies: Vec<Duration>, sample: Sample, has_jobs: bool) -> Outcome {
    if latencies.is_empty() || (sample.operations > 0) != has_jobs {
        return Err(format!(
            "{} messages and {} jobs",
            latencies.len(),
            sample.operations
        ));
    }
    latencies.sort();
    let mut values = vec![
        microseconds(quantile(&latencies, 0.5)),
        milliseconds(quantile(&latencies, 0.99)),
        milliseconds(quantile(&latencies, 0.999)),
    ];
    if has_jobs {
        values.push(sample.per_second());
    }
    Ok(Measured::new(values, sample.cores()).with_curve(&latencies))
}

fn beside_jobs<C: Contender>() -> Entry {
    Entry {
        name: C::NAME,
        run: |options| measure::<C>(options, JOBS),
    }
}

fn in_handler<C: Contender>() -> Entry {
    Entry {
        name: C::NAME,
        run: |options| measure::<C>(options, 0),
    }
}

macro_rules! entries {
    ($form:ident) => {
        vec![
            $form::<Heist>(),
            $form::<HeistCompute>(),
            $form::<Tokio>(),
            $form::<TokioEager>(),
            $form::<TokioInPlace>(),
            $form::<TokioPooled>(),
            $form::<TokioRayon>(),
            $form::<TokioTwo>(),
            $form::<Smol>(),
            $form::<SmolBlocking>(),
        ]
    };
}

pub(crate) fn cases() -> [Case; 2] {
    [
        Case {
            name: "cpu_plus_io",
            figures: vec![
                Figure::cost("µs, p50 of an echo at a low rate beside 8 jobs of 5 ms"),
                Figure::cost("ms, p99 of the same"),
                Figure::cost("ms, p99.9 of the same"),
                Figure::rate("jobs/s"),
            ],
            entries: [
                entries!(beside_jobs),
                vec![by_hand::FLOOR, by_hand::NICE_FLOOR, alone::RAYON],
            ]
            .concat(),
        },
        Case {
            name: "cpu_in_handler",
            figures: vec![
                Figure::cost("µs, p50 of light echoes, where one request in 20 costs 5 ms of CPU"),
                Figure::cost("ms, p99 of the same"),
                Figure::cost("ms, p99.9 of the same"),
            ],
            entries: entries!(in_handler),
        },
    ]
}
