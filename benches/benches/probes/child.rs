//! Figures that need a process of their own: an allocator that has seen other tasks keeps their room, and runtimes that
//! ran before have threads that wake up.

use crate::{connections, idle, mem};
use heist_benches::Contender;
use heist_benches::contender::{Heist, Smol, SmolStatic, Tokio, TokioCurrent, TokioEager};
use std::process::{Command, ExitCode};

/// Set in the process that measures: what, on whom, on how many workers, and how much of it.
const FIGURE: &str = "HEIST_BENCH_FIGURE";
const CONTENDER: &str = "HEIST_BENCH_CONTENDER";
const WORKERS: &str = "HEIST_BENCH_WORKERS";
const AMOUNT: &str = "HEIST_BENCH_AMOUNT";

/// Runs this program again, to measure what goes by that name: at least one value.
pub(crate) fn measure<C: Contender>(
    figure: &str,
    workers: usize,
    amount: u64,
) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .env(FIGURE, figure)
        .env(CONTENDER, C::NAME)
        .env(WORKERS, workers.to_string())
        .env(AMOUNT, amount.to_string())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match values {
        Ok(values) if output.status.success() && !values.is_empty() => Ok(values),
        _ => Err(format!(
            "the measuring process said {text:?}, {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// If this process is one that measures: measures, prints the values, and gives the exit code.
pub(crate) fn run() -> Option<ExitCode> {
    let figure = std::env::var(FIGURE).ok()?;
    let contender = std::env::var(CONTENDER).ok()?;
    let workers = std::env::var(WORKERS).ok()?.parse().ok()?;
    let amount = std::env::var(AMOUNT).ok()?.parse().ok()?;
    let values = match contender.as_str() {
        Heist::NAME => of::<Heist>(&figure, workers, amount),
        Tokio::NAME => of::<Tokio>(&figure, workers, amount),
        TokioEager::NAME => of::<TokioEager>(&figure, workers, amount),
        TokioCurrent::NAME => of::<TokioCurrent>(&figure, workers, amount),
        Smol::NAME => of::<Smol>(&figure, workers, amount),
        SmolStatic::NAME => of::<SmolStatic>(&figure, workers, amount),
        other => Err(format!("no contender {other:?}")),
    };
    Some(match values {
        Ok(values) => {
            for value in values {
                println!("{value}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn of<C: Contender>(figure: &str, workers: usize, amount: u64) -> Result<Vec<f64>, String> {
    let runtime = C::with_workers(workers);
    match figure {
        mem::EMPTY => mem::measure(runtime, amount, mem::Parked([])),
        mem::SMALL => mem::measure(runtime, amount, mem::Parked([0; 8])),
        mem::TIME => mem::time(runtime, amount),
        connections::FIGURE => connections::measure(runtime, amount),
        idle::FIGURE => idle::measure(runtime, amount),
        other => Err(format!("no figure {other:?}")),
    }
}
