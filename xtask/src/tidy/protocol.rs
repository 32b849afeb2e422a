//! Numbered protocol rules: `[T3]` in a file's head is a promise, and a test says that it keeps it.
//!
//! A rule is declared in a `//!` line where its number stands in bold or in backticks, or begins the line, as in
//! `//! - [T3] a task is in one queue at most`. Code and tests cite it in a comment. Each package counts for itself.

use super::{Complaint, File};
use std::collections::BTreeMap;

/// Where each rule of a package was declared, and whether a test cites it.
struct Declared<'a> {
    file: &'a File,
    line: usize,
    tested: bool,
}

pub(super) fn rules_cited(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut declared: BTreeMap<(&str, String), Declared<'_>> = BTreeMap::new();
    for (package, file) in packaged(files) {
        for (index, line) in file.lines.iter().enumerate() {
            for rule in declarations(&line.comment) {
                let place = Declared {
                    file,
                    line: index + 1,
                    tested: false,
                };
                if let Some(first) = declared.insert((package, rule.clone()), place) {
                    let what = format!("rule [{rule}] is declared in {} already", first.file.path);
                    complaints.push(file.complaint(index + 1, what));
                }
            }
        }
    }
    for (package, file) in packaged(files) {
        for (index, line) in file.lines.iter().enumerate() {
            for rule in citations(&line.comment) {
                match declared.get_mut(&(package, rule.clone())) {
                    Some(place) => place.tested |= file.is_test(),
                    None => complaints.push(
                        file.complaint(index + 1, format!("rule [{rule}] is declared nowhere")),
                    ),
                }
            }
        }
    }
    let untested = declared.iter().filter(|(_, place)| !place.tested);
    complaints.extend(untested.map(|((_, rule), place)| {
        place
            .file
            .complaint(place.line, format!("no test cites rule [{rule}]"))
    }));
    complaints
}

/// The Rust files of the packages under `crates`, each with its package's name.
fn packaged(files: &[File]) -> impl Iterator<Item = (&str, &File)> {
    let named = |file: &File| file.is_rust() && file.path.starts_with("crates/");
    files
        .iter()
        .filter(move |file| named(file))
        .filter_map(|file| Some((file.path.split('/').nth(1)?, file)))
}

/// The numbers of the rules that a `//!` line declares.
fn declarations(comment: &str) -> Vec<String> {
    let Some(text) = comment.strip_prefix("//!") else {
        return Vec::new();
    };
    let text = text.trim_start();
    let text = text
        .strip_prefix("- ")
        .or(text.strip_prefix("* "))
        .unwrap_or(text);
    let first = citation_at(text);
    let marked = ["**", "`"].into_iter().flat_map(|mark| {
        text.match_indices(mark)
            .filter_map(|(at, mark)| citation_at(&text[at + mark.len()..]))
    });
    first.into_iter().chain(marked).collect()
}

fn citations(comment: &str) -> Vec<String> {
    let opens = comment.match_indices(['[', '\\']);
    let mut rules: Vec<String> = opens
        .filter_map(|(at, _)| citation_at(&comment[at..]))
        .collect();
    rules.dedup();
    rules
}

/// `[T3]` or, for rustdoc's sake, `\[T3\]` at the front of `text`.
fn citation_at(text: &str) -> Option<String> {
    let inside = text.strip_prefix("\\[").or(text.strip_prefix('['))?;
    let (rule, _) = inside.split_once(']')?;
    let rule = rule.trim_end_matches('\\');
    let mut chars = rule.chars();
    let letter = chars.next().is_some_and(|c| c.is_ascii_uppercase());
    let digits = chars.as_str();
    let number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    (letter && number).then(|| rule.to_owned())
}
