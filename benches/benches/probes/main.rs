//! Probes that ask how late something was, how often threads woke, and what a task weighs.
//!
//! `cargo bench --bench probes -- NAME` runs those whose name contains NAME. tokio runs at its defaults and with
//! `event_interval(1)`, its best stable setting for most of these.

mod burst;
mod churn;
mod cpu_plus_io;
mod held_up;
mod hogs;
mod mem;

use heist_benches::contender::{Contender, Heist, Smol, Tokio, TokioEager};
use heist_benches::runner::{self, Case, Entry, Options, Outcome};
use heist_benches::table::Figure;
use std::process::ExitCode;
use std::time::Duration;

/// A probe that any contender can run.
trait Probe {
    const NAME: &'static str;
    const FIGURES: &'static [Figure];

    /// Runs it once and checks what came out.
    fn run<C: Contender>(options: &Options) -> Outcome;
}

fn case<P: Probe>() -> Case {
    let entries = vec![
        Entry {
            name: Heist::NAME,
            run: P::run::<Heist>,
        },
        Entry {
            name: Tokio::NAME,
            run: P::run::<Tokio>,
        },
        Entry {
            name: TokioEager::NAME,
            run: P::run::<TokioEager>,
        },
        Entry {
            name: Smol::NAME,
            run: P::run::<Smol>,
        },
    ];
    Case {
        name: P::NAME,
        figures: P::FIGURES.to_vec(),
        entries,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn main() -> ExitCode {
    if let Some(outcome) = mem::child() {
        return outcome;
    }
    runner::main(&[
        case::<held_up::Hostage>(),
        case::<held_up::Lifo>(),
        case::<hogs::Hogs>(),
        case::<churn::Churn>(),
        case::<burst::Burst>(),
        case::<mem::Mem>(),
        case::<cpu_plus_io::CpuPlusIo>(),
    ])
}
