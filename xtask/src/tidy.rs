//! `cargo xtask tidy`: the house rules that a machine can watch cheaply.
//!
//! Each rule is a function from a file (or from all of them) to complaints; `tables.rs` holds what is allowed, and
//! `source.rs` keeps strings and comments from giving false alarms. The rules know nothing of cargo and of git; only
//! [`run`] does. `tests.rs` breaks each rule on a small input, and runs the whole on the workspace.

mod book;
mod protocol;
mod rules;
mod source;
mod tables;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use std::fmt;
use std::path::Path;
use xshell::{Shell, cmd};

/// A tracked text file.
pub(crate) struct File {
    /// From the root, with forward slashes.
    path: String,
    text: String,
    /// Empty for what is not Rust.
    lines: Vec<source::Line>,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let lines = if path.ends_with(".rs") {
            source::lines(text)
        } else {
            Vec::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            lines,
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The file's path below `folder`.
    fn below(&self, folder: &str) -> Option<&str> {
        self.path.strip_prefix(folder)?.strip_prefix('/')
    }

    fn complaint(&self, line: usize, what: impl Into<String>) -> Complaint {
        Complaint {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }
}

/// A broken rule and where.
#[derive(Debug)]
struct Complaint {
    path: String,
    /// Counted from one; zero where the file as a whole is meant.
    line: usize,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Checks all tracked files below `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = tracked(root)?;
    let complaints = check(&files);
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    ensure!(
        complaints.is_empty(),
        "tidy: {} broken rules",
        complaints.len()
    );
    println!("tidy: {} files in order", files.len());
    Ok(())
}

fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> = files.iter().flat_map(rules::of_one_file).collect();
    complaints.extend(rules::unsafe_list(files));
    complaints.extend(rules::listed_files_exist(files));
    complaints.extend(rules::readme_commands(files));
    complaints.extend(protocol::rules_cited(files));
    complaints.extend(book::names_have_programs(files));
    complaints
}

fn tracked(root: &Path) -> Result<Vec<File>> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    // Untracked files too, unless they are ignored: the next commit will hold them.
    let list = cmd!(sh, "git ls-files --cached --others --exclude-standard").read()?;
    let mut files = Vec::new();
    for path in list.lines() {
        let full = root.join(path);
        if !full.is_file() || path == "Cargo.lock" {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File::new(path, &text.replace("\r\n", "\n")));
        }
    }
    ensure!(!files.is_empty(), "git names no file");
    Ok(files)
}
