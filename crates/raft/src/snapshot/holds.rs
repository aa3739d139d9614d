//! Entries that must stay in the log although a checkpoint has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The positions of the snapshots that a replica is sending. Without the entries behind one, whoever gets it would need the
/// next as soon as it has it, and under enough writes never catch up.
#[derive(Default)]
pub(crate) struct Holds(Mutex<Held>);

#[derive(Default)]
struct Held {
    next: u64,
    indices: BTreeMap<u64, u64>,
}

/// Keeps the entries behind an index until it is dropped.
pub(crate) struct Hold {
    holds: Arc<Holds>,
    number: u64,
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
        }
    }

    /// The log may be purged up to here at most; `None`: nothing is held.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.0.lock().indices.values().min().copied()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.0.lock().indices.remove(&self.number);
    }
}
