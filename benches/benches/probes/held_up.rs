//! One task holds its worker up while others are idle: who else has to wait?

use crate::{Probe, milliseconds};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now};
use heist_benches::table::Figure;
use std::time::Duration;

/// A 10 ms heartbeat while a task that a timer woke blocks its thread for a second; four workers, three of them idle.
pub(crate) struct Hostage;

const BEAT: Duration = Duration::from_millis(10);

impl Probe for Hostage {
    const NAME: &'static str = "hostage";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "ms, worst lateness of a heartbeat while a worker blocks",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(4);
        let blocked = Duration::from_millis(if options.quick { 100 } else { 1_000 });
        let watch = Stopwatch::start();
        let (worst, beats) = runtime.on_a_worker(async move {
            let hostage_taker = runtime.spawn(async move {
                C::sleep(5 * BEAT).await;
                cpu::block(blocked);
            });
            let start = now();
            let mut worst = Duration::ZERO;
            let mut beats = 0;
            while start.elapsed() < blocked + 10 * BEAT {
                let due = now() + BEAT;
                C::sleep(BEAT).await;
                worst = worst.max(due.elapsed());
                beats += 1;
            }
            hostage_taker.await;
            (worst, beats)
        });
        if beats == 0 {
            return Err("no heartbeat at all".to_owned());
        }
        let sample = watch.stop(beats);
        Ok(Measured::new(vec![milliseconds(worst)], sample.cores()))
    }
}

/// The same where both of two workers are blocked.
pub(crate) struct AllHeld;

impl Probe for AllHeld {
    const NAME: &'static str = "all_held";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "ms, worst lateness of a heartbeat while every worker blocks",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(2);
        let blocked = Duration::from_millis(if options.quick { 100 } else { 1_000 });
        let watch = Stopwatch::start();
        let heart = runtime.spawn_outside(async move {
            let start = now();
            let mut worst = Duration::ZERO;
            while start.elapsed() < blocked + 10 * BEAT {
                let due = now() + BEAT;
                C::sleep(BEAT).await;
                worst = worst.max(due.elapsed());
            }
            worst
        });
        let blockers = [0, 1].map(|_| {
            runtime.spawn_outside(async move {
                C::sleep(5 * BEAT).await;
                cpu::block(blocked);
            })
        });
        let worst = runtime.block_on(async {
            for blocker in blockers {
                blocker.await;
            }
            heart.await
        });
        let sample = watch.stop(1);
        Ok(Measured::new(vec![milliseconds(worst)], sample.cores()))
    }
}

/// A task spawns a child and then computes for 300 ms; two workers, one of them idle.
pub(crate) struct Lifo;

impl Probe for Lifo {
    const NAME: &'static str = "lifo";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "ms until the child of a task that goes on computing starts",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(2);
        let computing = Duration::from_millis(if options.quick { 30 } else { 300 });
        // The speed of the machine is measured before the clock runs.
        cpu::burn(Duration::from_micros(1));
        let watch = Stopwatch::start();
        let delay = runtime.on_a_worker(async move {
            let spawned = now();
            let child = runtime.spawn(async move { spawned.elapsed() });
            std::hint::black_box(cpu::burn(computing));
            child.await
        });
        let sample = watch.stop(1);
        Ok(Measured::new(vec![milliseconds(delay)], sample.cores()))
    }
}
