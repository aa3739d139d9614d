//! Entries that must stay in the log although a checkpoint has them, and those that nobody is sent any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_types::ReplicaId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The positions of the snapshots that a replica is sending. Without the entries behind one, whoever gets it would need the
/// next as soon as it has it, and under enough writes never catch up.
#[derive(Default)]
pub(crate) struct Holds {
    held: Mutex<Held>,
    /// A snapshot arrived: what its receiver needs is to be looked after.
    pub(super) came: Notify,
}

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
    /// Keeps the entries behind `index`; `None` if some of them go or went.
    pub(crate) fn hold(self: &Arc<Self>, index: u64) -> Option<Hold> {
        let mut held = self.held.lock();
        if Some(index) < held.given_up {
            return None;
        }
        let number = held.next;
        held.next += 1;
        held.indices.insert(number, index);
        drop(held);
        Some(Hold {
            holds: Arc::clone(self),
            number,
            index,
        })
    }

    /// The log may be purged up to here at most; `None`: nothing is held.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.held.lock().lowest()
    }

    /// Followers that nobody looks after yet, though their snapshots arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.held.lock().arrived.len()
    }

    /// Who got a snapshot up to where since this was asked last. Whoever asks keeps what they need from now on.
    pub(crate) fn take_arrived(&self) -> Vec<(ReplicaId, u64)> {
        std::mem::take(&mut self.held.lock().arrived)
            .into_iter()
            .collect()
    }

    /// Entries up to here are about to go, but for those that somebody has come to hold. Returns up to where they do.
    pub(crate) fn give_up(&self, upto: u64) -> u64 {
        let mut held = self.held.lock();
        let upto = held.lowest().map_or(upto, |lowest| lowest.min(upto));
        held.given_up = held.given_up.max(Some(upto));
        upto
    }

    /// Whether the entry behind this one goes or went; `None`: the first.
    pub(crate) fn is_given_up(&self, behind: Option<u64>) -> bool {
        behind < self.held.lock().given_up
    }
}

impl Held {
    fn lowest(&self) -> Option<u64> {
        let indices = self.indices.values().chain(self.arrived.values());
        indices.min().copied()
    }
}

impl Hold {
    /// The entries behind this one are kept.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// The snapshot that it was for is there. What follows it is kept until the purger looks after that.
    pub(crate) fn arrived(self, to: ReplicaId) {
        self.holds.held.lock().arrived.insert(to, self.index);
        self.holds.came.notify_one();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.held.lock().indices.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_does_not_go_and_what_goes_is_not_held() {
        let holds: Arc<Holds> = Arc::default();
        let hold = holds.hold(50).unwrap();
        assert_eq!(holds.give_up(40), 40);
        assert_eq!(holds.give_up(60), 50, "it came while the mark was being chosen");
        assert!(holds.hold(49).is_none(), "entry 50 goes");
        assert!(holds.is_given_up(Some(49)) && !holds.is_given_up(Some(50)));
        hold.arrived(ReplicaId(3));
        assert_eq!((holds.lowest(), holds.arrived()), (Some(50), 1));
        assert_eq!(holds.give_up(60), 50);
        assert_eq!(holds.take_arrived(), [(ReplicaId(3), 50)]);
        assert_eq!((holds.give_up(60), holds.lowest()), (60, None));
        assert!(holds.hold(50).is_none());
    }
}
