//! A fast timer that spawns a short task each time, on four workers: how many threads wake for nothing?

use crate::Probe;
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now};
use heist_benches::table::Figure;
use std::time::Duration;

pub(crate) struct Churn;

/// The runtimes' timers differ in how late they are, so that a second holds more ticks on one than on the other: the
/// switches are counted by the tick.
const TICK: Duration = Duration::from_micros(500);
const TASK: Duration = Duration::from_micros(3);

impl Probe for Churn {
    const NAME: &'static str = "churn";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("voluntary context switches a tick, of a 2 kHz timer that spawns a 3 µs task"),
        Figure::rate("ticks a second"),
        Figure::cost("percent of a core"),
    ];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(4);
        let duration = Duration::from_millis(if options.quick { 100 } else { 1_000 });
        cpu::burn(TASK);
        cpu::settle(Duration::from_millis(20));
        let switches_before = cpu::voluntary_switches();
        let watch = Stopwatch::start();
        let ticks = runtime.on_a_worker(async move {
            let start = now();
            let mut ticks = 0;
            while start.elapsed() < duration {
                C::sleep(TICK).await;
                std::hint::black_box(runtime.spawn(async { cpu::burn(TASK) }).await);
                ticks += 1;
            }
            ticks
        });
        let sample = watch.stop(ticks);
        let switches = cpu::voluntary_switches()
            .zip(switches_before)
            .map(|(after, before)| after - before);
        if ticks == 0 {
            return Err("no tick at all".to_owned());
        }
        // Where the system does not tell, there is no figure.
        let switches = switches.map_or(f64::NAN, |switches| switches as f64 / ticks as f64);
        let percent = sample.cores().map_or(f64::NAN, |cores| cores * 100.0);
        Ok(Measured::new(
            vec![switches, sample.per_second(), percent],
            sample.cores(),
        ))
    }
}
