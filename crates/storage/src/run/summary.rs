//! What a run holds, in numbers.

use std::collections::BTreeMap;

use atoll_types::{LogId, ReplicaId, Version};
use bytes::Bytes;

use super::input::Input;
use super::value::RowValue;
use super::{ROW_KEY_MAX, SPACE_SYSTEM, SPACE_USER};
use crate::index::{LOST, Piece};

/// No summary is longer; it has room for a million segments and files.
pub(super) const SUMMARY_LEN_MAX: usize = 16 * 1024 * 1024;

/// What a run holds, in numbers. Of an empty run, keys are empty and versions 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// The group's log up to here is in this run and those before it.
    pub covers: LogId,
    /// Rows, versions of one key counted each.
    pub entries: u64,
    /// Rows that say that their key was deleted.
    pub tombstones: u64,
    /// Rows of the system.
    pub system_rows: u64,
    /// The lowest version of any row.
    pub min_version: Version,
    /// The highest.
    pub max_version: Version,
    /// Key of the first row.
    pub min_key: Bytes,
    /// Key of the last row.
    pub max_key: Bytes,
    /// Bytes of values in the journal, by segment, ascending. Values that are lost stand in none.
    pub journal_bytes: Vec<(u32, u64)>,
    /// Bytes stored in value files, by file, ascending.
    pub file_bytes: Vec<(u32, u64)>,
    /// Rows of users that a newer row of their key in this very run replaces.
    pub replaced: u64,
    /// The highest version that replaces one of these: at this horizon none of them is needed any more.
    pub replaced_until: Version,
    /// Bytes of the run's own file.
    pub file_len: u64,
    /// The sum in its footer, which stands for all of it but the blocks.
    pub footer_crc: u32,
}

impl RunSummary {
    /// Stored bytes: everything but what the file says about itself elsewhere.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let LogId { term, leader, index } = self.covers;
        let numbers = [
            term,
            leader.0,
            index,
            self.entries,
            self.tombstones,
            self.system_rows,
            self.min_version.0,
            self.max_version.0,
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for key in [&self.min_key, &self.max_key] {
            bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
            bytes.extend_from_slice(key);
        }
        for list in [&self.journal_bytes, &self.file_bytes] {
            bytes.extend_from_slice(&(list.len() as u32).to_le_bytes());
            for (number, sum) in list {
                bytes.extend_from_slice(&number.to_le_bytes());
                bytes.extend_from_slice(&sum.to_le_bytes());
            }
        }
        // Only where there is history: all other runs are what they were before there was any.
        if self.replaced > 0 {
            bytes.extend_from_slice(&self.replaced.to_le_bytes());
            bytes.extend_from_slice(&self.replaced_until.0.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let covers = LogId {
            term: input.u64()?,
            leader: ReplicaId(input.u64()?),
            index: input.u64()?,
        };
        let mut summary = Self {
            covers,
            entries: input.u64()?,
            tombstones: input.u64()?,
            system_rows: input.u64()?,
            min_version: Version(input.u64()?),
            max_version: Version(input.u64()?),
            min_key: key(&mut input)?,
            max_key: key(&mut input)?,
            journal_bytes: list(&mut input)?,
            file_bytes: list(&mut input)?,
            replaced: 0,
            replaced_until: Version::ZERO,
            file_len: 0,
            footer_crc: 0,
        };
        if !input.is_empty() {
            summary.replaced = Some(input.u64()?).filter(|replaced| *replaced > 0)?;
            summary.replaced_until = Version(input.u64()?);
        }
        input.is_empty().then_some(summary)
    }
}

fn key(input: &mut Input<'_>) -> Option<Bytes> {
    let len = usize::from(input.u16()?);
    let key = input.take(len).filter(|key| key.len() <= ROW_KEY_MAX)?;
    Some(Bytes::copy_from_slice(key))
}

/// Numbers ascend.
fn list(input: &mut Input<'_>) -> Option<Vec<(u32, u64)>> {
    let mut list: Vec<(u32, u64)> = Vec::new();
    for _ in 0..input.u32()? {
        let (number, sum) = (input.u32()?, input.u64()?);
        let ascends = list.last().is_none_or(|(before, _)| *before < number);
        ascends.then(|| list.push((number, sum)))?;
    }
    Some(list)
}

/// Counts rows as they are written.
#[derive(Default)]
pub(super) struct Tally {
    summary: RunSummary,
    journal: BTreeMap<u32, u64>,
    files: BTreeMap<u32, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, key: &[u8], version: Version, value: RowValue<'_>) {
        let summary = &mut self.summary;
        if summary.entries == 0 {
            summary.min_key = Bytes::copy_from_slice(key);
            (summary.min_version, summary.max_version) = (version, version);
        }
        summary.entries += 1;
        summary.tombstones += u64::from(matches!(value, RowValue::Tombstone));
        summary.system_rows += u64::from(key.first() == Some(&SPACE_SYSTEM));
        summary.min_version = summary.min_version.min(version);
        summary.max_version = summary.max_version.max(version);
        match value {
            RowValue::Tombstone | RowValue::Inline { .. } => {}
            RowValue::Journal(pointer) => self.in_journal(pointer.segment, pointer.stored_len),
            RowValue::Filed(pointer) => self.in_file(pointer.file, pointer.stored_len),
            RowValue::Joined(joined) => joined.pieces().iter().for_each(|piece| match piece {
                Piece::Memory(_) => {}
                Piece::Journal(pointer) => self.in_journal(pointer.segment, pointer.stored_len),
                Piece::Filed(pointer) => self.in_file(pointer.file, pointer.stored_len),
            }),
        }
    }

    /// The row to be counted next is of the same key as the last one, which has this version.
    pub(super) fn count_replaced(&mut self, key: &[u8], newer: Version) {
        if key.first() == Some(&SPACE_USER) {
            self.summary.replaced += 1;
            self.summary.replaced_until = self.summary.replaced_until.max(newer);
        }
    }

    fn in_journal(&mut self, segment: u32, bytes: u32) {
        if segment == LOST {
            return;
        }
        *self.journal.entry(segment).or_default() += u64::from(bytes);
    }

    fn in_file(&mut self, file: u32, bytes: u32) {
        *self.files.entry(file).or_default() += u64::from(bytes);
    }

    pub(super) fn finish(self, max_key: &[u8], covers: LogId) -> RunSummary {
        RunSummary {
            covers,
            max_key: Bytes::copy_from_slice(max_key),
            journal_bytes: self.journal.into_iter().collect(),
            file_bytes: self.files.into_iter().collect(),
            ..self.summary
        }
    }
}
