//! What a running replica has to do with snapshots, but for sending them.

use std::sync::Arc;

use atoll_env::{Env, Task};
use atoll_storage::GroupLog;
use atoll_types::ReplicaId;
use tokio::sync::Notify;

use super::followers::Followers;
use super::{Board, Holds, Installer, Purger, Receiver, Room, SnapshotStore};
use crate::KeepLog;
use crate::group::Raft;

/// What [`Snapshots::start`] needs.
pub(crate) struct Parts {
    pub(crate) env: Env,
    pub(crate) raft: Raft,
    pub(crate) log: GroupLog,
    pub(crate) store: Arc<dyn SnapshotStore>,
    /// Those of the replica's sender.
    pub(crate) holds: Arc<Holds>,
    pub(crate) board: Arc<Board>,
    pub(crate) room: Room,
    /// What of the log stays.
    pub(crate) keep: KeepLog,
}

/// The receiving end and the purger of one replica.
pub(crate) struct Snapshots {
    receiver: Receiver,
    look: Arc<Notify>,
    holds: Arc<Holds>,
    board: Arc<Board>,
    purging: Task<()>,
}

impl Snapshots {
    pub(crate) fn start(parts: Parts) -> Self {
        let Parts {
            env,
            raft,
            log,
            store,
            holds,
            board,
            room,
            keep,
        } = parts;
        let look: Arc<Notify> = Arc::default();
        let purger = Purger {
            raft: raft.clone(),
            log: log.clone(),
            clock: env.clock.clone(),
            durable: store.durable(),
            holds: Arc::clone(&holds),
            board: Arc::clone(&board),
            keep,
            followers: Followers::default(),
            look: Arc::clone(&look),
        };
        let purging = env.spawn.spawn(purger.run());
        let receiver = Receiver::new(env, Installer::new(raft, log), store, room);
        Self {
            receiver,
            look,
            holds,
            board,
            purging,
        }
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Followers that wait for a snapshot, are being sent one, or come up from one.
    pub(crate) fn served(&self) -> usize {
        self.board.busy() + self.holds.arrived()
    }

    /// Why followers that need a snapshot do not get one.
    pub(crate) fn troubles(&self) -> Vec<(ReplicaId, String)> {
        self.board.troubles()
    }

    /// A node is back: whoever waits because it could not be reached tries again.
    pub(crate) fn peers_up(&self) {
        self.board.back.notify_waiters();
    }

    /// Has the purger look at the log although no checkpoint is new.
    pub(crate) fn purge(&self) {
        self.look.notify_one();
    }

    /// Call once Raft has stopped.
    pub(crate) async fn stop(&self) {
        self.purging.stop();
        self.receiver.stop().await;
    }
}
