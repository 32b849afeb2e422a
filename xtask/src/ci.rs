//! `cargo xtask ci` and `cargo xtask check`: the jobs, in the order in which they are cheap to fail.
//!
//! A job is a name and a function. The workflow files and `.ci/run` name jobs and hold no logic of their own.

use crate::{loom, root, tidy};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::{Duration, SystemTime};
use xshell::{Shell, cmd};

/// The command that the README gives for the tests; `tidy` checks that the README still says so.
pub(crate) const TEST_COMMAND: &str = "cargo test --workspace";
/// The command that the README gives for the main job.
pub(crate) const MAIN_COMMAND: &str = "cargo run --release --example service";

/// Examples that are tools of a test: they take arguments, and the test runs them.
const TOOLS: [&str; 1] = ["scenario"];

/// One thing that CI runs.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

const FMT: Job = Job {
    name: "fmt",
    run: fmt,
};
const CLIPPY: Job = Job {
    name: "clippy",
    run: clippy,
};
const TIDY: Job = Job {
    name: "tidy",
    run: |_| tidy::run(&root()),
};
const DOC: Job = Job {
    name: "doc",
    run: doc,
};
const TEST: Job = Job {
    name: "test",
    run: test,
};
const LOOM: Job = Job {
    name: "loom",
    run: |sh| loom::run(sh, None),
};
const EXAMPLES: Job = Job {
    name: "examples",
    run: examples,
};
const BENCH: Job = Job {
    name: "bench",
    run: bench,
};

pub(crate) const CHECK: [Job; 5] = [FMT, TIDY, CLIPPY, DOC, TEST];
pub(crate) const ALL: [Job; 8] = [FMT, TIDY, CLIPPY, DOC, TEST, LOOM, EXAMPLES, BENCH];

pub(crate) fn named(name: &str) -> Result<Job> {
    let names = ALL.map(|job| job.name).join(", ");
    ALL.into_iter()
        .find(|job| job.name == name)
        .with_context(|| format!("no job {name:?}: the jobs are {names}"))
}

/// Runs `jobs` one after another and stops at the first that fails.
pub(crate) fn run(sh: &Shell, jobs: &[Job]) -> Result<()> {
    let mut times = Vec::new();
    for job in jobs {
        println!("\n=== {} ===", job.name);
        let start = SystemTime::now();
        let outcome = (job.run)(sh);
        let took = start.elapsed().unwrap_or(Duration::ZERO);
        outcome.with_context(|| format!("job {} failed after {}", job.name, seconds(took)))?;
        println!("=== {}: ok, {} ===", job.name, seconds(took));
        times.push((job.name, took));
    }
    println!();
    for (name, took) in &times {
        println!("{name:>10}  {:>8}", seconds(*took));
    }
    let total = times.iter().map(|(_, took)| *took).sum();
    println!("{:>10}  {:>8}", "all", seconds(total));
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn fmt(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    Ok(())
}

fn clippy(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings").run()?;
    cmd!(
        sh,
        "cargo clippy --package heist --all-targets --features tracing -- -D warnings"
    )
    .run()?;
    cmd!(
        sh,
        "cargo clippy --package heist-compat --all-targets --features orx-parallel -- -D warnings"
    )
    .run()?;
    Ok(())
}

fn doc(sh: &Shell) -> Result<()> {
    let _env = sh.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(sh, "cargo doc --workspace --no-deps").run()?;
    Ok(())
}

/// Runs what the README says, word for word, and then what is behind a feature.
fn test(sh: &Shell) -> Result<()> {
    words(sh, TEST_COMMAND)?;
    cmd!(
        sh,
        "cargo test --package heist --features tracing --test tracing"
    )
    .run()?;
    for target in ["--test=orx", "--doc"] {
        cmd!(
            sh,
            "cargo test --package heist-compat --features orx-parallel {target}"
        )
        .run()?;
    }
    Ok(())
}

fn words(sh: &Shell, command: &str) -> Result<()> {
    let words: Vec<&str> = command.split(' ').collect();
    let [program, args @ ..] = words.as_slice() else {
        bail!("the command is empty")
    };
    cmd!(sh, "{program} {args...}").run()?;
    Ok(())
}

/// Runs each example without arguments: each ends by itself, and fails if what it shows does not hold. No package is
/// named, so that all of them are built once, with the same features.
fn examples(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo build --workspace --release --examples").run()?;
    words(sh, MAIN_COMMAND)?;
    for package in ["heist", "heist-asyncio", "heist-compat"] {
        for example in example_names(sh, &format!("crates/{package}/examples"))? {
            let is_main = MAIN_COMMAND.ends_with(&format!(" {example}"));
            if !is_main && !TOOLS.contains(&example.as_str()) {
                cmd!(sh, "cargo run --release --example {example}").run()?;
            }
        }
    }
    Ok(())
}

fn example_names(sh: &Shell, folder: &str) -> Result<Vec<String>> {
    if !sh.path_exists(folder) {
        return Ok(Vec::new());
    }
    let is_example = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists()
    };
    let mut names: Vec<String> = sh
        .read_dir(folder)?
        .iter()
        .filter(|path| is_example(path))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// That the benches build, run and give right results; with the examples' profile and features, so that little is built
/// anew.
fn bench(sh: &Shell) -> Result<()> {
    cmd!(
        sh,
        "cargo bench --profile release --package heist-benches --benches -- --quick"
    )
    .run()?;
    Ok(())
}
