//! The plainest backend there is: a map.

use std::collections::BTreeMap;

use atoll_kv::Machine;
use atoll_kv::testing::MapState;
use atoll_types::{Outcome, Version};

use super::node::{CLUSTER, GROUP};

/// The state machine over a plain map: what every backend is compared with.
pub struct Oracle {
    machine: Machine,
    rows: MapState,
    applied_index: u64,
}

/// All that there is to see at one point of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Every key that exists, with version and value.
    pub rows: BTreeMap<Vec<u8>, (Version, Vec<u8>)>,
    /// The group's last version.
    pub version: Version,
    /// The last entry.
    pub applied_index: u64,
}

impl Oracle {
    /// Before the first entry.
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::new(CLUSTER, GROUP),
            rows: MapState::default(),
            applied_index: 0,
        }
    }

    /// Applies the next entry; an empty one has no commands.
    pub(crate) fn apply(&mut self, payload: &[u8]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if !payload.is_empty() {
            self.machine
                .apply(payload, &mut self.rows, Some(&mut outcomes))
                .unwrap();
        }
        self.applied_index += 1;
        outcomes
    }

    /// What a view made now must see, whatever is applied later.
    pub fn seen(&self) -> Seen {
        Seen {
            rows: self.rows.rows.clone(),
            version: self.machine.last_version(),
            applied_index: self.applied_index,
        }
    }

    /// The machine's hash of everything it did.
    pub(crate) fn hash(&self) -> u64 {
        self.machine.state_hash()
    }

    /// The version of a key, [`Version::ZERO`] if it does not exist.
    pub fn version_of(&self, key: &[u8]) -> Version {
        self.rows.rows.get(key).map_or(Version::ZERO, |row| row.0)
    }
}
