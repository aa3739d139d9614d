//! Records: what the groups wrote.

use atoll_types::{GroupGen, GroupId, GroupKey, LogId, ReplicaId};

use super::{put, take, u16_at, u32_at, u64_at};

/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER_LEN: u32 = 48;

/// What a record says. Numbers 7, 9 and 10 are kept for GroupDestroy, Marker and SnapshotInstalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A log entry; flags hold the entry's kind.
    Entry,
    /// A vote; flag bit 0 says committed.
    Vote,
    /// The log ends at the id; flag bit 0 says that nothing after the purged part is kept.
    TruncateAfter,
    /// The log up to the id is gone.
    Purge,
    /// Known to be committed.
    Committed,
    /// The group lives here; the leader field holds the replica id.
    GroupCreate,
    /// The group's state where a segment starts.
    GroupHead,
    /// What holds for the journal as a whole ([`JournalHead`](super::JournalHead)); of no group.
    JournalHead,
}

impl RecordKind {
    const fn number(self) -> u8 {
        match self {
            Self::Entry => 1,
            Self::Vote => 2,
            Self::TruncateAfter => 3,
            Self::Purge => 4,
            Self::Committed => 5,
            Self::GroupCreate => 6,
            Self::GroupHead => 8,
            Self::JournalHead => 11,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Entry,
            2 => Self::Vote,
            3 => Self::TruncateAfter,
            4 => Self::Purge,
            5 => Self::Committed,
            6 => Self::GroupCreate,
            8 => Self::GroupHead,
            11 => Self::JournalHead,
            _ => return None,
        })
    }
}

/// What stands before a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: RecordKind,
    pub(crate) flags: u8,
    pub(crate) group: GroupKey,
    pub(crate) payload_len: u32,
    pub(crate) payload_crc: u32,
    pub(crate) id: LogId,
}

impl RecordHeader {
    /// A record without payload.
    pub(crate) fn plain(kind: RecordKind, flags: u8, group: GroupKey, id: LogId) -> Self {
        Self {
            kind,
            flags,
            group,
            payload_len: 0,
            payload_crc: 0,
            id,
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_HEADER_LEN as usize] {
        let mut bytes = [0; RECORD_HEADER_LEN as usize];
        put(&mut bytes, 0, &[self.kind.number(), self.flags]);
        put(&mut bytes, 2, &(RECORD_HEADER_LEN as u16).to_le_bytes());
        put(
            &mut bytes,
            4,
            &(RECORD_HEADER_LEN + self.payload_len).to_le_bytes(),
        );
        put(&mut bytes, 8, &self.group.id.0.to_le_bytes());
        put(&mut bytes, 16, &self.group.generation.0.to_le_bytes());
        put(&mut bytes, 20, &self.payload_crc.to_le_bytes());
        put(&mut bytes, 24, &self.id.term.to_le_bytes());
        put(&mut bytes, 32, &self.id.leader.0.to_le_bytes());
        put(&mut bytes, 40, &self.id.index.to_le_bytes());
        bytes
    }

    /// Reads the header; says why not in words for the operator.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordsError> {
        let bytes = bytes
            .get(..RECORD_HEADER_LEN as usize)
            .ok_or(RecordsError::Shape)?;
        let [number, flags] = take(bytes, 0);
        let kind = RecordKind::from_number(number).ok_or(RecordsError::Kind(number))?;
        let len = u32_at(bytes, 4);
        if u32::from(u16_at(bytes, 2)) != RECORD_HEADER_LEN || len < RECORD_HEADER_LEN {
            return Err(RecordsError::Shape);
        }
        Ok(Self {
            kind,
            flags,
            group: GroupKey::new(GroupId(u64_at(bytes, 8)), GroupGen(u32_at(bytes, 16))),
            payload_len: len - RECORD_HEADER_LEN,
            payload_crc: u32_at(bytes, 20),
            id: LogId {
                term: u64_at(bytes, 24),
                leader: ReplicaId(u64_at(bytes, 32)),
                index: u64_at(bytes, 40),
            },
        })
    }
}

/// Why a frame whose sums are right cannot be read: another version of this program wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("a record of unknown kind {0}")]
    Kind(u8),
    #[error("a record of unknown shape")]
    Shape,
}

/// The records of a frame's body, with the place of each payload in it.
pub(crate) struct Records<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    /// Header, payload, offset of the payload in the body.
    type Item = Result<(RecordHeader, &'a [u8], u32), RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.body.get(self.at..).filter(|rest| !rest.is_empty())?;
        let header = match RecordHeader::decode(rest) {
            Ok(header) => header,
            Err(error) => {
                self.at = self.body.len();
                return Some(Err(error));
            }
        };
        let start = RECORD_HEADER_LEN as usize;
        let Some(payload) = rest.get(start..start + header.payload_len as usize) else {
            self.at = self.body.len();
            return Some(Err(RecordsError::Shape));
        };
        let payload_at = (self.at + start) as u32;
        self.at += start + payload.len();
        Some(Ok((header, payload, payload_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_trips() {
        let header = RecordHeader {
            kind: RecordKind::Entry,
            flags: 2,
            group: GroupKey::new(GroupId(5), GroupGen(6)),
            payload_len: 3,
            payload_crc: 7,
            id: LogId {
                term: 8,
                leader: ReplicaId(9),
                index: 10,
            },
        };
        let mut body = header.encode().to_vec();
        body.extend_from_slice(b"abc");
        body.extend_from_slice(&body.clone());
        let records: Vec<_> = Records::new(&body).collect();
        assert_eq!(
            records,
            [Ok((header, &b"abc"[..], 48)), Ok((header, &b"abc"[..], 99))]
        );
        assert_eq!(Records::new(&body[..60]).last(), Some(Err(RecordsError::Shape)));
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let mut body = vec![0; 48];
        body[0] = 77;
        assert_eq!(Records::new(&body).next(), Some(Err(RecordsError::Kind(77))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_to_an_end(body: Vec<u8>) {
            prop_assert!(Records::new(&body).count() <= body.len() / 48 + 1);
        }
    }
}
