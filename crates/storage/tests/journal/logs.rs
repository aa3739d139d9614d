//! Logs as plain lists: what a journal must hold.

use std::collections::BTreeMap;
use std::fmt;

use atoll_storage::{Journal, LogEntry, LogState};
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};

use crate::support::read_all;

/// One group as plain lists.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Log {
    pub replica: ReplicaId,
    pub entries: Vec<LogEntry>,
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
}

impl Log {
    pub fn last(&self) -> Option<LogId> {
        self.entries.last().map(|entry| entry.id).or(self.purged)
    }

    pub fn next_index(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }

    pub fn state(&self) -> LogState {
        LogState {
            vote: self.vote,
            committed: self.committed,
            purged: self.purged,
            last: self.last(),
        }
    }

    pub fn truncate_after(&mut self, last: Option<LogId>) {
        let end = last.map_or(0, |last| last.index + 1);
        self.entries.retain(|entry| entry.id.index < end);
    }

    pub fn purge(&mut self, upto: LogId) {
        self.entries.retain(|entry| entry.id.index > upto.index);
        self.purged = Some(upto);
    }
}

impl fmt::Debug for Log {
    /// Payloads are noise, and long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry =
            |entry: &LogEntry| format!("{} {:08x} {}", entry.id, entry.payload_crc, entry.payload.len());
        let entries: Vec<_> = self.entries.iter().map(entry).collect();
        let Self {
            replica,
            vote,
            committed,
            purged,
            ..
        } = self;
        write!(
            f,
            "{replica} {vote:?} committed {committed:?} purged {purged:?} {entries:?}"
        )
    }
}

/// All groups of a node.
pub type Logs = BTreeMap<GroupKey, Log>;

/// What the sound groups of a journal hold, read through to the bytes.
pub async fn contents(journal: &Journal) -> Logs {
    let mut logs = Logs::new();
    for (key, replica) in journal.groups() {
        let Some(log) = journal.group(key) else {
            assert!(journal.quarantined().contains(&key));
            continue;
        };
        let LogState {
            vote,
            committed,
            purged,
            last,
        } = log.state();
        let found = Log {
            replica,
            entries: read_all(&log).await,
            vote,
            committed,
            purged,
        };
        assert_eq!(found.last(), last);
        logs.insert(key, found);
    }
    logs
}
