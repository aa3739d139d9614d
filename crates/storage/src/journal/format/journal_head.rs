//! What holds for the journal as a whole at one point of it.

use atoll_types::{GroupKey, LogId};

use super::record::{RecordHeader, RecordKind};

const DAMAGED: u8 = 1;

/// Stands at the start of every segment, and wherever it changes, unless it says nothing. So what it
/// says outlives the segments that it speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JournalHead {
    /// Segments before this one are not needed any more and may be gone. 0: none may.
    pub(crate) first_segment: u32,
    /// The journal was damaged once: there may have been groups that nothing tells of any more.
    pub(crate) damaged: bool,
}

impl JournalHead {
    /// The record, if there is anything to say.
    pub(crate) fn record(self) -> Option<RecordHeader> {
        let flags = if self.damaged { DAMAGED } else { 0 };
        let id = LogId {
            index: u64::from(self.first_segment),
            ..LogId::default()
        };
        (self != Self::default())
            .then(|| RecordHeader::plain(RecordKind::JournalHead, flags, GroupKey::default(), id))
    }

    /// What such a record says. `None` if no program of this version wrote it.
    pub(crate) fn decode(record: &RecordHeader) -> Option<Self> {
        if record.flags & !DAMAGED != 0 || record.payload_len != 0 {
            return None;
        }
        Some(Self {
            first_segment: u32::try_from(record.id.index).ok()?,
            damaged: record.flags & DAMAGED != 0,
        })
    }

    /// Nothing that was said once is taken back.
    pub(crate) fn join(&mut self, later: Self) {
        self.first_segment = self.first_segment.max(later.first_segment);
        self.damaged |= later.damaged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_says_nothing_if_there_is_nothing() {
        assert_eq!(JournalHead::default().record(), None);
        for (first_segment, damaged) in [(0, true), (1, false), (u32::MAX, true)] {
            let head = JournalHead {
                first_segment,
                damaged,
            };
            let record = head.record().unwrap();
            assert_eq!(RecordHeader::decode(&record.encode()), Ok(record));
            assert_eq!(JournalHead::decode(&record), Some(head));
        }
        let mut record = JournalHead {
            first_segment: 7,
            damaged: false,
        }
        .record()
        .unwrap();
        record.flags = 2;
        assert_eq!(JournalHead::decode(&record), None, "a flag of another version");
        record.flags = 0;
        record.id.index = 1 << 32;
        assert_eq!(JournalHead::decode(&record), None, "there is no such segment");
    }

    #[test]
    fn what_was_said_stays() {
        let mut head = JournalHead {
            first_segment: 5,
            damaged: true,
        };
        head.join(JournalHead {
            first_segment: 3,
            damaged: false,
        });
        assert_eq!((head.first_segment, head.damaged), (5, true));
        head.join(JournalHead {
            first_segment: 9,
            damaged: false,
        });
        assert_eq!((head.first_segment, head.damaged), (9, true));
    }
}
