//! Header and footer, and the sum under every other part; docs/format.md says the same in tables.

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, NodeId};

use super::input::Input;
use super::{RunError, RunIdentity};
use crate::journal::Identity;

/// Bytes of the header; the first block follows. A block of a disk, with room for a wrapped key.
pub(super) const HEADER_LEN: usize = 4096;
/// Bytes of the footer, the last of the file.
pub(super) const FOOTER_LEN: usize = 112;

/// The format version written, and the only one read.
pub(crate) const VERSION: u32 = 1;

/// Feature of a footer: the run has rows whose values are packed. It is known only when all rows are written, so the header
/// does not have it.
const FEATURE_PACKED: u32 = 1 << 2;
/// Feature of a footer, for the same reason: the run has history, of which its summary tells in two more fields.
const FEATURE_HISTORY: u32 = 1 << 3;

const MAGIC: [u8; 8] = *b"ATOLRUN\x01";
const FOOTER_MAGIC: [u8; 8] = *b"ATOLRUNE";
const SUM_LEN: usize = 4;

/// The sum over bytes that stand at `offset`. Salt and place make bytes of another file, or of another
/// place, fail.
pub(super) fn sum(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut seed = [0; 16];
    let (first, second) = seed.split_at_mut(8);
    first.copy_from_slice(&salt.to_le_bytes());
    second.copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// What a run says about itself before its first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: RunIdentity,
    /// Random, drawn for this file.
    pub(super) salt: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let RunIdentity {
            identity,
            group,
            number,
        } = self.identity;
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&identity.cluster.0.to_le_bytes());
        bytes.extend_from_slice(&identity.node.0.to_le_bytes());
        bytes.extend_from_slice(&group.id.0.to_le_bytes());
        bytes.extend_from_slice(&group.generation.0.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.resize(HEADER_LEN - SUM_LEN, 0);
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header, if it is sound and of this format. Whose run it is, the caller checks.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RunError> {
        let damaged = RunError::Damaged {
            part: "the header",
            offset: 0,
        };
        let Some(mut input) = sound(bytes, MAGIC, crc32fast::hash) else {
            return Err(damaged);
        };
        known(&mut input, 0)?;
        Self::fields(&mut input).ok_or(damaged)
    }

    fn fields(input: &mut Input<'_>) -> Option<Self> {
        let cluster = ClusterId(u128::from_le_bytes(input.array()?));
        let node = NodeId(input.u64()?);
        let (group, generation) = (GroupId(input.u64()?), GroupGen(input.u32()?));
        input.u32()?;
        Some(Self {
            identity: RunIdentity {
                identity: Identity { cluster, node },
                group: GroupKey::new(group, generation),
                number: input.u64()?,
            },
            salt: input.u64()?,
        })
    }
}

/// Where a section stands: content in pieces, each with its sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    /// Bytes of content, sums not counted.
    pub(super) len: u64,
    /// CRC-32 over the sums of the pieces, in order: with this, the footer's own sum stands for all of it.
    pub(super) sums: u32,
}

/// Where everything stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) file_len: u64,
    pub(super) blocks: u32,
    /// There are rows whose values are packed.
    pub(super) packed: bool,
    /// There are rows that a newer row of their key replaces.
    pub(super) history: bool,
    pub(super) filter: Section,
    pub(super) index: Section,
    pub(super) summary: Section,
}

impl Footer {
    /// The footer and its sum.
    pub(super) fn encode(&self, salt: u64) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(FOOTER_LEN);
        let packed = if self.packed { FEATURE_PACKED } else { 0 };
        let features = packed | if self.history { FEATURE_HISTORY } else { 0 };
        bytes.extend_from_slice(&FOOTER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&features.to_le_bytes());
        bytes.extend_from_slice(&salt.to_le_bytes());
        bytes.extend_from_slice(&self.file_len.to_le_bytes());
        bytes.extend_from_slice(&self.blocks.to_le_bytes());
        for section in [self.filter, self.index, self.summary] {
            bytes.extend_from_slice(&section.offset.to_le_bytes());
            bytes.extend_from_slice(&section.len.to_le_bytes());
            bytes.extend_from_slice(&section.sums.to_le_bytes());
        }
        bytes.resize(FOOTER_LEN - SUM_LEN, 0);
        let sum = sum(salt, self.file_len - FOOTER_LEN as u64, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        (bytes, sum)
    }

