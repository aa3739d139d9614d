//! What stands in a data directory, for people: entries of logs, rows of checkpoints, manifests.
//!
//! Every byte shown was checked, as for a reader. The amount is the caller's choice: everything comes in pages.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::OpenMode;
use atoll_types::{Codec, GroupKey, LogId, ReplicaId, Version};

use super::JOURNAL;
use super::values::Values;
use crate::index::{Ask, Below, LOST, Missed, Piece};
use crate::journal::{Identity, Placed, Survey, load_one};
use crate::manifest::{FileId, FolderError, GROUPS, Manifest, folder_name, parse_folder_name, read_any};
use crate::run::{BlockCache, Run, RunError, RunIdentity, RunValue, SPACE_SYSTEM, SPACE_USER};
use crate::value_file::{ValueFile, ValueFileId};

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// Not here.
    #[error("group {0} does not live here")]
    NoGroup(GroupKey),
    /// There is nothing of this kind.
    #[error("group {0} has no checkpoint")]
    NoCheckpoint(GroupKey),
    /// The log cannot be trusted.
    #[error("the log of group {group} cannot be trusted: {reason}")]
    Quarantined {
        /// The group.
        group: GroupKey,
        /// Why.
        reason: String,
    },
    /// The journal is refused as a whole.
    #[error("the journal cannot be read: {0}")]
    Journal(String),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] FolderError),
    /// A run.
    #[error("{}: {error}", file.display())]
    Run {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: RunError,
    },
    /// A block of a run.
    #[error(transparent)]
    Rows(#[from] Missed),
    /// The operating system could not read, or an entry is damaged.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpedEntry {
    /// Its position.
    pub id: LogId,
    /// 0 blank, 1 normal, 2 membership.
    pub kind: u8,
    /// The segment it stands in.
    pub segment: u32,
    /// Where its payload begins in that segment's file.
    pub offset: u32,
    /// The payload, checked; or why it cannot be read.
    pub payload: Result<bytes::Bytes, String>,
}

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Keys that users wrote.
    Users,
    /// What the state machine keeps for itself.
    System,
}

/// A row of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpedRow {
    /// The key, without its space.
    pub key: Vec<u8>,
    /// The newest version in the checkpoint.
    pub version: Version,
    /// Its value; `None`: the key was deleted.
    pub value: Option<DumpedValue>,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpedValue {
    /// Where it stands, in words.
    pub place: String,
    /// The bytes, checked against the key; or why they cannot be read.
    pub bytes: Result<Vec<u8>, String>,
}

/// A data directory, opened for looking into it. The caller holds its lock.
pub struct Dump {
    env: Env,
    data: PathBuf,
    identity: Identity,
    survey: Option<Survey>,
    /// Of the group looked at last.
    rows: Option<(GroupKey, Below, Values)>,
}

impl Dump {
    /// Opens the journal's files. With `logs` they are read too, as a start would, which takes a while.
    pub fn open(env: &Env, data: &Path, identity: Identity, logs: bool) -> io::Result<Self> {
        let dir = data.join(JOURNAL);
        let survey = if !env.vfs.exists(&dir)? {
            None
        } else if logs {
            Some(Survey::read(env, &dir, identity, &mut |_| {})?)
        } else {
            Some(Survey::open(env, &dir, identity)?)
        };
        Ok(Self {
            env: env.clone(),
            data: data.to_owned(),
            identity,
            survey,
            rows: None,
        })
    }

    /// All groups that live here, by what stands in the logs (if they were read) and in `groups/`.
    pub fn groups(&self) -> io::Result<Vec<(GroupKey, Option<ReplicaId>)>> {
        let mut groups = BTreeMap::new();
        let folder = self.data.join(GROUPS);
        if self.env.vfs.exists(&folder)? {
            let names = self.env.vfs.list(&folder)?;
            groups.extend(
                names
                    .iter()
                    .filter_map(|name| Some((parse_folder_name(name)?, None))),
            );
        }
        if let Some(survey) = &self.survey {
            let lost = survey.quarantined.iter();
            groups.extend(lost.map(|(group, lost)| (*group, Some(lost.replica))));
            let sound = survey.groups.iter();
            groups.extend(sound.map(|(group, (replica, _))| (*group, Some(*replica))));
        }
        Ok(groups.into_iter().collect())
    }

