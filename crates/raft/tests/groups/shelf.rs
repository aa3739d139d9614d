//! The durable checkpoints of one replica's [`Keeper`](crate::keeper::Keeper). They outlive its processes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{BoxFuture, Clock, Rng, watch};
use atoll_raft::{Position, SnapshotSink, SnapshotSource, SnapshotStore, Staged};
use atoll_types::{GroupId, LogId, ReplicaId};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;

/// What a keeper has applied.
pub type Rows = Vec<(LogId, Bytes)>;

/// The shelves of all replicas, by node and group.
pub type Shelves = Arc<Mutex<BTreeMap<(u64, GroupId), Arc<Shelf>>>>;

/// Rows in one chunk.
const ROWS: usize = 2;

/// Everything up to a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub position: Position,
    pub rows: Rows,
}

/// Where to stop, for good or until it is let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before this chunk is kept.
    Chunk(u64),
    /// Before an install changes anything.
    Install,
    /// When it is durable and nobody knows.
    Installed,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Snapshots that were announced.
    pub begun: u64,
    /// Of these, that there was no room for.
    pub refused: u64,
    /// Those of them that are neither dropped nor finished.
    pub open: u64,
    /// Chunks kept.
    pub chunks: u64,
    /// Positions that were installed.
    pub installed: Vec<Option<LogId>>,
}

pub struct Shelf {
    durable: watch::Sender<Option<LogId>>,
    kept: Mutex<Option<Checkpoint>>,
    begun: Mutex<Option<Checkpoint>>,
    /// Checkpoints become durable only when told to.
    lazy: Mutex<bool>,
    /// The next install fails.
    fail: Mutex<bool>,
    /// Chunks cannot be read.
    rotten: Mutex<bool>,
    /// How long it takes to keep a chunk.
    pace: Mutex<Option<(Clock, Duration)>>,
    /// Bytes that there is room for.
    room: Mutex<u64>,
    /// The chunk for which there is none.
    full: Mutex<Option<u64>>,
    /// Bytes that whoever reads a checkpoint keeps from going.
    held: Mutex<u64>,
    stop: watch::Sender<Option<Stop>>,
    stopped: watch::Sender<bool>,
    seen: Mutex<Seen>,
    rng: Rng,
}

impl Shelf {
    pub fn new(seed: u64) -> Self {
        Self {
            durable: watch::Sender::new(None),
            kept: Mutex::default(),
            begun: Mutex::default(),
            lazy: Mutex::new(false),
            fail: Mutex::new(false),
            rotten: Mutex::new(false),
            pace: Mutex::default(),
            room: Mutex::new(u64::MAX),
            full: Mutex::default(),
            held: Mutex::new(0),
            stop: watch::Sender::new(None),
            stopped: watch::Sender::new(false),
            seen: Mutex::default(),
            rng: Rng::seeded(seed),
        }
    }

    /// A new process begins.
    pub fn restart(&self) {
        *self.begun.lock() = None;
        self.stop_at(None);
        self.seen.lock().open = 0;
    }

    pub fn kept(&self) -> Option<Checkpoint> {
        self.kept.lock().clone()
    }

    pub fn has_begun(&self) -> bool {
        self.begun.lock().is_some()
    }

    pub fn begin(&self, checkpoint: Checkpoint) {
        *self.begun.lock() = Some(checkpoint);
    }

    /// The log is durable as far as what was begun goes.
    pub fn synced(&self) {
        if !*self.lazy.lock() {
            self.flush();
        }
    }

    pub fn set_lazy(&self, lazy: bool) {
        *self.lazy.lock() = lazy;
    }

    pub fn fail_install(&self) {
        *self.fail.lock() = true;
    }

    /// From now on, no chunk can be read.
    pub fn rot(&self) {
        *self.rotten.lock() = true;
    }

    /// Every chunk takes so long to be kept.
    pub fn set_pace(&self, clock: &Clock, pace: Duration) {
        *self.pace.lock() = Some((clock.clone(), pace));
    }

    /// No snapshot of more bytes is taken.
    pub fn set_room(&self, bytes: u64) {
        *self.room.lock() = bytes;
    }

    /// From this chunk on there is no room, whatever was said.
    pub fn fill_at(&self, chunk: Option<u64>) {
        *self.full.lock() = chunk;
    }

    /// Whoever reads a checkpoint keeps so much from going.
    pub fn set_held(&self, bytes: u64) {
        *self.held.lock() = bytes;
    }

    /// Makes durable what was begun.
    pub fn flush(&self) {
        if let Some(checkpoint) = self.begun.lock().take() {
            self.keep(checkpoint);
        }
    }

    fn keep(&self, checkpoint: Checkpoint) {
        let applied = checkpoint.position.applied;
        *self.kept.lock() = Some(checkpoint);
        self.durable.send_replace(applied);
    }

    pub fn stop_at(&self, stop: Option<Stop>) {
        self.stopped.send_replace(false);
        self.stop.send_replace(stop);
    }

    /// It waits where it was to stop.
    pub fn has_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    async fn pass(&self, here: Stop) {
        let mut stop = self.stop.subscribe();
        while *stop.borrow_and_update() == Some(here) {
            self.stopped.send_replace(true);
            // The shelf lives, and so does the sender.
            let _ = stop.changed().await;
        }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// Replaces what was kept.
    pub async fn install(&self, staged: Staged) -> Result<Checkpoint, String> {
        let mut checkpoint: Checkpoint = staged.take()?;
        self.pass(Stop::Install).await;
        if std::mem::take(&mut *self.fail.lock()) {
            return Err("no room on the shelf".to_owned());
        }
        checkpoint.position.installed = true;
        *self.begun.lock() = None;
        self.seen.lock().installed.push(checkpoint.position.applied);
        self.keep(checkpoint.clone());
        self.pass(Stop::Installed).await;
        Ok(checkpoint)
    }
}

/// The handle that machines give away.
pub struct Store(pub Arc<Shelf>);

impl SnapshotStore for Store {
    fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.0.durable.subscribe()
    }

