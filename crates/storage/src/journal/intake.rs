//! Where records get their places.
//!
//! Under one short lock every record is given its segment and offset for ever, before anything is
//! written: there is always exactly one batch being built, whose place in the file is known. When it
//! is full, or its segment is, the next one is opened logically; the file may come later. So readers
//! can point at an entry the moment `append` returns, and the order of the journal is the order in
//! which this lock was taken.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use atoll_env::trouble;
use atoll_types::{GroupKey, LogId};
use bytes::Bytes;

use super::format::{
    Align, BATCH_BODY_MAX, FRAME_HEADER_LEN, HEAD_LEN, Head, JournalHead, RECORD_HEADER_LEN, RecordHeader,
    RecordKind,
};
use super::segment::{Segment, SegmentTable};

/// Told once, after the sync that made its batch durable. Runs on the thread that writes: hand the
/// news over and return.
pub type AppendDone = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A record as it will stand in the file.
pub(crate) struct Record {
    pub(crate) header: [u8; RECORD_HEADER_LEN as usize],
    pub(crate) payload: Bytes,
}

/// Where a payload stands, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// What segments look like.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) segment_bytes: u32,
    pub(crate) align: Align,
}

/// What one frame will hold.
pub(crate) struct Batch {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u32,
    pub(crate) body_len: u32,
    pub(crate) records: Vec<Record>,
    pub(crate) entries: u32,
    pub(crate) completions: Vec<AppendDone>,
    /// Bytes of room to give back once durable.
    pub(crate) room: usize,
    /// Somebody wants this batch on disk; heads and riding records alone do not.
    wanted: bool,
    align: Align,
}

impl Batch {
    /// The first one of a segment.
    fn first(segment: Arc<Segment>, align: Align) -> Self {
        Self::at(segment, align.header_len(), align)
    }

    fn at(segment: Arc<Segment>, offset: u32, align: Align) -> Self {
        Self {
            segment,
            offset,
            body_len: 0,
            records: Vec::new(),
            entries: 0,
            completions: Vec::new(),
            room: 0,
            wanted: false,
            align,
        }
    }

    fn is_first(&self) -> bool {
        self.offset == self.align.header_len()
    }

    /// True if the segment has room for so many bytes more, or if this is all there is in it.
    fn fits(&self, more: u32) -> bool {
        let fresh = self.is_first() && !self.wanted;
        fresh || self.end_with(more) <= self.segment.limit
    }

    /// Where the frame will end with `more` bytes of records added.
    fn end_with(&self, more: u32) -> u32 {
        self.offset
            .saturating_add(self.align.padded(FRAME_HEADER_LEN + self.body_len + more))
    }
}

/// The journal's memory of what is not written yet, and every group's head at that point.
pub(crate) struct Intake {
    segments: Arc<SegmentTable>,
    segment_bytes: u32,
    closed: VecDeque<Batch>,
    building: Batch,
    heads: BTreeMap<GroupKey, Head>,
    journal_head: JournalHead,
    /// Commit marks waiting to ride with the next batch; one per group at most.
    committed: BTreeMap<GroupKey, LogId>,
    pub(crate) closing: bool,
}

impl Intake {
    /// Starts in a new segment, whose first batch begins with every group's head.
    pub(crate) fn new(
        segments: Arc<SegmentTable>,
        first: Arc<Segment>,
        layout: Layout,
        heads: BTreeMap<GroupKey, Head>,
        journal_head: JournalHead,
    ) -> Self {
        segments.push(first.clone());
        let mut intake = Self {
            segments,
            segment_bytes: layout.segment_bytes,
            closed: VecDeque::new(),
            building: Batch::first(first, layout.align),
            heads,
            journal_head,
            committed: BTreeMap::new(),
            closing: false,
        };
        intake.place_heads();
        intake
    }

    /// Places a record somebody waits for.
    pub(crate) fn push(&mut self, header: RecordHeader, payload: Bytes) -> Location {
        let location = self.place(header, payload);
        self.building.wanted = true;
        location
    }

    /// A commit mark: rides with the next batch and never asks for one.
    pub(crate) fn note_committed(&mut self, group: GroupKey, id: LogId) {
        self.committed.insert(group, id);
    }

    /// Says that segments before this one are not needed any more.
    pub(crate) fn note_first_segment(&mut self, first_segment: u32) {
        self.journal_head.join(JournalHead {
            first_segment,
            damaged: false,
        });
        if let Some(record) = self.journal_head.record() {
            self.push(record, Bytes::new());
        }
    }

    /// The segment that records are placed in now.
    pub(crate) fn segment(&self) -> u32 {
        self.building.segment.id
    }

    /// Calls `done` once everything placed so far is durable, and gives `room` back then.
    pub(crate) fn finish(&mut self, room: usize, done: Option<AppendDone>) {
        self.building.wanted = true;
        self.building.room += room;
        self.building.completions.extend(done);
    }

