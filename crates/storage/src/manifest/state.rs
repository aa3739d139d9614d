//! What a manifest says.

use atoll_types::limits::KEY_BYTES_MAX;
use atoll_types::{LogId, Version};
use bytes::Bytes;

/// Bytes of an encoded manifest, at most.
pub(super) const MANIFEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a group's membership, at most.
pub(super) const MEMBERSHIP_BYTES_MAX: usize = 1024 * 1024;
/// Runs of a group, at most. Merges keep them far below.
pub(super) const RUNS_MAX: usize = 256;
/// Value files of a group, at most.
pub(super) const VALUE_FILES_MAX: usize = 65_536;
/// Segments of the journal that one run points into, at most.
pub(super) const RUN_SEGMENTS_MAX: usize = 65_536;
/// Bytes of a row's key: the space, then a key.
pub(super) const ROW_KEY_BYTES_MAX: usize = 1 + KEY_BYTES_MAX;

/// A group's applied state as files: what it consists of, and how far it goes.
///
/// The first three fields are the folder's: [`GroupFolder::commit`](super::GroupFolder::commit) sets them, whatever they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// From 1, by 1.
    pub number: u64,
    /// The number that the next run gets. Those of this and of earlier manifests are below.
    pub next_run: u64,
    /// The same of value files.
    pub next_value_file: u32,
    /// Everything up to here is in the files. None before anything was applied.
    pub applied: Option<LogId>,
    /// The membership as of `applied`, opaque here; at most 1 MiB.
    pub membership: Bytes,
    /// The entry it came with.
    pub membership_id: Option<LogId>,
    /// The last entry of the newest snapshot that was installed here, until the log is purged up to it. While it is the same as
    /// `applied`, the group's log may end before it: there was no time to purge it.
    pub installed: Option<LogId>,
    /// The group's last version as of `applied`.
    pub last_version: Version,
    /// Rows older than what was visible at this version are gone.
    pub horizon: Version,
    /// Newest to oldest, at most 256. Numbers say nothing about age: a merge gives a new one to old rows.
    pub runs: Vec<RunEntry>,
    /// By number, at most 65,536.
    pub value_files: Vec<ValueFileEntry>,
}

/// A run that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEntry {
    /// Names the file.
    pub number: u64,
    /// Bytes of the file.
    pub len: u64,
    /// Sum in its footer: the file of this number is this very run.
    pub footer_crc: u32,
    /// Rows, tombstones included.
    pub entries: u64,
    /// Rows that say that a key is gone.
    pub tombstones: u64,
    /// The first row's key, with its space.
    pub min_key: Bytes,
    /// The last row's.
    pub max_key: Bytes,
    /// The lowest version.
    pub min_version: Version,
    /// The highest.
    pub max_version: Version,
    /// Segments of the journal with bytes that rows point at, by number, and how many of them.
    pub journal_bytes: Vec<(u32, u64)>,
}

/// A value file that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueFileEntry {
    /// Names the file.
    pub number: u32,
    /// Bytes of the file.
    pub len: u64,
    /// Bytes of values that a run points at.
    pub live_bytes: u64,
    /// Bytes of values that none does any more.
    pub dead_bytes: u64,
}

impl Manifest {
    /// Checked before it is written and after it was read: what is written can be read.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Self {
            runs, value_files, ..
        } = self;
        if self.membership.len() > MEMBERSHIP_BYTES_MAX {
            return Err("the membership is too long");
        }
        let index = |id: Option<LogId>| id.map(|id| id.index);
        if index(self.installed) > index(self.applied) {
            return Err("a snapshot was installed beyond what is applied");
        }
        if runs.len() > RUNS_MAX || value_files.len() > VALUE_FILES_MAX {
            return Err("there are too many files");
        }
        runs.iter().try_for_each(RunEntry::check)?;
        let mut numbers: Vec<_> = runs.iter().map(|run| run.number).collect();
        numbers.sort_unstable();
        if numbers.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("a run is named twice");
        }
        if numbers.last().is_some_and(|last| *last >= self.next_run) {
            return Err("a run has a number that was not given yet");
        }
        if !value_files.is_sorted_by(|left, right| left.number < right.number) {
            return Err("the value files are not in order");
        }
        let last = value_files.last();
        if last.is_some_and(|last| last.number >= self.next_value_file) {
            return Err("a value file has a number that was not given yet");
        }
        Ok(())
    }
}

impl RunEntry {
    fn check(&self) -> Result<(), &'static str> {
        if self.min_key.len().max(self.max_key.len()) > ROW_KEY_BYTES_MAX {
            return Err("a key is too long");
        }
        if self.min_key > self.max_key || self.min_version > self.max_version {
            return Err("a run ends before it begins");
        }
        if self.tombstones > self.entries {
            return Err("a run has more tombstones than rows");
        }
        if self.journal_bytes.len() > RUN_SEGMENTS_MAX {
            return Err("a run points into too many segments");
        }
        if !self.journal_bytes.is_sorted_by(|left, right| left.0 < right.0) {
            return Err("the segments a run points into are not in order");
        }
        Ok(())
    }
}