    /// The footer and its sum, if it is that of a file with this salt and length.
    pub(super) fn decode(bytes: &[u8], salt: u64, file_len: u64) -> Result<(Self, u32), RunError> {
        let offset = file_len.saturating_sub(FOOTER_LEN as u64);
        let damaged = RunError::Damaged {
            part: "the footer",
            offset,
        };
        let Some(mut input) = sound(bytes, FOOTER_MAGIC, |bytes| sum(salt, offset, bytes)) else {
            return Err(damaged);
        };
        let features = known(&mut input, FEATURE_PACKED | FEATURE_HISTORY)?;
        match Self::fields(&mut input, features) {
            Some((footer, own)) if own == salt && footer.file_len == file_len => Ok((
                footer,
                bytes.last_chunk().map_or(0, |sum| u32::from_le_bytes(*sum)),
            )),
            _ => Err(damaged),
        }
    }

    fn fields(input: &mut Input<'_>, features: u32) -> Option<(Self, u64)> {
        let salt = input.u64()?;
        let (file_len, blocks) = (input.u64()?, input.u32()?);
        let mut section = || {
            Some(Section {
                offset: input.u64()?,
                len: input.u64()?,
                sums: input.u32()?,
            })
        };
        let footer = Self {
            file_len,
            blocks,
            packed: features & FEATURE_PACKED != 0,
            history: features & FEATURE_HISTORY != 0,
            filter: section()?,
            index: section()?,
            summary: section()?,
        };
        Some((footer, salt))
    }
}

/// What stands behind the magic, if that is right and the sum at the end is that of all before it.
fn sound(bytes: &[u8], magic: [u8; 8], sum: impl Fn(&[u8]) -> u32) -> Option<Input<'_>> {
    let (content, own) = bytes.split_last_chunk::<SUM_LEN>()?;
    let mut input = Input(content);
    let sound = input.array() == Some(magic) && sum(content) == u32::from_le_bytes(*own);
    sound.then_some(input)
}

/// Reads version and features, and refuses those of another program, or at another place than theirs, by name.
fn known(input: &mut Input<'_>, allowed: u32) -> Result<u32, RunError> {
    match (input.u32(), input.u32()) {
        (Some(VERSION), Some(features)) if features & !allowed == 0 => Ok(features),
        (Some(VERSION), features) => Err(RunError::Features(features.unwrap_or(0))),
        (version, _) => Err(RunError::Version(version.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            identity: RunIdentity {
                identity: Identity {
                    cluster: ClusterId(7),
                    node: NodeId(3),
                },
                group: GroupKey::new(GroupId(4), GroupGen(5)),
                number: 6,
            },
            salt: 0xdead_beef,
        }
    }

    fn resummed(mut bytes: Vec<u8>, at: usize, field: u32, sum: impl Fn(&[u8]) -> u32) -> Vec<u8> {
        bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
        bytes.truncate(bytes.len() - SUM_LEN);
        let sum = sum(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn header_and_footer_round_trip_and_name_what_they_do_not_know() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Header::decode(&bytes).unwrap(), header());
        let newer = resummed(bytes.clone(), 8, 2, crc32fast::hash);
        assert!(matches!(Header::decode(&newer), Err(RunError::Version(2))));
        let sealed = resummed(bytes, 12, 1, crc32fast::hash);
        assert!(matches!(Header::decode(&sealed), Err(RunError::Features(1))));

        let section = |offset| Section {
            offset,
            len: offset + 1,
            sums: 9,
        };
        let footer = Footer {
            file_len: 9000,
            blocks: 8,
            packed: true,
            history: false,
            filter: section(1),
            index: section(2),
            summary: section(3),
        };
        let (bytes, own) = footer.encode(77);
        assert_eq!(bytes.len(), FOOTER_LEN);
        assert_eq!(Footer::decode(&bytes, 77, 9000).unwrap(), (footer, own));
        assert!(Footer::decode(&bytes, 78, 9000).is_err(), "of another file");
        assert!(Footer::decode(&bytes, 77, 9001).is_err(), "of another place");
        let newer = resummed(bytes, 8, 2, |bytes| sum(77, 9000 - FOOTER_LEN as u64, bytes));
        assert!(matches!(
            Footer::decode(&newer, 77, 9000),
            Err(RunError::Version(2))
        ));
    }
}
