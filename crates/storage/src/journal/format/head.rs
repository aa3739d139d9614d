//! A group's state as it stands at one point of the journal.

use atoll_types::{LogId, ReplicaId, Vote};

use super::record::{RecordHeader, RecordKind};
use super::{put, u32_at, u64_at};

/// Bytes of an encoded head.
pub(crate) const HEAD_LEN: usize = 112;

const VOTE: u32 = 1;
const VOTE_COMMITTED: u32 = 1 << 1;
const COMMITTED: u32 = 1 << 2;
const PURGED: u32 = 1 << 3;
const LAST: u32 = 1 << 4;
const QUARANTINED: u32 = 1 << 5;

/// Everything about a group that is not an entry. Written at the start of every segment, so that
/// an idle group needs no old segment only because its vote stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) replica: ReplicaId,
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    /// The last entry, else what was purged.
    pub(crate) last: Option<LogId>,
    /// The log cannot be trusted; this replica takes no part any more.
    pub(crate) quarantined: bool,
}

/// Flag of a TruncateAfter record: nothing after the purged part is kept.
pub(crate) const TRUNCATE_FLAG_ALL: u8 = 1;
/// Flag of a Vote record.
pub(crate) const VOTE_FLAG_COMMITTED: u8 = 1;

impl Head {
    /// Takes in what a record says. The writing side and recovery both go through here.
    pub(crate) fn note(&mut self, record: &RecordHeader) {
        match record.kind {
            RecordKind::Vote => {
                self.vote = Some(Vote {
                    term: record.id.term,
                    candidate: record.id.leader,
                    committed: record.flags & VOTE_FLAG_COMMITTED != 0,
                });
            }
            RecordKind::TruncateAfter if record.flags & TRUNCATE_FLAG_ALL != 0 => self.last = self.purged,
            RecordKind::Entry | RecordKind::TruncateAfter => self.last = Some(record.id),
            // A purge only goes forward.
            RecordKind::Purge if self.purged.is_some_and(|purged| purged.index >= record.id.index) => {}
            RecordKind::Purge => {
                self.purged = Some(record.id);
                if self.last.is_none_or(|last| last.index <= record.id.index) {
                    self.last = Some(record.id);
                }
            }
            RecordKind::Committed => self.committed = Some(record.id),
            RecordKind::GroupCreate => self.replica = record.id.leader,
            RecordKind::GroupHead | RecordKind::JournalHead => {}
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        let mut flags = 0;
        put(&mut bytes, 0, &self.replica.0.to_le_bytes());
        if let Some(vote) = self.vote {
            flags |= if vote.committed {
                VOTE | VOTE_COMMITTED
            } else {
                VOTE
            };
            put(&mut bytes, 16, &vote.term.to_le_bytes());
            put(&mut bytes, 24, &vote.candidate.0.to_le_bytes());
        }
        for (flag, at, id) in [
            (COMMITTED, 32, self.committed),
            (PURGED, 56, self.purged),
            (LAST, 80, self.last),
        ] {
            if let Some(id) = id {
                flags |= flag;
                put(&mut bytes, at, &id.term.to_le_bytes());
                put(&mut bytes, at + 8, &id.leader.0.to_le_bytes());
                put(&mut bytes, at + 16, &id.index.to_le_bytes());
            }
        }
        if self.quarantined {
            flags |= QUARANTINED;
        }
        put(&mut bytes, 8, &u32::to_le_bytes(flags));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != HEAD_LEN {
            return None;
        }
        let flags = u32_at(bytes, 8);
        let id = |flag: u32, at: usize| {
            (flags & flag != 0).then(|| LogId {
                term: u64_at(bytes, at),
                leader: ReplicaId(u64_at(bytes, at + 8)),
                index: u64_at(bytes, at + 16),
            })
        };
        Some(Self {
            replica: ReplicaId(u64_at(bytes, 0)),
            vote: (flags & VOTE != 0).then(|| Vote {
                term: u64_at(bytes, 16),
                candidate: ReplicaId(u64_at(bytes, 24)),
                committed: flags & VOTE_COMMITTED != 0,
            }),
            committed: id(COMMITTED, 32),
            purged: id(PURGED, 56),
            last: id(LAST, 80),
            quarantined: flags & QUARANTINED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let id = |n| LogId {
            term: n,
            leader: ReplicaId(n + 1),
            index: n + 2,
        };
        let full = Head {
            replica: ReplicaId(1),
            vote: Some(Vote {
                term: 2,
                candidate: ReplicaId(3),
                committed: true,
            }),
            committed: Some(id(4)),
            purged: Some(id(7)),
            last: Some(id(10)),
            quarantined: true,
        };
        assert_eq!(Head::decode(&full.encode()), Some(full));
        assert_eq!(Head::decode(&Head::default().encode()), Some(Head::default()));
        assert_eq!(Head::decode(&full.encode()[1..]), None);
    }
}
