//! The header block of a segment.

use atoll_types::{ClusterId, NodeId};

use super::{Align, put, take, u32_at, u64_at};
use crate::journal::Identity;
use crate::sealed;

const MAGIC: [u8; 8] = *b"ATOLJNL\x01";
const VERSION: u32 = 1;
/// Bytes of the sum, the last ones of the block.
const CRC_LEN: usize = 4;
/// Feature: the file held another segment before. What stands behind the frames is stale, not zeros.
const RECYCLED: u32 = 1 << 1;

/// Where the journal ended before this point: what the next segment must follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The segment; 0 before the first.
    pub(crate) segment: u64,
    /// End of its last frame; 0 if its header could not be read.
    pub(crate) end: u32,
    /// Header sum of the last frame, of whichever segment.
    pub(crate) crc: u32,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    pub(crate) segment: u64,
    /// Random; part of every frame header's sum.
    pub(crate) salt: u64,
    pub(crate) first_seq: u64,
    pub(crate) previous: Chain,
    pub(crate) created_ms: u64,
    pub(crate) segment_bytes: u32,
    /// Of the frames; the header itself has so many bytes.
    pub(crate) align: Align,
    /// The file held another segment before.
    pub(crate) recycled: bool,
}

/// Why a block is not a header this code can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not written to the end, or damaged.
    Bad,
    /// Sound, but of another format version.
    Version(u32),
    /// Sound, but uses features this version does not have.
    Flags(u32),
    /// Sound, but its frames are aligned to so many bytes, which blocks of this folder do not have.
    Align(u32),
    /// The file is sealed, and is read as if it were not.
    Sealed,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; self.align.header_len() as usize];
        let crc_at = block.len() - CRC_LEN;
        put(&mut block, 0, &MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        let features = if self.recycled { RECYCLED } else { 0 };
        put(&mut block, 12, &features.to_le_bytes());
        put(&mut block, 16, &self.identity.cluster.0.to_le_bytes());
        put(&mut block, 32, &self.identity.node.0.to_le_bytes());
        put(&mut block, 40, &self.segment.to_le_bytes());
        put(&mut block, 48, &self.salt.to_le_bytes());
        put(&mut block, 56, &self.first_seq.to_le_bytes());
        put(&mut block, 64, &self.previous.segment.to_le_bytes());
        put(&mut block, 72, &self.previous.end.to_le_bytes());
        put(&mut block, 76, &self.previous.crc.to_le_bytes());
        put(&mut block, 80, &self.created_ms.to_le_bytes());
        put(&mut block, 88, &self.segment_bytes.to_le_bytes());
        put(&mut block, 92, &self.align.bytes().to_le_bytes());
        let crc = crc32fast::hash(block.get(..crc_at).unwrap_or_default());
        put(&mut block, crc_at, &crc.to_le_bytes());
        block
    }

    /// Reads the first block of a file in a folder whose blocks have so many bytes.
    pub(crate) fn decode(block: &[u8], align: Align) -> Result<Self, HeaderError> {
        if block.starts_with(&sealed::MAGIC) {
            return Err(HeaderError::Sealed);
        }
        let Some(block) = block.get(..align.header_len() as usize) else {
            return Err(HeaderError::Bad);
        };
        let crc_at = block.len() - CRC_LEN;
        let crc = crc32fast::hash(block.get(..crc_at).unwrap_or_default());
        if take(block, 0) != MAGIC || crc != u32_at(block, crc_at) {
            return Err(HeaderError::Bad);
        }
        if u32_at(block, 8) != VERSION {
            return Err(HeaderError::Version(u32_at(block, 8)));
        }
        if u32_at(block, 12) & !RECYCLED != 0 {
            return Err(HeaderError::Flags(u32_at(block, 12)));
        }
        if u32_at(block, 92) != align.bytes() {
            return Err(HeaderError::Align(u32_at(block, 92)));
        }
        Ok(Self {
            identity: Identity {
                cluster: ClusterId(u128::from_le_bytes(take(block, 16))),
                node: NodeId(u64_at(block, 32)),
            },
            segment: u64_at(block, 40),
            salt: u64_at(block, 48),
            first_seq: u64_at(block, 56),
            previous: Chain {
                segment: u64_at(block, 64),
                end: u32_at(block, 72),
                crc: u32_at(block, 76),
            },
            created_ms: u64_at(block, 80),
            segment_bytes: u32_at(block, 88),
            align,
            recycled: u32_at(block, 12) & RECYCLED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            identity: Identity {
                cluster: ClusterId(7),
                node: NodeId(3),
            },
            segment: 9,
            salt: 0xdead_beef,
            first_seq: 77,
            previous: Chain {
                segment: 8,
                end: 8192,
                crc: 5,
            },
            created_ms: 1,
            segment_bytes: 1 << 26,
            align: Align::CLEAR,
            recycled: false,
        }
    }

    #[test]
    fn round_trips_and_every_flipped_bit_is_seen() {
        let block = header().encode();
        assert_eq!(SegmentHeader::decode(&block, Align::CLEAR), Ok(header()));
        let recycled = SegmentHeader {
            recycled: true,
            ..header()
        };
        assert_eq!(
            SegmentHeader::decode(&recycled.encode(), Align::CLEAR),
            Ok(recycled)
        );
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                SegmentHeader::decode(&damaged, Align::CLEAR),
                Err(HeaderError::Bad),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn another_version_and_unknown_features_are_named() {
        for (at, expected) in [
            (8, HeaderError::Version(4)),
            (12, HeaderError::Flags(4)),
            (92, HeaderError::Align(4)),
        ] {
            let mut block = header().encode();
            put(&mut block, at, &4_u32.to_le_bytes());
            let crc = crc32fast::hash(&block[..4092]);
            put(&mut block, 4092, &crc.to_le_bytes());
            assert_eq!(SegmentHeader::decode(&block, Align::CLEAR), Err(expected));
        }
    }
}
