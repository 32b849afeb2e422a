//! Each rule of `tidy` broken on a small input, and the whole run on this workspace.

use super::{File, book, protocol, rules, run, source};

/// The complaints about one file that stands alone, without those that every lone file earns.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found: Vec<String> = rules::of_one_file(&File::new(path, text))
        .iter()
        .map(ToString::to_string)
        .collect();
    found.extend(
        rules::unsafe_list(&[File::new(path, text)])
            .iter()
            .map(ToString::to_string),
    );
    found
}

#[track_caller]
fn clean(path: &str, text: &str) {
    assert_eq!(complaints(path, text), Vec::<String>::new());
}

#[track_caller]
fn broken(path: &str, text: &str, line: usize, what: &str) {
    let found = complaints(path, text);
    let place = if line == 0 {
        format!("{path}: ")
    } else {
        format!("{path}:{line}: ")
    };
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&place) && found[0].contains(what),
        "{found:?}"
    );
}

const TASK: &str = "crates/heist/src/task/cell_like.rs";

#[test]
fn the_workspace_is_in_order() {
    if let Err(error) = run(&crate::root()) {
        panic!("{error}");
    }
}

#[test]
fn strings_and_comments_are_not_code() {
    let text = r####"a("x // no", r#"y " /* z"#, 'q', '\'', b"\"", 'life) /* c /* d */ e */ + 1 // end"####;
    let lines = source::lines(text);
    assert_eq!(lines.len(), 1);
    let code: Vec<&str> = source::words(&lines[0].code).collect();
    assert_eq!(code, ["a", "b", "life", "1"]);
    assert!(lines[0].comment.contains("c ") && lines[0].comment.ends_with("// end"));
}

#[test]
fn lines_are_counted_through_literals_and_comments() {
    let text = "let a = \"one\\\n two\";\n/* three\n four */ five\nr\"six\nseven\"";
    let lines = source::lines(text);
    assert_eq!(lines.len(), text.lines().count());
    assert_eq!(lines[3].code.trim(), "five");
}

#[test]
fn use_trees_are_expanded() {
    let lines = source::lines("use a::{b::{c, d as e}, self, f::*};\nlet x = g::h::<i::j>();");
    let paths: Vec<(usize, String)> = source::paths(&lines)
        .into_iter()
        .map(|path| (path.line, path.segments.join("::")))
        .collect();
    let expected = [
        "a::b::c", "a::b::d", "a::b::e", "a::self", "a::f", "g::h", "i::j",
    ];
    // `as e` reads as one more name of the group, which no rule minds.
    let names: Vec<&str> = paths
        .iter()
        .map(|(_, path)| path.as_str())
        .filter(|p| *p != "a::b::as")
        .collect();
    assert_eq!(names, expected);
    assert_eq!(paths.last().map(|(line, _)| *line), Some(2));
}

#[test]
fn a_file_opens_with_its_head() {
    clean("benches/src/x.rs", "//! What it is.\n");
    broken(
        "benches/src/x.rs",
        "fn main() {}\n//! Late.\n",
        1,
        "open the file",
    );
}

#[test]
fn a_file_has_a_limit() {
    let lines = |count: usize| "//! x\n".repeat(count);
    clean("benches/src/x.rs", &lines(700));
    broken("benches/src/x.rs", &lines(701), 0, "701 lines");
    clean("crates/heist/tests/it/x.rs", &lines(1_000));
    broken("crates/heist/tests/it/x.rs", &lines(1_001), 0, "1001 lines");
}

#[test]
fn type_names_say_something() {
    clean(
        "benches/src/x.rs",
        "//! x\nstruct Shared; // struct TaskInner\nfn into_inner() {}",
    );
    broken(
        "benches/src/x.rs",
        "//! x\npub struct TaskInner;",
        2,
        "`TaskInner`",
    );
    broken(
        "benches/src/x.rs",
        "//! x\ntrait TimerManager {}",
        2,
        "`TimerManager`",
    );
}

#[test]
fn no_machine_path_and_no_registry() {
    let path = ["/wor", "k/x"].concat();
    broken(
        "docs/a.md",
        &format!("one\nsee {path}\n"),
        2,
        "path of one machine",
    );
    let host = ["crates", ".io"].concat();
    broken(
        "deny.toml",
        &format!("allow = [\"{host}\"]"),
        1,
        "registry's host",
    );
    clean("docs/a.md", "GET /work?ms=5\n");
}

