//! What a parked task weighs: a million of them, and the memory that is resident before and after.

use crate::{Probe, child};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::table::Figure;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Mem;

pub(crate) const FIGURE: &str = "mem";

impl Probe for Mem {
    const NAME: &'static str = "mem";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "resident bytes for each empty task that is parked",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let bytes = child::measure::<C>(FIGURE, options.scaled(1_000_000))?;
        Ok(Measured::new(vec![bytes], None))
    }
}

/// How many of the tasks have been polled, and so are parked.
static PARKED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn measure<C: Contender>(tasks: u64) -> Result<f64, String> {
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
