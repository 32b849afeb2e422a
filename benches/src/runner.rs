//! Runs cases in rounds, the contenders in turn, and prints what came of it.

use crate::machine;
use crate::sample::{Spread, quantile};
use crate::table::{self, Figure, Row};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only cases whose name contains one of these, if there are any.
    pub names: Vec<String>,
    /// Only contenders that are called one of these, if there are any.
    pub contenders: Vec<String>,
    /// One short round, to see that all works.
    pub quick: bool,
    /// Worker threads of each runtime.
    pub workers: usize,
    /// Rounds after the warm-up.
    pub rounds: usize,
    /// Where the figures go as well, for `cargo xtask bench`.
    pub out: Option<PathBuf>,
}

const USAGE: &str = "\
Usage: cargo bench -- [NAME]... [--contender NAME]... [--quick] [--rounds N] [--workers N]

  NAME              only what has NAME in its name
  --contender NAME  only the contender that is called NAME
  --quick           one short round: it checks the results, its figures mean little
  --rounds N        rounds after the warm-up (5)
  --workers N       worker threads of each runtime (one a core)
  --out FILE        appends the figures to a file, tab-separated";

impl Options {
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::{Long, Short, Value, ValueExt};
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let mut options = Self {
            names: Vec::new(),
            contenders: Vec::new(),
            quick: false,
            workers,
            rounds: 5,
            out: None,
        };
        while let Some(arg) = parser.next()? {
            match arg {
                Value(name) => options.names.push(name.string()?),
                Long("contender") => options.contenders.push(parser.value()?.string()?),
                Long("quick") => options.quick = true,
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("out") => options.out = Some(parser.value()?.into()),
                Long("workers") => options.workers = parser.value()?.parse()?,
                // Cargo adds it.
                Long("bench") => {}
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if options.quick {
            options.rounds = 1;
        }
        if options.rounds == 0 || options.workers == 0 {
            return Err("a number of rounds or workers is at least one".into());
        }
        Ok(Some(options))
    }

    /// `full`, or a twentieth of it where the run is to be quick.
    pub fn scaled(&self, full: u64) -> u64 {
        if self.quick { (full / 20).max(1) } else { full }
    }

    fn wants(&self, case: &Case) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| case.name.contains(name))
    }

    fn wants_of(&self, entry: &Entry) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|name| name == entry.name)
    }
}

/// One run's value of each of the case's figures, and the cores that were busy; or why the run does not count.
pub type Outcome = Result<Measured, String>;

/// What one run measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// In the order of the case's figures; `None` where one makes no sense for the contender.
    pub values: Vec<Option<f64>>,
    /// How many cores were busy.
    pub cores: Option<f64>,
    /// Where the case is about latency: what it was at each of [`QUANTILES`], in microseconds.
    pub curve: Vec<f64>,
    /// Why there is no figure, where the contender cannot take part here.
    pub absent: Option<String>,
}

impl Measured {
    /// Figures without a curve.
    pub fn new(values: Vec<impl Into<Option<f64>>>, cores: Option<f64>) -> Self {
        Self {
            values: values.into_iter().map(Into::into).collect(),
            cores,
            curve: Vec::new(),
            absent: None,
        }
    }

    /// Nothing: on this machine the contender cannot take part.
    pub fn absent(why: String) -> Self {
        Self {
            absent: Some(why),
            ..Self::new(Vec::<f64>::new(), None)
        }
    }

    /// With the curve of these latencies, which are sorted.
    #[must_use]
    pub fn with_curve(mut self, latencies: &[Duration]) -> Self {
        let at = |&share: &f64| quantile(latencies, share).as_secs_f64() * 1e6;
        self.curve = QUANTILES.iter().map(at).collect();
        self
    }
}

/// The shares at which a curve is drawn.
pub const QUANTILES: [f64; 12] = [
    0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0,
];

/// One contender's way to run a case.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The contender's name.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&Options) -> Outcome,
}

/// A workload, with those who run it: ours first.
#[derive(Debug)]
pub struct Case {
    /// What the command line calls it.
    pub name: &'static str,
    /// What a run gives.
    pub figures: Vec<Figure>,
    /// Who runs it, in turn.
    pub entries: Vec<Entry>,
}