#[test]
fn features_say_what_they_bring() {
    clean(
        "crates/x/Cargo.toml",
        "[features]\ndefault = [\"net\"]\n# Sockets.\nnet = []\n[dependencies]\na = \"1\"\n",
    );
    broken(
        "crates/x/Cargo.toml",
        "[features]\n# Sockets.\nnet = []\nsim = []\n",
        4,
        "feature `sim`",
    );
}

#[test]
fn only_the_shim_names_primitives() {
    clean(
        "crates/heist/src/sync.rs",
        "//! x\nuse std::sync::atomic::AtomicU8;\nuse loom::thread;",
    );
    clean(
        TASK,
        "//! x\nuse std::sync::Arc; // not std::sync::Mutex\nlet a = \"std::thread::spawn\";",
    );
    broken(
        TASK,
        "//! x\nuse std::sync::{Arc, Mutex};",
        2,
        "`std::sync::Mutex`",
    );
    broken(
        TASK,
        "//! x\nlet c = std::thread::current();",
        2,
        "`std::thread`",
    );
    broken(
        TASK,
        "//! x\nuse std::{fmt, sync::atomic::{self}};",
        2,
        "`std::sync::atomic`",
    );
    clean(
        "crates/heist-compat/src/x.rs",
        "//! x\nuse std::sync::Mutex;",
    );
    clean(TASK, "//! x\nlet n = std::thread::available_parallelism();");
    // Where the table allows one, it allows no other.
    let join = "crates/heist/src/task/join.rs";
    clean(join, "//! x\nlet m = std::sync::Mutex::new(());");
    broken(
        join,
        "//! x\nlet c = std::sync::Condvar::new();",
        2,
        "`std::sync::Condvar`",
    );
}

#[test]
fn layers_hold() {
    clean(
        TASK,
        "//! x\nuse crate::{sync::Mutex, clock::Clock, task::State};\nuse super::State;",
    );
    broken(
        TASK,
        "//! x\nuse crate::{sync::Mutex, scheduler::Shared};",
        2,
        "`task` may not use `scheduler`",
    );
    broken(
        TASK,
        "//! x\nfn f() { super::super::driver::turn() }",
        2,
        "`task` may not use `driver`",
    );
    clean(TASK, "//! x\n//! [`crate::net`] is only named in prose.\n");
    clean(
        TASK,
        "//! x\npub mod error { pub use super::novelty::Error; }",
    );
    broken(
        TASK,
        "//! x\nuse crate::JoinHandle;",
        2,
        "no row in the layering table",
    );
    broken(
        "crates/heist/src/driver/wheel.rs",
        "//! x\nuse crate::sync::Mutex;",
        2,
        "`driver::wheel` may not use `sync`",
    );
    broken(
        "crates/heist/src/novelty.rs",
        "//! x\n",
        0,
        "no row of the layering table",
    );
    clean(
        "crates/heist/src/lib.rs",
        "//! x\npub use crate::runtime::Runtime;",
    );
    clean(
        "crates/heist/src/task/tests/loom.rs",
        "//! x\nuse crate::scheduler::Shared;",
    );
}

#[test]
fn unsafe_stays_in_its_files() {
    clean("crates/heist/src/task/raw.rs", "//! x\nunsafe { f() }");
    broken(
        TASK,
        "//! x\n// unsafe in prose\nunsafe { f() }",
        3,
        "unsafe code outside",
    );
    broken(
        TASK,
        "//! x\n#![expect(unsafe_code, reason = \"r\")]",
        2,
        "unsafe code outside",
    );
    clean(TASK, "//! x\n#![forbid(unsafe_code)]\nlet a = \"unsafe\";");
    broken("crates/heist/src/task/raw.rs", "//! x\n", 0, "strike it");
}

#[test]
fn tables_name_files_that_exist() {
    let raw = File::new("crates/heist/src/task/raw.rs", "//! x");
    let missing = rules::listed_files_exist(&[raw]);
    assert!(!missing.is_empty());
    assert!(
        missing
            .iter()
            .all(|complaint| complaint.path != "crates/heist/src/task/raw.rs")
    );
}

