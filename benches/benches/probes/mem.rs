//! What a parked task weighs: a million of them, and the memory that is resident before and after.
//!
//! Each measurement is a process of its own, because an allocator that has seen the last one's tasks keeps their room.

use crate::Probe;
use heist_benches::Contender;
use heist_benches::contender::{Heist, Smol, Tokio, TokioEager};
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::table::Figure;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Mem;

/// Set in the process that measures: the contender, and the number of tasks.
const CONTENDER: &str = "HEIST_BENCH_MEM";
const TASKS: &str = "HEIST_BENCH_MEM_TASKS";

impl Probe for Mem {
    const NAME: &'static str = "mem";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "resident bytes for each empty task that is parked",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let tasks = options.scaled(1_000_000);
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .env(CONTENDER, C::NAME)
            .env(TASKS, tasks.to_string())
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.trim().parse::<f64>() {
            Ok(bytes) if output.status.success() => Ok(Measured {
                values: vec![bytes],
                cores: None,
            }),
            _ => Err(format!(
                "the measuring process said {text:?}, {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

/// If this process is one that measures: measures, prints the figure, and gives the exit code.
pub(crate) fn child() -> Option<ExitCode> {
    let contender = std::env::var(CONTENDER).ok()?;
    let tasks = std::env::var(TASKS).ok()?.parse().ok()?;
    let bytes = match contender.as_str() {
        Heist::NAME => measure::<Heist>(tasks),
        Tokio::NAME => measure::<Tokio>(tasks),
        TokioEager::NAME => measure::<TokioEager>(tasks),
        Smol::NAME => measure::<Smol>(tasks),
        other => Err(format!("no contender {other:?}")),
    };
    Some(match bytes {
        Ok(bytes) => {
            println!("{bytes}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// How many of the tasks have been polled, and so are parked.
static PARKED: AtomicU64 = AtomicU64::new(0);

fn measure<C: Contender>(tasks: u64) -> Result<f64, String> {
    let runtime = C::with_workers(2);
    let resident = || cpu::resident_bytes().ok_or("the system does not tell the resident memory");
    // The threads are up, and have polled something.
    runtime.on_a_worker(async { C::yield_now().await });
    let before = resident()?;
    runtime.on_a_worker(async move {
        for index in 0..tasks {
            C::detach(runtime.spawn(async {
                PARKED.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }));
            // What is measured is tasks that are parked, not a queue of new ones.
            if index % 64 == 0 {
                C::yield_now().await;
            }
        }
        while PARKED.load(Ordering::Relaxed) < tasks {
            C::yield_now().await;
        }
    });
    let after = resident()?;
    if after <= before {
        return Err(format!("{before} bytes before, {after} after"));
    }
    Ok((after - before) as f64 / tasks as f64)
}
