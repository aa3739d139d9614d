//! Every byte of a value file, little endian; docs/format.md says the same in tables.

use std::fmt;

use atoll_types::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use atoll_types::{ClusterId, Codec, GroupGen, GroupId, GroupKey, NodeId, Version};

use crate::cursor::{Cursor, Short};
use crate::journal::Identity;

/// Bytes of the header; the first record follows.
pub(super) const HEADER_LEN: usize = 4096;
/// Bytes of a record before its key.
pub(super) const RECORD_HEADER_LEN: usize = 24;
/// Bytes of the footer, which ends the file.
pub(super) const FOOTER_LEN: usize = 32;
/// A file ends before this, so that every offset in it fits into 32 bits.
pub(super) const FILE_LEN_MAX: u64 = u32::MAX as u64;
/// No stored value is longer; a greater length read from disk is damage.
pub(super) const STORED_LEN_MAX: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"ATOLVAL\x01";
const FOOTER_MAGIC: [u8; 8] = *b"ATOLVALE";
const VERSION: u32 = 1;
const CRC_AT: usize = HEADER_LEN - 4;
/// Feature: values may be packed. (Bit 0 is kept for encryption.)
const FEATURE_PACKED: u32 = 1 << 1;

const _: () = assert!(VALUE_BYTES_MAX <= STORED_LEN_MAX);

/// Which file it is. Stands in its header; another is never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueFileId {
    /// Cluster and node.
    pub identity: Identity,
    /// The group whose values it holds.
    pub group: GroupKey,
    /// Number of the file in the group's folder.
    pub number: u32,
}

impl fmt::Display for ValueFileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { cluster, node } = self.identity;
        write!(
            f,
            "value file {} of group {} on node {node} of cluster {cluster}",
            self.number, self.group
        )
    }
}

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: ValueFileId,
    /// Random; part of every record's sum.
    pub(super) salt: u64,
    pub(super) created_ms: u64,
    /// Values may be packed.
    pub(super) packed: bool,
}

/// Why a block is not a header this code can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Bad,
    Unsupported(String),
}

impl From<Short> for HeaderError {
    fn from(_: Short) -> Self {
        Self::Bad
    }
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_LEN);
        block.extend(MAGIC);
        block.extend(VERSION.to_le_bytes());
        let features = if self.packed { FEATURE_PACKED } else { 0 };
        block.extend(features.to_le_bytes());
        block.extend(self.id.identity.cluster.0.to_le_bytes());
        block.extend(self.id.identity.node.0.to_le_bytes());
        block.extend(self.id.group.id.0.to_le_bytes());
        block.extend(self.id.group.generation.0.to_le_bytes());
        block.extend(self.id.number.to_le_bytes());
        block.extend(self.salt.to_le_bytes());
        block.extend(self.created_ms.to_le_bytes());
        block.resize(CRC_AT, 0);
        block.extend(crc32fast::hash(&block).to_le_bytes());
        block
    }

    pub(super) fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let (content, sum) = block.split_last_chunk().ok_or(HeaderError::Bad)?;
        if block.len() != HEADER_LEN || crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Err(HeaderError::Bad);
        }
        let mut cursor = Cursor(content);
        if cursor.take()? != MAGIC {
            return Err(HeaderError::Bad);
        }
        let (version, features) = (cursor.u32()?, cursor.u32()?);
        match (version, features & !FEATURE_PACKED) {
            (VERSION, 0) => {}
            (VERSION, _) => {
                let what = format!("features {features:#x} this program does not have");
                return Err(HeaderError::Unsupported(what));
            }
            (version, _) => {
                let what = format!("format version {version}, this program knows {VERSION}");
                return Err(HeaderError::Unsupported(what));
            }
        }
        let identity = Identity {
            cluster: ClusterId(cursor.u128()?),
            node: NodeId(cursor.u64()?),
        };
        let group = GroupKey::new(GroupId(cursor.u64()?), GroupGen(cursor.u32()?));
        let number = cursor.u32()?;
        Ok(Self {
            id: ValueFileId {
                identity,
                group,
                number,
            },
            salt: cursor.u64()?,
            created_ms: cursor.u64()?,
            packed: features & FEATURE_PACKED != 0,
        })
    }
}