    /// The next batch to write. With `idle`, also one that nobody asked for.
    pub(crate) fn take(&mut self, idle: bool) -> Option<Batch> {
        if let Some(batch) = self.closed.pop_front() {
            return Some(batch);
        }
        if !self.building.wanted && !idle {
            return None;
        }
        if self.building.body_len == 0 {
            // A frame without records must not be what exceeds the segment.
            self.make_room(RECORD_HEADER_LEN);
        }
        self.place_committed();
        self.close_batch();
        self.closed.pop_front()
    }

    /// True if closing the journal must write something first.
    pub(crate) fn has_work(&self) -> bool {
        !self.closed.is_empty() || self.building.wanted || !self.committed.is_empty()
    }

    fn place(&mut self, header: RecordHeader, payload: Bytes) -> Location {
        debug_assert_eq!(header.payload_len as usize, payload.len());
        self.make_room(RECORD_HEADER_LEN + header.payload_len);
        if header.kind != RecordKind::JournalHead {
            self.note_head(&header);
        }
        self.put(header, payload)
    }

    fn put(&mut self, header: RecordHeader, payload: Bytes) -> Location {
        let batch = &mut self.building;
        let offset = batch.offset + FRAME_HEADER_LEN + batch.body_len + RECORD_HEADER_LEN;
        let location = Location {
            segment: batch.segment.id,
            offset,
            len: header.payload_len,
        };
        batch.body_len += RECORD_HEADER_LEN + header.payload_len;
        if header.kind == RecordKind::Entry {
            batch.entries += 1;
            batch.segment.hold(offset, payload.clone());
        }
        batch.records.push(Record {
            header: header.encode(),
            payload,
        });
        location
    }

    /// Opens the next batch or segment if the record does not fit into this one.
    fn make_room(&mut self, len: u32) {
        let filled = self.building.body_len > 0;
        if filled && self.building.body_len + len > BATCH_BODY_MAX {
            self.close_batch();
        }
        let begun = !self.building.is_first();
        if !self.building.fits(len) || (begun && trouble::point("journal: a segment ends early")) {
            if self.building.body_len > 0 {
                self.close_batch();
            }
            self.open_segment();
        }
    }

    fn close_batch(&mut self) {
        let end = self.building.end_with(0);
        let next = Batch::at(self.building.segment.clone(), end, self.building.align);
        self.closed.push_back(std::mem::replace(&mut self.building, next));
    }

    fn open_segment(&mut self) {
        let id = self
            .building
            .segment
            .id
            .checked_add(1)
            .expect("four billion segments are never reached");
        let segment = Arc::new(Segment::fresh(id, self.segment_bytes));
        self.segments.push(segment.clone());
        // Whatever waited on the old place (completions come with records) went with its batch.
        debug_assert!(self.building.records.is_empty());
        let next = Batch::first(segment, self.building.align);
        let old = std::mem::replace(&mut self.building, next);
        self.place_heads();
        self.building.completions = old.completions;
        self.building.room = old.room;
        self.building.wanted = old.wanted;
    }

    fn place_heads(&mut self) {
        if let Some(record) = self.journal_head.record() {
            self.put(record, Bytes::new());
        }
        let heads: Vec<_> = self
            .heads
            .iter()
            .map(|(group, head)| (*group, head.encode()))
            .collect();
        for (group, head) in heads {
            let header = RecordHeader {
                kind: RecordKind::GroupHead,
                flags: 0,
                group,
                payload_len: HEAD_LEN as u32,
                payload_crc: crc32fast::hash(&head),
                id: LogId::default(),
            };
            self.put(header, Bytes::copy_from_slice(&head));
        }
    }

    /// Lets the waiting commit marks ride, as far as they fit without opening anything.
    fn place_committed(&mut self) {
        while let Some((group, id)) = self.committed.pop_first() {
            if !self.building.fits(RECORD_HEADER_LEN) {
                self.committed.insert(group, id);
                return;
            }
            let header = RecordHeader::plain(RecordKind::Committed, 0, group, id);
            self.note_head(&header);
            self.put(header, Bytes::new());
        }
    }