/// Runs what the command line asks for. Fails if a run failed its check, or if nothing was asked for that there is.
pub fn main(cases: &[Case]) -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let wanted: Vec<&Case> = cases.iter().filter(|case| options.wants(case)).collect();
    println!(
        "{} workers, {} rounds after a warm-up{}",
        options.workers,
        options.rounds,
        if options.quick {
            "; quick: the figures mean little"
        } else {
            ""
        },
    );
    if let Err(error) = options.out.as_ref().map_or(Ok(()), begin) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut failed = 0;
    for case in wanted {
        if let Err(error) = run(case, &options) {
            println!("\n{}: no figure: {error}", case.name);
            failed += 1;
        }
    }
    if failed > 0 {
        eprintln!("{failed} workloads failed their check");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(case: &Case, options: &Options) -> Result<(), String> {
    let entries: Vec<&Entry> = case
        .entries
        .iter()
        .filter(|entry| options.wants_of(entry))
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let mut measured: Vec<Vec<Measured>> = entries.iter().map(|_| Vec::new()).collect();
    // The first round warms up caches, pools and the allocator.
    for round in 0..=options.rounds {
        for (entry, measured) in entries.iter().zip(&mut measured) {
            let outcome =
                (entry.run)(options).map_err(|error| format!("{}: {error}", entry.name))?;
            if let Some(why) = outcome.absent.as_ref().filter(|_| round == 0) {
                println!("\n{}: no figure of {}: {why}", case.name, entry.name);
                if let Some(out) = &options.out {
                    keep(
                        out,
                        &format!("absent\t{}\t{}\t{why}\n", case.name, entry.name),
                    )?;
                }
            }
            if round > 0 && outcome.absent.is_none() {
                measured.push(outcome);
            }
        }
    }
    for (index, figure) in case.figures.iter().enumerate() {
        let rows: Vec<Row> = entries
            .iter()
            .zip(&measured)
            .filter_map(|(entry, measured)| {
                let spread = Spread::of(measured.iter().filter_map(|run| run.values[index]))?;
                let cores = Spread::of(measured.iter().filter_map(|run| run.cores));
                Some(Row {
                    name: entry.name,
                    spread,
                    cores: cores.map(|cores| cores.median),
                })
            })
            .collect();
        table::print(case.name, *figure, &rows);
        if let Some(out) = &options.out {
            keep(out, &lines(case.name, *figure, &rows))?;
        }
    }
    if let Some(out) = &options.out {
        keep(out, &curves(case.name, &entries, &measured))?;
    }
    Ok(())
}

/// A line each: `figure`, the case, the unit, whether more is better, the contender, median, minimum, maximum, cores.
fn lines(case: &str, figure: Figure, rows: &[Row]) -> String {
    let mut lines = String::new();
    for row in rows {
        let Spread { median, min, max } = row.spread;
        let cores = row
            .cores
            .map_or_else(String::new, |cores| cores.to_string());
        let more = figure.more_is_better;
        let (unit, name) = (figure.unit, row.name);
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            "figure\t{case}\t{unit}\t{more}\t{name}\t{median}\t{min}\t{max}\t{cores}"
        );
    }
    lines
}

/// A line each: `curve`, the case, the contender, and the median over the rounds at each quantile.
fn curves(case: &str, entries: &[&Entry], measured: &[Vec<Measured>]) -> String {
    let mut lines = String::new();
    for (entry, runs) in entries.iter().zip(measured) {
        let points = (0..QUANTILES.len()).filter_map(|at| {
            let spread = Spread::of(runs.iter().filter_map(|run| run.curve.get(at).copied()))?;
            Some(spread.median.to_string())
        });
        let points: Vec<String> = points.collect();
        if !points.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "curve\t{case}\t{}\t{}",
                entry.name,
                points.join("\t")
            );
        }
    }
    lines
}

/// Heads a new file with where it was measured.
fn begin(out: &PathBuf) -> Result<(), String> {
    if out.exists() {
        return Ok(());
    }
    keep(out, &format!("machine\t{}\n", machine::describe()))
}

fn keep(out: &PathBuf, lines: &str) -> Result<(), String> {
    let file = std::fs::File::options().create(true).append(true).open(out);
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(|error| format!("{}: {error}", out.display()))
}
