//! The project's own commands: `cargo xtask <command>`.
//!
//! This file only dispatches; each command is a function of the module that bears its name.
//! CI runs nothing but these commands, so that whatever fails there fails here too.

mod asyncio_coverage;
mod bench;
mod ci;
mod instructions;
mod loom;
mod oracle;
mod tidy;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::{Shell, cmd};

const USAGE: &str = "\
Usage: cargo xtask <command>

  check           before a push: fmt, clippy, tidy, doc, tests
  tidy            the house rules that a machine can watch (also a test)
  loom [filter]   the loom models, two preemptions deep (LOOM_MAX_PREEMPTIONS overrides)
  msrv            that the packages build with the oldest compiler they declare
  platforms       that the workspace type-checks for macOS and Windows (adds rustup targets)
  bench           every workload beside its peers; writes docs/performance.md and its plots
  bench --plots   writes them again from what the last such run measured
  bench --costs   the same, but measures before that what the safeguards cost
  bench --scaling the same, but measures before that with 1, 2, 4 … workers, as far as there are cores
  bench [args]    only prints; args go to the runner (NAME, --contender NAME, --quick, --rounds N, --workers N)
  instructions    what an operation costs in instructions, beside the record (--record writes it); needs valgrind
  oracle          regenerates the asyncio traces from CPython 3.13 (--check only compares)
  conformance     judges the facade on new programs (--programs N --seed S)
  asyncio-coverage  which of CPython's own tests are ported, file by file
  ci [job]        what CI runs: all jobs, or the one that is named";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sh = Shell::new()?;
    sh.change_dir(root());
    match args.as_slice() {
        ["check"] => ci::run(&sh, &ci::CHECK),
        ["tidy"] => tidy::run(&root()),
        ["loom"] => loom::run(&sh, None),
        ["loom", filter] => loom::run(&sh, Some(filter)),
        ["msrv"] => msrv(&sh),
        ["platforms"] => platforms(&sh),
        ["bench", rest @ ..] => bench::run(&sh, rest),
        ["instructions", rest @ ..] => instructions::run(&sh, rest),
        ["oracle", rest @ ..] => oracle::run(&owned(rest)),
        ["conformance", rest @ ..] => oracle::conformance(&owned(rest)),
        ["asyncio-coverage", rest @ ..] => asyncio_coverage::run(&owned(rest)),
        ["ci"] => ci::run(&sh, &ci::ALL),
        ["ci", job] => ci::run(&sh, &[ci::named(job)?]),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such command\n\n{USAGE}"),
    }
}

fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// Builds what users build, without the tests' and benches' dependencies, which may be newer.
fn msrv(sh: &Shell) -> Result<()> {
    let version = sh
        .read_file("Cargo.toml")?
        .lines()
        .find_map(|line| {
            Some(
                line.strip_prefix("rust-version = \"")?
                    .trim_end_matches('"')
                    .to_owned(),
            )
        })
        .context("the workspace declares no rust-version")?;
    let packages =
        ["heist", "heist-macros", "heist-compat", "heist-asyncio"].map(|name| format!("-p{name}"));
    let _env = sh.push_env("RUSTUP_TOOLCHAIN", format!("{version}.0"));
    cmd!(sh, "cargo check --target-dir target/msrv {packages...}").run()?;
    Ok(())
}

/// Checks types, lints nothing and runs nothing: what a machine without these systems can still say about them.
fn platforms(sh: &Shell) -> Result<()> {
    for target in ["aarch64-apple-darwin", "x86_64-pc-windows-gnu"] {
        cmd!(sh, "rustup target add {target}").run()?;
        cmd!(
            sh,
            "cargo check --workspace --all-targets --target {target} --target-dir target/platforms"
        )
        .run()?;
    }
    Ok(())
}

/// The workspace's folder: the parent of this package's.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
