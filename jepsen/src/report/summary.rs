//! The numbers of a run that both the page and results.json tell.

use std::collections::BTreeMap;

use atoll_history::{Phase, Verdict};

use super::frame::Frame;
use super::outcome::{Dot, Ending};
use super::words;
use crate::record::{Check, Conclusion, Record};

/// Distinct texts of errors that are counted; more are counted together.
const ERRORS_MAX: usize = 200;

/// Checks that the sentence names.
const CHECKS_NAMED_MAX: usize = 2;

/// Letters of an error that tell it from others.
const ERROR_LETTERS_MAX: usize = 160;

/// A record, counted.
pub(super) struct Summary<'a> {
    pub(super) record: &'a Record,
    pub(super) frame: Frame,
    /// One for each operation, in their order.
    pub(super) dots: Vec<Dot>,
    /// Of all operations together.
    pub(super) total: Tally,
    /// By kind of call.
    pub(super) calls: BTreeMap<String, Tally>,
    /// Faults by name.
    pub(super) faults: BTreeMap<&'a str, FaultTally>,
    /// How often each error was told, with the ending that it told of.
    pub(super) errors: BTreeMap<(Ending, String), usize>,
}

/// How operations ended, and how long the answered ones took.
#[derive(Default)]
pub(super) struct Tally {
    endings: BTreeMap<Ending, usize>,
    /// Of answers, in nanoseconds, in order.
    latencies_ns: Vec<u64>,
}

/// How often a fault was in place, and how long in all.
#[derive(Default)]
pub(super) struct FaultTally {
    pub(super) count: usize,
    pub(super) total_ns: u64,
}

impl Tally {
    fn add(&mut self, dot: &Dot) {
        *self.endings.entry(dot.ending).or_default() += 1;
        if dot.ending.is_answer() {
            self.latencies_ns.push(dot.latency_ns());
        }
    }

    /// How many ended so.
    pub(super) fn count(&self, ending: Ending) -> usize {
        self.endings.get(&ending).copied().unwrap_or(0)
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.endings.values().sum()
    }

    /// The latency that `percent` of the answers did not exceed; `None` without answers.
    pub(super) fn quantile_ns(&self, percent: u32) -> Option<u64> {
        quantile(&self.latencies_ns, percent)
    }

    /// The slowest answer.
    pub(super) fn max_ns(&self) -> Option<u64> {
        self.latencies_ns.last().copied()
    }
}

/// The nearest rank of sorted numbers.
pub(super) fn quantile(sorted: &[u64], percent: u32) -> Option<u64> {
    let rank = (sorted.len() * percent as usize).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

impl<'a> Summary<'a> {
    /// Counts a record.
    pub(super) fn of(record: &'a Record) -> Self {
        let operations = record.history.operations();
        let mut summary = Self {
            record,
            frame: Frame::of(record),
            dots: Vec::with_capacity(operations.len()),
            total: Tally::default(),
            calls: BTreeMap::new(),
            faults: BTreeMap::new(),
            errors: BTreeMap::new(),
        };
        for (position, operation) in operations.iter().enumerate() {
            let dot = Dot::of(position, operation, &summary.frame);
            summary.total.add(&dot);
            summary
                .calls
                .entry(words::kind(&operation.call))
                .or_default()
                .add(&dot);
            summary.dots.push(dot);
        }
        summary.total.latencies_ns.sort_unstable();
        for tally in summary.calls.values_mut() {
            tally.latencies_ns.sort_unstable();
        }
        summary.count_faults();
        summary.count_errors();
        summary
    }

    fn count_faults(&mut self) {
        for fault in &self.record.faults {
            let tally = self.faults.entry(&fault.name).or_default();
            tally.count += 1;
            tally.total_ns += fault.end_ns.saturating_sub(fault.begin_ns);
        }
    }

    fn count_errors(&mut self) {
        for event in self.record.history.events() {
            let (Phase::Complete(outcome), Some(error)) = (&event.phase, &event.error) else {
                continue;
            };
            let mut key = (Ending::of(outcome), words::clip(error, ERROR_LETTERS_MAX));
            if self.errors.len() >= ERRORS_MAX && !self.errors.contains_key(&key) {
                "(other errors)".clone_into(&mut key.1);
            }
            *self.errors.entry(key).or_default() += 1;
        }
    }

    /// The verdict in a sentence.
    pub(super) fn sentence(&self) -> String {
        match self.record.conclusion() {
            Conclusion::Pass => self.pass(),
            Conclusion::Violation => self.violation(),
            Conclusion::Unknown => self.unknown(),
        }
    }

    fn pass(&self) -> String {
        let operations = words::things(self.total.all(), "operation");
        let faults = match self.record.faults.len() {
            0 => "with nothing broken on purpose".to_owned(),
            number => format!(
                "under {} of {}",
                words::things(number, "fault"),
                words::things(self.faults.len(), "kind")
            ),
        };
        format!("No promise was broken: every checker could explain {operations} {faults}.")
    }

    fn violation(&self) -> String {
        let says = |check: &Check| {
            let Verdict::Violation(found) = &check.verdict else {
                return None;
            };
            let key = found.first().map_or("", |first| first.key.as_str());
            let key = words::clip(key, 60);
            let more = if found.len() > 1 { ", among others" } else { "" };
            let what = if key.is_empty() {
                String::new()
            } else {
                format!(" of key “{key}”")
            };
            Some(format!("{} says so{what}{more}", check.name))
        };
        let mut parts: Vec<String> = self.record.checks.iter().filter_map(says).collect();
        let others = parts.len().saturating_sub(CHECKS_NAMED_MAX);
        if others > 0 {
            parts.truncate(CHECKS_NAMED_MAX);
            parts.push(format!(
                "{} more found violations too",
                words::things(others, "check")
            ));
        }
        if !self.record.log_findings.is_empty() {
            let lines = words::things(self.record.log_findings.len(), "line");
            parts.push(format!("logs of nodes hold {lines} that must not be there"));
        }
        format!("A promise was broken: {}.", parts.join("; "))
    }

    fn unknown(&self) -> String {
        let mut parts = Vec::new();
        if self.record.checks.is_empty() {
            parts.push("no checker looked at it".to_owned());
        }
        for check in &self.record.checks {
            if let Verdict::Unknown(open) = &check.verdict {
                parts.push(format!(
                    "{} could not decide {}",
                    check.name,
                    words::things(open.len(), "key")
                ));
            }
        }
        let unmet = self.record.gate.iter().filter(|demand| !demand.met()).count();
        if unmet > 0 {
            let demands = words::things(unmet, "demand");
            parts.push(format!("{demands} of the gate not met, so it was no test"));
        }
        format!("Nobody knows: {}.", parts.join("; "))
    }
}
