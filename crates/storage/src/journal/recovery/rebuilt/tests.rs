//! A log read from the middle on is the log read from the start, or is known to have a gap.

use atoll_types::{GroupGen, GroupId, GroupKey, ReplicaId};
use proptest::prelude::*;

use super::*;

const GROUP: GroupKey = GroupKey::new(GroupId(1), GroupGen(0));

fn id(term: u64, index: u64) -> LogId {
    LogId {
        term,
        leader: ReplicaId(term % 3),
        index,
    }
}

fn record(kind: RecordKind, flags: u8, id: LogId) -> RecordHeader {
    RecordHeader::plain(kind, flags, GROUP, id)
}

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, term_up: u64 },
    Truncate(usize),
    TruncateAll,
    Purge(usize),
    PurgeBeyond(u64),
    Vote(u64),
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5_u64, 0..2_u64).prop_map(|(count, term_up)| Step::Append { count, term_up }),
        2 => (0..8_usize).prop_map(Step::Truncate),
        1 => Just(Step::TruncateAll),
        3 => (0..8_usize).prop_map(Step::Purge),
        1 => (1..4_u64).prop_map(Step::PurgeBeyond),
        1 => (0..9_u64).prop_map(Step::Vote),
        1 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A log as plain lists, and the records that made it.
#[derive(Default)]
struct Model {
    /// Entries kept, each with the number of its record.
    entries: Vec<(LogId, usize)>,
    purged: Option<LogId>,
    term: u64,
    records: Vec<RecordHeader>,
}

impl Model {
    fn last(&self) -> Option<LogId> {
        self.entries.last().map(|(id, _)| *id).or(self.purged)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { count, term_up } => {
                self.term += term_up;
                (0..count).for_each(|_| self.append());
            }
            Step::Truncate(back) => {
                self.entries.truncate(self.entries.len().saturating_sub(back));
                let flags = if self.last().is_none() {
                    TRUNCATE_FLAG_ALL
                } else {
                    0
                };
                let last = self.last().unwrap_or_default();
                self.records.push(record(RecordKind::TruncateAfter, flags, last));
            }
            Step::TruncateAll => {
                self.entries.clear();
                let record = record(RecordKind::TruncateAfter, TRUNCATE_FLAG_ALL, LogId::default());
                self.records.push(record);
            }
            Step::Purge(count) => {
                let count = count.min(self.entries.len());
                let upto = self.entries.drain(..count).next_back();
                if let Some((upto, _)) = upto {
                    self.purge(upto);
                }
            }
            Step::PurgeBeyond(by) => {
                self.term += 1;
                let upto = id(self.term, self.last().map_or(0, |last| last.index) + by);
                self.entries.clear();
                self.purge(upto);
            }
            Step::Vote(term) => self.records.push(record(RecordKind::Vote, 0, id(term, 0))),
            Step::Commit => {
                let last = self.last();
                self.records
                    .extend(last.map(|last| record(RecordKind::Committed, 0, last)));
            }
        }
    }

    fn append(&mut self) {
        let next = id(self.term, self.last().map_or(0, |last| last.index + 1));
        self.entries.push((next, self.records.len()));
        self.records.push(record(RecordKind::Entry, 1, next));
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.records.push(record(RecordKind::Purge, 0, upto));
    }
}

fn place(number: usize) -> Location {
    Location {
        segment: number as u32 / 4 + 1,
        offset: number as u32 * 100,
        len: 10,
    }
}

/// Reads records from `cut` on, of which the head is known.
fn read(records: &[RecordHeader], cut: usize) -> Result<LogTable, String> {
    let mut head = Head::default();
    records[..cut].iter().for_each(|record| head.note(record));
    let mut log = Rebuilt::from_head(&head).unwrap();
    for (number, record) in records.iter().enumerate().skip(cut) {
        log.change(record, place(number)).unwrap();
        head.note(record);
    }
    log.finish(&head)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_any_point_on_it_is_the_log_or_has_a_gap(steps in steps(), cut: prop::sample::Index) {
        let mut model = Model::default();
        for step in &steps {
            model.step(step);
        }
        let cut = cut.index(model.records.len() + 1);
        let found = read(&model.records, cut);
        let whole = model.entries.iter().all(|(_, number)| *number >= cut);
        prop_assert_eq!(found.is_ok(), whole, "{:?}", found.err());
        if let Ok(table) = found {
            prop_assert_eq!((table.purged(), table.last()), (model.purged, model.last()));
            let placed: Vec<_> = (table.first()..table.end()).map(|index| table.placed_at(index).unwrap()).collect();
            let expected: Vec<_> = model.entries.iter().map(|(id, number)| (*id, place(*number))).collect();
            prop_assert_eq!(placed.iter().map(|placed| (placed.id, placed.place)).collect::<Vec<_>>(), expected);
            let all = read(&model.records, 0).unwrap();
            prop_assert_eq!((table.vote, table.committed), (all.vote, all.committed));
        }
    }
}

fn log(purged: u64, last: u64) -> (Rebuilt, Head) {
    let head = Head {
        purged: Some(id(1, purged)),
        last: Some(id(1, last)),
        ..Head::default()
    };
    (Rebuilt::from_head(&head).unwrap(), head)
}

#[test]
fn what_contradicts_the_head_is_refused() {
    let change = |kind, id| log(3, 9).0.change(&record(kind, 0, id), place(0));
    assert!(change(RecordKind::Purge, id(2, 9)).is_err(), "another entry");
    assert!(change(RecordKind::TruncateAfter, id(1, 2)).is_err(), "purged");
    assert!(
        change(RecordKind::TruncateAfter, id(2, 3)).is_err(),
        "another entry"
    );
    assert!(
        change(RecordKind::TruncateAfter, id(1, 10)).is_err(),
        "beyond the end"
    );
    assert!(change(RecordKind::Entry, id(1, 11)).is_err(), "a gap");
    assert!(
        change(RecordKind::Purge, id(1, u64::MAX)).is_err(),
        "nothing could follow"
    );
    let backwards = Head {
        purged: Some(id(1, 5)),
        last: Some(id(1, 4)),
        ..Head::default()
    };
    assert!(Rebuilt::from_head(&backwards).is_err());
    let endless = Head {
        last: Some(id(1, u64::MAX)),
        ..Head::default()
    };
    assert!(Rebuilt::from_head(&endless).is_err());
}

#[test]
fn a_gap_is_named_and_so_is_a_log_that_is_not_what_its_head_says() {
    let (mut gap, head) = log(3, 9);
    gap.change(&record(RecordKind::Purge, 0, id(1, 8)), place(0))
        .unwrap();
    let reason = gap.finish(&head).err().unwrap();
    assert!(
        reason.contains("the one after 1-1.8 up to 1-1.9 are missing"),
        "{reason}"
    );
    let (whole, head) = log(9, 9);
    let other = Head {
        last: Some(id(1, 10)),
        ..head
    };
    let reason = whole.finish(&other).err().unwrap();
    assert!(reason.contains("but it should be"), "{reason}");
}
