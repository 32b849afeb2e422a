//! `cargo xtask oracle` and `cargo xtask conformance`: the scenario programs and their judge, CPython 3.13.
//!
//! `oracle` regenerates the committed programs and traces (`--check` only compares); `conformance --programs N --seed
//! S` makes new programs, and compares the scenario runner with CPython. Both need a Python 3.13: `$PYTHON313`,
//! `python3.13`, or a `python3` of that version; where there is none they say so.

use std::process::Command;

const DIFF: &str = "crates/heist-asyncio/tests/diff";

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let Some(python) = find_python() else {
        println!(
            "no Python 3.13 at hand (set PYTHON313 to one): the committed traces stay as they are"
        );
        return Ok(());
    };
    status(
        Command::new(python)
            .arg("collect.py")
            .args(args)
            .current_dir(DIFF),
    )
}

/// `cargo xtask conformance`.
pub(crate) fn conformance(args: &[String]) -> anyhow::Result<()> {
    let Some(python) = find_python() else {
        println!("no Python 3.13 at hand (set PYTHON313 to one): nothing was judged");
        return Ok(());
    };
    status(Command::new("cargo").args([
        "build",
        "--release",
        "-p",
        "heist-asyncio",
        "--example",
        "scenario",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| "target".into(), std::path::PathBuf::from);
    let runner = std::path::absolute(target.join("release/examples/scenario"))?;
    status(
        Command::new(python)
            .arg("conform.py")
            .arg(runner)
            .args(args)
            .current_dir(DIFF),
    )
}

fn status(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// A Python 3.13, where there is one.
fn find_python() -> Option<String> {
    let named = std::env::var("PYTHON313").ok();
    named
        .into_iter()
        .chain(["python3.13", "python3"].map(str::to_owned))
        .find(|python| {
            let version = Command::new(python).arg("--version").output();
            version.is_ok_and(|output| output.stdout.starts_with(b"Python 3.13."))
        })
}
