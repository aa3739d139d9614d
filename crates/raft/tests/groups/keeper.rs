//! The machine of the groups: it keeps what was proposed, and notices forks.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_env::{BoxFuture, Spawn};
use atoll_raft::{Committed, Machine, NoSnapshots, Position, SnapshotStore, Staged};
use atoll_storage::Journal;
use atoll_types::{GroupKey, LogId, Outcome, Version};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::shelf::{Checkpoint, Shelf, Store};

/// What a replica has applied since its process began: what was proposed, and where it stood.
pub type Applied = Arc<Mutex<Vec<(LogId, Bytes)>>>;

/// What any replica ever applied at an index of a group. Two things at one index are a fork.
pub type Ever = Arc<Mutex<BTreeMap<(GroupKey, u64), (LogId, Bytes)>>>;

/// Keeps what was proposed. A payload begins with the number of its commands, in two bytes; the outcome
/// of each names the entry's index.
pub struct Keeper {
    pub key: GroupKey,
    pub applied: Applied,
    pub ever: Ever,
    pub forks: Arc<Mutex<Vec<String>>>,
    /// Its checkpoints, in worlds that have some.
    pub shelf: Option<Arc<Shelf>>,
    /// Entries from one checkpoint that it makes by itself to the next; 0: none.
    pub every: u64,
    /// The last entry applied.
    pub last: Option<LogId>,
    pub spawn: Spawn,
    pub journal: Journal,
}

impl Keeper {
    /// Begins where the shelf says.
    pub fn restore(mut self) -> Self {
        if let Some(checkpoint) = self.shelf.as_ref().and_then(|shelf| shelf.kept()) {
            self.last = checkpoint.position.applied;
            *self.applied.lock() = checkpoint.rows;
        }
        self
    }

    fn entries_since_checkpoint(&self) -> u64 {
        let Some(shelf) = self.shelf.as_ref().filter(|shelf| !shelf.has_begun()) else {
            return 0;
        };
        let end = |id: Option<LogId>| id.map_or(0, |id| id.index + 1);
        let kept = shelf.kept().and_then(|checkpoint| checkpoint.position.applied);
        end(self.last) - end(kept)
    }

    /// An entry at a place is the same wherever it got applied, or came with a snapshot.
    fn compare(&self, key: GroupKey, here: &(LogId, Bytes), who: &str) {
        let place = (key, here.0.index);
        let first = self
            .ever
            .lock()
            .entry(place)
            .or_insert_with(|| here.clone())
            .clone();
        if first != *here {
            self.forks.lock().push(format!("{here:?} on {who} is {first:?}"));
        }
    }
}

impl Machine for Keeper {
    fn restored(&self) -> Position {
        let kept = self.shelf.as_ref().and_then(|shelf| shelf.kept());
        kept.map_or_else(Position::default, |checkpoint| checkpoint.position)
    }

    fn wants_checkpoint(&self) -> bool {
        self.every > 0 && self.entries_since_checkpoint() >= self.every
    }

    fn can_checkpoint(&self) -> bool {
        self.entries_since_checkpoint() > 0
    }

    fn checkpoint(&mut self, position: Position) {
        assert_eq!(position.applied, self.last);
        if let Some(shelf) = &self.shelf {
            let rows = self.applied.lock().clone();
            shelf.begin(Checkpoint { position, rows });
            self.spawn
                .spawn(make_durable(self.journal.clone(), Arc::clone(shelf)));
        }
    }

    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        match &self.shelf {
            Some(shelf) => Arc::new(Store(Arc::clone(shelf))),
            None => Arc::new(NoSnapshots),
        }
    }

    fn install(&mut self, staged: Staged) -> BoxFuture<'_, Result<Position, String>> {
        Box::pin(async move {
            let shelf = self.shelf.clone().ok_or("no shelf")?;
            let checkpoint = shelf.install(staged).await?;
            assert!(checkpoint.position.applied > self.last, "installs go forward");
            self.last = checkpoint.position.applied;
            for row in &checkpoint.rows {
                self.compare(self.key, row, "an installed replica");
            }
            *self.applied.lock() = checkpoint.rows;
            Ok(checkpoint.position)
        })
    }

    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        let here = (entry.id, entry.payload.clone());
        self.compare(entry.log.key(), &here, &entry.log.replica().to_string());
        self.last = Some(entry.id);
        if !entry.normal {
            return Ok(());
        }
        self.applied.lock().push(here);
        if let Some(outcomes) = outcomes {
            let version = Version(entry.id.index);
            let commands = entry
                .payload
                .first_chunk()
                .map_or(1, |count| u16::from_le_bytes(*count));
            outcomes.resize(usize::from(commands), Outcome::Done { version });
        }
        Ok(())
    }
}

/// What is applied may not be durable in the log yet, and no checkpoint may be ahead of it.
async fn make_durable(journal: Journal, shelf: Arc<Shelf>) {
    if journal.mark().await.is_ok() {
        shelf.synced();
    }
}

/// One command.
pub fn payload(text: &str) -> Bytes {
    Bytes::from([&[1, 0], text.as_bytes()].concat())
}
