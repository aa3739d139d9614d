//! Gives a checkpoint away.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::position::SnapshotPosition;
use super::source::{Made, Source};
use crate::index::Below;
use crate::store::GroupStore;

/// A durable checkpoint, pinned, as a sequence of chunks. Whatever is flushed, merged or installed meanwhile, it gives
/// the state of its position; the files that this takes stay on the disk as long as it lives.
pub struct SnapshotReader {
    group: GroupStore,
    position: SnapshotPosition,
    below: Below,
    bytes: u64,
    /// The number of the chunk to give next. Kept here, so that a call that nobody waited for loses none.
    next: u64,
    /// Only the snapshot thread looks into it, so nobody waits for the lock.
    source: Arc<Mutex<Source>>,
}

impl SnapshotReader {
    pub(crate) fn new(group: &GroupStore, position: SnapshotPosition, below: Below) -> Self {
        let summaries = below.runs().iter().map(|run| run.summary());
        let bytes = summaries.map(|summary| {
            let values = summary.journal_bytes.iter().chain(&summary.file_bytes);
            summary.file_len + values.map(|(_, bytes)| bytes).sum::<u64>()
        });
        let bytes = bytes.sum();
        let source = Source::new(group, below.clone(), position.clone());
        Self {
            group: group.clone(),
            position,
            below,
            bytes,
            next: 0,
            source: Arc::new(Mutex::new(source)),
        }
    }

    /// What it is of.
    pub fn position(&self) -> &SnapshotPosition {
        &self.position
    }

    /// Bytes of all chunks together, about: what was written over or deleted and not merged yet counts too.
    pub fn bytes_about(&self) -> u64 {
        self.bytes
    }

    /// Bytes of files, and of segments of the journal, that could go if this and other readers of the group's older checkpoints
    /// were dropped. Does not wait for the disk.
    pub fn held_back(&self) -> u64 {
        self.group.held_back_by(&self.below)
    }

    /// The next chunk, of about 1 MiB and never more than [`SNAPSHOT_CHUNK_BYTES_MAX`](crate::SNAPSHOT_CHUNK_BYTES_MAX); `None`
    /// behind the last one. Every value in it was checked against its key: `InvalidData` if one is not what was written.
    /// After an error the same chunk comes next.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let (source, seq) = (self.source.clone(), self.next);
            let work = async move { source.lock().chunk(seq) };
            match self.group.snapshot_thread().run(work).await?? {
                Made::Chunk(chunk) => {
                    self.next += 1;
                    return Ok(Some(chunk));
                }
                Made::None => return Ok(None),
                // Behind what others have asked for meanwhile.
                Made::NotYet => {}
            }
        }
    }

    /// The number of the chunk that comes next.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Goes on with the chunk of this number, counted from 0: byte for byte the same if it was given before. It can be any
    /// of the last 63 given, the next one, or the first; the next call fails with `InvalidInput` otherwise.
    pub fn seek(&mut self, seq: u64) {
        self.next = seq;
    }
}
