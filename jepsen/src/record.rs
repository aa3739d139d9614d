//! Everything that a run leaves behind: from this alone the report is made.
//!
//! All times are nanoseconds since the run began, on one clock; those of the history too.

use std::time::Duration;

use atoll_history::{History, Verdict};

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Record {
    /// Workloads and nemeses as asked for, for titles.
    pub workloads: Vec<String>,
    /// See [`Record::workloads`].
    pub nemeses: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// Nodes 1 to this.
    pub nodes: u16,
    /// Data groups.
    pub groups: u32,
    /// The version of the program that was tested, and the deliberate bug that was awake in it.
    pub program: String,
    /// The command that repeats the run.
    pub command: String,
    /// When the run began: milliseconds since 1970.
    pub began_unix_ms: u64,
    /// What clients asked for and were told.
    pub history: History,
    /// What was broken, in order of beginnings.
    pub faults: Vec<Fault>,
    /// Who led what, as nodes said themselves when asked several times a second.
    pub leaders: Vec<LeaderSample>,
    /// The parts of the run, in order.
    pub phases: Vec<Phase>,
    /// What each checker said.
    pub checks: Vec<Check>,
    /// Whether the run was a test at all.
    pub gate: Vec<Demand>,
    /// What was asked for and could not be injected here, with the reason.
    pub not_injected: Vec<String>,
    /// Nodes with damaged disks that were not whole when the others were. They need not be.
    pub spared: Vec<String>,
    /// What nodes' logs must not hold, and ends of nodes that nobody had asked for.
    pub log_findings: Vec<LogFinding>,
    /// If the cluster did not recover: what each node said last before that was clear.
    pub last_words: Vec<(u16, Vec<String>)>,
}

/// One fault, from the moment it was installed to the moment it was healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `family/variant`.
    pub name: String,
    /// What exactly, for people: `isolate node 2 from 1, 3, 4, 5`.
    pub what: String,
    /// The nodes (1, 2, 3, …) it hit; empty: all, or none in particular.
    pub nodes: Vec<u16>,
    /// When it was in place.
    pub begin_ns: u64,
    /// When it was healed.
    pub end_ns: u64,
}

/// What a node said of one group of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderSample {
    /// When it was asked.
    pub time_ns: u64,
    /// The node, 1 upwards.
    pub node: u16,
    /// The group.
    pub group: u64,
    /// Its term.
    pub term: u64,
    /// Whether it believes that it leads.
    pub leads: bool,
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `warm-up`, `faults`, `recovery`, `final reads`.
    pub name: &'static str,
    /// When it began.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// One checker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The checker.
    pub name: String,
    /// What it is about, for people: one sentence.
    pub about: &'static str,
    /// Its answer.
    pub verdict: Verdict,
}

/// Something in a node's log that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFinding {
    /// The node.
    pub node: u16,
    /// When it said so, or had last said something with a time; `None` if nothing in the log tells.
    pub time_ns: Option<u64>,
    /// What it said.
    pub line: String,
    /// The few lines before it.
    pub before: Vec<String>,
    /// The few lines after it, up to the next finding.
    pub after: Vec<String>,
}

/// Which way a demand is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// By as much or more.
    AtLeast,
    /// By as much or less.
    AtMost,
}

/// Something a run needs to be more than idle motion.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// For people: `successful operations per second while there were faults`.
    pub what: String,
    /// Whether `wanted` is the least or the most.
    pub bound: Bound,
    /// The bound.
    pub wanted: f64,
    /// What was.
    pub was: f64,
    /// Which part of the run it is about, from and to; `None`: all of it.
    pub span_ns: Option<(u64, u64)>,
    /// What stands behind the number, for people.
    pub details: Vec<String>,
}

/// What a run says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// No promise was broken, and there was enough to break one.
    Pass,
    /// A promise was broken.
    Violation,
    /// A checker could not decide, or the run was no test.
    Unknown,
}

impl Record {
    /// A violation outweighs everything, what is unknown or not tested outweighs a pass.
    pub fn conclusion(&self) -> Conclusion {
        let any = |wanted: fn(&Verdict) -> bool| self.checks.iter().any(|check| wanted(&check.verdict));
        if !self.log_findings.is_empty() || any(|verdict| matches!(verdict, Verdict::Violation(_))) {
            return Conclusion::Violation;
        }
        let tested = !self.checks.is_empty() && self.gate.iter().all(Demand::met);
        if !tested || any(|verdict| matches!(verdict, Verdict::Unknown(_))) {
            return Conclusion::Unknown;
        }
        Conclusion::Pass
    }

    /// How long the whole run took.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.phases.last().map_or(0, |phase| phase.end_ns))
    }
}

impl std::fmt::Display for LogFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {}: {}", self.node, self.line)
    }
}

impl Demand {
    /// As much as this, or more.
    pub fn at_least(what: impl Into<String>, wanted: f64, was: f64) -> Self {
        Self::new(what.into(), Bound::AtLeast, wanted, was)
    }

    /// As much as this, or less.
    pub fn at_most(what: impl Into<String>, wanted: f64, was: f64) -> Self {
        Self::new(what.into(), Bound::AtMost, wanted, was)
    }

    fn new(what: String, bound: Bound, wanted: f64, was: f64) -> Self {
        Self {
            what,
            bound,
            wanted,
            was,
            span_ns: None,
            details: Vec::new(),
        }
    }

    /// Whether it is met.
    pub fn met(&self) -> bool {
        match self.bound {
            Bound::AtLeast => self.was >= self.wanted,
            Bound::AtMost => self.was <= self.wanted,
        }
    }
}

impl Bound {
    /// `at least`, `at most`.
    pub fn words(self) -> &'static str {
        match self {
            Self::AtLeast => "at least",
            Self::AtMost => "at most",
        }
    }
}

impl Conclusion {
    /// 0 pass, 1 violation, 2 unknown.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Violation => 1,
            Self::Unknown => 2,
        }
    }
}
