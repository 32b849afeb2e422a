//! Figures that need a process of their own: an allocator that has seen other tasks keeps their room, and runtimes that
//! ran before have threads that wake up.

use crate::{idle, mem};
use heist_benches::Contender;
use heist_benches::contender::{Heist, Smol, Tokio, TokioEager};
use std::process::{Command, ExitCode};

/// Set in the process that measures: what, on whom, and how much of it.
const FIGURE: &str = "HEIST_BENCH_FIGURE";
const CONTENDER: &str = "HEIST_BENCH_CONTENDER";
const AMOUNT: &str = "HEIST_BENCH_AMOUNT";

/// Runs this program again, to measure one figure.
pub(crate) fn measure<C: Contender>(figure: &str, amount: u64) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .env(FIGURE, figure)
        .env(CONTENDER, C::NAME)
        .env(AMOUNT, amount.to_string())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().parse::<f64>() {
        Ok(value) if output.status.success() => Ok(value),
        _ => Err(format!(
            "the measuring process said {text:?}, {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// If this process is one that measures: measures, prints the figure, and gives the exit code.
pub(crate) fn run() -> Option<ExitCode> {
    let figure = std::env::var(FIGURE).ok()?;
    let contender = std::env::var(CONTENDER).ok()?;
    let amount = std::env::var(AMOUNT).ok()?.parse().ok()?;
    let value = match contender.as_str() {
        Heist::NAME => of::<Heist>(&figure, amount),
        Tokio::NAME => of::<Tokio>(&figure, amount),
        TokioEager::NAME => of::<TokioEager>(&figure, amount),
        Smol::NAME => of::<Smol>(&figure, amount),
        other => Err(format!("no contender {other:?}")),
    };
    Some(match value {
        Ok(value) => {
            println!("{value}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn of<C: Contender>(figure: &str, amount: u64) -> Result<f64, String> {
    match figure {
        mem::FIGURE => mem::measure::<C>(amount),
        idle::FIGURE => idle::measure::<C>(amount),
        other => Err(format!("no figure {other:?}")),
    }
}
