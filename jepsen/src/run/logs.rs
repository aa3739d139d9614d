//! What nodes wrote to their logs and must not have.
//!
//! A panic is never allowed. An error is allowed only on a node that had a fault which asks for one, say a disk
//! that refuses; and so is an end that nobody had asked for.

#![expect(
    clippy::disallowed_methods,
    reason = "logs are read from the real disk, after the run; nothing of a node depends on it"
)]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::record::LogFinding;

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

/// Lines that are kept before a finding, and after it.
const AROUND_MAX: usize = 4;
/// Lines of a node's last words.
const LAST_MAX: usize = 8;
/// Letters of a line that is not a finding itself.
const AROUND_LETTERS_MAX: usize = 300;

/// The logs of one run.
pub(super) struct Logs<'a> {
    pub(super) cluster: &'a Cluster,
    /// When the run began, by the wall clock, by which logs have their times.
    pub(super) began_unix_ms: u64,
}

impl Logs<'_> {
    /// Looks through the logs of all nodes, and at how their processes ended.
    pub(super) fn findings(&self) -> io::Result<Vec<LogFinding>> {
        let mut findings = Vec::new();
        for node in self.cluster.numbers() {
            // Every error has an empty word in it.
            let expected = if self.cluster.excuses(node).is_empty() {
                self.cluster.expected_errors(node)
            } else {
                vec![""]
            };
            let mut scan = Scan::new(node, self.began_unix_ms, expected);
            self.read(node, |line| scan.line(line))?;
            findings.extend(scan.findings);
        }
        for death in self.cluster.deaths().iter().filter(|death| !death.excused) {
            findings.push(LogFinding {
                node: death.node,
                time_ns: Some(death.time_ns),
                line: format!("ended by itself ({})", death.how),
                before: self.last(death.node, death.time_ns)?,
                after: Vec::new(),
            });
        }
        Ok(findings)
    }

    /// What each node said last before a moment.
    pub(super) fn last_words(&self, until_ns: u64) -> io::Result<Vec<(u16, Vec<String>)>> {
        let last = |node| Ok((node, self.last(node, until_ns)?));
        self.cluster.numbers().map(last).collect()
    }

    fn last(&self, node: u16, until_ns: u64) -> io::Result<Vec<String>> {
        let mut last = VecDeque::new();
        self.read(node, |line| {
            let time_ns = time_ns(line, self.began_unix_ms);
            let before = time_ns.is_none_or(|time| time <= until_ns);
            if before {
                keep(&mut last, line, LAST_MAX);
            }
            before
        })?;
        Ok(last.into())
    }

    /// Goes through a log until `each` has seen enough.
    fn read(&self, node: u16, each: impl FnMut(&str) -> bool) -> io::Result<()> {
        let path = self.cluster.log(node);
        let read = File::open(&path).and_then(|file| lines(BufReader::new(file), each));
        read.map_err(|error| named(&path, &error))
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Gives every line, or as much of it as is looked at, until `each` has seen enough.
fn lines(mut log: impl BufRead, mut each: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = log.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 || !each(String::from_utf8_lossy(&line).trim_end()) {
            return Ok(());
        }
    }
}

fn keep(last: &mut VecDeque<String>, line: &str, most: usize) {
    if last.len() >= most {
        last.pop_front();
    }
    last.push_back(clipped(line));
}

fn clipped(line: &str) -> String {
    line.chars().take(AROUND_LETTERS_MAX).collect()
}

/// One log, as it is looked through.
struct Scan<'a> {
    node: u16,
    began_unix_ms: u64,
    /// What errors may be about.
    expected: Vec<&'a str>,
    last: VecDeque<String>,
    time_ns: Option<u64>,
    findings: Vec<LogFinding>,
}

impl<'a> Scan<'a> {
    fn new(node: u16, began_unix_ms: u64, expected: Vec<&'a str>) -> Self {
        Self {
            node,
            began_unix_ms,
            expected,
            last: VecDeque::new(),
            time_ns: None,
            findings: Vec::new(),
        }
    }

    /// Looks at the next line. False once there is enough.
    fn line(&mut self, line: &str) -> bool {
        // A panic has no time of its own.
        self.time_ns = time_ns(line, self.began_unix_ms).or(self.time_ns);
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let wrong = has(&PANICS) || (is_error(line) && !has(&self.expected));
        if !wrong {
            keep(&mut self.last, line, AROUND_MAX);
            let after = self.findings.last_mut().map(|finding| &mut finding.after);
            if let Some(after) = after.filter(|after| after.len() < AROUND_MAX) {
                after.push(clipped(line));
            }
            return true;
        }
        let enough = self.findings.len() >= FINDINGS_MAX;
        self.findings.push(LogFinding {
            node: self.node,
            time_ns: self.time_ns,
            line: if enough {
                "… and perhaps more".to_owned()
            } else {
                line.to_owned()
            },
            before: self.last.drain(..).collect(),
            after: Vec::new(),
        });
        !enough
    }
}

