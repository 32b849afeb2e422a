//! A Rust file cut into what the rules look at: per line its code and its comment, and the paths that the code names.
//!
//! It knows just enough of Rust's lexical rules that a word in a string is not taken for code, nor code in a comment.

/// One line of a Rust file.
#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    /// The line with comments removed and the insides of literals blanked.
    pub(super) code: String,
    /// What stands in comments on this line, with the marks that open them.
    pub(super) comment: String,
}

/// A path such as `crate::task::State`, with use trees expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
}

#[derive(Clone, Copy)]
enum Mode {
    Code,
    LineComment,
    /// Nested this deep.
    BlockComment(usize),
    Str,
    /// Closed by a quote and this many hashes.
    RawStr(usize),
}

/// Cuts `text` into lines of code and comment.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let mut mode = Mode::Code;
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '\n' {
            lines.push(Line::default());
            if matches!(mode, Mode::LineComment) {
                mode = Mode::Code;
            }
            at += 1;
            continue;
        }
        let last = lines.len() - 1;
        let (next_mode, taken) = step(mode, &chars[at..], &chars[..at], &mut lines[last]);
        mode = next_mode;
        // A literal may skip over an escaped end of line, which still begins a new line here.
        let skipped = &chars[at..(at + taken).min(chars.len())];
        for _ in skipped.iter().filter(|&&c| c == '\n') {
            lines.push(Line::default());
        }
        at += taken;
    }
    lines
}

/// Takes one lexical step from the front of `rest`; gives the mode after it and how many characters it took.
fn step(mode: Mode, rest: &[char], before: &[char], line: &mut Line) -> (Mode, usize) {
    let starts = |what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| rest.get(i) == Some(&c))
    };
    match mode {
        Mode::LineComment => {
            line.comment.push(rest[0]);
            (mode, 1)
        }
        Mode::BlockComment(depth) if starts("*/") && depth == 1 => (Mode::Code, 2),
        Mode::BlockComment(depth) if starts("*/") => (Mode::BlockComment(depth - 1), 2),
        Mode::BlockComment(depth) if starts("/*") => (Mode::BlockComment(depth + 1), 2),
        Mode::BlockComment(_) => {
            line.comment.push(rest[0]);
            (mode, 1)
        }
        Mode::Str if rest[0] == '\\' => (mode, 2),
        Mode::Str if rest[0] == '"' => {
            line.code.push('"');
            (Mode::Code, 1)
        }
        Mode::RawStr(hashes) if closes_raw(rest, hashes) => {
            line.code.push('"');
            (Mode::Code, 1 + hashes)
        }
        Mode::Str | Mode::RawStr(_) => {
            line.code.push(' ');
            (mode, 1)
        }
        Mode::Code if starts("//") => {
            line.comment.push_str("//");
            (Mode::LineComment, 2)
        }
        Mode::Code if starts("/*") => {
            line.comment.push_str("/*");
            (Mode::BlockComment(1), 2)
        }
        Mode::Code => code_step(rest, before, line),
    }
}

fn code_step(rest: &[char], before: &[char], line: &mut Line) -> (Mode, usize) {
    let in_word = before.last().is_some_and(|&c| is_word(c));
    if let Some((hashes, taken)) = raw_opening(rest).filter(|_| !in_word) {
        line.code.push('"');
        return (Mode::RawStr(hashes), taken);
    }
    if rest[0] == '"' {
        line.code.push('"');
        return (Mode::Str, 1);
    }
    if let Some(taken) = char_literal(rest) {
        line.code.push_str("' '");
        return (Mode::Code, taken);
    }
    line.code.push(rest[0]);
    (Mode::Code, 1)
}

/// For `r"`, `r##"`, `br#"` and `cr"`: the number of hashes and the length of the opening.
fn raw_opening(rest: &[char]) -> Option<(usize, usize)> {
    let prefix = usize::from(matches!(rest[0], 'b' | 'c'));
    if rest.get(prefix) != Some(&'r') {
        return None;
    }
    let hashes = rest[prefix + 1..].iter().take_while(|&&c| c == '#').count();
    (rest.get(prefix + 1 + hashes) == Some(&'"')).then_some((hashes, prefix + hashes + 2))
}

fn closes_raw(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|&c| c == '#')
}

/// The length of a character literal at the front; a lifetime is none.
fn char_literal(rest: &[char]) -> Option<usize> {
    if rest[0] != '\'' {
        return None;
    }
    if rest.get(1) == Some(&'\\') {
        let close = rest.iter().skip(3).position(|&c| c == '\'')?;
        return Some(close + 4);
    }
    (rest.get(2) == Some(&'\'')).then_some(3)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a line of code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// All paths of two or more segments that the code names.
pub(super) fn paths(lines: &[Line]) -> Vec<NamedPath> {
    let tokens = tokens(lines);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_segment(&tokens[at].1) {
            at = path(&tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads the path that begins at `at`, below `prefix`; returns where it ends.
fn path(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let line = tokens[at].0;
    let mut segments = prefix.to_vec();
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    loop {
        segments.push(tokens[at].1.clone());
        at += 1;
        if word(at) != "::" {
            break;
        }
        at += 1;
        if word(at) == "{" {
            return group(tokens, at + 1, &segments, found);
        }
        if !is_segment(word(at)) {
            break;
        }
    }
    if segments.len() > 1 {
        found.push(NamedPath { line, segments });
    }
    at
}

/// Reads the inside of a use tree's braces; returns where they end.
fn group(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    while at < tokens.len() && tokens[at].1 != "}" {
        if is_segment(&tokens[at].1) {
            at = path(tokens, at, prefix, found);
        } else {
            at += 1;
        }
    }
    at + 1
}

fn is_segment(token: &str) -> bool {
    token.chars().next().is_some_and(is_word)
}

fn tokens(lines: &[Line]) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut rest = line.code.as_str();
        while let Some(first) = rest.chars().next() {
            let taken = if is_word(first) {
                rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                tokens.push((index + 1, rest[..taken].to_owned()));
            }
            rest = &rest[taken..];
        }
    }
    tokens
}
