//! Workloads that are counted by the operation, each written once and run on every runtime in turn.
//!
//! `cargo bench --bench throughput -- NAME` runs those whose name contains NAME.

mod channels;
mod echo;
mod floor;
mod http;
mod pairs;
#[cfg(target_os = "linux")]
mod per_core;
mod spawning;
mod timeouts;
mod yielding;

use heist_benches::contender::{
    Contender, Heist, HeistCurrent, Smol, SmolStatic, Tokio, TokioCurrent,
};
use heist_benches::runner::{self, Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::Sample;
use heist_benches::table::Figure;
use std::process::ExitCode;

/// A workload that any contender can run.
trait Workload {
    const NAME: &'static str;
    const FIGURE: Figure;
    /// Whether a runtime that lives on the thread that blocks can take part.
    const FITS_ONE_THREAD: bool;

    /// Those that take part without being a [`Contender`]: runtimes with an interface of another kind, and the same work
    /// by hand, where that is cheap to write.
    fn others() -> Vec<Entry> {
        Vec::new()
    }

    /// Runs it once and checks what came out.
    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String>;
}

fn outcome<W: Workload, C: Contender>(options: &Options) -> Outcome {
    let sample = W::run(C::with_workers(options.workers), options)?;
    let value = if W::FIGURE.more_is_better {
        sample.per_second()
    } else {
        sample.nanoseconds_each()
    };
    Ok(Measured::new(vec![value], sample.cores()))
}

fn entry<W: Workload, C: Contender>() -> Entry {
    Entry {
        name: C::NAME,
        run: outcome::<W, C>,
    }
}

fn case<W: Workload>() -> Case {
    let mut entries = vec![entry::<W, Heist>()];
    if W::FITS_ONE_THREAD {
        entries.push(entry::<W, HeistCurrent>());
    }
    entries.push(entry::<W, Tokio>());
    if W::FITS_ONE_THREAD {
        entries.push(entry::<W, TokioCurrent>());
    }
    entries.extend([entry::<W, Smol>(), entry::<W, SmolStatic>()]);
    entries.extend(W::others());
    Case {
        name: W::NAME,
        figures: vec![W::FIGURE],
        entries,
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
    if let Some(outcome) = http::client() {
        return outcome;
    }
    runner::main(&[
        case::<spawning::Local>(),
        case::<spawning::Remote>(),
        case::<spawning::Chained>(),
        case::<yielding::Native>(),
        case::<yielding::ByRef>(),
        case::<pairs::Pairs>(),
        case::<channels::PingPong>(),
        case::<channels::Stream>(),
        case::<channels::Locked<false>>(),
        case::<channels::Locked<true>>(),
        case::<timeouts::Cancelled>(),
        case::<echo::Echo<{ echo::CONNECTIONS }>>(),
        case::<echo::Echo<512>>(),
        case::<echo::Bulk>(),
        case::<http::Http>(),
    ])
}
