//! Judges a history file and says so. Exit code 0: pass, 1: violation, 2: unknown, or no history.
//!
//! `cargo run -p atoll-history --example check -- history.jsonl`
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command line program that reads a real file"
)]

use std::io::BufReader;
use std::process::ExitCode;

use atoll_history::{Error, History, Verdict, check};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: check FILE");
        return ExitCode::from(2);
    };
    match read(&path) {
        Ok(history) => judge(&history),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &str) -> Result<History, Error> {
    History::read(BufReader::new(std::fs::File::open(path)?))
}

fn judge(history: &History) -> ExitCode {
    let mut all = Verdict::Ok { judged: 0 };
    for (name, verdict) in check::all(history) {
        println!("{name}: {verdict}");
        all = all.merge(verdict);
    }
    ExitCode::from(all.exit_code())
}
