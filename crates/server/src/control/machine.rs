//! Group 0's state machine below Raft.

use std::sync::Arc;

use atoll_env::watch;
use atoll_kv::SystemRow;
use atoll_types::{ClusterId, Outcome, Refusal, Version};

use super::state::Rejected;
use super::{Change, ControlCommand, ControlState, checkpoint};
use crate::codec::Malformed;
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

    /// The whole state as system rows, at the point of the log that was reached. Unlike a data group's freeze it
    /// leaves nothing behind to be confirmed.
    pub(crate) fn freeze(&self) -> Vec<SystemRow> {
        vec![checkpoint::encode(&self.state)]
    }

    /// Takes the state that [`Self::freeze`] gave, here or on another replica, and publishes it. After an error the
    /// state is what it was.
    pub(crate) fn restore<'a>(
        &mut self,
        rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), Malformed> {
        self.state = checkpoint::decode_rows(rows, self.cluster())?;
        self.publish();
        Ok(())
    }

    pub(super) fn cluster(&self) -> ClusterId {
        self.directory.cluster()
    }

    /// To who watches the state, and to the directory, which keeps its map if that is newer.
    fn publish(&self) {
        self.published.send_replace(Arc::new(self.state.clone()));
        self.directory.publish(Arc::new(self.state.map.clone()));
    }

    pub(super) fn apply_bytes(&mut self, payload: &[u8]) -> Result<Outcome, String> {
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
                self.publish();
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
