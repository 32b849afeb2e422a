//! The page of tables.

use super::{Figure, Kept, in_order};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use xshell::Shell;

/// Whose versions the page names.
const RIVALS: [&str; 10] = [
    "tokio",
    "async-executor",
    "async-io",
    "blocking",
    "monoio",
    "compio",
    "rayon",
    "rayon-core",
    "chili",
    "forte",
];

/// The packages that were measured beside, with their versions.
pub(super) fn versions(sh: &Shell) -> Result<String> {
    let lock = sh
        .read_file("Cargo.lock")
        .context("the versions of the rivals")?;
    let versions = RIVALS.iter().filter_map(|&name| {
        let entry = lock
            .split("[[package]]")
            .find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")))?;
        let version = entry
            .lines()
            .find_map(|line| line.strip_prefix("version = \""))?;
        Some(format!("{name} {}", version.trim_end_matches('"')))
    });
    Ok(versions.collect::<Vec<_>>().join(", "))
}

/// What the README shows, and between which lines.
const HEADLINE: &str = "cpu_plus_io";
const BEGIN: &str = "<!-- headline, written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of the headline -->\n";

/// The README with the table that it opens with: a row a contender, a column a figure.
pub(super) fn with_headline(readme: &str, kept: &Kept) -> Result<String> {
    let (before, rest) = readme
        .split_once(BEGIN)
        .context("the README has no place for the headline")?;
    let (_, after) = rest
        .split_once(END)
        .context("the README's headline has no end")?;
    let figures: Vec<&Figure> = kept
        .figures
        .iter()
        .filter(|figure| figure.case == HEADLINE)
        .collect();
    let units = in_order(figures.iter().map(|figure| figure.unit.as_str()));
    let mut table = format!(
        "\n| | {} |\n|---|{}\n",
        units.join(" | "),
        "--:|".repeat(units.len())
    );
    for contender in in_order(figures.iter().map(|figure| figure.contender.as_str())) {
        let value = |unit: &&str| {
            let figure = figures
                .iter()
                .find(|figure| figure.contender == contender && figure.unit == *unit);
            figure.map_or_else(|| "-".to_owned(), |figure| number(figure.median))
        };
        let values: Vec<String> = units.iter().map(value).collect();
        put(
            &mut table,
            format_args!("| {contender} | {} |\n", values.join(" | ")),
        );
    }
    Ok(format!("{before}{BEGIN}{table}\n{END}{after}"))
}

/// The whole page. `plots` are cases that have one.
pub(super) fn write(versions: &str, kept: &Kept, plots: &[String]) -> String {
    let mut page = head(&kept.machine, versions);
    for case in in_order(kept.figures.iter().map(|figure| figure.case.as_str())) {
        let figures: Vec<&Figure> = kept
            .figures
            .iter()
            .filter(|figure| figure.case == case)
            .collect();
        put(&mut page, format_args!("\n## {case}\n"));
        for unit in in_order(figures.iter().map(|figure| figure.unit.as_str())) {
            let rows: Vec<&Figure> = figures
                .iter()
                .copied()
                .filter(|figure| figure.unit == unit)
                .collect();
            table(&mut page, unit, &rows);
        }
        for absent in kept.absent.iter().filter(|absent| absent.case == case) {
            let super::Absent { contender, why, .. } = absent;
            put(
                &mut page,
                format_args!("\nNo figure of {contender}: {why}.\n"),
            );
        }
        if plots.iter().any(|plot| plot == case) {
            let file = super::plot::file_name(case);
            put(
                &mut page,
                format_args!("\n![latencies of {case}](plots/{file})\n"),
            );
        }
    }
    page
}

fn head(machine: &str, versions: &str) -> String {
    format!(
        "# Performance\n\n\
        Written by `cargo xtask bench`: nothing here was typed in.\n\n\
        {machine}. {versions}.\n\n\
        The contenders take turns in one process, with the same number of workers, after a round of warm-up; each run \
        checks its result. The median, the smallest and the largest value of the rounds are given, and how many cores \
        were busy. The last column is the first row's median over this row's: where less is better, below 1 is a win for \
        the first row, which is always ours, and where more is better, above 1.\n"
    )
}

fn table(page: &mut String, unit: &str, rows: &[&Figure]) {
    let better = match rows.first() {
        Some(row) if row.more_is_better => "more",
        _ => "less",
    };
    put(
        page,
        format_args!(
            "\n{unit}; {better} is better\n\n\
            | | median | min | max | cores | first / this |\n|---|--:|--:|--:|--:|--:|\n"
        ),
    );
    for (index, row) in rows.iter().enumerate() {
        let cores = row
            .cores
            .map_or_else(|| "-".to_owned(), |cores| format!("{cores:.2}"));
        let ratio = match rows.first() {
            Some(ours) if index > 0 && row.median > 0.0 => {
                format!("{:.2}", ours.median / row.median)
            }
            _ => String::new(),
        };
        let [median, min, max] = [row.median, row.min, row.max].map(number);
        put(
            page,
            format_args!(
                "| {} | {median} | {min} | {max} | {cores} | {ratio} |\n",
                row.contender
            ),
        );
    }
}

pub(super) fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = page.write_fmt(text);
}

/// Three significant digits are more than a run on one machine can claim.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        huge if huge >= 1e6 => format!("{:.0} k", value / 1e3),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
