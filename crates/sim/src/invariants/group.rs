//! What is known of one group.

use std::collections::{BTreeMap, BTreeSet};

use super::{Id, Replica};

/// What stands at an index under one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) crc: u64,
    pub(super) before: Option<Id>,
}

/// A group's replicas and what they agreed on.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) replicas: BTreeMap<u64, Replica>,
    /// Voters, as of the newest membership that was applied; 0: unknown.
    pub(super) voters: usize,
    /// Who voted for whom, durably.
    pub(super) votes: BTreeMap<Id, BTreeSet<u64>>,
    /// Leaderships that have appended something.
    pub(super) led: BTreeSet<Id>,
    /// Entries that were applied anywhere, from index 0 on.
    pub(super) committed: Vec<Id>,
    /// Under which leadership each of them was committed, at the latest: the highest vote among the
    /// replicas that had it then.
    pub(super) committed_under: Vec<Id>,
    pub(super) contents: BTreeMap<(u64, Id), Content>,
    /// State after an entry.
    pub(super) states: BTreeMap<u64, u64>,
}

impl Group {
    /// A majority of the voters, if known.
    pub(super) fn quorum(&self) -> Option<usize> {
        (self.voters > 0).then_some(self.voters / 2 + 1)
    }

    pub(super) fn granted(&mut self, replica: u64, vote: Id) {
        self.votes.entry(vote).or_default().insert(replica);
    }
}
