//! The log of one group in memory: where every entry stands, and the newest entries themselves.

use std::collections::VecDeque;

use atoll_types::{LogId, ReplicaId, Vote};
use bytes::Bytes;

use super::LogEntry;
use super::intake::Location;

/// Entries of one term, leader and kind, from `first` on.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    term: u64,
    leader: ReplicaId,
    kind: u8,
}

struct TailEntry {
    payload: Bytes,
    crc: u32,
}

/// Where an entry stands on disk, and what must stand there: no sum covers an entry's header once the
/// journal is open, so whoever reads it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) id: LogId,
    pub(crate) kind: u8,
    pub(crate) place: Location,
}

/// Dense from the first kept index on: 12 bytes per entry, found by index in O(1); terms and kinds are
/// kept as runs, of which there are about as many as there were elections and membership changes.
#[derive(Default)]
pub(crate) struct LogTable {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    purged: Option<LogId>,
    first: u64,
    places: VecDeque<Location>,
    runs: VecDeque<Run>,
    /// The newest entries, a suffix of `places`.
    tail: VecDeque<TailEntry>,
    tail_bytes: usize,
    /// Entries before this index are applied.
    applied_end: u64,
}

/// Places kept allocated, however few are in use.
const PLACES_KEPT: usize = 1024;

/// Why an operation does not fit the log as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    #[error("entry {found} does not follow {last}")]
    Gap { last: LogId, found: LogId },
    #[error("no entry could follow {0}")]
    End(LogId),
    #[error("the log has no entry {0}")]
    Unknown(LogId),
    #[error("entries after {0} would be cut, but {1} is committed")]
    Committed(LogId, LogId),
}

impl Run {
    fn id(&self, index: u64) -> LogId {
        LogId {
            term: self.term,
            leader: self.leader,
            index,
        }
    }
}

impl LogTable {
    /// A log without entries whose next one follows `last`.
    pub(crate) fn after(last: Option<LogId>) -> Result<Self, LogError> {
        if let Some(last) = last {
            Self::check_index(last)?;
        }
        Ok(Self {
            purged: last,
            first: last.map_or(0, |last| last.index + 1),
            ..Self::default()
        })
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// The last entry, else what was purged.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.end()
            .checked_sub(1)
            .and_then(|index| self.id_at(index))
            .or(self.purged)
    }

    /// Index of the first entry kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// One past the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    pub(crate) fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }

    /// Index of the first entry in the tail.
    pub(crate) fn tail_first(&self) -> u64 {
        self.end() - self.tail.len() as u64
    }

    pub(crate) fn place_at(&self, index: u64) -> Option<Location> {
        let at = index.checked_sub(self.first)?;
        self.places.get(usize::try_from(at).ok()?).copied()
    }

