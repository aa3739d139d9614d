//! What is known of one replica.

use super::Id;

/// A replica's log and promises, as its processes told.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// Entries from index 0 on, those that a checkpoint stands for included.
    pub(super) log: Vec<Id>,
    /// So many of them survive a power cut.
    pub(super) durable: u64,
    /// The durable vote, and whether a quorum granted it.
    pub(super) vote: Option<(Id, bool)>,
    /// So many entries are applied by this process.
    pub(super) applied: u64,
    /// What was durable before this process, until it is found again.
    pub(super) before: Vec<Id>,
    /// So many entries the newest installed snapshot stands for: they need not be in the log.
    pub(super) installed: u64,
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

    /// The front of the log is gone, so far, and a durable checkpoint stands for it: for the questions asked here the entries
    /// are still there. If the log ended before, it goes on from there.
    pub(super) fn purge(&mut self, gone: &[Id]) {
        if self.log.len() < gone.len() {
            self.log = gone.to_vec();
        }
        self.durable = self.durable.max(gone.len() as u64);
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
