//! A runtime that has worked and has nothing left to do: how often do its threads still wake?

use crate::{Probe, child};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::table::Figure;
use std::time::Duration;

pub(crate) struct Idle;

pub(crate) const FIGURE: &str = "idle";

impl Probe for Idle {
    const NAME: &'static str = "idle";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "voluntary context switches of all threads in 2 s without work",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let switches = child::measure::<C>(FIGURE, 2, options.scaled(2_000))?;
        Ok(Measured::new(switches, None))
    }
}

pub(crate) fn measure<C: Contender>(runtime: C, milliseconds: u64) -> Result<Vec<f64>, String> {
    runtime.on_a_worker(async move {
        for _ in 0..100 {
            runtime.spawn(C::sleep(Duration::from_millis(1))).await;
        }
    });
    // Whatever backs off has backed off.
    cpu::settle(Duration::from_millis(500));
    let switches = || cpu::voluntary_switches().ok_or("the system does not tell the switches");
    let before = switches()?;
    cpu::settle(Duration::from_millis(milliseconds));
    let after = switches()?;
    // One of them is ours: this thread went to sleep.
    Ok(vec![after.saturating_sub(before + 1) as f64])
}
