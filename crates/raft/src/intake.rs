//! Whether a node takes entries that others lead.

use std::sync::{Arc, OnceLock};

use atoll_types::GroupId;
use openraft::EntryPayload;

use crate::types::RaftEntry;

type Guard = Box<dyn Fn(GroupId) -> Option<String> + Send + Sync>;

/// Why a node takes no entries of a group now; `None`: it does. Only entries with commands are its concern: heartbeats, votes, a
/// leader's first entry and membership are taken, so that there is a leader and reads go on, and so are entries that are there already. To its leader a follower that refuses is one
/// that is not reached: nothing is lost, and it gets the entries later. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Intake(Arc<OnceLock<Guard>>);

impl Intake {
    /// Asks this from now on; the first one counts.
    pub(crate) fn guard(&self, refuses: impl Fn(GroupId) -> Option<String> + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(refuses));
    }

    /// An error if these entries are not taken by a replica whose log ends at `last`. A new leader, which has to find out how far the logs of
    /// others agree with its own, also sends entries that they have.
    pub(crate) fn check(
        &self,
        group: GroupId,
        entries: &[RaftEntry],
        last: impl FnOnce() -> u64,
    ) -> Result<(), String> {
        let commands = entries
            .iter()
            .filter(|entry| matches!(entry.payload, EntryPayload::Normal(_)));
        let Some(newest) = commands.map(|entry| entry.log_id.index).max() else {
            return Ok(());
        };
        let refusal = self.0.get().and_then(|refuses| refuses(group));
        match refusal {
            Some(why) if newest > last() => Err(why),
            _ => Ok(()),
        }
    }
}
