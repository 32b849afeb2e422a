//! Prints the figures of one workload, a contender a row.

use crate::sample::Spread;

/// What the numbers of a column mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Such as `ns/task`.
    pub unit: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
}

impl Figure {
    /// A cost: less is better.
    pub const fn cost(unit: &'static str) -> Self {
        Self {
            unit,
            more_is_better: false,
        }
    }

    /// A rate: more is better.
    pub const fn rate(unit: &'static str) -> Self {
        Self {
            unit,
            more_is_better: true,
        }
    }
}

/// One contender's figures.
#[derive(Debug)]
pub struct Row {
    /// The contender's name.
    pub name: &'static str,
    /// Its values over the rounds.
    pub spread: Spread,
    /// How many cores were busy, in the median.
    pub cores: Option<f64>,
}

/// Prints the rows; the first one is ours, unless it was left out, and each other row says how the first compares with it.
pub fn print(title: &str, figure: Figure, rows: &[Row]) {
    let better = if figure.more_is_better {
        "more"
    } else {
        "less"
    };
    println!("\n{title}: {}, {better} is better", figure.unit);
    println!(
        "{:<26}{:>12}{:>12}{:>12}{:>8}{:>14}",
        "", "median", "min", "max", "cores", "first/this"
    );
    for (index, row) in rows.iter().enumerate() {
        let cores = row
            .cores
            .map_or_else(|| "-".to_owned(), |cores| format!("{cores:.2}"));
        let ratio = match rows.first() {
            Some(ours) if index > 0 && row.spread.median > 0.0 => {
                format!("{:.2}", ours.spread.median / row.spread.median)
            }
            _ => String::new(),
        };
        println!(
            "{:<26}{:>12}{:>12}{:>12}{cores:>8}{ratio:>14}",
            row.name,
            number(row.spread.median),
            number(row.spread.min),
            number(row.spread.max),
        );
    }
}

/// Three significant digits are more than a run on one machine can claim.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
