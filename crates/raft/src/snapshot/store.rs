//! What a machine must offer for its state to be sent and received.

use std::any::{Any, type_name};
use std::io;

use atoll_env::{BoxFuture, watch};
use atoll_types::LogId;
use bytes::Bytes;

use crate::Position;

/// A group's durable checkpoints, to be read and written beside its apply task. Nothing here may wait for a disk but the
/// futures.
pub trait SnapshotStore: Send + Sync + 'static {
    /// The newest entry that a durable checkpoint has. Goes only forward, and says nothing that a power cut could take
    /// back: the log is purged by it.
    fn durable(&self) -> watch::Receiver<Option<LogId>>;

    /// Pins the newest durable checkpoint and reads it from its first chunk on. `None` if there is none. What is read stays
    /// that checkpoint, whatever becomes of the group meanwhile.
    fn open(&self) -> Option<Box<dyn SnapshotSource>>;

    /// Takes the chunks of another replica's checkpoint. Nothing of what is here changes by it.
    fn receive(&self, position: Position) -> Box<dyn SnapshotSink>;
}

/// A checkpoint as a row of chunks, counted from 0, of which there is at least one. Each is at most
/// [`SNAPSHOT_CHUNK_BYTES_MAX`](atoll_types::limits::SNAPSHOT_CHUNK_BYTES_MAX) long and carries what its sink needs to tell
/// whether it is whole, and the right one: links have no sums of their own.
pub trait SnapshotSource: Send {
    /// What the checkpoint is one of.
    fn position(&self) -> Position;

    /// Bytes of all chunks together, about.
    fn bytes_about(&self) -> u64;

    /// Bytes of this disk that could be freed if this were dropped. Does not wait for the disk.
    fn held_back(&self) -> u64;

    /// The next chunk; `None` behind the last. An error ends this source.
    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>>;

    /// Goes on with chunk `seq`, which was read before, or with the one behind it.
    fn seek(&mut self, seq: u64);
}

/// Where the chunks of a checkpoint go. Dropped before its end, nothing is left of it.
pub trait SnapshotSink: Send {
    /// So many bytes will come, about: called once, before the first chunk. An error ends this sink; one of
    /// [`StorageFull`](io::ErrorKind::StorageFull), here or later, tells the sender not to try again soon.
    fn expect(&mut self, bytes: u64) -> BoxFuture<'_, io::Result<()>>;

    /// Takes chunk `seq`; called once for each, in their order. An error ends this sink.
    fn add(&mut self, seq: u64, chunk: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// All chunks came. Fails unless they are a whole checkpoint at the position the sink was made for.
    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<Staged>>;
}

/// A checkpoint that was received whole and waits for [`Machine::install`](crate::Machine::install): whatever the machine
/// that made it understands. Dropped, it is not installed.
pub struct Staged(Box<dyn Any + Send>);

impl Staged {
    /// Wraps what the machine's sink has made.
    pub fn new<T: Any + Send>(what: T) -> Self {
        Self(Box::new(what))
    }

    /// What it was made of. The error is for people: another machine's sink made it.
    pub fn take<T: Any + Send>(self) -> Result<T, String> {
        let what = self.0.downcast().map(|what| *what);
        what.map_err(|_| format!("what was received is no {}", type_name::<T>()))
    }
}

/// The store of a machine without checkpoints: its log is never purged, so nobody can need a snapshot of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSnapshots;

impl SnapshotStore for NoSnapshots {
    fn durable(&self) -> watch::Receiver<Option<LogId>> {
        watch::channel(None).1
    }

    fn open(&self) -> Option<Box<dyn SnapshotSource>> {
        None
    }

    fn receive(&self, _position: Position) -> Box<dyn SnapshotSink> {
        Box::new(Self)
    }
}

impl SnapshotSink for NoSnapshots {
    fn expect(&mut self, _bytes: u64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Err(unsupported()) })
    }

    fn add(&mut self, _seq: u64, _chunk: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Err(unsupported()) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<Staged>> {
        Box::pin(async { Err(unsupported()) })
    }
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this group has no snapshots")
}
