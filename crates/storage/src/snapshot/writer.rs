//! Takes a checkpoint of another replica in.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex as AsyncMutex;

use super::error::SnapshotError;
use super::intake::Intake;
use super::position::SnapshotPosition;
use super::staged::StagedSnapshot;
use super::sweep::Sweep;
use crate::store::GroupStore;

/// Writes the chunks of a snapshot into new files of the group as they come; nothing that counts is touched. Dropped, it
/// leaves nothing behind.
pub struct SnapshotWriter {
    group: GroupStore,
    /// The number of the chunk that comes next, as far as was heard.
    next: u64,
    /// Only the snapshot thread looks into it.
    intake: Arc<AsyncMutex<Intake>>,
}

impl SnapshotWriter {
    pub(crate) fn new(group: &GroupStore, position: SnapshotPosition) -> Self {
        let intake = Intake::new(position, Sweep::of(group.clone()));
        Self {
            group: group.clone(),
            next: 0,
            intake: Arc::new(AsyncMutex::new(intake)),
        }
    }

    /// The number of the chunk to bring next. If the last call was given up, that chunk may have been taken in nevertheless:
    /// it is then refused as out of turn, and this says the right number again.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// So many bytes will come, about: to be called before the first chunk. [`SnapshotError::NoRoom`] if the disk has too little for
    /// them and for other snapshots that are coming in; then the snapshot need not be sent.
    pub async fn expect(&mut self, bytes: u64) -> Result<(), SnapshotError> {
        let intake = self.intake.clone();
        let work = async move { intake.lock().await.expect(bytes) };
        self.group.snapshot_thread().run(work).await?
    }

    /// Takes the next chunk in; true if it was the last. A chunk that is refused changes nothing.
    pub async fn add(&mut self, chunk: Bytes) -> Result<bool, SnapshotError> {
        let intake = self.intake.clone();
        let work = async move { intake.lock().await.add(&chunk).await };
        let added = self.group.snapshot_thread().run(work).await?;
        match &added {
            Ok(_) => self.next += 1,
            Err(SnapshotError::OutOfTurn { expected, .. }) => self.next = *expected,
            Err(_) => {}
        }
        added
    }

    /// Makes what came durable. Fails with [`SnapshotError::Incomplete`] if the last chunk is not among it.
    pub async fn finish(self) -> Result<StagedSnapshot, SnapshotError> {
        let intake = self.intake;
        let work = async move { intake.lock().await.finish().await };
        self.group.snapshot_thread().run(work).await?
    }
}
