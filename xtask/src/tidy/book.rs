//! The book's chapter on asyncio: a name in the right column of its tables is used by a program of the same section.
//!
//! A table is one of names where the head of its second column says `heist`. In a cell, names are what stands in
//! backticks; a cell without any says in words why there is no twin. Only programs count that the build runs.

use super::{Complaint, File, source};
use std::collections::BTreeSet;

const CHAPTER: &str = "docs/asyncio.md";

/// One line of a table.
struct Row<'a> {
    line: usize,
    /// The right column.
    twin: &'a str,
}

/// What stands between two headings.
#[derive(Default)]
struct Section<'a> {
    rows: Vec<Row<'a>>,
    programs: String,
}

pub(super) fn names_have_programs(files: &[File]) -> Vec<Complaint> {
    let Some(chapter) = files.iter().find(|file| file.path == CHAPTER) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for section in sections(&chapter.text) {
        let code = source::lines(&section.programs);
        let used: BTreeSet<&str> = code
            .iter()
            .flat_map(|line| source::words(&line.code))
            .collect();
        for row in &section.rows {
            if row.twin.is_empty() {
                complaints.push(chapter.complaint(row.line, "no twin, and no reason why"));
            }
            let named = row.twin.split('`').skip(1).step_by(2);
            for name in named.flat_map(source::words) {
                if !used.contains(name) {
                    let what = format!("`{name}`: no program of this section uses it");
                    complaints.push(chapter.complaint(row.line, what));
                }
            }
        }
    }
    complaints
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = vec![Section::default()];
    // The fence that is open, and whether a table of names is.
    let (mut fence, mut in_names) = (None, false);
    for (index, line) in text.lines().enumerate() {
        let last = sections.len() - 1;
        let section = &mut sections[last];
        if let Some(opened) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(opened) };
        } else if fence == Some("rust") {
            section.programs.push_str(line);
            section.programs.push('\n');
        } else if fence.is_none() {
            let twin = twin(line);
            match twin {
                Some("heist") => in_names = true,
                Some(twin) if in_names && !twin.starts_with("---") => {
                    let line = index + 1;
                    section.rows.push(Row { line, twin });
                }
                Some(_) => {}
                None => in_names = false,
            }
            if line.starts_with('#') {
                sections.push(Section::default());
            }
        }
    }
    sections
}

/// The right column of a line with two.
fn twin(line: &str) -> Option<&str> {
    let cells = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(cells.rsplit_once('|')?.1.trim())
}