    fn open(&self) -> Option<Box<dyn SnapshotSource>> {
        let checkpoint = self.0.kept()?;
        let number = self.0.rng.bits64();
        Some(Box::new(Source {
            shelf: Arc::clone(&self.0),
            chunks: chunks(number, &checkpoint),
            position: checkpoint.position,
            next: 0,
        }))
    }

    fn receive(&self, position: Position) -> Box<dyn SnapshotSink> {
        let mut seen = self.0.seen.lock();
        seen.begun += 1;
        seen.open += 1;
        Box::new(Sink {
            shelf: Arc::clone(&self.0),
            position,
            number: None,
            rows: Vec::new(),
            whole: false,
        })
    }
}

struct Source {
    position: Position,
    chunks: Vec<Bytes>,
    next: usize,
    shelf: Arc<Shelf>,
}

impl SnapshotSource for Source {
    fn bytes_about(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    fn held_back(&self) -> u64 {
        *self.shelf.held.lock()
    }

    fn position(&self) -> Position {
        self.position.clone()
    }

    fn next(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        let chunk = self.chunks.get(self.next).cloned();
        self.next += 1;
        let rotten = *self.shelf.rotten.lock();
        Box::pin(async move {
            if rotten {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a rotten value"));
            }
            Ok(chunk)
        })
    }

    fn seek(&mut self, seq: u64) {
        self.next = seq as usize;
    }
}

/// A checkpoint in chunks: sum, number of the reading, number of the chunk, rows; the last has only their number.
pub fn chunks(number: u64, checkpoint: &Checkpoint) -> Vec<Bytes> {
    let start = |seq: usize| {
        let mut out = BytesMut::new();
        out.put_u64_le(number);
        out.put_u64_le(seq as u64);
        out
    };
    let mut chunks: Vec<BytesMut> = Vec::new();
    for (seq, rows) in checkpoint.rows.chunks(ROWS).enumerate() {
        let mut out = start(seq);
        out.put_u8(rows.len() as u8);
        for (id, payload) in rows {
            out.put_u64_le(id.term);
            out.put_u64_le(id.leader.0);
            out.put_u64_le(id.index);
            out.put_u32_le(payload.len() as u32);
            out.put_slice(payload);
        }
        chunks.push(out);
    }
    let mut last = start(chunks.len());
    last.put_u8(0);
    last.put_u64_le(checkpoint.rows.len() as u64);
    chunks.push(last);
    let summed = chunks.into_iter().map(|chunk| {
        let mut out = BytesMut::new();
        out.put_u32_le(crc32fast::hash(&chunk));
        out.put_slice(&chunk);
        out.freeze()
    });
    summed.collect()
}

struct Sink {
    shelf: Arc<Shelf>,
    position: Position,
    number: Option<u64>,
    rows: Rows,
    whole: bool,
}

impl Sink {
    fn take(&mut self, seq: u64, mut chunk: Bytes) -> io::Result<()> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let sum = chunk.try_get_u32_le().map_err(io::Error::other)?;
        if sum != crc32fast::hash(&chunk) {
            return Err(bad("the sum"));
        }
        let number = chunk.get_u64_le();
        if *self.number.get_or_insert(number) != number {
            return Err(bad("a chunk of another reading"));
        }
        if chunk.get_u64_le() != seq || self.whole {
            return Err(bad("a chunk out of turn"));
        }
        let rows = chunk.get_u8();
        for _ in 0..rows {
            let id = LogId {
                term: chunk.get_u64_le(),
                leader: ReplicaId(chunk.get_u64_le()),
                index: chunk.get_u64_le(),
            };
            let len = chunk.get_u32_le() as usize;
            self.rows.push((id, chunk.split_to(len)));
        }
        if rows == 0 {
            self.whole = chunk.get_u64_le() == self.rows.len() as u64;
        }
        Ok(())
    }
}

impl SnapshotSink for Sink {
    fn expect(&mut self, bytes: u64) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            if bytes > *self.shelf.room.lock() {
                self.shelf.seen.lock().refused += 1;
                return Err(io::Error::new(io::ErrorKind::StorageFull, "the shelf is full"));
            }
            Ok(())
        })
    }

    fn add(&mut self, seq: u64, chunk: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let shelf = Arc::clone(&self.shelf);
            shelf.pass(Stop::Chunk(seq)).await;
            let pace = shelf.pace.lock().clone();
            if let Some((clock, pace)) = pace {
                clock.sleep(pace).await;
            }
            if *shelf.full.lock() == Some(seq) {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "the shelf is full"));
            }
            self.take(seq, chunk)?;
            shelf.seen.lock().chunks += 1;
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, io::Result<Staged>> {
        Box::pin(async move {
            if !self.whole {
                return Err(io::Error::other("chunks are missing"));
            }
            let rows = std::mem::take(&mut self.rows);
            Ok(Staged::new(Checkpoint {
                position: self.position.clone(),
                rows,
            }))
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let mut seen = self.shelf.seen.lock();
        seen.open = seen.open.saturating_sub(1);
    }
}
