//! The page's section on what the safeguards cost: the workloads that pay for one, built as they are and without it, in
//! turns.

use super::page::{number, put};
use super::{Figure, Kept, parse};
use anyhow::Result;
use std::path::PathBuf;
use xshell::{Shell, cmd};

const AS_IS: &str = "as_is";
/// The same once more: what the ratio of a thing to itself comes out as says how much to make of the others.
const AGAIN: &str = "as_is_again";

/// How the core is built: as it is, or with a cfg.
const BUILDS: [&str; 4] = [AS_IS, "heist_plain_slot", AGAIN, "heist_no_monitor"];

/// A safeguard, the build without it, and a workload that pays for it.
const ROWS: [(&str, &str, &str); 5] = [
    (
        "a LIFO slot that others can take from",
        "heist_plain_slot",
        "ping_pong",
    ),
    (
        "a LIFO slot that others can take from",
        "heist_plain_slot",
        "ping_pong_pairs",
    ),
    ("the monitor", "heist_no_monitor", "spawn_local"),
    ("the monitor", "heist_no_monitor", "yield_now"),
    ("the monitor", "heist_no_monitor", "yield_by_waking"),
];

/// Turns, in each of which every build has a process of its own, and the rounds of one process.
const TURNS: usize = 21;
const ROUNDS: &str = "5";

/// What one build kept of each turn.
pub(super) type Costs = Vec<(&'static str, Kept)>;

fn file(build: &str) -> PathBuf {
    crate::root().join(format!("target/bench-costs-{build}.tsv"))
}

pub(super) fn measure(sh: &Shell) -> Result<()> {
    for build in BUILDS {
        if file(build).exists() {
            std::fs::remove_file(file(build))?;
        }
        bench(sh, build, &["--no-run"])?;
    }
    for turn in 0..TURNS {
        // What a process finds depends on the one before it.
        let mut builds = BUILDS;
        builds.rotate_left(turn % BUILDS.len());
        for build in builds {
            let out = file(build).display().to_string();
            let mut args = vec!["--", "--contender", "heist", "--rounds", ROUNDS];
            args.extend(["--out", &out]);
            args.extend(ROWS.map(|(_, _, case)| case));
            bench(sh, build, &args)?;
        }
    }
    Ok(())
}

/// Each build has a target folder of its own, since the cfg changes every crate; as it is, it is there already.
fn bench(sh: &Shell, build: &str, args: &[&str]) -> Result<()> {
    let bench = cmd!(sh, "cargo bench --package heist-benches --bench throughput");
    let bench = match build {
        AS_IS | AGAIN => bench,
        cfg => {
            let rustflags = std::env::var("RUSTFLAGS").unwrap_or_default();
            bench
                .env("RUSTFLAGS", format!("{rustflags} --cfg {cfg}"))
                .args(["--target-dir", &format!("target/{cfg}")])
        }
    };
    bench.args(args).run()?;
    Ok(())
}

/// What the last run has kept, of each build.
pub(super) fn kept() -> Result<Costs> {
    BUILDS
        .into_iter()
        .filter(|build| file(build).exists())
        .map(|build| Ok((build, parse(&std::fs::read_to_string(file(build))?)?)))
        .collect()
}

/// A row for each workload, where both builds were measured.
pub(super) fn section(costs: &[(&'static str, Kept)]) -> String {
    let of = |build: &str, case: &str| -> Vec<&Figure> {
        let kept = costs.iter().filter(|(kept, _)| *kept == build);
        kept.flat_map(|(_, kept)| &kept.figures)
            .filter(|figure| figure.case == case)
            .collect()
    };
    let mut rows = String::new();
    for (safeguard, build, case) in ROWS {
        let (with, without) = (of(AS_IS, case), of(build, case));
        if with.is_empty() || without.is_empty() {
            continue;
        }
        let cell = |figures: &[&Figure]| {
            median(figures.iter().map(|figure| figure.median)).map_or_else(String::new, number)
        };
        put(
            &mut rows,
            format_args!(
                "| {case} | {} | {safeguard} | {} | {} | {} | {} | {} | {} |\n",
                with[0].unit,
                cell(&with),
                cell(&without),
                ratio(&with, &without),
                ratio(&with, &of(AGAIN, case)),
                least_ratio(&with, &without),
                least_ratio(&with, &of(AGAIN, case)),
            ),
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n## What the safeguards cost\n\n\
        What looks after tasks that are stuck behind a long poll, beside the same code built without it. The builds take \
        turns, each in a process of its own; medians of {TURNS} turns, and of the ratios of the two in one turn. The next \
        column is the same ratio for the code as it is and itself, which only chance keeps from 1. The last two are those of \
        the least time of all rounds, in which the machine was fast throughout.\n\n\
        | | | the safeguard | as is | without | as is / without | as is / as is | by the least | as is / as is |\n\
        |---|---|---|--:|--:|--:|--:|--:|--:|\n{rows}"
    )
}

/// The median over the turns.
fn ratio(these: &[&Figure], those: &[&Figure]) -> String {
    let ratios = these.iter().zip(those);
    median(ratios.map(|(this, that)| this.median / that.median))
        .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"))
}

/// Of the least of all turns.
fn least_ratio(these: &[&Figure], those: &[&Figure]) -> String {
    let least = |figures: &[&Figure]| {
        let all = figures.iter().map(|figure| figure.min);
        all.min_by(f64::total_cmp)
    };
    match (least(these), least(those)) {
        (Some(this), Some(that)) => format!("{:.3}", this / that),
        _ => "-".to_owned(),
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
