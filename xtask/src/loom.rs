//! `cargo xtask loom`: the models of the core under loom.
//!
//! The models live in the core's `tests/loom.rs` files, where they can see private items, so they are part of the
//! library's own test binary. It gets a target folder of its own: the cfg changes every crate that is built.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

/// How many preemptions a run explores where the environment names no other number.
const PREEMPTIONS: &str = "2";

pub(crate) fn run(sh: &Shell, filter: Option<&str>) -> Result<()> {
    let filter = filter.unwrap_or("loom");
    let preemptions =
        std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| PREEMPTIONS.to_owned());
    let rustflags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let _env = [
        sh.push_env("RUSTFLAGS", format!("{rustflags} --cfg heist_loom")),
        sh.push_env("LOOM_MAX_PREEMPTIONS", preemptions),
        // Optimised, because loom runs each model many thousand times; with the asserts, because they are half the model.
        sh.push_env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ];
    let list = cmd!(
        sh,
        "cargo test --package heist --release --lib --target-dir target/loom {filter} -- --list"
    )
    .read()
    .context("the models do not build")?;
    let models = list.lines().filter(|line| line.ends_with(": test")).count();
    ensure!(
        models > 0,
        "no model matches {filter:?}: a run of none proves nothing"
    );
    println!(
        "{models} models, {} preemptions",
        sh.var("LOOM_MAX_PREEMPTIONS")?
    );
    cmd!(
        sh,
        "cargo test --package heist --release --lib --target-dir target/loom {filter}"
    )
    .run()?;
    Ok(())
}
