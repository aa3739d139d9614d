//! What scrubbing has done and found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atoll_types::GroupKey;

/// Findings kept, at most. More of them say nothing new: the disk is bad.
const FINDINGS_MAX: usize = 256;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrubbedFile {
    /// A segment of the journal, which is all groups'.
    Segment(u32),
    /// A group's manifest.
    Manifest(GroupKey),
    /// A run of a group.
    Run(GroupKey, u64),
    /// A value file of a group.
    Values(GroupKey, u32),
}

impl ScrubbedFile {
    /// Whose it is; `None`: all groups'.
    pub fn group(&self) -> Option<GroupKey> {
        match self {
            Self::Segment(_) => None,
            Self::Manifest(group) | Self::Run(group, _) | Self::Values(group, _) => Some(*group),
        }
    }
}

/// A file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which file.
    pub file: ScrubbedFile,
    /// Its path in the data directory.
    pub path: PathBuf,
    /// Where in it, about: the first place.
    pub offset: u64,
    /// What is wrong there, for people.
    pub what: String,
    /// When it was found, in milliseconds since 1970.
    pub found_ms: u64,
}

/// A round that came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastRound {
    /// When it began, and when it ended, in milliseconds since 1970.
    pub began_ms: u64,
    /// See above.
    pub ended_ms: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files read.
    pub files: u64,
}

/// How far scrubbing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Bytes per second; 0: off.
    pub bytes_per_second: u64,
    /// A round is under way.
    pub running: bool,
    /// Bytes that it has read.
    pub done: u64,
    /// Of so many, about.
    pub total: u64,
    /// The last round that ended since the process started.
    pub last: Option<LastRound>,
    /// Files that are damaged now, as far as is known, at most 256.
    pub findings: Vec<Finding>,
}

/// The same, as it is kept.
#[derive(Default)]
pub(super) struct Board {
    pub(super) running: bool,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) last: Option<LastRound>,
    findings: BTreeMap<ScrubbedFile, Finding>,
    /// Files of this round.
    seen: u64,
}

impl Board {
    pub(super) fn begin(&mut self, total: u64) {
        self.running = true;
        (self.done, self.total, self.seen) = (0, total, 0);
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        if self.running {
            self.done = self.done.saturating_add(bytes);
            self.total = self.total.max(self.done);
        }
    }

    /// A file was looked at. True if it is damaged and was not known to be.
    pub(super) fn note(&mut self, file: ScrubbedFile, finding: Option<Finding>) -> bool {
        self.seen += u64::from(self.running);
        let Some(finding) = finding else {
            self.findings.remove(&file);
            return false;
        };
        let new = !self.findings.contains_key(&file) && self.findings.len() < FINDINGS_MAX;
        if new {
            self.findings.insert(file, finding);
        }
        new
    }

    /// A file is not there any more.
    pub(super) fn forget(&mut self, file: ScrubbedFile) {
        self.findings.remove(&file);
    }

    /// The round is over: what is not there any more is not damaged.
    pub(super) fn end(&mut self, round: LastRound, is_there: impl Fn(&Path) -> bool) {
        self.running = false;
        self.last = Some(LastRound {
            bytes: self.done,
            files: self.seen,
            ..round
        });
        self.findings.retain(|_, finding| is_there(&finding.path));
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.values().cloned().collect()
    }
}
