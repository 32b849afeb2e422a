//! Fork-join: the same recursions on heist, rayon, chili and forte, and in sequence.
//!
//! `cargo bench --bench forkjoin -- NAME` runs those whose name contains NAME. No recursion but the sort and the sum
//! has a cut-off, so what is measured is what a fork costs, and how soon another core takes part.

mod beside;
mod pool;
mod recursions;

use crate::pool::{Chili, Forte, Heist, HeistHelps, Pool, Rayon, Serial};
use heist_benches::runner::{self, Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::Sample;
use heist_benches::table::Figure;
use std::process::ExitCode;

/// A recursion that any pool can run.
trait Workload {
    const NAME: &'static str;
    const FIGURE: Figure;

    /// Runs it once and checks what came out. The operations are what the figure counts by.
    fn run<P: Pool>(pool: P, options: &Options) -> Result<Sample, String>;
}

fn outcome<W: Workload, P: Pool>(options: &Options) -> Outcome {
    let sample = W::run(P::with_workers(options.workers), options)?;
    Ok(Measured::new(
        vec![sample.nanoseconds_each()],
        sample.cores(),
    ))
}

fn entry<W: Workload, P: Pool>() -> Entry {
    Entry {
        name: P::NAME,
        run: outcome::<W, P>,
    }
}

fn case<W: Workload>() -> Case {
    Case {
        name: W::NAME,
        figures: vec![W::FIGURE],
        entries: vec![
            entry::<W, Heist>(),
            entry::<W, HeistHelps>(),
            entry::<W, Rayon>(),
            entry::<W, Chili>(),
            entry::<W, Forte>(),
            entry::<W, Serial>(),
        ],
    }
}

/// Fails the run if what came out is not what had to.
fn check<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: got {got:?}, expected {expected:?}"))
}

fn main() -> ExitCode {
    runner::main(&[
        case::<recursions::Fib>(),
        case::<recursions::Sum>(),
        case::<recursions::Sort>(),
        case::<recursions::SmallSum>(),
        beside::case(),
    ])
}
