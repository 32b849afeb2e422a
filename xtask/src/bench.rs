//! `cargo xtask bench`: runs the benches, and writes what they measured into `docs/performance.md` and `docs/plots`. No
//! figure in the docs comes from anywhere else.

mod costs;
mod page;
mod plot;
mod scaling;

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use xshell::{Shell, cmd};

/// One contender's figure of one case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    case: String,
    unit: String,
    more_is_better: bool,
    contender: String,
    median: f64,
    min: f64,
    max: f64,
    cores: Option<f64>,
}

/// One contender's latencies of one case, in microseconds, at the benches' quantiles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    case: String,
    contender: String,
    points: Vec<f64>,
}

/// A contender of a case that could not take part, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Absent {
    case: String,
    contender: String,
    why: String,
}

/// What a run of the benches kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Where and when.
    machine: String,
    figures: Vec<Figure>,
    curves: Vec<Curve>,
    absent: Vec<Absent>,
}

/// Everything, and then writes it down; `--plots` writes down what the last such run has kept, `--costs` measures
/// before that anew what the safeguards cost, and `--scaling` how it scales; other arguments are the runner's, and
/// nothing is written.
pub(crate) fn run(sh: &Shell, args: &[&str]) -> Result<()> {
    let kept = crate::root().join("target/bench.tsv");
    match args {
        [] => {
            if kept.exists() {
                std::fs::remove_file(&kept)?;
            }
            cmd!(sh, "cargo bench --package heist-benches -- --out {kept}").run()?;
            if scaling::is_of_a_larger_machine()? {
                println!("the runs in benches/scaling are of a larger machine, and stay");
            } else {
                scaling::measure(sh)?;
            }
            costs::measure(sh)?;
        }
        ["--scaling"] => scaling::measure(sh)?,
        ["--costs"] => costs::measure(sh)?,
        ["--plots"] => {}
        args => {
            cmd!(sh, "cargo bench --package heist-benches -- {args...}").run()?;
            return Ok(());
        }
    }
    let text = std::fs::read_to_string(&kept)
        .with_context(|| format!("{}: no run has kept anything yet", kept.display()))?;
    let kept = parse(&text)?;
    let sections = scaling::section(&scaling::kept()?) + &costs::section(&costs::kept()?);
    write(sh, &crate::root().join("docs"), &kept, &sections)
}

fn write(sh: &Shell, docs: &Path, kept: &Kept, sections: &str) -> Result<()> {
    ensure!(!kept.figures.is_empty(), "the run has kept no figure");
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    let drawn = plot::draw(&plots, kept)?;
    let page = page::write(&page::versions(sh)?, kept, &drawn);
    std::fs::write(docs.join("performance.md"), page + sections)?;
    let readme = sh.read_file("README.md")?;
    sh.write_file("README.md", page::with_headline(&readme, kept)?)?;
    println!("docs/performance.md and {} plots", drawn.len());
    Ok(())
}

/// Reads the lines that the benches' `--out` writes.
fn parse(text: &str) -> Result<Kept> {
    let mut kept = Kept::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["machine", machine] => kept.machine = (*machine).to_owned(),
            [
                "figure",
                case,
                unit,
                more,
                contender,
                median,
                min,
                max,
                cores,
            ] => {
                kept.figures.push(Figure {
                    case: (*case).to_owned(),
                    unit: (*unit).to_owned(),
                    more_is_better: more.parse()?,
                    contender: (*contender).to_owned(),
                    median: median.parse()?,
                    min: min.parse()?,
                    max: max.parse()?,
                    cores: cores.parse().ok(),
                });
            }
            ["absent", case, contender, why] => kept.absent.push(Absent {
                case: (*case).to_owned(),
                contender: (*contender).to_owned(),
                why: (*why).to_owned(),
            }),
            ["curve", case, contender, points @ ..] => kept.curves.push(Curve {
                case: (*case).to_owned(),
                contender: (*contender).to_owned(),
                points: points
                    .iter()
                    .map(|point| point.parse())
                    .collect::<Result<_, _>>()?,
            }),
            _ => bail!("not a line of the benches: {line:?}"),
        }
    }
    Ok(kept)
}

