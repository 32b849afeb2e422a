//! Timers: one at a time, and very many.

use crate::{Probe, microseconds, milliseconds};
use heist_benches::cpu;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample};
use std::time::Duration;

/// A task that sleeps, again and again, while nothing else happens.
pub(crate) struct Lone;

impl Probe for Lone {
    const NAME: &'static str = "lone_sleep";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("µs, lateness p50 of one sleep of 1 to 5 ms at a time"),
        Figure::cost("µs, lateness p99 of the same"),
        Figure::cost("percent of a core"),
        Figure::cost("ms, worst lateness of 500"),
    ];
    const FLOOR: Option<Entry> = Some(Entry {
        name: "floor: a thread that sleeps",
        run: by_hand,
    });

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let sleeps = options.scaled(500);
        let watch = Stopwatch::start();
        let mut late = runtime.on_a_worker(async move {
            let mut late = Vec::new();
            for number in 0..sleeps {
                let due = now() + length(number);
                C::sleep(length(number)).await;
                // A runtime may be early by less than its clock's step.
                late.push(due.elapsed());
            }
            late
        });
        let sample = watch.stop(sleeps);
        Ok(lone(&mut late, &sample))
    }
}

/// From 1 to 5 ms.
fn length(number: u64) -> Duration {
    Duration::from_micros(1_000 + (number * 977) % 4_000)
}

fn lone(late: &mut [Duration], sample: &Sample) -> Measured {
    late.sort();
    let values = vec![
        microseconds(quantile(late, 0.5)),
        microseconds(quantile(late, 0.99)),
        sample.cores().map_or(f64::NAN, |cores| cores * 100.0),
        milliseconds(quantile(late, 1.0)),
    ];
    Measured::new(values, sample.cores()).with_curve(late)
}

/// What the system and the machine are worth: the thread blocks until the time has come.
fn by_hand(options: &Options) -> Outcome {
    let sleeps = options.scaled(500);
    let watch = Stopwatch::start();
    let mut late = Vec::new();
    for number in 0..sleeps {
        let due = now() + length(number);
        cpu::settle(length(number));
        late.push(due.elapsed());
    }
    let sample = watch.stop(sleeps);
    Ok(lone(&mut late, &sample))
}

/// A hundred thousand tasks that each sleep once, for 1 to 100 ms.
pub(crate) struct Many;

impl Probe for Many {
    const NAME: &'static str = "sleeps";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("ms of CPU for 100,000 sleeps of 1 to 100 ms"),
        Figure::cost("µs, lateness p50 of the same"),
        Figure::cost("ms, lateness p99 of the same"),
    ];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(options.workers);
        let sleeps = options.scaled(100_000);
        let watch = Stopwatch::start();
        let mut late = runtime.on_a_worker(async move {
            let tasks: Vec<_> = (0..sleeps)
                .map(|number| {
                    runtime.spawn(async move {
                        let length = Duration::from_micros(1_000 + (number * 7_919) % 99_000);
                        let due = now() + length;
                        C::sleep(length).await;
                        due.elapsed()
                    })
                })
                .collect();
            let mut late = Vec::new();
            for task in tasks {
                late.push(task.await);
            }
            late
        });
        let sample = watch.stop(sleeps);
        late.sort();
        let cpu = sample.cpu.unwrap_or_default().as_secs_f64() * 1e3;
        let values = vec![
            cpu * 100_000.0 / sleeps as f64,
            microseconds(quantile(&late, 0.5)),
            milliseconds(quantile(&late, 0.99)),
        ];
        Ok(Measured::new(values, sample.cores()).with_curve(&late))
    }
}
