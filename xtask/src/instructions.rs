//! `cargo xtask instructions`: what an operation costs in instructions, by valgrind's callgrind, beside what is on
//! record. Unlike times they hardly depend on what else the machine does, so a rise is a change of the code.
//!
//! The record, `benches/instructions.tsv`, holds for one compiler and one C library: it is written anew (`--record`) where
//! these change, and in a change that is worth its price.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use xshell::{Shell, cmd};

const OPERATIONS: [&str; 7] = [
    "spawn",
    "chained",
    "yield_now",
    "wake_by_ref",
    "message",
    "timeout",
    "echo",
];
const RECORD: &str = "benches/instructions.tsv";
/// What a cost may rise by: more than the monitor's few looks, which depend on time, can make of it.
const TOLERANCE: f64 = 1.05;
/// Thousands of operations in the two runs whose difference counts.
const RUNS: [u32; 2] = [2, 12];
const TRIES: u32 = 3;

pub(crate) fn run(sh: &Shell, args: &[&str]) -> Result<()> {
    ensure!(
        args.is_empty() || args == ["--record"],
        "the only argument is --record"
    );
    ensure!(
        cmd!(sh, "valgrind --version")
            .quiet()
            .ignore_stdout()
            .run()
            .is_ok(),
        "valgrind is not installed: it counts the instructions"
    );
    cmd!(
        sh,
        "cargo build --release --package heist-benches --example operations"
    )
    .run()?;
    let mut costs = Vec::new();
    for operation in OPERATIONS {
        let mut least = f64::INFINITY;
        // What the machine adds, it adds: the least is nearest to the code's own.
        for _ in 0..TRIES {
            let [few, many] = RUNS.map(|count| collected(sh, operation, count));
            let operations = 1_000 * (RUNS[1] - RUNS[0]);
            least = least.min((many? - few?) / f64::from(operations));
        }
        costs.push((operation, least));
    }
    if args == ["--record"] {
        sh.write_file(RECORD, written(&costs))?;
        println!("{RECORD} is written");
        return Ok(());
    }
    let record = sh
        .read_file(RECORD)
        .context("there is no record: --record writes one")?;
    let mut risen = Vec::new();
    println!(
        "{:<14}{:>12}{:>12}{:>8}",
        "instructions", "now", "record", "ratio"
    );
    for &(operation, cost) in &costs {
        let recorded = recorded(&record, operation)?;
        println!(
            "{operation:<14}{cost:>12.0}{recorded:>12.0}{:>8.2}",
            cost / recorded
        );
        if cost > recorded * TOLERANCE {
            risen.push(operation);
        }
    }
    system_calls(sh)?;
    ensure!(
        risen.is_empty(),
        "dearer by more than 5 %: {}; if it is worth that, --record says so",
        risen.join(", ")
    );
    Ok(())
}

/// What an echo over one connection asks of the kernel, where strace can be had. For the eye: a runtime that waits for
/// each answer makes as many calls as the machine's speed wants.
fn system_calls(sh: &Shell) -> Result<()> {
    const ECHOES: u32 = 5_000;
    let count = (ECHOES / 1_000).to_string();
    let traced = cmd!(
        sh,
        "strace -f -c target/release/examples/operations echo {count}"
    );
    let Ok(output) = traced.quiet().ignore_status().output() else {
        println!("strace is not installed: no system calls");
        return Ok(());
    };
    println!("{:<14}{:>12}", "an echo", "calls");
    for (call, calls) in calls(&String::from_utf8_lossy(&output.stderr)) {
        let each = calls / f64::from(ECHOES);
        if each >= 0.01 {
            println!("{call:<14}{each:>12.2}");
        }
    }
    Ok(())
}

/// The rows of strace's table: the call, and how often it was made.
fn calls(table: &str) -> Vec<(String, f64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let calls = fields.get(3)?.parse().ok()?;
        let call = *fields.last()?;
        (call != "total" && fields.len() >= 5).then(|| (call.to_owned(), calls))
    };
    table.lines().filter_map(row).collect()
}

/// All instructions of one run.
fn collected(sh: &Shell, operation: &str, count: u32) -> Result<f64> {
    let count = count.to_string();
    let output = cmd!(
        sh,
        "valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/operations {operation} {count}"
    )
    .quiet()
    .output()?;
    ensure!(output.status.success(), "{operation} failed under valgrind");
    parse(&String::from_utf8_lossy(&output.stderr))
        .with_context(|| format!("{operation}: valgrind said no number"))
}

/// The number after `Collected :`.
fn parse(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn written(costs: &[(&str, f64)]) -> String {
    let mut text = String::new();
    for (operation, cost) in costs {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{operation}\t{cost:.0}");
    }
    text
}

fn recorded(record: &str, operation: &str) -> Result<f64> {
    let cost = record.lines().find_map(|line| {
        line.strip_prefix(operation)?
            .strip_prefix('\t')?
            .parse()
            .ok()
    });
    cost.with_context(|| format!("{operation} is not on record: --record writes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let record = written(&[("spawn", 800.4), ("spawn_more", 7.0)]);
        assert_eq!(recorded(&record, "spawn").unwrap(), 800.0);
        assert_eq!(recorded(&record, "spawn_more").unwrap(), 7.0);
        assert!(recorded(&record, "yield_now").is_err());
    }

    #[test]
    fn the_calls_are_read() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             83.78    1.014921        1086       934       910 futex\n\
              7.03    0.085192           8     10000           sendto\n\
            100.00    1.100113          76     10934       910 total\n";
        let read = [("futex".to_owned(), 934.0), ("sendto".to_owned(), 10_000.0)];
        assert_eq!(calls(table), read);
    }

    #[test]
    fn the_number_is_found() {
        assert_eq!(
            parse("==1== Events    : Ir\n==1== Collected : 1234\n"),
            Some(1234.0)
        );
        assert_eq!(parse("nothing"), None);
    }
}
