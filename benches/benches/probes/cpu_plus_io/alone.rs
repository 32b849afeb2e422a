//! The jobs with no messages beside them: what the processors do when they do nothing else.

use super::{JOB, JOBS, duration};
use heist_benches::cpu;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use heist_benches::sample::Stopwatch;
use rayon::Scope;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

pub(super) const RAYON: Entry = Entry {
    name: "rayon, no IO",
    run,
};

struct Jobs {
    result: u64,
    right: AtomicU64,
    stop: AtomicBool,
}

impl Jobs {
    /// One job, and after it the next.
    fn go_on<'scope>(&'scope self, scope: &Scope<'scope>) {
        scope.spawn(|scope| {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let right = cpu::burn(JOB) == self.result;
            self.right.fetch_add(u64::from(right), Ordering::Relaxed);
            self.go_on(scope);
        });
    }
}

fn run(options: &Options) -> Outcome {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.workers)
        .build()
        .map_err(|error| error.to_string())?;
    let jobs = Jobs {
        result: cpu::burn(JOB),
        right: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let watch = Stopwatch::start();
    thread::scope(|threads| {
        threads.spawn(|| {
            cpu::settle(duration(options));
            jobs.stop.store(true, Ordering::Relaxed);
        });
        pool.scope(|scope| (0..JOBS).for_each(|_| jobs.go_on(scope)));
    });
    let sample = watch.stop(jobs.right.into_inner());
    if sample.operations == 0 {
        return Err("no job was done".into());
    }
    let rate = Some(sample.per_second());
    Ok(Measured::new(vec![None, None, None, rate], sample.cores()))
}
