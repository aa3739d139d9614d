//! A group's durable checkpoints, as Raft sends them to replicas that its log cannot bring up to date.

use std::io;
use std::sync::Arc;

use atoll_env::{BoxFuture, watch};
use atoll_raft::{Position, SnapshotSink, SnapshotSource, SnapshotStore, Staged};
use atoll_storage::{
    Checkpoint, GroupStore, SnapshotError, SnapshotPosition, SnapshotReader, SnapshotWriter,
};
use atoll_types::{LogId, Version};
use bytes::Bytes;

/// Says whether a machine could begin with a snapshot. Once it is installed it is too late to find out.
type Check = Arc<dyn Fn(&Checkpoint) -> Result<(), String> + Send + Sync>;

/// Sends and receives the checkpoints of one group.
pub(crate) struct GroupSnapshots {
    store: GroupStore,
    check: Check,
}

impl GroupSnapshots {
    pub(crate) fn new(
        store: GroupStore,
        check: impl Fn(&Checkpoint) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            check: Arc::new(check),
        }
    }
}

impl SnapshotStore for GroupSnapshots {
    fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.store.durable()
    }

    fn open(&self) -> Option<Box<dyn SnapshotSource>> {
        Some(Box::new(Source(self.store.snapshot()?)))
    }

    fn receive(&self, position: Position) -> Box<dyn SnapshotSink> {
        let writer = self.store.receive(SnapshotPosition {
            applied: position.applied.unwrap_or_default(),
            // Known once all of it is here.
            version: Version::ZERO,
            membership: position.membership,
            membership_id: position.membership_id,
        });
        Box::new(Sink {
            writer,
            check: self.check.clone(),
        })
    }
}

struct Source(SnapshotReader);

impl SnapshotSource for Source {
    fn position(&self) -> Position {
        let position = self.0.position();
        Position {
            applied: Some(position.applied),
            membership_id: position.membership_id,
            membership: position.membership.clone(),
            installed: false,
        }
    }

    fn bytes_about(&self) -> u64 {
        self.0.bytes_about()
    }

    fn held_back(&self) -> u64 {
        self.0.held_back()
    }

    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        Box::pin(self.0.next_chunk())
    }

    fn seek(&mut self, seq: u64) {
        self.0.seek(seq);
    }
}

struct Sink {
    writer: SnapshotWriter,
    check: Check,
}

impl SnapshotSink for Sink {
    fn expect(&mut self, bytes: u64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move { self.writer.expect(bytes).await.map_err(refused) })
    }

    fn add(&mut self, _seq: u64, chunk: Bytes) -> BoxFuture<'_, io::Result<()>> {
        // Each chunk says its own number.
        Box::pin(async move { self.writer.add(chunk).await.map(drop).map_err(refused) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<Staged>> {
        Box::pin(async move {
            let staged = self.writer.finish().await.map_err(refused)?;
            (self.check)(staged.checkpoint()).map_err(io::Error::other)?;
            Ok(Staged::new(staged))
        })
    }
}

/// Says of what kind it is if the sender is to know.
fn refused(error: SnapshotError) -> io::Error {
    let kind = match &error {
        SnapshotError::NoRoom { .. } => io::ErrorKind::StorageFull,
        SnapshotError::Io(error) => error.kind(),
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
