//! Runs scenario programs and prints their traces, one JSON object a line.
//!
//! `cargo run --release -p heist-asyncio --example scenario -- FILE...`, where a file holds one program or a list. A
//! program that can never go on prints `{"name": …, "reject": "deadlock"}`; a malformed one is named on standard
//! error, with its statement, and the status is 2. It uses the facade's public API alone.

use std::io::Write;
use std::process::ExitCode;

mod exec;
mod ops;
mod program;
mod run;
mod value;
mod world;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: scenario FILE...");
        return ExitCode::from(2);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for file in files {
        if let Err(message) = run_file(&file, &mut out) {
            // What was done before stays visible.
            let _ = out.flush();
            eprintln!("{file}: {message}");
            return ExitCode::from(2);
        }
    }
    match out.flush() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_file(file: &str, out: &mut impl Write) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    for program in program::parse_all(&text)? {
        let answer = run::run_program(program)?;
        writeln!(out, "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(())
}
