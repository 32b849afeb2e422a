//! Probes that ask how late something was, how often threads woke, and what a task weighs.
//!
//! `cargo bench --bench probes -- NAME` runs those whose name contains NAME. tokio runs at its defaults and with
//! `event_interval(1)`, its best stable setting for most of these.

mod burst;
mod child;
mod churn;
mod connections;
mod cpu_plus_io;
mod echoes;
mod held_up;
mod hogs;
mod idle;
mod mem;
mod sleeps;
mod stalls;
mod wakes;

use heist_benches::contender::{
    Contender, Heist, Smol, SmolStatic, Tokio, TokioCurrent, TokioEager,
};
use heist_benches::runner::{self, Case, Entry, Options, Outcome};
use heist_benches::table::Figure;
use std::process::ExitCode;
use std::time::Duration;

/// A probe that any contender can run.
trait Probe {
    const NAME: &'static str;
    const FIGURES: &'static [Figure];
    /// The same by hand, without a runtime, where that is cheap to write.
    const FLOOR: Option<Entry> = None;

    /// Runs it once and checks what came out.
    fn run<C: Contender>(options: &Options) -> Outcome;
}

fn entry<P: Probe, C: Contender>() -> Entry {
    Entry {
        name: C::NAME,
        run: P::run::<C>,
    }
}

fn case<P: Probe>() -> Case {
    let entries = vec![
        entry::<P, Heist>(),
        entry::<P, Tokio>(),
        entry::<P, TokioEager>(),
        entry::<P, Smol>(),
    ];
    of_entries::<P>(entries)
}

/// Where it matters how tasks and connections are kept, and not when the driver is looked at.
fn case_of_keeping<P: Probe>() -> Case {
    let entries = vec![
        entry::<P, Heist>(),
        entry::<P, Tokio>(),
        entry::<P, TokioCurrent>(),
        entry::<P, Smol>(),
        entry::<P, SmolStatic>(),
    ];
    of_entries::<P>(entries)
}

fn of_entries<P: Probe>(mut entries: Vec<Entry>) -> Case {
    entries.extend(P::FLOOR);
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
    if let Some(outcome) = child::run() {
        return outcome;
    }
    let mut cases = vec![
        case::<held_up::Hostage>(),
        case::<held_up::AllHeld>(),
        case::<held_up::Lifo>(),
        case::<churn::Churn>(),
        case::<burst::Burst>(),
        case_of_keeping::<mem::Mem>(),
        case_of_keeping::<mem::SpawnParked>(),
        case_of_keeping::<connections::Idle>(),
        case::<sleeps::Many>(),
        case::<sleeps::Lone>(),
        case::<echoes::Steady>(),
        case::<wakes::Outside>(),
        case::<wakes::Io>(),
        case::<wakes::Worker>(),
        case::<idle::Idle>(),
        stalls::case(),
    ];
    cases.extend(hogs::cases());
    cases.extend(cpu_plus_io::cases());
    runner::main(&cases)
}
