//! Timeouts that are armed and then cancelled, as most are: on each worker at once.

use crate::{Workload, check};
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// How many timeouts a task makes before it gives way: fewer than use up any runtime's budget, beyond which a timer
/// would not be armed at all.
const BATCH: u64 = 50;

pub(crate) struct Cancelled;

/// Arms [`BATCH`] timeouts, one after the other, and drops each; counts those that were armed.
async fn batch<C: Contender>() -> u64 {
    let mut armed = 0;
    for _ in 0..BATCH {
        let mut timeout = pin!(C::timeout(LIMIT, pending::<()>()));
        armed += poll_fn(|cx| Poll::Ready(u64::from(timeout.as_mut().poll(cx).is_pending()))).await;
    }
    armed
}

impl Workload for Cancelled {
    const NAME: &'static str = "timeout_cancelled";
    const FIGURE: Figure = Figure::cost("ns/timeout, made and cancelled, on all workers at once");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let tasks = options.workers as u64;
        let batches = options.scaled(8_000);
        let (sample, armed) = runtime.on_a_worker(async move {
            let watch = Stopwatch::start();
            let one_task = || async move {
                let mut armed = 0;
                for _ in 0..batches {
                    armed += batch::<C>().await;
                    C::yield_now().await;
                }
                armed
            };
            let tasks: Vec<_> = (0..tasks).map(|_| runtime.spawn(one_task())).collect();
            let mut armed = 0;
            for task in tasks {
                armed += task.await;
            }
            // An operation's cost is per worker: all of them pay it at the same time.
            (watch.stop(batches * BATCH), armed)
        });
        check("armed timeouts", armed, tasks * batches * BATCH)?;
        Ok(sample)
    }
}
