//! The same work by hand, without a runtime: what no runtime can go below on this machine.

use crate::check;
use heist_benches::Stopwatch;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use std::collections::VecDeque;
use std::hint::black_box;

/// Boxed closures through a queue of one thread.
pub(crate) const SPAWN: Entry = Entry {
    name: "floor: boxes in a queue",
    run: spawn,
};

fn spawn(options: &Options) -> Outcome {
    const TASKS: u64 = 10_000;
    let rounds = options.scaled(40);
    let mut queue: VecDeque<Box<dyn FnOnce() -> u64>> = VecDeque::with_capacity(TASKS as usize);
    let watch = Stopwatch::start();
    let mut sum = 0;
    for _ in 0..rounds {
        queue.extend((0..TASKS).map(|number| {
            let task: Box<dyn FnOnce() -> u64> = Box::new(move || black_box(number));
            task
        }));
        while let Some(task) = queue.pop_front() {
            sum += task();
        }
    }
    let sample = watch.stop(rounds * TASKS);
    check("sum of all tasks", sum, rounds * TASKS * (TASKS - 1) / 2)?;
    Ok(Measured::new(
        vec![sample.nanoseconds_each()],
        sample.cores(),
    ))
}
