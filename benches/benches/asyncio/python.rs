//! CPython as a contender: the script beside this file, in a process of its own.

use crate::{Workload, measured};
use heist_benches::Sample;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/asyncio/workloads.py");

/// A Python 3.13.
struct Python {
    command: String,
    has_uvloop: bool,
}

fn python() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let named = std::env::var("PYTHON313").ok();
            let on_path = ["python3.13", "python3"].map(str::to_owned);
            let command = named.into_iter().chain(on_path).find(|command| {
                let version = Command::new(command).arg("--version").output();
                version.is_ok_and(|output| output.stdout.starts_with(b"Python 3.13."))
            })?;
            let import = Command::new(&command)
                .args(["-c", "import uvloop"])
                .output();
            Some(Python {
                command,
                has_uvloop: import.is_ok_and(|output| output.status.success()),
            })
        })
        .as_ref()
}

/// The rows of CPython, with asyncio's own event loop and with uvloop.
pub(crate) fn entries<W: Workload>() -> Vec<Entry> {
    vec![
        Entry {
            name: "CPython asyncio",
            run: |options| run::<W>("asyncio", options),
        },
        Entry {
            name: "CPython uvloop",
            run: |options| run::<W>("uvloop", options),
        },
    ]
}

fn absent(why: &str) -> Measured {
    Measured::absent(why.to_owned())
}

/// Runs the script, which checks its own result and prints the seconds that passed and those that it computed.
fn run<W: Workload>(event_loop: &str, options: &Options) -> Outcome {
    let python = match python() {
        None => return Ok(absent("no Python 3.13 at hand (set PYTHON313 to one)")),
        Some(python) if event_loop == "uvloop" && !python.has_uvloop => {
            return Ok(absent("the Python 3.13 at hand has no uvloop"));
        }
        Some(python) => python,
    };
    let operations = options.scaled(W::PYTHON_OPERATIONS);
    let output = Command::new(&python.command)
        .args([SCRIPT, event_loop, W::NAME, &operations.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut seconds = text.split_whitespace().map(str::parse::<f64>);
    match (seconds.next(), seconds.next()) {
        (Some(Ok(elapsed)), Some(Ok(cpu))) => Ok(measured(Sample {
            operations,
            elapsed: Duration::from_secs_f64(elapsed),
            cpu: Some(Duration::from_secs_f64(cpu)),
        })),
        _ => Err(format!("the script printed {text:?}")),
    }
}
