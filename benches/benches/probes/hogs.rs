//! Tasks that compute in slices and wake themselves, on two workers: how late is a 5 ms timer, and how much of the CPU
//! do the hogs get? Beside them, what the same hogs get without a timer and a runtime.

use crate::milliseconds;
use heist_benches::Contender;
use heist_benches::contender::{Heist, Smol, Tokio, TokioEager};
use heist_benches::cpu;
use heist_benches::runner::{Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::{Sample, Stopwatch, now, quantile};
use heist_benches::table::Figure;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

const WORKERS: usize = 2;
const TIMER: Duration = Duration::from_millis(5);

/// Computes slice by slice until told to stop; counts the slices.
async fn hog(slice: Duration, stop: Arc<AtomicBool>) -> u32 {
    let mut slices = 0;
    poll_fn(move |cx| {
        if stop.load(Ordering::Relaxed) {
            return Poll::Ready(slices);
        }
        std::hint::black_box(cpu::burn(slice));
        slices += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn measure<C: Contender>(options: &Options, hogs: usize, slice: Duration) -> Outcome {
    let runtime = C::with_workers(WORKERS);
    let duration = Duration::from_millis(if options.quick { 200 } else { 1_000 });
    cpu::burn(Duration::from_micros(1));
    let stop = Arc::new(AtomicBool::new(false));
    let hogs_stop = Arc::clone(&stop);
    let watch = Stopwatch::start();
    let (slices, mut late) = runtime.on_a_worker(async move {
        let hogs: Vec<_> = (0..hogs)
            .map(|_| runtime.spawn(hog(slice, Arc::clone(&hogs_stop))))
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
    let values = vec![
        milliseconds(quantile(&late, 0.5)),
        milliseconds(quantile(&late, 0.99)),
        share(slice, &sample),
    ];
    Ok(Measured::new(values, sample.cores()).with_curve(&late))
}

/// What the hogs would get if there were nothing else: a thread each, and no timer that could be late.
fn alone(options: &Options, hogs: usize, slice: Duration) -> Outcome {
    let duration = Duration::from_millis(if options.quick { 200 } else { 1_000 });
    cpu::burn(Duration::from_micros(1));
    let stop = AtomicBool::new(false);
    let watch = Stopwatch::start();
    let slices = std::thread::scope(|scope| {
        let hog = || {
            let mut slices = 0;
            while !stop.load(Ordering::Relaxed) {
                std::hint::black_box(cpu::burn(slice));
                slices += 1;
            }
            slices
        };
        let hogs: Vec<_> = (0..hogs).map(|_| scope.spawn(hog)).collect();
        cpu::settle(duration);
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter()
            .map(|hog| hog.join().expect("a hog only computes"))
            .sum()
    });
    let sample = watch.stop(slices);
    let values = vec![None, None, Some(share(slice, &sample))];
    Ok(Measured::new(values, sample.cores()))
}

/// The share of two cores that went into the hogs' slices.
fn share(slice: Duration, sample: &Sample) -> f64 {
    slice.as_secs_f64() * sample.per_second() / WORKERS as f64
}

fn entry<C: Contender, const HOGS: usize, const SLICE_MS: u64>() -> Entry {
    Entry {
        name: C::NAME,
        run: |options| measure::<C>(options, HOGS, Duration::from_millis(SLICE_MS)),
    }
}

fn case<const HOGS: usize, const SLICE_MS: u64>(name: &'static str) -> Case {
    Case {
        name,
        figures: vec![
            Figure::cost("ms, lateness p50 of a 5 ms timer"),
            Figure::cost("ms, lateness p99 of the same"),
            Figure::rate("share of two cores that the hogs' work got"),
        ],
        entries: vec![
            entry::<Heist, HOGS, SLICE_MS>(),
            entry::<Tokio, HOGS, SLICE_MS>(),
            entry::<TokioEager, HOGS, SLICE_MS>(),
            entry::<Smol, HOGS, SLICE_MS>(),
            Entry {
                name: "threads, alone",
                run: |options| alone(options, HOGS, Duration::from_millis(SLICE_MS)),
            },
        ],
    }
}

/// Two hogs leave a worker to the timer now and then, eight do not.
pub(crate) fn cases() -> [Case; 6] {
    [
        case::<2, 1>("hogs, 2 of 1 ms"),
        case::<2, 10>("hogs, 2 of 10 ms"),
        case::<2, 50>("hogs, 2 of 50 ms"),
        case::<8, 1>("hogs, 8 of 1 ms"),
        case::<8, 10>("hogs, 8 of 10 ms"),
        case::<8, 50>("hogs, 8 of 50 ms"),
    ]
}
