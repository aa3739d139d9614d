//! What the proposer tests propose, and a record of what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_env::{Clock, Instant};
use atoll_raft::{Pack, ProposeError, Proposer};
use atoll_types::Outcome;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::world::{World, ms};

/// Some commands that stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: u64,
    pub commands: usize,
    pub bytes: usize,
    pub deadline: Option<Instant>,
}

impl Item {
    /// One small command.
    pub fn one(id: u64) -> Self {
        Self {
            id,
            commands: 1,
            bytes: 10,
            deadline: None,
        }
    }

    pub fn ones(ids: std::ops::Range<u64>) -> Vec<Self> {
        ids.map(Self::one).collect()
    }
}

/// What a proposer did.
#[derive(Default)]
pub struct Record {
    /// The items of every entry, and when it was made.
    pub entries: Vec<(Instant, Vec<u64>)>,
    /// Entries that have no answer yet, and the most there were.
    pub under_way: usize,
    pub under_way_max: usize,
    /// Answers in their order: the index of the entry, or why there is none.
    pub answers: Vec<(u64, Result<u64, ProposeError>)>,
    pub answered_at: BTreeMap<u64, Instant>,
}

impl Record {
    /// The answer to an item. Panics if there is none, or more than one.
    pub fn answer(&self, id: u64) -> Result<u64, ProposeError> {
        let mut answers = self.answers.iter().filter(|(item, _)| *item == id);
        let answer = answers.next().unwrap_or_else(|| panic!("no answer to {id}"));
        assert_eq!(answers.next(), None, "a second answer to {id}");
        answer.1.clone()
    }

    pub fn answered(&self) -> Vec<u64> {
        self.answers.iter().map(|(id, _)| *id).collect()
    }
}

struct Recorder {
    record: Arc<Mutex<Record>>,
    clock: Clock,
}

impl Pack for Recorder {
    type Item = Item;

    fn weight(&self, item: &Item) -> (usize, usize) {
        (item.commands, item.bytes)
    }

    fn expired(&self, item: &Item, now: Instant) -> bool {
        item.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn pack(&mut self, items: &[Item], _elapsed_ms: u32) -> Bytes {
        let ids: Vec<u64> = items.iter().map(|item| item.id).collect();
        let commands: usize = items.iter().map(|item| item.commands).sum();
        let mut payload = (commands as u16).to_le_bytes().to_vec();
        payload.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        let mut record = self.record.lock();
        record.entries.push((self.clock.now(), ids));
        record.under_way += 1;
        record.under_way_max = record.under_way_max.max(record.under_way);
        payload.into()
    }

    fn done(&mut self, items: Vec<Item>, result: Result<&[Outcome], ProposeError>) {
        let mut record = self.record.lock();
        // What was never packed was never under way.
        let packed = record
            .entries
            .iter()
            .any(|(_, ids)| ids.first() == items.first().map(|item| &item.id));
        record.under_way -= usize::from(packed);
        let mut outcomes = result.clone().unwrap_or_default().iter();
        for item in items {
            let versions: Vec<u64> = outcomes.by_ref().take(item.commands).map(index).collect();
            let answer = result.clone().map(|_| {
                assert_eq!(versions.len(), item.commands, "an outcome for every command");
                versions[0]
            });
            record.answered_at.insert(item.id, self.clock.now());
            record.answers.push((item.id, answer));
        }
        assert_eq!(outcomes.next(), None, "no outcomes beyond");
    }
}

fn index(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Done { version } => version.0,
        other => panic!("{other:?}"),
    }
}

/// A proposer and its record.
pub struct Bench {
    pub proposer: Proposer<Item>,
    pub record: Arc<Mutex<Record>>,
}

impl Bench {
    pub async fn start(world: &World, node: u64) -> Self {
        let record: Arc<Mutex<Record>> = Arc::default();
        let pack = Recorder {
            record: Arc::clone(&record),
            clock: world.clock.clone(),
        };
        let group = world.group(node);
        let proposer = world.on(node, async move { group.proposer(pack) }).await;
        Self { proposer, record }
    }

    pub fn submit(&self, items: Vec<Item>) {
        self.proposer.submit(items).expect("there is room");
    }

    /// Waits until so many items are answered.
    pub async fn answers(&self, world: &World, count: usize) {
        world
            .until(&format!("{count} answers"), ms(20_000), || {
                self.record.lock().answers.len() >= count
            })
            .await;
    }

    pub fn look<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.record.lock())
    }
}

/// The items of an entry that was applied.
pub fn ids(payload: &Bytes) -> Vec<u64> {
    let ids = payload[2..].chunks_exact(8);
    ids.map(|id| u64::from_le_bytes(id.try_into().unwrap())).collect()
}
