//! Golden scripts.
//!
//! A line that begins with `> ` is a command, split as a shell would. Lines that begin with `< ` behind
//! it are its standard input. What follows is what it printed: results as they are, lines of standard
//! error behind `! `, and its exit code where that is not 0. What differs from run to run is masked.
//! Lines that begin with `#` and empty lines before a command are for the reader.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{BINARY, text};

/// Runs a script in a folder of its own and gives it back with the output of this run.
pub(crate) fn run(script: &str, endpoints: &[String]) -> String {
    let dir = tempfile::tempdir().unwrap();
    run_in(script, dir.path(), endpoints, mask)
}

/// The same in a folder that is there; `mask` hides what varies.
pub(crate) fn run_in(script: &str, dir: &Path, endpoints: &[String], mask: fn(&str) -> String) -> String {
    let mut current = String::new();
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("> ") else {
            if line.starts_with('#') || line.is_empty() {
                current.push_str(line);
                current.push('\n');
            }
            continue;
        };
        writeln!(current, "> {command}").unwrap();
        let mut input = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("< ") || *line == "<") {
            current.push_str(line);
            current.push('\n');
            input.push_str(line.strip_prefix("< ").unwrap_or_default());
            input.push('\n');
        }
        // The old output, up to what is for the reader.
        while lines
            .next_if(|line| !line.starts_with("> ") && !line.starts_with('#') && !line.is_empty())
            .is_some()
        {}
        current.push_str(&mask(&output(command, &input, dir, endpoints)));
    }
    current
}

fn output(command: &str, input: &str, dir: &Path, endpoints: &[String]) -> String {
    let words = shlex::split(command).unwrap();
    let program = match &words[0][..] {
        "atoll" => BINARY,
        other => other,
    };
    let mut child = Command::new(program)
        .args(&words[1..])
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir)
        .env("ATOLL_ENDPOINTS", endpoints.join(","))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone before it is told anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let mut shown = String::new();
    for line in text(&done.stdout).lines() {
        // An empty line would end the output.
        shown.push_str(if line.is_empty() { "\\" } else { line });
        shown.push('\n');
    }
    for line in text(&done.stderr).lines() {
        shown.push_str(format!("! {line}").trim_end());
        shown.push('\n');
    }
    match done.status.code() {
        Some(0) => {}
        Some(code) => writeln!(shown, "[exit {code}]").unwrap(),
        None => shown.push_str("[killed]\n"),
    }
    for (number, address) in endpoints.iter().enumerate() {
        shown = shown.replace(address, &format!("NODE{}", number + 1));
    }
    shown
}

/// Hides versions, times, rates and log positions.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        masked.push_str(before);
        let length = number
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(number.len());
        let (digits, after) = number.split_at(length);
        rest = after;
        let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let unit = [" µs", " ms", " s"].iter().find(|unit| {
            let behind = after.strip_prefix(**unit);
            behind.is_some_and(|behind| !behind.starts_with(|c: char| c.is_alphanumeric()))
        });
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| before.ends_with(ending));
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if ends_with(&["checksum ", "checksum\":\""]) {
            masked.push_str(digits);
        } else if digits.len() >= 16 && is_number && !in_word {
            masked.push_str("VERSION");
        } else if let Some(unit) = unit {
            masked.push_str("TIME");
            rest = after.strip_prefix(*unit).unwrap();
        } else if after.starts_with("/s") || ends_with(&["applied index ", "second\":", "seconds\":"]) {
            masked.push('N');
        } else {
            masked.push_str(digits);
        }
    }
    masked + rest
}

/// The first lines that differ.
pub(crate) fn difference(name: &str, stored: &str, current: &str) -> String {
    let mut shown = format!("{name}:\n");
    let mut command = "";
    for (number, (stored, current)) in stored.lines().zip(current.lines()).enumerate() {
        if stored.starts_with("> ") {
            command = stored;
        }
        if stored != current {
            let line = number + 1;
            writeln!(
                shown,
                "  line {line}, {command}\n    stored  {stored}\n    current {current}"
            )
            .unwrap();
            return shown;
        }
    }
    shown.push_str("  one is longer than the other\n");
    shown
}

#[test]
fn masks_hide_only_what_varies() {
    assert_eq!(
        mask("ok, version 117655516510420992 (3.75 ms) k16 at 12 in 2.5 s (100/s)"),
        "ok, version VERSION (TIME) k16 at 12 in TIME (N/s)"
    );
    assert_eq!(
        mask("applied index 42, 5 keys, 3 slots"),
        "applied index N, 5 keys, 3 slots"
    );
}
