//! Ten planted stalls among ten thousand tasks: are all of them named in time, and no other? No rival reports stalls.

use heist_benches::cpu;
use heist_benches::runner::{Case, Entry, Measured, Options, Outcome};
use heist_benches::sample::{Stopwatch, now};
use heist_benches::table::Figure;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TASKS: u64 = 10_000;
const LIMIT: Duration = Duration::from_millis(25);
/// Milliseconds.
const STALLS: [u64; 10] = [50, 60, 80, 100, 200, 300, 500, 1_000, 2_000, 5_000];

/// What was reported: the task's name, and how long the poll had lasted.
type Report = (Option<String>, Duration);

async fn background(number: u64, end: std::time::Instant) {
    while now() < end {
        std::hint::black_box(cpu::burn(Duration::from_micros(2)));
        heist::time::sleep(Duration::from_millis(200 + number % 800)).await;
    }
}

fn run(options: &Options, stalls: &[u64]) -> Result<(Vec<Report>, Option<f64>), String> {
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let kept = Arc::clone(&reports);
    let runtime = heist::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .on_stall(LIMIT, move |stall| {
            let report = (stall.name().map(str::to_owned), stall.lasted());
            kept.lock()
                .expect("nothing panics while it is locked")
                .push(report);
        })
        .build()
        .map_err(|error| error.to_string())?;
    let tasks = options.scaled(TASKS);
    let end = now() + Duration::from_millis(if options.quick { 300 } else { 3_000 });
    let watch = Stopwatch::start();
    let background: Vec<_> = (0..tasks)
        .map(|number| runtime.spawn(background(number, end)))
        .collect();
    for &milliseconds in stalls {
        let task = heist::task::Builder::new().name(format!("stalls {milliseconds}"));
        let _inside = runtime.enter();
        let stall = task.spawn(async move { cpu::block(Duration::from_millis(milliseconds)) });
        runtime.block_on(stall).map_err(|error| error.to_string())?;
    }
    runtime.block_on(async {
        for task in background {
            task.await.expect("no task of a workload fails");
        }
    });
    let sample = watch.stop(tasks);
    drop(runtime);
    let reports = std::mem::take(&mut *reports.lock().expect("nothing panics while it is locked"));
    Ok((reports, sample.cores()))
}

fn measure(options: &Options) -> Outcome {
    let stalls = match options.quick {
        true => &STALLS[..4],
        false => &STALLS[..],
    };
    let (planted, cores) = run(options, stalls)?;
    let (clean, _) = run(options, &[])?;
    let is_planted =
        |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with("stalls"));
    let named = planted.iter().filter(|(name, _)| is_planted(name)).count();
    let slowest = planted
        .iter()
        .map(|(_, lasted)| *lasted)
        .max()
        .unwrap_or_default();
    let others = planted.len() - named + clean.len();
    let share = named as f64 / stalls.len() as f64;
    let late = slowest.as_secs_f64() / LIMIT.as_secs_f64();
    Ok(Measured::new(vec![share, late, others as f64], cores))
}

pub(crate) fn case() -> Case {
    Case {
        name: "stalls",
        figures: vec![
            Figure::rate("share of the planted stalls that was named"),
            Figure::cost("limits that the last of them had lasted when it was named"),
            Figure::cost(
                "stalls reported that nobody planted, the machine's own preemptions among them",
            ),
        ],
        entries: vec![Entry {
            name: "heist",
            run: measure,
        }],
    }
}