    /// What the manifest of a group says; `None` if it has none.
    pub fn manifest(&self, group: GroupKey) -> Result<Option<Manifest>, DumpError> {
        match read_any(&*self.env.vfs, &self.folder(group)) {
            Ok((manifest, _)) => Ok(Some(manifest)),
            Err(FolderError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Entries of a group's log from an index on, at most so many.
    pub fn entries(&self, group: GroupKey, from: u64, most: usize) -> Result<Vec<DumpedEntry>, DumpError> {
        let survey = self.survey.as_ref().ok_or(DumpError::NoGroup(group))?;
        if let Some(lost) = survey.quarantined.get(&group) {
            let reason = lost.reason.clone();
            return Err(DumpError::Quarantined { group, reason });
        }
        if let Some(error) = &survey.refused {
            return Err(DumpError::Journal(error.to_string()));
        }
        let (_, log) = survey.groups.get(&group).ok_or(DumpError::NoGroup(group))?;
        let range = from.max(log.first())..log.end();
        let placed = range.take(most).filter_map(|index| log.placed_at(index));
        let entries = placed.map(|Placed { id, kind, place }| {
            let read = load_one(&survey.table, group, Placed { id, kind, place });
            DumpedEntry {
                id,
                kind,
                segment: place.segment,
                offset: place.offset,
                payload: read.map(|entry| entry.payload).map_err(|error| error.to_string()),
            }
        });
        Ok(entries.collect())
    }

    /// Rows of a group's checkpoint behind a key (`None`: from the first on), in order, at most so many; each key
    /// once, with its newest version.
    pub fn rows(
        &mut self,
        group: GroupKey,
        space: Space,
        behind: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<DumpedRow>, DumpError> {
        if self.rows.as_ref().is_none_or(|(open, ..)| *open != group) {
            let (below, values) = self.open_rows(group)?;
            self.rows = Some((group, below, values));
        }
        let Some((_, below, values)) = &self.rows else {
            return Err(DumpError::NoCheckpoint(group));
        };
        let (first, end) = match space {
            Space::Users => (SPACE_USER, vec![SPACE_SYSTEM]),
            Space::System => (SPACE_SYSTEM, Vec::new()),
        };
        let start = match behind {
            // The first key behind another is that key and a zero byte.
            Some(key) => [&[first], key, &[0]].concat(),
            None => vec![first],
        };
        let ask = Ask {
            reverse: false,
            at: Version(u64::MAX),
            most,
            wait: true,
            keep: true,
        };
        let rows = below.raw_rows((&start, &end), ask)?;
        let rows = rows.into_iter().map(|(key, version, value)| {
            let key = key.get(1..).unwrap_or_default().to_vec();
            let value = dumped(values, &key, &value);
            DumpedRow { key, version, value }
        });
        Ok(rows.collect())
    }

    fn folder(&self, group: GroupKey) -> PathBuf {
        self.data.join(GROUPS).join(folder_name(group))
    }

    fn open_rows(&self, group: GroupKey) -> Result<(Below, Values), DumpError> {
        let manifest = self.manifest(group)?.ok_or(DumpError::NoCheckpoint(group))?;
        let folder = self.folder(group);
        let open = |id: FileId| self.env.vfs.open(&folder.join(id.to_string()), OpenMode::Read);
        let cache = Arc::new(BlockCache::new(CACHE_BYTES));
        let mut runs = Vec::new();
        for entry in &manifest.runs {
            let (number, id) = (entry.number, FileId::run(entry.number));
            let identity = RunIdentity {
                identity: self.identity,
                group,
                number,
            };
            let run = Run::open(open(id)?, identity, cache.clone()).map_err(|error| DumpError::Run {
                file: folder.join(id.to_string()),
                error,
            })?;
            runs.push(Arc::new(run));
        }
        let mut files = BTreeMap::new();
        for entry in &manifest.value_files {
            let id = ValueFileId {
                identity: self.identity,
                group,
                number: entry.number,
            };
            // One that does not open shows at the rows whose values are in it.
            let file = open(FileId::values(entry.number)).map(|file| ValueFile::open(file, id));
            if let Ok(Ok(file)) = file {
                files.insert(entry.number, Arc::new(file));
            }
        }
        let journal = self.survey.as_ref().map(|survey| survey.table.clone());
        Ok((
            Below::new(runs, files.clone(), manifest.horizon),
            Values { journal, files },
        ))
    }
}

/// Bytes of blocks kept between two pages.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// How a value is packed, if it is.
fn told(codec: Codec, stored_len: u32) -> String {
    match codec {
        Codec::None => String::new(),
        Codec::Lz4 | Codec::Zstd => format!(", {stored_len} bytes by {codec}"),
    }
}

fn dumped(values: &Values, key: &[u8], value: &RunValue) -> Option<DumpedValue> {
    let place = match value {
        RunValue::Tombstone => return None,
        RunValue::Inline { .. } => "inline".to_owned(),
        RunValue::Journal(pointer) if pointer.segment == LOST => "nowhere".to_owned(),
        RunValue::Journal(pointer) => {
            let place = format!("segment {} at {}", pointer.segment, pointer.offset);
            place + &told(pointer.codec, pointer.stored_len)
        }
        RunValue::Filed(pointer) => {
            let place = format!("value file {} at {}", pointer.file, pointer.offset);
            place + &told(pointer.codec, pointer.stored_len)
        }
        RunValue::Joined(joined) => {
            let in_memory = |piece: &&Piece| matches!(piece, Piece::Memory(_));
            let inline = joined.pieces().iter().filter(in_memory).count();
            format!("{} pieces, {inline} of them inline", joined.pieces().len())
        }
    };
    let bytes = values.read(key, value).map(Option::unwrap_or_default);
    Some(DumpedValue { place, bytes })
}
