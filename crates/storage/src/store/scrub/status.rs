//! What scrubbing has done and found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atoll_types::GroupKey;

use crate::check::JOURNAL;
use crate::journal::file_name;
use crate::manifest::{FileId, GROUPS, MANIFEST, folder_name};

/// Findings kept with what is wrong, at most; of more than that only the files are known, and counted. More words say nothing new:
/// the disk is bad.
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

    /// Its path in the data directory.
    pub(super) fn path(&self) -> PathBuf {
        let name = match self {
            Self::Segment(id) => file_name(*id),
            Self::Manifest(_) => MANIFEST.to_owned(),
            Self::Run(_, number) => FileId::run(*number).to_string(),
            Self::Values(_, number) => FileId::values(*number).to_string(),
        };
        match self.group() {
            None => Path::new(JOURNAL).join(name),
            Some(group) => Path::new(GROUPS).join(folder_name(group)).join(name),
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
    /// All of the file can still be read, also after a restart: one of two copies of something is damaged.
    pub readable: bool,
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
    /// How many are damaged besides.
    pub more: u64,
}

/// The same, as it is kept.
#[derive(Default)]
pub(super) struct Board {
    pub(super) running: bool,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) last: Option<LastRound>,
    findings: BTreeMap<ScrubbedFile, Finding>,
    /// All files that are damaged now, these included: at most as many as there are files.
    damaged: BTreeSet<ScrubbedFile>,
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

    /// A file was looked at. True if it is damaged and that is told from now on.
    pub(super) fn note(&mut self, file: ScrubbedFile, finding: Option<Finding>) -> bool {
        self.seen += u64::from(self.running);
        let Some(finding) = finding else {
            self.forget(file);
            return false;
        };
        self.damaged.insert(file);
        let new = !self.findings.contains_key(&file) && self.findings.len() < FINDINGS_MAX;
        if new {
            self.findings.insert(file, finding);
        }
        new
    }

    /// A file is sound, or not there any more.
    pub(super) fn forget(&mut self, file: ScrubbedFile) {
        self.findings.remove(&file);
        self.damaged.remove(&file);
    }

    /// The round is over: what is not there any more is not damaged.
    pub(super) fn end(&mut self, round: LastRound, is_there: impl Fn(ScrubbedFile) -> bool) {
        self.running = false;
        self.last = Some(LastRound {
            bytes: self.done,
            files: self.seen,
            ..round
        });
        self.damaged.retain(|file| is_there(*file));
        self.findings.retain(|file, _| self.damaged.contains(file));
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.values().cloned().collect()
    }

    /// All files that are damaged, as far as is known.
    pub(super) fn damaged(&self) -> Vec<ScrubbedFile> {
        self.damaged.iter().copied().collect()
    }

    /// How many are damaged besides those with a finding.
    pub(super) fn more(&self) -> u64 {
        (self.damaged.len() - self.findings.len()) as u64
    }

    /// The newest segment that is damaged; 0: none.
    pub(super) fn rotten_segment(&self) -> u32 {
        let segments = self.damaged.iter().filter_map(|file| match file {
            ScrubbedFile::Segment(id) => Some(*id),
            _ => None,
        });
        segments.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: ScrubbedFile) -> Finding {
        Finding {
            file,
            path: file.path(),
            offset: 0,
            what: String::new(),
            readable: false,
            found_ms: 0,
        }
    }

    #[test]
    fn of_very_many_all_are_counted_and_no_segment_is_forgotten() {
        let mut board = Board::default();
        let most = FINDINGS_MAX as u32;
        for id in 1..=most + 44 {
            let file = ScrubbedFile::Segment(id);
            assert_eq!(board.note(file, Some(finding(file))), id <= most);
        }
        assert_eq!((board.findings().len(), board.more()), (FINDINGS_MAX, 44));
        assert_eq!(
            board.rotten_segment(),
            most + 44,
            "it is to go with all before it"
        );
        // When some are gone, there is room to tell of others.
        board.end(LastRound::default(), |file| file > ScrubbedFile::Segment(10));
        assert_eq!((board.findings().len(), board.more()), (FINDINGS_MAX - 10, 44));
        let last = ScrubbedFile::Segment(most + 44);
        assert!(board.note(last, Some(finding(last))));
        assert_eq!(board.more(), 43);
        board.note(last, None);
        assert_eq!((board.rotten_segment(), board.more()), (most + 43, 43));
        for file in board.damaged() {
            board.forget(file);
        }
        assert_eq!((board.rotten_segment(), board.more()), (0, 0));
    }
}