    fn note_head(&mut self, header: &RecordHeader) {
        let head = self.heads.entry(header.group).or_default();
        head.note(header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_types::{GroupGen, GroupId, ReplicaId};

    const GROUP: GroupKey = GroupKey::new(GroupId(1), GroupGen(0));

    fn intake(segment_bytes: u32) -> Intake {
        let segments = Arc::new(SegmentTable::new(0));
        let first = Arc::new(Segment::fresh(1, segment_bytes));
        let head = Head {
            replica: ReplicaId(4),
            ..Head::default()
        };
        Intake::new(
            segments,
            first,
            Layout {
                segment_bytes,
                align: Align::CLEAR,
            },
            [(GROUP, head)].into(),
            JournalHead::default(),
        )
    }

    fn push(intake: &mut Intake, index: u64, len: usize) -> Location {
        let payload = Bytes::from(vec![7; len]);
        let header = RecordHeader {
            kind: RecordKind::Entry,
            flags: 1,
            group: GROUP,
            payload_len: len as u32,
            payload_crc: crc32fast::hash(&payload),
            id: LogId {
                term: 1,
                leader: ReplicaId(4),
                index,
            },
        };
        intake.push(header, payload)
    }

    #[test]
    fn places_never_overlap_and_a_segment_is_exceeded_only_by_one_record_alone() {
        let mut intake = intake(64 * 1024);
        let mut expected_end = BTreeMap::new();
        for index in 0..400 {
            let len = [10, 5_000, 70_000, 1_000][index as usize % 4];
            let place = push(&mut intake, index, len);
            let end = expected_end.entry(place.segment).or_insert(0);
            assert!(place.offset >= *end + RECORD_HEADER_LEN, "{place:?}");
            *end = place.offset + place.len;
            if index % 7 == 0 {
                assert!(intake.take(false).is_some());
            }
        }
        let mut at = BTreeMap::new();
        while let Some(batch) = intake.take(false) {
            let start = at.entry(batch.segment.id).or_insert(batch.offset);
            assert_eq!(batch.offset, *start);
            *start = batch.end_with(0);
            let large = batch.records.iter().any(|record| record.payload.len() > 60_000);
            assert!(batch.end_with(0) <= batch.segment.limit || large && batch.is_first());
        }
        assert!(at.len() > 50);
    }

    #[test]
    fn a_batch_is_closed_at_four_mebibytes() {
        let mut intake = intake(64 << 20);
        for index in 0..9 {
            push(&mut intake, index, 1 << 20);
        }
        let sizes: Vec<_> = std::iter::from_fn(|| intake.take(false))
            .map(|batch| batch.entries)
            .collect();
        assert_eq!(sizes, [3, 3, 3]);
    }

    #[test]
    fn heads_open_every_segment_and_ask_for_nothing() {
        let mut intake = intake(64 * 1024);
        assert!(intake.take(false).is_none());
        for index in 0..100 {
            push(&mut intake, index, 4_000);
        }
        let mut seen = 0;
        while let Some(batch) = intake.take(false) {
            if !batch.is_first() {
                continue;
            }
            let header = RecordHeader::decode(&batch.records[0].header).unwrap();
            let head = Head::decode(&batch.records[0].payload).unwrap();
            let first = RecordHeader::decode(&batch.records[1].header).unwrap();
            assert_eq!(header.kind, RecordKind::GroupHead);
            assert_eq!(head.last.map_or(0, |last| last.index + 1), first.id.index);
            seen += 1;
        }
        assert!(seen >= 6, "{seen}");
    }

    #[test]
    fn what_was_freed_is_said_at_once_and_at_the_start_of_every_segment() {
        let mut intake = intake(16 * 1024);
        intake.note_first_segment(1);
        intake.note_first_segment(0);
        for index in 0..10 {
            push(&mut intake, index, 8_000);
        }
        let mut said = Vec::new();
        while let Some(batch) = intake.take(false) {
            let records = batch.records.iter();
            let headers = records.map(|record| RecordHeader::decode(&record.header).unwrap());
            let heads: Vec<_> = headers
                .filter(|header| header.kind == RecordKind::JournalHead)
                .map(|header| (header.id.index, header.group))
                .collect();
            assert!(heads.iter().all(|head| *head == (1, GroupKey::default())));
            said.push((batch.segment.id, heads.len()));
        }
        assert_eq!(said[..3], [(1, 2), (2, 1), (3, 1)], "{said:?}");
        assert_eq!(intake.heads.keys().collect::<Vec<_>>(), [&GROUP]);
    }

    #[test]
    fn markers_and_commit_marks_open_a_segment_rather_than_exceed_one() {
        let mut intake = intake(16 * 1024);
        push(&mut intake, 0, 8_000);
        let mut segments = Vec::new();
        for index in 0..10 {
            intake.note_committed(
                GROUP,
                LogId {
                    term: 1,
                    leader: ReplicaId(4),
                    index,
                },
            );
            let batch = intake.take(true).unwrap();
            assert!(batch.end_with(0) <= batch.segment.limit);
            segments.push(batch.segment.id);
            assert!(!intake.has_work(), "closing comes to an end");
        }
        assert_eq!(segments, [1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    }

    #[test]
    fn commit_marks_ride_and_only_the_newest_of_a_group() {
        let mut intake = intake(64 * 1024);
        for index in 0..5 {
            intake.note_committed(
                GROUP,
                LogId {
                    term: 1,
                    leader: ReplicaId(4),
                    index,
                },
            );
        }
        assert!(intake.take(false).is_none() && intake.has_work());
        push(&mut intake, 0, 10);
        let batch = intake.take(false).unwrap();
        let last = RecordHeader::decode(&batch.records.last().unwrap().header).unwrap();
        assert_eq!(
            (batch.records.len(), last.kind, last.id.index),
            (3, RecordKind::Committed, 4)
        );
        assert!(!intake.has_work());
        assert!(intake.take(true).is_some_and(|batch| batch.records.is_empty()));
    }
}