/// The distinct values, in the order in which they first come.
fn in_order<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_benches_keep_is_read_and_becomes_a_page() {
        let text = "machine\t2 processors of a kind\n\
            figure\tspawn\tns/task\tfalse\theist\t100\t90\t120\t1.5\n\
            figure\tspawn\tns/task\tfalse\ttokio\t200\t150\t300\t\n\
            absent\tspawn\tmonoio\tno io_uring here\n\
            curve\techo\theist\t1\t2\t3\n";
        let kept = parse(text).unwrap();
        assert_eq!((kept.figures.len(), kept.curves.len()), (2, 1));
        assert_eq!(kept.figures[1].cores, None);
        let page = page::write("tokio 1.0.0", &kept, &[]);
        assert!(
            page.contains("2 processors of a kind. tokio 1.0.0."),
            "{page}"
        );
        assert!(
            page.contains("| heist | 100 | 90.0 | 120 | 1.50 |  |"),
            "{page}"
        );
        assert!(
            page.contains("| tokio | 200 | 150 | 300 | - | 0.50 |"),
            "{page}"
        );
        assert!(
            page.contains("\nNo figure of monoio: no io_uring here.\n"),
            "{page}"
        );
        assert!(parse("figure\tspawn\n").is_err());
    }

    #[test]
    fn efficiency_is_of_what_all_workers_get_done() {
        let run = |workers, spawn, timeout, echo| {
            let text = format!(
                "machine\t16 processors\nfigure\tspawn_local\tns/task\tfalse\theist\t{spawn}\t1\t1\t\n\
                figure\ttimeout_cancelled\tns/timeout, on all workers at once\tfalse\theist\t{timeout}\t1\t1\t\n\
                figure\ttcp_echo\tmessages/s\ttrue\theist\t{echo}\t1\t1\t\n"
            );
            (workers, parse(&text).unwrap())
        };
        let section = scaling::section(&[run(1, 100, 50, 1_000), run(4, 50, 100, 3_000)]);
        assert!(section.contains("16 processors"), "{section}");
        for row in [
            "| spawn_local, heist | ns/task | 100 | 50.0: 0.50 |",
            "| timeout_cancelled, heist | ns/timeout, on all workers at once | 50.0 | 100: 0.50 |",
            "| tcp_echo, heist | messages/s | 1000 | 3000: 0.75 |",
        ] {
            assert!(section.contains(row), "{section}");
        }
        assert_eq!(scaling::section(&[]), "");
    }

    #[test]
    fn what_a_safeguard_costs_is_the_median_of_what_it_costs_in_a_turn() {
        let turns = |case: &str, medians: &[u32]| {
            let line = |median: &u32| {
                let min = median - 10;
                format!("figure\t{case}\tns\tfalse\theist\t{median}\t{min}\t1\t\n")
            };
            parse(&medians.iter().map(line).collect::<String>()).unwrap()
        };
        let section = costs::section(&[
            ("as_is", turns("ping_pong", &[110, 330, 220])),
            ("heist_plain_slot", turns("ping_pong", &[100, 300, 220])),
            ("as_is_again", turns("ping_pong", &[100, 330, 230])),
            ("heist_no_monitor", turns("yield_now", &[50])),
        ]);
        let row = "| ping_pong | ns | a LIFO slot that others can take from | 220 | 220 | 1.100 | 1.000 | 1.111 | 1.111 |";
        assert!(section.contains(row), "{section}");
        assert!(!section.contains("yield_now"), "{section}");
        assert_eq!(costs::section(&[]), "");
    }

    #[test]
    fn the_headline_takes_the_place_of_the_last_one() {
        let readme = std::fs::read_to_string(crate::root().join("README.md")).unwrap();
        let kept = parse(
            "figure\tcpu_plus_io\tp50\tfalse\theist\t50\t1\t2\t\n\
            figure\tcpu_plus_io\tp50\tfalse\ttokio\t70\t1\t2\t\n",
        );
        let once = page::with_headline(&readme, &kept.unwrap()).unwrap();
        assert!(
            once.contains("| heist | 50.0 |\n| tokio | 70.0 |"),
            "{once}"
        );
        let again = page::with_headline(&once, &Kept::default()).unwrap();
        assert!(!again.contains("| tokio | 70.0 |"));
        assert!(page::with_headline("no place", &Kept::default()).is_err());
    }
}
