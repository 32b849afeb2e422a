//! The page's section on scaling: some workloads again with 1, 2, 4 … workers, as far as there are cores, in fewer
//! rounds.
//!
//! What was measured lies in `benches/scaling`, in the repository: a larger machine is seldom at hand, and on a smaller
//! one its runs stay.

use super::page::{number, put};
use super::{Figure, Kept, in_order, parse};
use anyhow::Result;
use std::path::PathBuf;
use xshell::{Shell, cmd};

const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];
/// In which bench, and which workloads of it: those that could use all workers.
const CASES: [(&str, &[&str]); 2] = [
    (
        "throughput",
        &[
            "spawn_local",
            "spawn_remote",
            "yield_now",
            "ping_pong_pairs",
            "timeout_cancelled",
            "tcp_echo",
            "http",
        ],
    ),
    ("forkjoin", &["fib", "sum", "sort"]),
];
const CONTENDERS: [&str; 4] = ["heist", "tokio", "smol, static", "rayon"];

/// The end of a unit that is a cost to each worker, all of which pay it at once.
const EACH_WORKER: &str = "on all workers at once";

/// The numbers of workers, each with the file that keeps what was measured.
fn runs() -> impl Iterator<Item = (usize, PathBuf)> {
    let kept = |workers| crate::root().join(format!("benches/scaling/{workers}.tsv"));
    WORKERS.map(|workers| (workers, kept(workers))).into_iter()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What is kept was measured with more workers than this machine has cores.
pub(super) fn is_of_a_larger_machine() -> Result<bool> {
    Ok(kept()?.iter().any(|&(workers, _)| workers > cores()))
}

pub(super) fn measure(sh: &Shell) -> Result<()> {
    sh.create_dir(crate::root().join("benches/scaling"))?;
    for (workers, kept) in runs() {
        if kept.exists() {
            std::fs::remove_file(&kept)?;
        }
        if workers > cores() {
            continue;
        }
        let workers = workers.to_string();
        for (bench, cases) in CASES {
            let contenders = CONTENDERS.map(|name| ["--contender", name]);
            let contenders = contenders.as_flattened();
            cmd!(
                sh,
                "cargo bench --package heist-benches --bench {bench} -- {cases...} {contenders...}
                --workers {workers} --rounds 3 --out {kept}"
            )
            .run()?;
        }
    }
    Ok(())
}

/// What the last run has kept, for each number of workers.
pub(super) fn kept() -> Result<Vec<(usize, Kept)>> {
    runs()
        .filter(|(_, kept)| kept.exists())
        .map(|(workers, kept)| Ok((workers, parse(&std::fs::read_to_string(kept)?)?)))
        .collect()
}

/// A row for each contender of each case, a column for each number of workers.
pub(super) fn section(runs: &[(usize, Kept)]) -> String {
    let mut section = String::new();
    let Some((_, first)) = runs.first() else {
        return section;
    };
    let workers: Vec<String> = runs
        .iter()
        .map(|(workers, _)| workers.to_string())
        .collect();
    put(
        &mut section,
        format_args!(
            "\n## Scaling\n\n\
            {}.\n\n\
            Medians of three rounds with so many workers, the cores that were busy, and the efficiency of a worker: \
            what all of them got done, over as many times what one did alone. When all workers of \
            heist are in one poll for long, a spare one takes part, so that one worker can keep more than a core busy.\n\n\
            | | | {} |\n|---|---|{}\n",
            first.machine,
            workers.join(" | "),
            "--:|".repeat(runs.len())
        ),
    );
    let all = || runs.iter().flat_map(|(_, kept)| &kept.figures);
    for case in in_order(all().map(|figure| figure.case.as_str())) {
        for contender in in_order(all().map(|figure| figure.contender.as_str())) {
            let of = |kept: &'_ Kept| {
                let same = |figure: &&Figure| figure.case == case && figure.contender == contender;
                kept.figures.iter().find(same).cloned()
            };
            let row: Vec<(usize, Option<Figure>)> = runs
                .iter()
                .map(|(workers, kept)| (*workers, of(kept)))
                .collect();
            if let Some(unit) = row
                .iter()
                .find_map(|(_, figure)| Some(&figure.as_ref()?.unit))
            {
                let cells = cells(&row);
                put(
                    &mut section,
                    format_args!("| {case}, {contender} | {unit} | {cells} |\n"),
                );
            }
        }
    }
    section
}

fn cells(row: &[(usize, Option<Figure>)]) -> String {
    let alone = row
        .iter()
        .find_map(|(workers, figure)| (*workers == 1).then_some(throughput(figure.as_ref()?, 1)));
    let cell = |(workers, figure): &(usize, Option<Figure>)| {
        let Some(figure) = figure else {
            return "-".to_owned();
        };
        let mut cell = number(figure.median);
        if let Some(cores) = figure.cores {
            put(&mut cell, format_args!(" on {cores:.2}"));
        }
        if let Some(alone) = alone.filter(|_| *workers > 1) {
            let efficiency = throughput(figure, *workers) / (*workers as f64 * alone);
            put(&mut cell, format_args!(": {efficiency:.2}"));
        }
        cell
    };
    row.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

/// What all workers get done in a unit of time.
fn throughput(figure: &Figure, workers: usize) -> f64 {
    match figure.more_is_better {
        true => figure.median,
        false if figure.unit.ends_with(EACH_WORKER) => workers as f64 / figure.median,
        false => 1.0 / figure.median,
    }
}
