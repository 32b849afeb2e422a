//! What the attributes refuse: the message, and the place that it points at.
//!
//! Each case is handed to the compiler with nothing but the macros at hand; expansion comes before any name is looked
//! up, so the runtime itself is not needed.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Compiles `source` and gives what the compiler says.
fn compile(source: &str) -> String {
    let source = format!("extern crate heist_macros as heist;\n{source}\nfn other() {{}}\n");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "refused",
            "--crate-type",
            "bin",
            "--test",
        ])
        .args(["--emit", "metadata", "--error-format", "short", "-"])
        .arg("--out-dir")
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .arg("--extern")
        .arg(format!("heist_macros={}", library().display()))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    rustc
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = rustc.wait_with_output().unwrap();
    assert!(!output.status.success(), "this compiles:\n{source}");
    String::from_utf8(output.stderr).unwrap()
}

/// The macros' library: the newest of that name beside this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_path_buf();
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    std::fs::read_dir(deps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(&format!("{prefix}heist_macros-")) && name.ends_with(suffix)
        })
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .expect("cargo builds the library before its tests")
}

/// `source` stands from the second line on; `place` is line and column.
#[track_caller]
fn refused(source: &str, place: &str, message: &str) {
    let output = compile(source);
    let expected = format!("<anon>:{place}: error: {message}");
    assert!(
        output.contains(&expected),
        "expected {expected:?}, got:\n{output}"
    );
    assert_eq!(
        output.matches(": error").count(),
        1,
        "one error is enough:\n{output}"
    );
}

#[test]
fn what_is_not_an_async_fn() {
    refused(
        "#[heist::main]\nfn main() {}",
        "3:1",
        "heist::main needs an `async fn`: write `async` before `fn`",
    );
    refused(
        "#[heist::test]\nfn t() {}",
        "3:1",
        "heist::test needs an `async fn`",
    );
    refused(
        "#[heist::test]\nstruct S;",
        "3:1",
        "heist::test goes on an `async fn`, and this is none",
    );
    refused(
        "#[heist::main]\nasync unsafe fn main() {}",
        "3:7",
        "heist::main goes on a plain `async fn`",
    );
}

#[test]
fn what_no_one_could_call() {
    refused(
        "#[heist::main]\nasync fn main(n: u8) {}",
        "3:14",
        "heist::main calls the function itself, so it can have no arguments",
    );
    refused(
        "#[heist::test]\npub(crate) async fn t<T>() {}",
        "3:22",
        "heist::test calls the function itself, so it can have no generics",
    );
    refused(
        "#[heist::test]\n#[test]\nasync fn t() {}",
        "3:2",
        "heist::test adds #[test] itself",
    );
}

#[test]
fn options_that_are_none() {
    let main = |options: &str| format!("#[heist::main({options})]\nasync fn main() {{}}");
    refused(&main("threads = 4"), "2:15", "no option `threads`");
    refused(&main("4"), "2:15", "expected the name of an option");
    refused(&main("flavor"), "2:15", "`flavor` needs a value");
    refused(
        &main("flavor ="),
        "2:15",
        "the value of `flavor` is missing",
    );
    refused(
        &main("worker_threads = 4 flavor"),
        "2:34",
        "expected a comma after `worker_threads`'s value",
    );
    refused(
        &main("worker_threads = 4, worker_threads = 4"),
        "2:35",
        "`worker_threads` is given twice",
    );
}

#[test]
fn values_that_are_wrong() {
    let main = |options: &str| format!("#[heist::main({options})]\nasync fn main() {{}}");
    refused(
        &main("flavor = \"fast\""),
        "2:24",
        "`flavor` is \"multi_thread\" or \"current_thread\"",
    );
    refused(
        &main("worker_threads = 0"),
        "2:32",
        "`worker_threads` is a whole number of at least one",
    );
    refused(
        &main("worker_threads = \"4\""),
        "2:32",
        "`worker_threads` is a whole number",
    );
    refused(
        &main("virtual_clock = 1"),
        "2:31",
        "`virtual_clock` is `true` or `false`",
    );
}

#[test]
fn options_that_do_not_go_together() {
    let case = |options: &str| format!("#[heist::{options}]\nasync fn main() {{}}");
    let no_workers = "`worker_threads` is for the flavor \"multi_thread\"";
    refused(
        &case("main(flavor = \"current_thread\", worker_threads = 2)"),
        "2:42",
        no_workers,
    );
    refused(&case("test(worker_threads = 2)"), "2:15", no_workers);
    refused(
        &case("main(virtual_clock = true)"),
        "2:15",
        "`virtual_clock` needs the flavor \"current_thread\"",
    );
}