/// When a line was written, in nanoseconds since the run began: lines begin with `2026-01-01T00:00:00.000000Z`.
fn time_ns(line: &str, began_unix_ms: u64) -> Option<u64> {
    let (date, time) = line
        .split_ascii_whitespace()
        .next()?
        .strip_suffix('Z')?
        .split_once('T')?;
    let numbers = |text: &str, separator| -> Option<[u64; 3]> {
        let parts: Result<Vec<u64>, _> = text.split(separator).map(str::parse).collect();
        parts.ok()?.try_into().ok()
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    let is_sane = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && (1..=9).contains(&fraction.len());
    let nanos = fraction.parse::<u32>().ok().filter(|_| is_sane)?;
    let nanos = nanos * 10_u32.pow(9 - fraction.len() as u32);
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let unix_ns = Duration::from_secs(seconds) + Duration::from_nanos(u64::from(nanos));
    let ns = unix_ns
        .saturating_sub(Duration::from_millis(began_unix_ms))
        .as_nanos();
    u64::try_from(ns).ok()
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
2026-01-01T00:00:02.500000Z ERROR atoll_env: the process stops here, on purpose reason=\"fsync\"
thread 'main' panicked at src/main.rs:1:1:
the reason
";

    /// The beginning of the year in which the log was written.
    const BEGAN_MS: u64 = 1_767_225_600_000;

    fn scan(log: &[u8], expected: &[&str]) -> Vec<LogFinding> {
        let mut scan = Scan::new(1, BEGAN_MS, expected.to_vec());
        lines(log, |line| scan.line(line)).unwrap();
        scan.findings
    }

    #[test]
    fn errors_and_panics_are_found() {
        let found = scan(LOG.as_bytes(), &[]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].line.contains("on purpose") && found[1].line.contains("panicked"));
    }

    #[test]
    fn findings_have_their_moment_and_what_is_around() {
        let found = scan(LOG.as_bytes(), &[]);
        assert_eq!(found[0].time_ns, Some(2_500_000_000));
        assert_eq!(found[1].time_ns, found[0].time_ns, "a panic has none of its own");
        assert_eq!(found[0].before.len(), 2);
        assert!(
            found[0].after.is_empty() && found[1].before.is_empty(),
            "findings are told once"
        );
        assert_eq!(found[1].after, ["the reason"]);
        let long = "z".repeat(1_000) + "\n";
        let many = format!("{0}x ERROR y\n{0}", long.repeat(50));
        let found = scan(many.as_bytes(), &[]);
        for around in [&found[0].before, &found[0].after] {
            assert_eq!(around.len(), AROUND_MAX);
            assert!(around.iter().all(|line| line.len() == AROUND_LETTERS_MAX));
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |text: &str| time_ns(text, 0).map(|ns| ns / 1_000_000);
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("2000-02-29T00:00:00.25Z  INFO"), Some(951_782_400_250));
        assert_eq!(at("2026-12-31T23:59:59.000000Z"), Some(1_798_761_599_000));
        assert_eq!(
            time_ns("1970-01-01T00:00:00Z", 5),
            Some(0),
            "before the run is its beginning"
        );
        for wrong in [
            "",
            "x",
            "T Z",
            "TZ",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "99999999-01-01T00:00:00Z",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_excuse_is_good_for_errors_and_not_for_panics() {
        let found = scan(LOG.as_bytes(), &[""]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].line.contains("panicked"));
    }

    #[test]
    fn an_expected_error_is_no_finding_and_another_is() {
        let found = |word| scan(LOG.as_bytes(), &[word]).len();
        assert_eq!((found("atoll_env"), found("clock_guard")), (1, 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many = "x ERROR y\n".repeat(1_000);
        assert_eq!(scan(many.as_bytes(), &[]).len(), FINDINGS_MAX + 1);
        let long = format!("x ERROR {}", "y".repeat(1_000_000));
        let found = scan(long.as_bytes(), &[]);
        assert!(
            found
                .iter()
                .all(|found| found.line.len() as u64 <= LINE_BYTES_MAX)
        );
        assert_eq!(scan(&b"\xff\xfe\n"[..], &[]).len(), 0);
    }
}
