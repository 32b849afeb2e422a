//! The rules that look at one file, and the two that compare a table with the files.

use super::source::{self, NamedPath};
use super::tables::{
    BANNED_TEXT, BANNED_TYPE_WORDS, LAYERS, MAX_LINES, MAX_TEST_LINES, NO_PRIMITIVES, PRIMITIVES,
    PRIMITIVES_ALLOWED, SHIM, UNSAFE_FILES,
};
use super::{Complaint, File};
use crate::ci;

const CORE: &str = "crates/heist/src";

/// How many lines of code may stand between an atomic access and the comment that argues its order: a call that the
/// formatter broke over several lines.
const ORDERING_REACH: usize = 8;

pub(super) fn of_one_file(file: &File) -> Vec<Complaint> {
    let mut complaints = banned_text(file);
    if file.path.ends_with("Cargo.toml") {
        complaints.extend(features_documented(file));
    }
    if !file.is_rust() {
        return complaints;
    }
    complaints.extend(head(file));
    complaints.extend(size(file));
    complaints.extend(type_names(file));
    if file.below(CORE).is_some() && !file.is_test() {
        let paths = source::paths(&file.lines);
        complaints.extend(primitives(file, &paths));
        complaints.extend(layering(file, &paths));
        complaints.extend(orderings(file));
    }
    complaints
}

fn head(file: &File) -> Option<Complaint> {
    (!file.text.starts_with("//!"))
        .then(|| file.complaint(1, "open the file with `//!`: what it is, in one sentence"))
}

fn size(file: &File) -> Option<Complaint> {
    let limit = if file.is_test() {
        MAX_TEST_LINES
    } else {
        MAX_LINES
    };
    let count = file.text.lines().count();
    (count > limit)
        .then(|| file.complaint(0, format!("{count} lines, {limit} are allowed: split it")))
}

fn type_names(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.lines.iter().enumerate() {
        let words: Vec<&str> = source::words(&line.code).collect();
        for pair in words.windows(2) {
            if !matches!(pair[0], "struct" | "enum" | "trait" | "type" | "union") {
                continue;
            }
            for (word, why) in BANNED_TYPE_WORDS {
                if pair[1].ends_with(word) {
                    complaints.push(file.complaint(index + 1, format!("`{}`: {why}", pair[1])));
                }
            }
        }
    }
    complaints
}

fn banned_text(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (front, back, what) in BANNED_TEXT {
            let word = format!("{front}{back}");
            if line.contains(&word) {
                complaints.push(file.complaint(index + 1, format!("`{word}`: {what}")));
            }
        }
    }
    complaints
}

/// A line of `[features]` needs a comment above it that says what the feature brings.
fn features_documented(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut in_features = false;
    let mut previous = "";
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            in_features = line == "[features]";
        }
        if let Some((name, _)) = line.split_once('=').filter(|_| in_features) {
            let name = name.trim();
            if name != "default" && !name.starts_with('#') && !previous.starts_with('#') {
                complaints.push(file.complaint(
                    index + 1,
                    format!("feature `{name}`: say above it what it brings"),
                ));
            }
        }
        previous = line;
    }
    complaints
}

fn primitives(file: &File, paths: &[NamedPath]) -> Vec<Complaint> {
    let in_shim = file.path == format!("{SHIM}.rs") || file.below(SHIM).is_some();
    if in_shim {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for path in paths {
        let harmless = NO_PRIMITIVES
            .iter()
            .any(|prefix| begins_with(&path.segments, prefix));
        let allowed = PRIMITIVES_ALLOWED
            .iter()
            .any(|(place, prefix, _)| *place == file.path && begins_with(&path.segments, prefix));
        let banned = PRIMITIVES
            .iter()
            .find(|(banned, _)| begins_with(&path.segments, banned));
        if let Some((banned, instead)) = banned.filter(|_| !harmless && !allowed) {
            let what = format!("only the shim names `{banned}`: use `{instead}`");
            complaints.push(file.complaint(path.line, what));
        }
    }
    complaints
}

fn begins_with(segments: &[String], path: &str) -> bool {
    let mut segments = segments.iter();
    path.split("::")
        .all(|part| segments.next().is_some_and(|have| have == part))
}

fn layering(file: &File, paths: &[NamedPath]) -> Vec<Complaint> {
    let Some(module) = module_of(file) else {
        return Vec::new();
    };
    let Some(own) = row(&module) else {
        return vec![file.complaint(
            0,
            "no row of the layering table (tidy/tables.rs) speaks for this file",
        )];
    };
    let mut complaints = Vec::new();
    for path in paths {
        let Some(target) = absolute(&module, &path.segments) else {
            continue;
        };
        let name = target.join("::");
        let Some(layer) = row(&target) else {
            // From a module inside the file, `super` is the file's own.
            if path.segments[0] != "super" {
                let what = format!(
                    "`crate::{name}` has no row in the layering table: name it by its module"
                );
                complaints.push(file.complaint(path.line, what));
            }
            continue;
        };
        if layer.0 != own.0 && !own.1.split_whitespace().any(|allowed| allowed == layer.0) {
            let what = format!(
                "`{}` may not use `{}`, and names `crate::{name}`",
                own.0, layer.0
            );
            complaints.push(file.complaint(path.line, what));
        }
    }
    complaints
}

/// `crates/heist/src/task/cell.rs` is `task::cell`; the crate's root has no layer.
fn module_of(file: &File) -> Option<Vec<String>> {
    let stem = file.below(CORE)?.strip_suffix(".rs")?;
    (stem != "lib").then(|| stem.split('/').map(str::to_owned).collect())
}

/// What `crate::…` or `super::…` names, from the root. `None` for a path into another crate or into the module itself.
fn absolute(module: &[String], segments: &[String]) -> Option<Vec<String>> {
    let ups = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let target = match segments[0].as_str() {
        "crate" => segments[1..].to_vec(),
        "super" => [
            module.get(..module.len().checked_sub(ups)?)?,
            &segments[ups..],
        ]
        .concat(),
        _ => return None,
    };
    (!target.is_empty()).then_some(target)
}

/// The longest row whose module is a prefix of `path`.
fn row(path: &[String]) -> Option<&'static (&'static str, &'static str)> {
    LAYERS
        .iter()
        .filter(|layer| begins_with(path, layer.0))
        .max_by_key(|layer| layer.0.len())
}