    fn run_at(&self, index: u64) -> Option<&Run> {
        if index < self.first || index >= self.end() {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        self.runs.get(after.checked_sub(1)?)
    }

    /// The id of a kept entry.
    pub(crate) fn id_at(&self, index: u64) -> Option<LogId> {
        self.run_at(index).map(|run| run.id(index))
    }

    /// A kept entry but for its bytes.
    pub(crate) fn placed_at(&self, index: u64) -> Option<Placed> {
        let run = self.run_at(index)?;
        Some(Placed {
            id: run.id(index),
            kind: run.kind,
            place: self.place_at(index)?,
        })
    }

    pub(crate) fn holds(&self, id: LogId) -> bool {
        self.id_at(id.index) == Some(id) || self.purged == Some(id)
    }

    /// True if an entry with this id may come next.
    pub(crate) fn check_next(last: Option<LogId>, id: LogId) -> Result<(), LogError> {
        Self::check_index(id)?;
        match last {
            Some(last) if id.index != last.index + 1 || id.term < last.term => {
                Err(LogError::Gap { last, found: id })
            }
            _ => Ok(()),
        }
    }

    /// True if an entry may follow this one. Nobody writes such a number, but bytes may say anything.
    pub(crate) fn check_index(id: LogId) -> Result<(), LogError> {
        if id.index == u64::MAX {
            Err(LogError::End(id))
        } else {
            Ok(())
        }
    }

    /// Adds an entry that [`LogTable::check_next`] let pass.
    pub(crate) fn push(&mut self, Placed { id, kind, place }: Placed) {
        debug_assert!(
            Self::check_next(self.last(), id).is_ok(),
            "{id} after {:?}",
            self.last()
        );
        if self.places.is_empty() {
            self.first = id.index;
            self.runs.clear();
        }
        if self
            .runs
            .back()
            .is_none_or(|run| run.id(id.index) != id || run.kind != kind)
        {
            self.runs.push_back(Run {
                first: id.index,
                term: id.term,
                leader: id.leader,
                kind,
            });
        }
        self.places.push_back(place);
    }

    /// Adds an entry together with its bytes.
    pub(crate) fn push_with_tail(&mut self, entry: LogEntry, place: Location) {
        let LogEntry { id, kind, .. } = entry;
        self.push(Placed { id, kind, place });
        self.tail_bytes += entry.payload.len();
        self.tail.push_back(TailEntry {
            payload: entry.payload,
            crc: entry.payload_crc,
        });
    }

    pub(crate) fn tail_entry(&self, index: u64) -> Option<LogEntry> {
        let at = index.checked_sub(self.tail_first())?;
        let entry = self.tail.get(usize::try_from(at).ok()?)?;
        let run = self.run_at(index)?;
        Some(LogEntry {
            id: run.id(index),
            kind: run.kind,
            payload: entry.payload.clone(),
            payload_crc: entry.crc,
        })
    }

    /// Checks that the log can be cut after `last`.
    pub(crate) fn check_truncate(&self, last: Option<LogId>) -> Result<(), LogError> {
        if let Some(id) = last.filter(|id| !self.holds(*id)) {
            return Err(LogError::Unknown(id));
        }
        match self
            .committed
            .filter(|committed| Some(*committed) > last.or(self.purged))
        {
            Some(committed) if self.holds(committed) => {
                Err(LogError::Committed(last.unwrap_or_default(), committed))
            }
            _ => Ok(()),
        }
    }

    /// Cuts everything after `last`; with `None`, everything.
    pub(crate) fn truncate_after(&mut self, last: Option<LogId>) {
        let end = last.map_or(self.first, |last| last.index + 1).max(self.first);
        while self.tail_first() < self.end() && self.end() > end {
            self.drop_newest_of_tail();
            self.places.pop_back();
        }
        self.places
            .truncate((end - self.first).min(self.places.len() as u64) as usize);
        while self.runs.back().is_some_and(|run| run.first >= end) {
            self.runs.pop_back();
        }
    }

    fn drop_newest_of_tail(&mut self) {
        if let Some(entry) = self.tail.pop_back() {
            self.tail_bytes -= entry.payload.len();
        }
    }

    /// Checks that everything up to `upto` can be forgotten.
    pub(crate) fn check_purge(&self, upto: LogId) -> Result<(), LogError> {
        Self::check_index(upto)?;
        let another = self.id_at(upto.index).is_some_and(|found| found != upto);
        // What is kept follows what is purged without a gap.
        let gap = !self.places.is_empty() && upto.index + 1 < self.first;
        if another || gap {
            Err(LogError::Unknown(upto))
        } else {
            Ok(())
        }
    }

    /// True if nothing up to `upto` is kept any more.
    pub(crate) fn is_purged(&self, upto: LogId) -> bool {
        self.purged.is_some_and(|purged| purged.index >= upto.index)
    }

    /// Forgets everything up to `upto`, which [`LogTable::check_purge`] let pass.
    pub(crate) fn purge(&mut self, upto: LogId) {
        debug_assert!(
            self.purged.is_none_or(|purged| purged.index < upto.index),
            "purging goes forward"
        );
        let keep_from = upto.index + 1;
        let gone = keep_from.saturating_sub(self.first).min(self.places.len() as u64);
        while self.tail_first() < keep_from && !self.tail.is_empty() {
            self.drop_oldest_of_tail();
        }
        self.places.drain(..gone as usize);
        self.first = keep_from;
        self.purged = Some(upto);
        while self.runs.get(1).is_some_and(|next| next.first <= keep_from) {
            self.runs.pop_front();
        }
        if self.places.is_empty() {
            self.runs.clear();
        }
        // A log that was long once would hold its memory for ever. Halving keeps the copying rare.
        if self.places.capacity() > PLACES_KEPT.max(self.places.len() * 4) {
            self.places.shrink_to(PLACES_KEPT.max(self.places.len() * 2));
        }
    }

    /// The last entry that stands in a segment before this one. Later entries never stand before earlier ones.
    pub(crate) fn last_before(&self, segment: u32) -> Option<LogId> {
        let count = self.places.partition_point(|place| place.segment < segment);
        self.id_at(self.first + count.checked_sub(1)? as u64)
    }

    /// The segment of the first entry kept.
    pub(crate) fn oldest_segment(&self) -> Option<u32> {
        self.places.front().map(|place| place.segment)
    }

    fn drop_oldest_of_tail(&mut self) -> usize {
        let Some(entry) = self.tail.pop_front() else {
            return 0;
        };
        self.tail_bytes -= entry.payload.len();
        entry.payload.len()
    }

    /// Entries up to `index` are applied and may leave the tail.
    pub(crate) fn note_applied(&mut self, index: u64) {
        self.applied_end = self.applied_end.max(index.saturating_add(1));
    }

    /// Lets the oldest entries leave the tail while `keep` says there is too much, stopping at the
    /// first that is not durable. Returns the bytes freed.
    pub(crate) fn shrink_tail(
        &mut self,
        applied_only: bool,
        is_durable: impl Fn(Location) -> bool,
        too_much: impl Fn(usize) -> bool,
    ) -> usize {
        let before = self.tail_bytes;
        while !self.tail.is_empty() && too_much(self.tail_bytes) {
            let index = self.tail_first();
            let durable = self.place_at(index).is_some_and(&is_durable);
            if !durable || applied_only && index >= self.applied_end {
                break;
            }
            self.drop_oldest_of_tail();
        }
        before - self.tail_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId {
            term,
            leader: ReplicaId(term % 3),
            index,
        }
    }

    fn place(index: u64) -> Location {
        Location {
            segment: 1,
            offset: index as u32 * 100,
            len: 10,
        }
    }

    /// Kinds alternate now and then, as elections make them do.
    fn kind(index: u64) -> u8 {
        u8::from(!index.is_multiple_of(5))
    }

    fn placed(id: LogId) -> Placed {
        Placed {
            id,
            kind: kind(id.index),
            place: place(id.index),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append { count: u64, term_up: u64 },
        Truncate(u64),
        Purge(u64),
        Shrink(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1..5_u64, 0..2_u64).prop_map(|(count, term_up)| Step::Append { count, term_up }),
            (0..12_u64).prop_map(Step::Truncate),
            (0..12_u64).prop_map(Step::Purge),
            (0..12_u64).prop_map(Step::Shrink),
        ];
        proptest::collection::vec(step, 0..60)
    }

    /// The same log as plain lists.
    #[derive(Default)]
    struct Model {
        entries: Vec<LogId>,
        purged: Option<LogId>,
        term: u64,
    }

    impl Model {
        fn last(&self) -> Option<LogId> {
            self.entries.last().copied().or(self.purged)
        }

        fn append(&mut self, table: &mut LogTable) {
            let next = id(self.term, self.last().map_or(0, |last| last.index + 1));
            self.entries.push(next);
            let payload = Bytes::from(next.index.to_le_bytes().to_vec());
            let entry = LogEntry {
                id: next,
                kind: kind(next.index),
                payload,
                payload_crc: 0,
            };
            table.push_with_tail(entry, place(next.index));
        }

        fn purge(&mut self, count: usize, table: &mut LogTable) {
            let count = count.min(self.entries.len());
            let Some(upto) = self.entries.drain(..count).next_back() else {
                return;
            };
            self.purged = Some(upto);
            table.purge(upto);
        }

        fn step(&mut self, step: &Step, table: &mut LogTable) {
            match *step {
                Step::Append { count, term_up } => {
                    self.term += term_up;
                    (0..count).for_each(|_| self.append(table));
                }
                Step::Truncate(back) => {
                    let kept = self.entries.len().saturating_sub(back as usize);
                    self.entries.truncate(kept);
                    let last = self.last();
                    assert_eq!(table.check_truncate(last), Ok(()));
                    table.truncate_after(last);
                }
                Step::Purge(count) => {
                    self.purge(count as usize, table);
                }
                Step::Shrink(applied) => {
                    table.note_applied(applied);
                    table.shrink_tail(true, |_| true, |bytes| bytes > 16);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn is_the_model(steps in steps()) {
            let mut model = Model::default();
            let mut table = LogTable::default();
            for step in &steps {
                model.step(step, &mut table);
                prop_assert_eq!(table.last(), model.last());
                prop_assert_eq!(table.purged(), model.purged);
                let ids: Vec<_> = (table.first()..table.end()).map(|index| table.id_at(index).unwrap()).collect();
                prop_assert_eq!(&ids, &model.entries);
                for entry in &model.entries {
                    prop_assert_eq!(table.place_at(entry.index), Some(place(entry.index)));
                    prop_assert_eq!(table.placed_at(entry.index), Some(placed(*entry)));
                }
                let tail: Vec<_> = (table.tail_first()..table.end()).map(|index| table.tail_entry(index).unwrap()).collect();
                prop_assert_eq!(table.tail_bytes(), tail.len() * 8);
                for entry in tail {
                    prop_assert_eq!(entry.kind, kind(entry.id.index));
                    prop_assert_eq!(&entry.payload[..], &entry.id.index.to_le_bytes()[..]);
                }
            }
        }
    }

    #[test]
    fn entries_before_a_segment_are_found_and_memory_is_given_back() {
        let mut table = LogTable::default();
        let place = |index: u64| Location {
            segment: 2 + index as u32 / 1000 * 3,
            ..place(index)
        };
        for index in 10..20_010 {
            let placed = placed(id(index / 500, index));
            table.push(Placed {
                place: place(index),
                ..placed
            });
        }
        for segment in 0..70 {
            let naive = (10..20_010).rev().find(|index| place(*index).segment < segment);
            let found = table.last_before(segment);
            assert_eq!(
                found,
                naive.map(|index| id(index / 500, index)),
                "segment {segment}"
            );
        }
        assert_eq!(table.oldest_segment(), Some(2));
        table.purge(id(19_990 / 500, 19_990));
        assert_eq!((table.oldest_segment(), table.last_before(59)), (Some(59), None));
        assert_eq!(table.last_before(60), Some(id(19_999 / 500, 19_999)));
        assert!(table.places.capacity() <= 2 * PLACES_KEPT);
        table.purge(id(50, 30_000));
        assert_eq!(
            (table.oldest_segment(), table.last_before(u32::MAX)),
            (None, None)
        );
    }

    #[test]
    fn a_purge_that_would_leave_a_gap_or_names_another_entry_is_refused() {
        let mut table = LogTable::default();
        table.push(placed(id(1, 5)));
        table.push(placed(id(1, 6)));
        for (upto, fits) in [
            (id(1, 3), false),
            (id(1, 4), true),
            (id(2, 5), false),
            (id(1, 6), true),
        ] {
            assert_eq!(table.check_purge(upto).is_ok(), fits, "{upto}");
        }
        assert!(table.check_purge(id(2, 100)).is_ok(), "beyond the end");
        assert!(table.check_purge(id(2, u64::MAX)).is_err());
    }

    #[test]
    fn a_purge_beyond_the_end_leaves_an_empty_log_that_goes_on_after_it() {
        let mut table = LogTable::default();
        table.push(placed(id(1, 0)));
        table.purge(id(2, 9));
        assert_eq!(
            (table.last(), table.first(), table.end()),
            (Some(id(2, 9)), 10, 10)
        );
        assert!(LogTable::check_next(table.last(), id(2, 11)).is_err());
        table.push(placed(id(2, 10)));
        assert_eq!(table.last(), Some(id(2, 10)));
    }

    #[test]
    fn committed_entries_are_never_cut_and_unknown_ones_not_cut_to() {
        let mut table = LogTable::default();
        for index in 0..5 {
            table.push(placed(id(1, index)));
        }
        table.committed = Some(id(1, 3));
        assert_eq!(table.check_truncate(Some(id(1, 3))), Ok(()));
        assert_eq!(
            table.check_truncate(Some(id(1, 2))),
            Err(LogError::Committed(id(1, 2), id(1, 3)))
        );
        assert_eq!(
            table.check_truncate(Some(id(2, 4))),
            Err(LogError::Unknown(id(2, 4)))
        );
        assert!(table.check_truncate(None).is_err());
    }

    #[test]
    fn the_last_number_there_is_takes_no_part() {
        let end = id(1, u64::MAX);
        assert_eq!(LogTable::check_next(None, end), Err(LogError::End(end)));
        assert_eq!(
            LogTable::check_next(Some(id(1, u64::MAX - 1)), end),
            Err(LogError::End(end))
        );
        assert_eq!(LogTable::check_index(id(1, u64::MAX - 1)), Ok(()));
    }

    #[test]
    fn what_is_not_durable_stays_in_the_tail() {
        let mut table = LogTable::default();
        for index in 0..6 {
            let payload = Bytes::from_static(b"12345678");
            table.push_with_tail(
                LogEntry {
                    id: id(1, index),
                    kind: 1,
                    payload,
                    payload_crc: 0,
                },
                place(index),
            );
        }
        let freed = table.shrink_tail(false, |at| at.offset < 300, |_| true);
        assert_eq!((freed, table.tail_first()), (24, 3));
        assert_eq!(table.shrink_tail(true, |_| true, |_| true), 0);
        table.note_applied(4);
        assert_eq!(table.shrink_tail(true, |_| true, |_| true), 16);
    }
}
