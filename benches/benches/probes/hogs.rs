//! Eight tasks that compute in slices of 10 ms and wake themselves, on two workers: how late is a 5 ms timer, and how
//! much of the CPU do the hogs get?

use crate::{Probe, milliseconds};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

pub(crate) struct Hogs;

const HOGS: usize = 8;
const WORKERS: usize = 2;
const SLICE: Duration = Duration::from_millis(10);
const TIMER: Duration = Duration::from_millis(5);

/// Computes slice by slice until told to stop; counts the slices.
async fn hog(stop: Arc<AtomicBool>) -> u32 {
    let mut slices = 0;
    poll_fn(move |cx| {
        if stop.load(Ordering::Relaxed) {
            return Poll::Ready(slices);
        }
        std::hint::black_box(cpu::burn(SLICE));
        slices += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

impl Probe for Hogs {
    const NAME: &'static str = "hogs";
    const FIGURES: &'static [Figure] = &[
        Figure::cost("ms, lateness p50 of a 5 ms timer beside 8 tasks of 10 ms slices"),
        Figure::cost("ms, lateness p99 of the same"),
        Figure::rate("share of two cores that the hogs' work got"),
    ];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let runtime = C::with_workers(WORKERS);
        let duration = Duration::from_millis(if options.quick { 300 } else { 3_000 });
        cpu::burn(Duration::from_micros(1));
        let stop = Arc::new(AtomicBool::new(false));
        let hogs_stop = Arc::clone(&stop);
        let watch = Stopwatch::start();
        let (slices, mut late) = runtime.on_a_worker(async move {
            let hogs: Vec<_> = (0..HOGS)
                .map(|_| runtime.spawn(hog(Arc::clone(&hogs_stop))))
                .collect();
            let timer = runtime.spawn(async move {
                let start = now();
                let mut late = Vec::new();
                while start.elapsed() < duration {
                    let due = now() + TIMER;
                    C::sleep(TIMER).await;
                    late.push(due.elapsed());
                }
                stop.store(true, Ordering::Relaxed);
                late
            });
            let late = timer.await;
            let mut slices = 0;
            for hog in hogs {
                slices += hog.await;
            }
            (slices, late)
        });
        let sample = watch.stop(u64::from(slices));
        if late.is_empty() || slices == 0 {
            return Err(format!("{} timers and {slices} slices", late.len()));
        }
        late.sort();
        let share =
            (SLICE * slices).as_secs_f64() / (sample.elapsed.as_secs_f64() * WORKERS as f64);
        let values = vec![
            milliseconds(quantile(&late, 0.5)),
            milliseconds(quantile(&late, 0.99)),
            share,
        ];
        Ok(Measured {
            values,
            cores: sample.cores(),
        })
    }
}
