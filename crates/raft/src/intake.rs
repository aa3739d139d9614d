//! Whether a node takes entries that others lead.

use std::sync::{Arc, OnceLock};

type Guard = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// Why a node takes no entries now; `None`: it does. Heartbeats, votes and snapshots are not its concern. To its leader a follower that
/// refuses is one that is not reached: nothing is lost, and it gets the entries later. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Intake(Arc<OnceLock<Guard>>);

impl Intake {
    /// Asks this from now on, for every append with entries; the first one counts.
    pub(crate) fn guard(&self, refuses: impl Fn() -> Option<String> + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(refuses));
    }

    /// An error if no entries are taken.
    pub(crate) fn check(&self) -> Result<(), String> {
        let refusal = self.0.get().and_then(|refuses| refuses());
        refusal.map_or(Ok(()), Err)
    }
}
