//! openraft's own log-storage suite on the real journal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_env::net::NoNet;
use atoll_env::vfs::{MemVfs, MemVfsOptions};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_storage::{Identity, Journal, JournalOptions};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, NodeId, ReplicaId};
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageError};

use crate::log_store::LogStore;
use crate::types::{LeaderId, RaftLogId, StoredMembership, TypeConfig};

type Meta = SnapshotMeta<LeaderId, u64, ()>;

/// The least state machine: remembers where it is, and a snapshot is just that.
#[derive(Clone, Default)]
struct Position {
    last: Option<RaftLogId>,
    membership: StoredMembership,
    snapshot: Arc<parking_lot::Mutex<Option<Meta>>>,
}

impl RaftStateMachine<TypeConfig> for Position {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembership), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            if let EntryPayload::Membership(membership) = &entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            self.last = Some(entry.log_id);
            if let Some(responder) = responder {
                responder.send(Vec::new());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &Meta, (): ()) -> Result<(), io::Error> {
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        *self.snapshot.lock() = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<LeaderId, u64, (), ()>>, io::Error> {
        Ok(self
            .snapshot
            .lock()
            .clone()
            .map(|meta| Snapshot { meta, snapshot: () }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Position {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<Snapshot<LeaderId, u64, (), ()>, io::Error> {
        let meta = Meta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
        };
        *self.snapshot.lock() = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: () })
    }
}

/// Every test of the suite gets a fresh group of one shared journal, as on a node.
struct Groups {
    journal: Journal,
    next: AtomicU64,
}

impl StoreBuilder<TypeConfig, LogStore, Position, ()> for Groups {
    async fn build(&self) -> Result<((), LogStore, Position), StorageError<TypeConfig>> {
        let group = GroupId(self.next.fetch_add(1, Ordering::Relaxed));
        let key = GroupKey::new(group, GroupGen(1));
        let log = self
            .journal
            .create_group(key, ReplicaId(0))
            .await
            .expect("a group is created");
        Ok(((), LogStore::new(log), Position::default()))
    }
}

pub(super) fn test_env() -> Env {
    let rng = Rng::seeded(1);
    Env {
        clock: Clock::boot(),
        spawn: Spawn::simulated(Scope::new(rng.clone())),
        vfs: Arc::new(MemVfs::new(MemVfsOptions::default())),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|reason| panic!("{reason}")),
        rng,
    }
}

pub(super) async fn open_journal(env: &Env) -> Journal {
    let identity = Identity {
        cluster: ClusterId(1),
        node: NodeId(1),
    };
    let dir = "/data/journal".as_ref();
    Journal::open(env, dir, identity, JournalOptions::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_log_suite_passes_on_the_journal() {
    let journal = open_journal(&test_env()).await;
    let groups = Groups {
        journal,
        next: AtomicU64::new(1),
    };
    Suite::<TypeConfig, LogStore, Position, Groups, ()>::test_all(groups)
        .await
        .unwrap();
}
