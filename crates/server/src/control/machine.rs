//! Group 0's state machine below Raft.

use std::sync::Arc;

use atoll_env::watch;
use atoll_raft::{Committed, Machine};
use atoll_types::{Outcome, Refusal, Version};

use super::state::Rejected;
use super::{Change, ControlCommand, ControlState};
use crate::directory::Directory;

/// Applies control commands and tells the directory of every new map.
pub(crate) struct ControlMachine {
    state: ControlState,
    directory: Arc<Directory>,
    published: watch::Sender<Arc<ControlState>>,
}

impl ControlMachine {
    /// An empty state, and where its later forms can be watched.
    pub(crate) fn new(directory: Arc<Directory>) -> (Self, watch::Receiver<Arc<ControlState>>) {
        let (published, watched) = watch::channel(Arc::default());
        (
            Self {
                state: ControlState::default(),
                directory,
                published,
            },
            watched,
        )
    }

    fn apply_bytes(&mut self, payload: &[u8]) -> Result<Outcome, String> {
        let command = ControlCommand::decode(payload).map_err(|malformed| malformed.to_string())?;
        if let Change::Bootstrap { cluster, .. } = &command.change
            && *cluster != self.directory.cluster()
        {
            return Err(format!(
                "the log is of cluster {cluster}, this node of {}",
                self.directory.cluster()
            ));
        }
        let outcome = match self.state.apply(&command) {
            Ok(epoch) => {
                self.published.send_replace(Arc::new(self.state.clone()));
                self.directory.publish(Arc::new(self.state.map.clone()));
                Outcome::Done {
                    version: Version(epoch.0),
                }
            }
            Err(Rejected::Stale { actual, .. }) => Outcome::GuardFailed {
                guard: 0,
                actual: Some(Version(actual.0)),
            },
            Err(Rejected::Invalid(_)) => Outcome::Refused(Refusal::Unsupported),
        };
        Ok(outcome)
    }
}

impl Machine for ControlMachine {
    fn apply(&mut self, entry: Committed<'_>, outcomes: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        if !entry.normal {
            return Ok(());
        }
        let outcome = self.apply_bytes(entry.payload)?;
        if let Some(outcomes) = outcomes {
            outcomes.push(outcome);
        }
        Ok(())
    }
}
