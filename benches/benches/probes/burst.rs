//! 64 jobs of 50 µs spawned at once onto idle workers, each on a processor of its own: how long until all are done?

use crate::{Probe, microseconds};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::time::Duration;

pub(crate) struct Burst;

const JOBS: usize = 64;
const JOB: Duration = Duration::from_micros(50);

impl Probe for Burst {
    const NAME: &'static str = "burst";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "µs until 64 jobs of 50 µs are done, p50; 1600 on two cores would be ideal",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_pinned_workers(options.workers);
        let bursts = options.scaled(200);
        let result = cpu::burn(JOB);
        let watch = Stopwatch::start();
        let (mut took, right) = runtime.on_a_worker(async move {
            let mut took = Vec::new();
            let mut right = 0;
            for _ in 0..bursts {
                // The other workers have nothing to do meanwhile, and park.
                C::sleep(Duration::from_millis(2)).await;
                let start = now();
                let jobs: Vec<_> = (0..JOBS)
                    .map(|_| runtime.spawn(async { cpu::burn(JOB) }))
                    .collect();
                for job in jobs {
                    right += u64::from(job.await == result);
                }
                took.push(start.elapsed());
            }
            (took, right)
        });
        let sample = watch.stop(bursts);
        if right != bursts * JOBS as u64 {
            return Err(format!("{right} jobs gave the right result"));
        }
        took.sort();
        Ok(Measured::new(
            vec![microseconds(quantile(&took, 0.5))],
            sample.cores(),
        ))
    }
}
