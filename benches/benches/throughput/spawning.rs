//! Spawning: from a worker, from outside, and one task from the other.

use crate::{Workload, check, floor};
use futures_channel::oneshot;
use heist_benches::runner::{Entry, Options};
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::pin::Pin;

/// Tasks that are alive at once.
const TASKS: u64 = 10_000;

/// What [`TASKS`] tasks return together, if each returns its number.
const SUM: u64 = TASKS * (TASKS - 1) / 2;

/// A task spawns 10,000 and joins them.
pub(crate) struct Local;

impl Workload for Local {
    const NAME: &'static str = "spawn_local";
    const FIGURE: Figure = Figure::cost("ns/task, spawn and join from a worker");
    const FITS_ONE_THREAD: bool = true;

    fn others() -> Vec<Entry> {
        vec![floor::SPAWN]
    }

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let rounds = options.scaled(40);
        let (sample, sum) = runtime.on_a_worker(async move {
            let watch = Stopwatch::start();
            let mut sum = 0;
            let mut tasks = Vec::with_capacity(TASKS as usize);
            for _ in 0..rounds {
                tasks.extend((0..TASKS).map(|number| runtime.spawn(async move { number })));
                for task in tasks.drain(..) {
                    sum += task.await;
                }
            }
            (watch.stop(rounds * TASKS), sum)
        });
        check("sum of all tasks", sum, rounds * SUM)?;
        Ok(sample)
    }
}

/// A thread outside spawns 10,000 and joins them.
pub(crate) struct Remote;

impl Workload for Remote {
    const NAME: &'static str = "spawn_remote";
    const FIGURE: Figure = Figure::cost("ns/task, spawn and join from outside");
    const FITS_ONE_THREAD: bool = false;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let rounds = options.scaled(40);
        let watch = Stopwatch::start();
        let mut sum = 0;
        let mut tasks = Vec::with_capacity(TASKS as usize);
        for _ in 0..rounds {
            tasks.extend((0..TASKS).map(|number| runtime.spawn_outside(async move { number })));
            sum += runtime.block_on(async {
                let mut sum = 0;
                for task in tasks.drain(..) {
                    sum += task.await;
                }
                sum
            });
        }
        let sample = watch.stop(rounds * TASKS);
        check("sum of all tasks", sum, rounds * SUM)?;
        Ok(sample)
    }
}

/// Each task spawns the next one and ends; the last one reports.
pub(crate) struct Chained;

const DEPTH: u64 = 1_000;

type Link = Pin<Box<dyn Future<Output = ()> + Send>>;

fn link<C: Contender>(runtime: C, depth: u64, left: u64, done: oneshot::Sender<u64>) -> Link {
    Box::pin(async move {
        if left == 0 {
            done.send(depth).expect("the workload awaits the last link");
        } else {
            C::detach(runtime.spawn(link(runtime, depth + 1, left - 1, done)));
        }
    })
}

impl Workload for Chained {
    const NAME: &'static str = "chained_spawn";
    const FIGURE: Figure = Figure::cost("ns/task, each spawned by the one before");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let rounds = options.scaled(200);
        let (sample, depth) = runtime.on_a_worker(async move {
            let watch = Stopwatch::start();
            let mut depth = 0;
            for _ in 0..rounds {
                let (done, last) = oneshot::channel();
                C::detach(runtime.spawn(link(runtime, 1, DEPTH - 1, done)));
                depth += last.await.expect("the last link reports");
            }
            (watch.stop(rounds * DEPTH), depth)
        });
        check("depth of all chains", depth, rounds * DEPTH)?;
        Ok(sample)
    }
}