/// A value as a record has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredValue<'a> {
    pub(super) codec: Codec,
    pub(super) bytes: &'a [u8],
    /// Bytes of the value itself.
    pub(super) len: u32,
}

/// What stands before a record's key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// Sum of all of the record behind it.
    pub(super) crc: u32,
    pub(super) key_len: u16,
    pub(super) codec: Codec,
    pub(super) stored_len: u32,
    /// Bytes of the value itself.
    pub(super) len: u32,
    pub(super) version: Version,
}

/// Why bytes are not a record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    Bad,
    /// A codec, or lengths, that only a later version writes. Only if the sum is right.
    Unknown,
}

impl RecordHeader {
    /// Appends a whole record that will stand at `offset`; returns its sum. The caller has checked the lengths.
    pub(super) fn append(
        out: &mut Vec<u8>,
        (salt, offset): (u64, u32),
        version: Version,
        key: &[u8],
        value: StoredValue<'_>,
    ) -> u32 {
        let start = out.len();
        out.extend([0; 4]);
        out.extend((key.len() as u16).to_le_bytes());
        out.extend(u16::from(value.codec.number()).to_le_bytes());
        // As stored, and as it was: the same without a codec.
        out.extend((value.bytes.len() as u32).to_le_bytes());
        out.extend(value.len.to_le_bytes());
        out.extend(version.0.to_le_bytes());
        out.extend(key);
        out.extend(value.bytes);
        let crc = sum(salt, offset, out.get(start + 4..).unwrap_or_default());
        if let Some(field) = out.get_mut(start..start + 4) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        crc
    }

    /// Bytes of key and value behind the header that starts `bytes`, if it can be one.
    pub(super) fn body_len(bytes: &[u8; RECORD_HEADER_LEN]) -> Option<usize> {
        let mut cursor = Cursor(bytes);
        let (_crc, key_len, _flags) = (cursor.u32().ok()?, cursor.u16().ok()?, cursor.u16().ok()?);
        let stored_len = cursor.u32().ok()? as usize;
        let bounded = usize::from(key_len) <= KEY_BYTES_MAX && stored_len <= STORED_LEN_MAX;
        bounded.then_some(usize::from(key_len) + stored_len)
    }

    /// The header of a whole record whose sum is right.
    pub(super) fn decode((salt, offset): (u64, u32), record: &[u8]) -> Result<Self, RecordError> {
        let (crc, rest) = record.split_first_chunk().ok_or(RecordError::Bad)?;
        let crc = u32::from_le_bytes(*crc);
        if sum(salt, offset, rest) != crc {
            return Err(RecordError::Bad);
        }
        Self::fields(crc, rest).map_err(|Short| RecordError::Bad)?
    }

    fn fields(crc: u32, rest: &[u8]) -> Result<Result<Self, RecordError>, Short> {
        let mut cursor = Cursor(rest);
        let (key_len, flags) = (cursor.u16()?, cursor.u16()?);
        let (stored_len, len) = (cursor.u32()?, cursor.u32()?);
        let codec = u8::try_from(flags).ok().and_then(Codec::from_number);
        let Some(codec) = codec.filter(|codec| codec.admits(stored_len as usize, len as usize)) else {
            return Ok(Err(RecordError::Unknown));
        };
        Ok(Ok(Self {
            crc,
            key_len,
            codec,
            stored_len,
            len,
            version: Version(cursor.u64()?),
        }))
    }
}

/// What ends a file that was written whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) records: u64,
    /// Bytes of all records.
    pub(super) bytes: u64,
    /// Sum of their sums, in order.
    pub(super) sums: u32,
}

impl Footer {
    /// As it stands at `offset`.
    pub(super) fn encode(&self, salt: u64, offset: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        out.extend(self.records.to_le_bytes());
        out.extend(self.bytes.to_le_bytes());
        out.extend(self.sums.to_le_bytes());
        out.extend(sum(salt, offset, &out).to_le_bytes());
        out.extend(FOOTER_MAGIC);
        out
    }
}

/// The salt makes bytes of another file fail, the offset those of another place.
fn sum(salt: u64, offset: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
