//! Every byte of a manifest, little endian; docs/format.md says the same in tables.
//!
//! The sum over all bytes is looked at before anything but the magic, and stands at the end in every
//! version, so that a newer format is told from damage. Lengths and counts are still never trusted: each
//! has a bound, and nothing is allocated beyond the bytes there are.

use std::io;

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId, Version};
use bytes::Bytes;

use super::FolderOwner;
use super::state::{
    MANIFEST_BYTES_MAX, MEMBERSHIP_BYTES_MAX, Manifest, ROW_KEY_BYTES_MAX, RUN_SEGMENTS_MAX, RUNS_MAX,
    RunEntry, VALUE_FILES_MAX, ValueFileEntry,
};
use crate::cursor::{Cursor, Short};
use crate::journal::Identity;

const MAGIC: [u8; 8] = *b"ATOLMAN\x01";
/// What is written.
const VERSION: u32 = 2;
/// Read too: it has no installed snapshot.
const VERSION_BEFORE_INSTALLED: u32 = 1;

/// Why bytes are not a manifest this code can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    Damaged(&'static str),
    Unsupported(String),
}

const SHORT: DecodeError = DecodeError::Damaged("it ends too early");

impl From<Short> for DecodeError {
    fn from(_: Short) -> Self {
        SHORT
    }
}

/// Fails with `InvalidInput` if a bound is exceeded or the parts contradict each other.
pub(super) fn encode(manifest: &Manifest, owner: &FolderOwner) -> io::Result<Vec<u8>> {
    let invalid = |what| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no manifest can say this: {what}"),
        )
    };
    manifest.check().map_err(invalid)?;
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    // Features.
    out.extend(0_u32.to_le_bytes());
    out.extend(owner.identity.cluster.0.to_le_bytes());
    out.extend(owner.identity.node.0.to_le_bytes());
    out.extend(owner.group.id.0.to_le_bytes());
    out.extend(owner.replica.0.to_le_bytes());
    out.extend(owner.group.generation.0.to_le_bytes());
    out.extend(manifest.next_value_file.to_le_bytes());
    out.extend(manifest.number.to_le_bytes());
    out.extend(manifest.next_run.to_le_bytes());
    out.extend(manifest.last_version.0.to_le_bytes());
    out.extend(manifest.horizon.0.to_le_bytes());
    put_log_id(&mut out, manifest.applied);
    put_log_id(&mut out, manifest.membership_id);
    put_log_id(&mut out, manifest.installed);
    put_count(&mut out, manifest.membership.len());
    out.extend(&manifest.membership);
    put_count(&mut out, manifest.runs.len());
    manifest.runs.iter().for_each(|run| put_run(&mut out, run));
    put_count(&mut out, manifest.value_files.len());
    for file in &manifest.value_files {
        out.extend(file.number.to_le_bytes());
        out.extend(file.len.to_le_bytes());
        out.extend(file.live_bytes.to_le_bytes());
        out.extend(file.dead_bytes.to_le_bytes());
    }
    out.extend(crc32fast::hash(&out).to_le_bytes());
    if out.len() > MANIFEST_BYTES_MAX {
        return Err(invalid("it is too long"));
    }
    Ok(out)
}

fn put_run(out: &mut Vec<u8>, run: &RunEntry) {
    for number in [run.number, run.len, run.entries, run.tombstones] {
        out.extend(number.to_le_bytes());
    }
    out.extend(run.min_version.0.to_le_bytes());
    out.extend(run.max_version.0.to_le_bytes());
    out.extend(run.footer_crc.to_le_bytes());
    for key in [&run.min_key, &run.max_key] {
        put_count(out, key.len());
        out.extend(key);
    }
    put_count(out, run.journal_bytes.len());
    for (segment, bytes) in &run.journal_bytes {
        out.extend(segment.to_le_bytes());
        out.extend(bytes.to_le_bytes());
    }
}

/// The bounds keep every count far below.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

fn put_log_id(out: &mut Vec<u8>, id: Option<LogId>) {
    out.push(u8::from(id.is_some()));
    if let Some(id) = id {
        for field in [id.term, id.leader.0, id.index] {
            out.extend(field.to_le_bytes());
        }
    }
}