fn orderings(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut in_use = false;
    for (index, line) in file.lines.iter().enumerate() {
        let code = line.code.trim_start();
        in_use |= code.starts_with("use ") || (code.starts_with("pub") && code.contains(" use "));
        let stronger = source::words(code)
            .any(|word| matches!(word, "Acquire" | "Release" | "AcqRel" | "SeqCst"));
        if stronger && !in_use && !ordering_argued(file, index) {
            let what = "argue the order: `// ORDERING: pairs with X in f(); makes Y visible`";
            complaints.push(file.complaint(index + 1, what));
        }
        in_use &= !code.contains(';');
    }
    complaints
}

/// Whether a comment on this line, or above it within reach, argues the order. Comment lines cost no reach.
fn ordering_argued(file: &File, index: usize) -> bool {
    let mut reach = ORDERING_REACH;
    for line in file.lines[..=index].iter().rev() {
        if line.comment.contains("ORDERING:") {
            return true;
        }
        if line.comment.is_empty() {
            if reach == 0 {
                return false;
            }
            reach -= 1;
        }
    }
    false
}

/// The list of files with unsafe code is exact: no other file holds any, and each of these does.
pub(super) fn unsafe_list(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let listed = UNSAFE_FILES.iter().find(|(path, _)| *path == file.path);
        match (first_unsafe(file), listed) {
            (Some(line), None) => complaints.push(file.complaint(
                line,
                "unsafe code outside the files that may hold it (tidy/tables.rs); can it go into one of those?",
            )),
            (None, Some((_, reason))) => complaints.push(file.complaint(
                0,
                format!("listed as unsafe ({reason}), and is not: strike it from tidy/tables.rs"),
            )),
            _ => {}
        }
    }
    complaints
}

/// A table that names a file which is gone has not been read for a while.
pub(super) fn listed_files_exist(files: &[File]) -> Vec<Complaint> {
    let allowed = PRIMITIVES_ALLOWED.iter().map(|(path, ..)| path);
    UNSAFE_FILES
        .iter()
        .map(|(path, _)| path)
        .chain(allowed)
        .filter(|path| !files.iter().any(|file| file.path == **path))
        .map(|path| Complaint {
            path: (*path).to_owned(),
            line: 0,
            what: "is in a table of tidy/tables.rs, and there is no such file".to_owned(),
        })
        .collect()
}

fn first_unsafe(file: &File) -> Option<usize> {
    let is_unsafe = |line: &source::Line| {
        let opens = line.code.contains("allow(") || line.code.contains("expect(");
        source::words(&line.code).any(|word| word == "unsafe" || (opens && word == "unsafe_code"))
    };
    file.lines.iter().position(is_unsafe).map(|index| index + 1)
}

/// The README's two commands are the ones that CI runs.
pub(super) fn readme_commands(files: &[File]) -> Vec<Complaint> {
    let Some(readme) = files.iter().find(|file| file.path == "README.md") else {
        return vec![Complaint {
            path: "README.md".to_owned(),
            line: 0,
            what: "missing".to_owned(),
        }];
    };
    [ci::TEST_COMMAND, ci::MAIN_COMMAND]
        .into_iter()
        .filter(|command| !readme.text.contains(command))
        .map(|command| readme.complaint(0, format!("does not give the command `{command}`")))
        .collect()
}
