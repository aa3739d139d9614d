//! What nodes wrote to their logs and must not have.
//!
//! A panic is never allowed. An error is allowed only on a node that had a fault which asks for one, say a disk
//! that refuses; and so is an end that nobody had asked for.

#![expect(
    clippy::disallowed_methods,
    reason = "logs are read from the real disk, after the run; nothing of a node depends on it"
)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::cluster::Cluster;

/// The most findings of one node; more of the same tell nothing new.
const FINDINGS_MAX: usize = 20;
/// As much of a line is looked at and shown.
const LINE_BYTES_MAX: u64 = 4096;
/// Words that only a broken program says.
const PANICS: [&str; 6] = [
    "panicked at",
    "a bug: this process ends here",
    "has overflowed its stack",
    "memory allocation of",
    "fatal runtime error",
    "Sanitizer:",
];

/// Looks through the logs of all nodes, and at how their processes ended.
pub(super) fn findings(cluster: &Cluster) -> io::Result<Vec<String>> {
    let mut findings = Vec::new();
    for node in cluster.numbers() {
        let file = File::open(cluster.log(node));
        // Every error has an empty word in it.
        let expected = if cluster.excuses(node).is_empty() {
            cluster.expected_errors(node)
        } else {
            vec![""]
        };
        let lines = file.and_then(|file| scan(BufReader::new(file), &expected));
        let lines = lines.map_err(|error| named(&cluster.log(node), &error))?;
        findings.extend(lines.into_iter().map(|line| format!("node {node}: {line}")));
    }
    let deaths = cluster.deaths();
    findings.extend(
        deaths
            .iter()
            .filter(|death| !death.excused)
            .map(|death| format!("node {}: ended by itself ({})", death.node, death.how)),
    );
    Ok(findings)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The lines that must not be there; errors that are about something `expected` may.
fn scan(mut log: impl BufRead, expected: &[&str]) -> io::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = log.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(findings);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let wrong = has(&PANICS) || (is_error(text) && !has(expected));
        if wrong {
            findings.push(text.to_owned());
        }
        if findings.len() >= FINDINGS_MAX {
            findings.push("… and perhaps more".to_owned());
            return Ok(findings);
        }
    }
}

/// `<time> ERROR …`, as the log's text format has it.
fn is_error(line: &str) -> bool {
    line.split_ascii_whitespace().nth(1) == Some("ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01T00:00:00.000000Z  INFO atoll_server: serving address=\"127.0.0.1:1\"
2026-01-01T00:00:00.000000Z  WARN atoll_raft: no ERROR here
2026-01-01T00:00:00.000000Z ERROR atoll_env: the process stops here, on purpose reason=\"fsync\"
thread 'main' panicked at src/main.rs:1:1:
";

    #[test]
    fn errors_and_panics_are_found() {
        let found = scan(LOG.as_bytes(), &[]).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("on purpose") && found[1].contains("panicked"));
    }

    #[test]
    fn an_excuse_is_good_for_errors_and_not_for_panics() {
        let found = scan(LOG.as_bytes(), &[""]).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("panicked"));
    }

    #[test]
    fn an_expected_error_is_no_finding_and_another_is() {
        let found = |word| scan(LOG.as_bytes(), &[word]).unwrap().len();
        assert_eq!((found("atoll_env"), found("clock_guard")), (1, 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many = "x ERROR y\n".repeat(1_000);
        assert_eq!(scan(many.as_bytes(), &[]).unwrap().len(), FINDINGS_MAX + 1);
        let long = format!("x ERROR {}", "y".repeat(1_000_000));
        let found = scan(long.as_bytes(), &[]).unwrap();
        assert!(found.iter().all(|line| line.len() as u64 <= LINE_BYTES_MAX));
        assert_eq!(scan(&b"\xff\xfe\n"[..], &[]).unwrap().len(), 0);
    }
}
