//! Giving way: 200 tasks that do nothing else.

use crate::{Workload, check};
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::future::poll_fn;
use std::task::Poll;

const TASKS: u64 = 200;

/// Runs [`TASKS`] tasks, each of which gives way `times` times, and counts.
fn run<C, F>(runtime: C, times: u64, give_way: fn() -> F) -> Result<Sample, String>
where
    C: Contender,
    F: Future<Output = ()> + Send + 'static,
{
    let (sample, count) = runtime.on_a_worker(async move {
        let watch = Stopwatch::start();
        let one_task = move || async move {
            let mut count = 0;
            for _ in 0..times {
                give_way().await;
                count += 1;
            }
            count
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| runtime.spawn(one_task())).collect();
        let mut count = 0;
        for task in tasks {
            count += task.await;
        }
        (watch.stop(TASKS * times), count)
    });
    check("yields of all tasks", count, TASKS * times)?;
    Ok(sample)
}

/// The runtime's own `yield_now`.
pub(crate) struct Native;

impl Workload for Native {
    const NAME: &'static str = "yield_now";
    const FIGURE: Figure = Figure::cost("ns/yield, the runtime's own");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        run(runtime, options.scaled(5_000), || async {
            C::yield_now().await
        })
    }
}

/// A future that wakes itself and is pending once.
pub(crate) struct ByRef;

async fn wake_by_ref() {
    let mut pending = true;
    poll_fn(|cx| {
        if std::mem::take(&mut pending) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

impl Workload for ByRef {
    const NAME: &'static str = "yield_by_waking";
    const FIGURE: Figure = Figure::cost("ns/yield, through wake_by_ref");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        run(runtime, options.scaled(5_000), wake_by_ref)
    }
}
