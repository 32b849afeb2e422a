//! `cargo xtask loom`: the models of the core and of the facade under loom.
//!
//! The core's live in its `tests/loom.rs` files, where they can see private items, so they are part of the library's own
//! test binary. The facade's are a test of their own, which takes the file that it models in. They get a target folder
//! of their own: the cfg changes every crate that is built.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

/// How many preemptions a run explores where the environment names no other number.
const PREEMPTIONS: &str = "2";

/// Each package that has models, with the target that they are in and what picks them there.
const PLACES: [(&str, &[&str], &str); 2] = [
    ("heist", &["--lib"], "loom"),
    ("heist-asyncio", &["--test", "loom"], ""),
];

pub(crate) fn run(sh: &Shell, filter: Option<&str>) -> Result<()> {
    let preemptions =
        std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| PREEMPTIONS.to_owned());
    let rustflags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let _env = [
        sh.push_env("RUSTFLAGS", format!("{rustflags} --cfg heist_loom")),
        sh.push_env("LOOM_MAX_PREEMPTIONS", preemptions),
        // Optimised, because loom runs each model many thousand times; with the asserts, because they are half the model.
        sh.push_env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ];
    let mut models = 0;
    for (package, target, all) in PLACES {
        let filter = filter.unwrap_or(all);
        let test = || {
            cmd!(
                sh,
                "cargo test --package {package} --release {target...} --target-dir target/loom {filter}"
            )
        };
        let list = test().args(["--", "--list"]).read();
        let list = list.context("the models do not build")?;
        let found = list.lines().filter(|line| line.ends_with(": test")).count();
        ensure!(
            found > 0 || filter != all,
            "{package}: no model is found any more"
        );
        if found > 0 {
            println!(
                "{package}: {found} models, {} preemptions",
                sh.var("LOOM_MAX_PREEMPTIONS")?
            );
            test().run()?;
        }
        models += found;
    }
    ensure!(
        models > 0,
        "no model matches {filter:?}: a run of none proves nothing"
    );
    Ok(())
}
