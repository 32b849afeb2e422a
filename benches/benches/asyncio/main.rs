//! The asyncio facade beside the core, tokio, and CPython's asyncio with its own loop and with uvloop's.
//!
//! `cargo bench --bench asyncio -- NAME` runs those whose name contains NAME. Each workload is written once for each
//! library, in its own words, because what is compared is what its users would write. CPython runs as a process, on
//! the script beside this file: `$PYTHON313`, `python3.13`, or a `python3` of that version; without one, or without
//! uvloop in it, those rows are left out and the bench says so.

mod python;
mod workloads;

use heist_asyncio as asyncio;
use heist_benches::contender::{Contender, Heist, Tokio, TokioCurrent};
use heist_benches::runner::{self, Case, Entry, Measured, Options, Outcome};
use heist_benches::table::Figure;
use heist_benches::{Sample, Stopwatch};
use std::process::ExitCode;

/// A workload in the words of each library. Each form runs as a task, performs so many operations, and gives a number
/// that shows that it has.
trait Workload {
    const NAME: &'static str;
    const FIGURE: Figure;
    /// The operations of a full run.
    const OPERATIONS: u64;
    /// The same for CPython.
    const PYTHON_OPERATIONS: u64;

    fn facade(n: u64) -> impl Future<Output = asyncio::Result<u64>> + Send + 'static;

    fn heist(n: u64) -> impl Future<Output = u64> + Send + 'static;

    fn tokio(n: u64) -> impl Future<Output = u64> + Send + 'static;

    fn expected(n: u64) -> u64 {
        n
    }
}

fn measured(sample: Sample) -> Measured {
    Measured::new(vec![sample.nanoseconds_each()], sample.cores())
}

fn outcome<W: Workload>(n: u64, sample: Sample, result: u64) -> Outcome {
    let expected = W::expected(n);
    if result != expected {
        return Err(format!("got {result}, expected {expected}"));
    }
    Ok(measured(sample))
}

/// Runs it as a task of a facade's loop.
fn facade<W: Workload>(runner: asyncio::Runner, options: &Options) -> Outcome {
    let n = options.scaled(W::OPERATIONS);
    let mut runner = runner.catch_interrupts(false);
    let main = async move {
        let task = asyncio::create_task(async move {
            let watch = Stopwatch::start();
            let result = W::facade(n).await?;
            Ok((watch.stop(n), result))
        });
        task.await
    };
    let (sample, result) = runner.run(main).map_err(|error| error.to_string())?;
    runner.close().map_err(|error| error.to_string())?;
    outcome::<W>(n, sample, result)
}

fn on_all_cores<W: Workload>(options: &Options) -> Outcome {
    let runner = asyncio::Runner::new().worker_threads(options.workers);
    facade::<W>(runner, options)
}

fn on_one_thread<W: Workload>(options: &Options) -> Outcome {
    facade::<W>(asyncio::Runner::current_thread(), options)
}

/// Runs a form of the workload as a task of a contender.
fn contender<W: Workload, C: Contender, F: Future<Output = u64> + Send + 'static>(
    workload: fn(u64) -> F,
    options: &Options,
) -> Outcome {
    let n = options.scaled(W::OPERATIONS);
    let (sample, result) = C::with_workers(options.workers).on_a_worker(async move {
        let watch = Stopwatch::start();
        let result = workload(n).await;
        (watch.stop(n), result)
    });
    outcome::<W>(n, sample, result)
}

fn case<W: Workload>() -> Case {
    let mut entries = vec![
        Entry {
            name: "facade, all cores",
            run: on_all_cores::<W>,
        },
        Entry {
            name: "facade, one thread",
            run: on_one_thread::<W>,
        },
        Entry {
            name: Heist::NAME,
            run: |options| contender::<W, Heist, _>(W::heist, options),
        },
        Entry {
            name: Tokio::NAME,
            run: |options| contender::<W, Tokio, _>(W::tokio, options),
        },
        Entry {
            name: TokioCurrent::NAME,
            run: |options| contender::<W, TokioCurrent, _>(W::tokio, options),
        },
    ];
    entries.extend(python::entries::<W>());
    Case {
        name: W::NAME,
        figures: vec![W::FIGURE],
        entries,
    }
}

fn main() -> ExitCode {
    runner::main(&[
        case::<workloads::CreateTask>(),
        case::<workloads::Gather>(),
        case::<workloads::SleepZero>(),
        case::<workloads::Lock>(),
        case::<workloads::PingPong>(),
        case::<workloads::Pipe>(),
        case::<workloads::Timeout>(),
        case::<workloads::ToThread>(),
    ])
}
