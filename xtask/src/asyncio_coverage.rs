//! `cargo xtask asyncio-coverage`: how many of CPython's portable asyncio tests have a twin here.
//!
//! The portable ones are listed in `tests/diff/portable.txt`; a ported one names its original in a doc comment,
//! `/// CPython: FILE.CLASS.METHOD`. What is left out on purpose is in `LEFT_OUT`, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is left out, by the beginning of its name, and why.
const LEFT_OUT: &[(&str, &str)] = &[("test_pep492.StreamReaderTests", "streams are another issue")];

const FACADE: &str = "crates/heist-asyncio";

pub(crate) fn run(_args: &[String]) -> anyhow::Result<()> {
    let portable = std::fs::read_to_string(Path::new(FACADE).join("tests/diff/portable.txt"))?;
    let portable: BTreeSet<&str> = portable.lines().collect();
    let ported = ported(&Path::new(FACADE).join("tests/it"))?;
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for name in &portable {
        let (n_ported, n_portable) = files.entry(file_of(name)).or_default();
        *n_portable += 1;
        *n_ported += usize::from(ported.contains(*name));
    }
    let mut total = (0, 0);
    for (file, (n_ported, n_portable)) in files {
        println!("{file:28} {n_ported:4} / {n_portable}");
        total = (total.0 + n_ported, total.1 + n_portable);
    }
    println!("{:28} {:4} / {}", "all", total.0, total.1);
    for name in portable.iter().filter(|name| !ported.contains(**name)) {
        let why = LEFT_OUT
            .iter()
            .find(|(start, _)| name.starts_with(start))
            .map_or("not ported yet", |(_, why)| why);
        println!("left out: {name}: {why}");
    }
    let unknown: Vec<&String> = ported
        .iter()
        .filter(|name| !portable.contains(name.as_str()))
        .collect();
    anyhow::ensure!(
        unknown.is_empty(),
        "doc comments name tests that are not in the list: {unknown:?}"
    );
    Ok(())
}

fn file_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The originals that the tests name.
fn ported(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        found.extend(
            text.lines()
                .filter_map(|line| line.trim().strip_prefix("/// CPython: "))
                .map(str::to_owned),
        );
    }
    Ok(found)
}
