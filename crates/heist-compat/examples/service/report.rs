//! The table at the end of a run that drove itself.

use crate::load::{self, Load};
use std::fmt::Write;
use std::time::Duration;

/// How many errors are shown in full.
const SHOWN_ERRORS: usize = 5;

pub(crate) fn table(load: &Load, busy_share: f64) -> String {
    let seconds = load.elapsed.as_secs_f64();
    let mut text = format!(
        "\n{} connections at {} requests/s on /, {} clients in a loop on /work?ms={}, {seconds:.1} s\n\n",
        load::STEADY_CLIENTS,
        load::STEADY_RATE,
        load::WORK_CLIENTS,
        load::WORK_MS,
    );
    let mut row = |name: &str, value: String| {
        writeln!(text, "{name:<28}{value:>14}").expect("a String takes any text");
    };
    row(
        "/ requests/s",
        format!("{:.0}", load.latencies.len() as f64 / seconds),
    );
    row(
        "/ latency p50",
        milliseconds(quantile(&load.latencies, 0.5)),
    );
    row(
        "/ latency p99",
        milliseconds(quantile(&load.latencies, 0.99)),
    );
    row(
        "/ latency p99.9",
        milliseconds(quantile(&load.latencies, 0.999)),
    );
    row(
        "/ latency worst",
        milliseconds(load.latencies.last().copied()),
    );
    row(
        "/work CPU jobs/s",
        format!("{:.0}", load.jobs as f64 / seconds),
    );
    row(
        "workers' busy share",
        format!("{:.1} %", busy_share * 100.0),
    );
    row("errors", load.errors().len().to_string());
    for error in load.errors().iter().take(SHOWN_ERRORS) {
        writeln!(text, "  {error}").expect("a String takes any text");
    }
    text
}

/// The smallest value that at least `share` of all values do not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "-".to_owned(),
        |duration| format!("{:.3} ms", duration.as_secs_f64() * 1e3),
    )
}
