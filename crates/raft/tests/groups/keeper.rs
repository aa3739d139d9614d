//! The machine of the groups: it keeps what was proposed, and notices forks.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_raft::{Committed, Machine};
use atoll_types::{GroupKey, LogId, Outcome, Version};
use bytes::Bytes;
use parking_lot::Mutex;

/// What a replica has applied since its process began: what was proposed, and where it stood.
pub type Applied = Arc<Mutex<Vec<(LogId, Bytes)>>>;

/// What any replica ever applied at an index of a group. Two things at one index are a fork.
pub type Ever = Arc<Mutex<BTreeMap<(GroupKey, u64), (LogId, Bytes)>>>;

/// Keeps what was proposed. A payload begins with the number of its commands, in two bytes; the outcome
/// of each names the entry's index.
pub struct Keeper {
    pub applied: Applied,
    pub ever: Ever,
    pub forks: Arc<Mutex<Vec<String>>>,
}

impl Machine for Keeper {
    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        let here = (entry.id, entry.payload.clone());
        let place = (entry.log.key(), entry.id.index);
        let first = self
            .ever
            .lock()
            .entry(place)
            .or_insert_with(|| here.clone())
            .clone();
        if first != here {
            self.forks
                .lock()
                .push(format!("{here:?} on {} is {first:?}", entry.log.replica()));
        }
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

/// One command.
pub fn payload(text: &str) -> Bytes {
    Bytes::from([&[1, 0], text.as_bytes()].concat())
}