#[test]
fn orders_are_argued() {
    let argued = "//! x\n// ORDERING: pairs with g().\n// More.\na.compare_exchange(\n    b,\n    AcqRel,\n    Acquire,\n)";
    clean(TASK, argued);
    clean(
        TASK,
        "//! x\nuse crate::sync::atomic::Ordering::{Acquire, Relaxed};\na.load(Relaxed);",
    );
    clean(
        TASK,
        "//! x\nuse crate::sync::atomic::Ordering::{\n    Acquire,\n};",
    );
    broken(
        TASK,
        "//! x\n// ORDERING in prose\na.load(Ordering::Acquire);",
        3,
        "argue the order",
    );
    let far = format!(
        "//! x\n// ORDERING: pairs.\n{}a.load(SeqCst);",
        "b();\n".repeat(9)
    );
    broken(TASK, &far, 12, "argue the order");
}

#[test]
fn numbered_rules_are_cited() {
    let check_rules = |files: &[(&str, &str)]| -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File::new(path, text))
            .collect();
        protocol::rules_cited(&files)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let head = (
        "crates/heist/src/task.rs",
        "//! x\n//! - [T1] one.\n//! - **\\[T2\\]** two, beside [T1].\n",
    );
    let tests = (
        "crates/heist/src/task/tests/loom.rs",
        "//! x\n// [T1] and [T2]\n",
    );
    assert_eq!(check_rules(&[head, tests]), Vec::<String>::new());

    let half = (
        "crates/heist/src/task/tests/loom.rs",
        "//! x\n/// [T1] \"[T2]\"\nlet a = \"[T2]\";\n",
    );
    assert!(
        check_rules(&[head, half]).is_empty(),
        "a comment may quote a rule"
    );
    let half = (
        "crates/heist/src/task/tests/loom.rs",
        "//! x\n/// [T1]\nlet a = \"[T2]\";\n",
    );
    assert_eq!(
        check_rules(&[head, half]),
        ["crates/heist/src/task.rs:3: no test cites rule [T2]"]
    );

    let stray = ("crates/heist/src/clock.rs", "//! x\n// by [T9]\n");
    assert_eq!(
        check_rules(&[head, tests, stray]),
        ["crates/heist/src/clock.rs:2: rule [T9] is declared nowhere"]
    );

    let prose = (
        "crates/heist/src/task.rs",
        "//! x\n//! First: `[T1]` one; **\\[T2\\]** two, which needs [T1].\n",
    );
    assert_eq!(check_rules(&[prose, tests]), Vec::<String>::new());

    let twice = ("crates/heist/src/clock.rs", "//! x\n//! [T1] again.\n");
    assert!(check_rules(&[head, tests, twice])[0].contains("already"));
}

#[test]
fn the_readme_gives_the_commands_that_ci_runs() {
    let readme = File::new("README.md", "run `cargo test --workspace`");
    let found = rules::readme_commands(&[readme]);
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().contains("--example service"));
}

#[test]
fn names_of_the_book_have_programs() {
    let check_names = |chapter: &str| -> Vec<String> {
        book::names_have_programs(&[File::new("docs/asyncio.md", chapter)])
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let table = "| Python | heist |\n|---|---|\n";
    let program = "```rust\nLock::new().release(); // forget\n```\n";
    let chapter = |rows: &str, rest: &str| format!("## Locks\n{table}{rows}\n{program}{rest}");

    let rows = "| `Lock()` | `Lock::new`, a lock |\n| `a`, `b` | no twin |\n";
    assert_eq!(check_names(&chapter(rows, "")), Vec::<String>::new());
    let rows = "| `x` | `release`, `forget` |\n| `y` |  |\n";
    assert_eq!(
        check_names(&chapter(rows, "")),
        [
            "docs/asyncio.md:4: `forget`: no program of this section uses it",
            "docs/asyncio.md:5: no twin, and no reason why"
        ]
    );
    // Neither a program of another section counts, nor one that does not run.
    let rows = "| `x` | `forget` |\n";
    let elsewhere = "```rust,ignore\nforget()\n```\n## Next\n```rust\nforget();\n```\n";
    assert_eq!(check_names(&chapter(rows, elsewhere)).len(), 1);
    assert!(check_names("| a | b |\n|---|---|\n| `x` | `y` |\n").is_empty());
}
