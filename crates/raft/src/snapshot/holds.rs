//! Entries that must stay in the log although a checkpoint has them, and those that nobody is sent any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_types::ReplicaId;
use parking_lot::Mutex;

/// The positions of the snapshots that a replica is sending. Without the entries behind one, whoever gets it would need the
/// next as soon as it has it, and under enough writes never catch up.
#[derive(Default)]
pub(crate) struct Holds(Mutex<Held>);

#[derive(Default)]
struct Held {
    next: u64,
    indices: BTreeMap<u64, u64>,
    /// Snapshots that arrived and whose holds the purger has not taken over yet.
    arrived: BTreeMap<ReplicaId, u64>,
    /// Entries up to here go: no follower that lacks one is sent any.
    given_up: Option<u64>,
}

/// Keeps the entries behind an index until it is dropped.
pub(crate) struct Hold {
    holds: Arc<Holds>,
    number: u64,
    index: u64,
}

impl Holds {
    /// Keeps the entries behind `index`, if they are still there.
    pub(crate) fn hold(self: &Arc<Self>, index: u64) -> Hold {
        let mut held = self.0.lock();
        let number = held.next;
        held.next += 1;
        held.indices.insert(number, index);
        Hold {
            holds: Arc::clone(self),
            number,
            index,
        }
    }

    /// The log may be purged up to here at most; `None`: nothing is held.
    pub(crate) fn lowest(&self) -> Option<u64> {
        let held = self.0.lock();
        let indices = held.indices.values().chain(held.arrived.values());
        indices.min().copied()
    }

    /// How many snapshots are held for.
    pub(crate) fn len(&self) -> usize {
        let held = self.0.lock();
        held.indices.len() + held.arrived.len()
    }

    /// Who got a snapshot up to where since this was asked last. Whoever asks keeps what they need from now on.
    pub(crate) fn take_arrived(&self) -> Vec<(ReplicaId, u64)> {
        std::mem::take(&mut self.0.lock().arrived).into_iter().collect()
    }

    /// Entries up to here are about to go.
    pub(crate) fn give_up(&self, upto: u64) {
        let mut held = self.0.lock();
        held.given_up = held.given_up.max(Some(upto));
    }

    /// Whether the entry behind this one goes or went; `None`: the first.
    pub(crate) fn is_given_up(&self, behind: Option<u64>) -> bool {
        behind < self.0.lock().given_up
    }
}

impl Hold {
    /// The snapshot that it was for is there. What follows it is kept until the purger looks after that.
    pub(crate) fn arrived(self, to: ReplicaId) {
        self.holds.0.lock().arrived.insert(to, self.index);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.0.lock().indices.remove(&self.number);
    }
}