/// A manifest and whose it is. Total: bytes of any kind give one or an error.
pub(super) fn decode(bytes: &[u8]) -> Result<(Manifest, FolderOwner), DecodeError> {
    let (content, sum) = bytes.split_last_chunk().ok_or(SHORT)?;
    let mut cursor = Cursor(content);
    if cursor.take()? != MAGIC {
        return Err(DecodeError::Damaged("it does not begin as a manifest does"));
    }
    if u32::from_le_bytes(*sum) != crc32fast::hash(content) {
        return Err(DecodeError::Damaged("its checksum does not match"));
    }
    let version = cursor.version()?;
    let identity = Identity {
        cluster: ClusterId(cursor.u128()?),
        node: NodeId(cursor.u64()?),
    };
    let group = GroupId(cursor.u64()?);
    let replica = ReplicaId(cursor.u64()?);
    let group = GroupKey::new(group, GroupGen(cursor.u32()?));
    let manifest = cursor.manifest(version)?;
    if !cursor.0.is_empty() {
        return Err(DecodeError::Damaged("it goes on behind its end"));
    }
    manifest.check().map_err(DecodeError::Damaged)?;
    let owner = FolderOwner {
        identity,
        group,
        replica,
    };
    Ok((manifest, owner))
}

impl Cursor<'_> {
    /// A format version that this code can read, and no features.
    fn version(&mut self) -> Result<u32, DecodeError> {
        match (self.u32()?, self.u32()?) {
            (version @ (VERSION_BEFORE_INSTALLED | VERSION), 0) => Ok(version),
            (VERSION_BEFORE_INSTALLED | VERSION, features) => {
                let what = format!("features {features:#x} this program does not have");
                Err(DecodeError::Unsupported(what))
            }
            (version, _) => {
                let what = format!("format version {version}, this program knows {VERSION}");
                Err(DecodeError::Unsupported(what))
            }
        }
    }

    fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count > max {
            return Err(DecodeError::Damaged("it counts more than there can be"));
        }
        Ok(count)
    }

    fn sized(&mut self, max: usize) -> Result<Bytes, DecodeError> {
        let len = self.count(max)?;
        Ok(Bytes::copy_from_slice(self.bytes(len)?))
    }

    fn log_id(&mut self) -> Result<Option<LogId>, DecodeError> {
        match self.take()? {
            [0] => Ok(None),
            [1] => Ok(Some(LogId {
                term: self.u64()?,
                leader: ReplicaId(self.u64()?),
                index: self.u64()?,
            })),
            [_] => Err(DecodeError::Damaged("a log id is neither there nor absent")),
        }
    }

    fn manifest(&mut self, version: u32) -> Result<Manifest, DecodeError> {
        let next_value_file = self.u32()?;
        Ok(Manifest {
            next_value_file,
            number: self.u64()?,
            next_run: self.u64()?,
            last_version: Version(self.u64()?),
            horizon: Version(self.u64()?),
            applied: self.log_id()?,
            membership_id: self.log_id()?,
            installed: match version {
                VERSION_BEFORE_INSTALLED => None,
                _ => self.log_id()?,
            },
            membership: self.sized(MEMBERSHIP_BYTES_MAX)?,
            // Each is read before room is made for it.
            runs: (0..self.count(RUNS_MAX)?)
                .map(|_| self.run())
                .collect::<Result<_, _>>()?,
            value_files: (0..self.count(VALUE_FILES_MAX)?)
                .map(|_| self.value_file())
                .collect::<Result<_, _>>()?,
        })
    }

    fn run(&mut self) -> Result<RunEntry, DecodeError> {
        Ok(RunEntry {
            number: self.u64()?,
            len: self.u64()?,
            entries: self.u64()?,
            tombstones: self.u64()?,
            min_version: Version(self.u64()?),
            max_version: Version(self.u64()?),
            footer_crc: self.u32()?,
            min_key: self.sized(ROW_KEY_BYTES_MAX)?,
            max_key: self.sized(ROW_KEY_BYTES_MAX)?,
            journal_bytes: (0..self.count(RUN_SEGMENTS_MAX)?)
                .map(|_| Ok((self.u32()?, self.u64()?)))
                .collect::<Result<_, DecodeError>>()?,
        })
    }

    fn value_file(&mut self) -> Result<ValueFileEntry, DecodeError> {
        Ok(ValueFileEntry {
            number: self.u32()?,
            len: self.u64()?,
            live_bytes: self.u64()?,
            dead_bytes: self.u64()?,
        })
    }
}
