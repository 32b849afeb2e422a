//! The committed scenario programs: their traces equal CPython's, event for event.

use std::path::Path;

use serde_json::Value;

fn check_theme(theme: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/diff/programs")
        .join(theme)
        .with_extension("jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut n_programs = 0;
    for line in text.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let program = crate::program::parse_all(&pair["program"].to_string())
            .unwrap()
            .remove(0);
        let name = program.name.clone();
        let answer = crate::run::run_program(program).unwrap();
        assert_eq!(answer, pair["answer"], "program {name}");
        n_programs += 1;
    }
    assert_eq!(n_programs, 150, "programs of the theme {theme}");
}

#[test]
fn cancel() {
    check_theme("cancel");
}

#[test]
fn timeout() {
    check_theme("timeout");
}

#[test]
fn queue() {
    check_theme("queue");
}

#[test]
fn lock() {
    check_theme("lock");
}

#[test]
fn group() {
    check_theme("group");
}

#[test]
fn future() {
    check_theme("future");
}

#[test]
fn mixed() {
    check_theme("mixed");
}

/// Holds to [L1], [L2].
#[test]
fn races() {
    check_theme("races");
}

/// What must be refused, and what the message names.
fn check_malformed(objects: &str, main: &str, named: &str) {
    let text = format!(r#"{{"name": "p", "objects": {objects}, "coros": {{"main": [{main}]}}}}"#);
    let message = match crate::program::parse_all(&text) {
        Err(message) => message,
        Ok(mut programs) => crate::run::run_program(programs.remove(0)).unwrap_err(),
    };
    assert!(
        message.contains("program p") && message.contains(named),
        "{message}"
    );
}

#[test]
fn malformed_programs_are_named_with_their_statement() {
    check_malformed("{}", r#"["jump", 1]"#, r#"["jump",1]"#);
    check_malformed("{}", r#"["spawn", "t", "nobody"]"#, "nobody");
    check_malformed("{}", r#"["reraise"]"#, r#"["reraise"]"#);
    check_malformed(r#"{"l": ["Lock"]}"#, r#"["get", "l"]"#, r#"["get","l"]"#);
    check_malformed(
        r#"{"q": ["Queue"]}"#,
        r#"["with", "q", []]"#,
        r#"["with","q",[]]"#,
    );
    check_malformed(
        r#"{"c": ["Condition", "l"], "l": ["Lock"]}"#,
        r#"["log", "x"]"#,
        "object c",
    );
}

#[test]
fn a_program_that_can_never_go_on_is_a_deadlock() {
    let text =
        r#"{"name": "p", "objects": {"e": ["Event"]}, "coros": {"main": [["wait_event", "e"]]}}"#;
    let program = crate::program::parse_all(text).unwrap().remove(0);
    let answer = crate::run::run_program(program).unwrap();
    assert_eq!(answer.to_string(), r#"{"name":"p","reject":"deadlock"}"#);
}
