//! What is known of one replica.

use super::Id;

/// A replica's log and promises, as its processes told.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// Entries from index 0 on.
    pub(super) log: Vec<Id>,
    /// So many of them survive a power cut.
    pub(super) durable: u64,
    /// The durable vote, and whether a quorum granted it.
    pub(super) vote: Option<(Id, bool)>,
    /// So many entries are applied by this process.
    pub(super) applied: u64,
    /// What was durable before this process, until it is found again.
    pub(super) before: Vec<Id>,
}

impl Replica {
    pub(super) fn at(&self, index: u64) -> Option<Id> {
        self.log.get(index as usize).copied()
    }

    /// Adds an entry; returns the one before it.
    pub(super) fn append(&mut self, index: u64, id: Id) -> Result<Option<Id>, String> {
        if index != self.log.len() as u64 {
            return Err(format!("the log has {} entries", self.log.len()));
        }
        let before = self.log.last().copied();
        self.log.push(id);
        Ok(before)
    }

    /// Forgets entries from `end` on.
    pub(super) fn cut(&mut self, end: u64) {
        self.log.truncate(end as usize);
        self.durable = self.durable.min(end);
    }

    /// True if this entry is in the log for good.
    pub(super) fn keeps(&self, index: u64, id: Id) -> bool {
        index < self.durable && self.at(index) == Some(id)
    }
}
