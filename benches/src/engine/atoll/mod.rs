//! Atoll's own, wired as a node wires it (`server/shard/machine`, `server/shard/fetch`), with one group of one replica.
//!
//! A batch is one entry of the group's log: appended, durable, then applied. What Raft, sessions and messages cost is not
//! in here. Like in a node, an entry is applied from its bytes, and a restart applies those behind the last checkpoint.

mod payload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::NoNet;
use atoll_env::vfs::OsVfs;
use atoll_env::{Clock, Env, Halt, Instant, Rng, Spawn, Vfs};
use atoll_storage::sealed::{KeyRing, SealedVfs};
use atoll_storage::{
    Checkpoint, Compression, Found, GroupLog, GroupStore, Identity, IndexWriter, InlineValue, Journal,
    JournalOptions, LogEntry, Missed, Packer, ReadAhead, ReadValue, Restored, Store, StoreOptions, ValueRef,
    View,
};
use atoll_types::limits::INLINE_VALUE_BYTES_MAX;
use atoll_types::{Codec, GroupGen, GroupId, GroupKey, LogId, ReplicaId, Version};
use bytes::{Bytes, BytesMut};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::{Each, Engine};
use crate::Result;
use crate::dataset::Row;
use crate::metric::{Metrics, Unit};
use payload::{PayloadRow, PayloadRows, encode};

/// What the files of one that encrypts are encrypted with. What it guards is random bytes.
const KEY: &[u8] = b"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
const GROUP: GroupKey = GroupKey::new(GroupId(1), GroupGen(0));
const REPLICA: ReplicaId = ReplicaId(1);
/// The kind of an entry with content.
const NORMAL: u8 = 1;
/// Bytes of entries read at once when they are applied again.
const REPLAY_BYTES: usize = 4 * 1024 * 1024;
/// Rows of a scan between two looks at the index, as in a node.
const SCAN_ROWS: usize = 256;
/// How often space is taken back, and how much of the log is kept, as in a node.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);
const KEPT_SEGMENTS: u32 = 4;
/// How often to look whether a checkpoint is written, and for how long.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 60_000;

/// Versions that stay readable where history is kept: as many as rows of the default load.
const HISTORY_ROWS: u64 = 1_000_000;

/// How it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Default,
    /// Nothing is compressed.
    Plain,
    /// Files are encrypted.
    Sealed,
    /// Older versions stay for a while.
    History,
}

pub(super) struct Atoll {
    runtime: Runtime,
    env: Env,
    journal: Journal,
    store: Store,
    log: GroupLog,
    group: GroupStore,
    applier: Applier,
    /// Packs values of entries.
    packer: Packer,
    next_index: u64,
    /// When space was last taken back.
    reclaimed: Instant,
}

/// The apply side of the group.
struct Applier {
    rows: IndexWriter,
    version: Version,
    /// Where history begins at the earliest; `None`: there is none.
    history: Option<Version>,
    /// Index of the entry of the last checkpoint begun.
    checkpoint: u64,
}

impl Atoll {
    pub(super) fn open(dir: &Path, cache: u64, kind: Kind) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let env = env(dir, kind)?;
        // Whole rows are kept above the journal, which keeps none (`server/node`, `server/memory`).
        let for_journal = JournalOptions {
            cache_bytes: 0,
            ..JournalOptions::default()
        };
        let mut for_store = StoreOptions::default();
        if kind == Kind::Plain {
            for_store.compression = Compression::Off;
        }
        if cache > 0 {
            for_store.block_cache = cache as usize / 2;
            for_store.row_cache = cache as usize / 2;
        }
        let identity = Identity::default();
        let folder = dir.join("journal");
        env.vfs.create_dir_all(&folder)?;
        let journal = runtime.block_on(Journal::open(&env, &folder, identity, for_journal))?;
        let store = Store::start(&env, dir, journal.clone(), identity, for_store);
        let log = runtime.block_on(journal.create_group(GROUP, REPLICA))?;
        let (group, restored) = store.open_group(GROUP, REPLICA)?;
        let restored = restored
            .map(|Restored { checkpoint, .. }| checkpoint)
            .unwrap_or_default();
        let history = (kind == Kind::History).then_some(restored.version);
        let mut rows = group.index().writer();
        rows.keep_history(history);
        let applier = Applier {
            rows,
            version: restored.version,
            history,
            checkpoint: restored.applied.index,
        };
        let mut engine = Self {
            runtime,
            env,
            journal,
            store,
            log,
            group,
            applier,
            packer: Packer::new(for_store.compression.of_entries()),
            next_index: restored.applied.index + 1,
            reclaimed: Instant::default(),
        };
        engine.replay()?;
        Ok(engine)
    }

    /// Applies what the log has behind the checkpoint. The group's only replica has committed all of it.
    fn replay(&mut self) -> Result<()> {
        let end = self.log.state().last.map_or(0, |last| last.index) + 1;
        while self.next_index < end {
            let from = self.next_index;
            for entry in self.runtime.block_on(self.log.read(from, end, REPLAY_BYTES))? {
                self.apply(&entry)?;
            }
            if self.next_index == from {
                return Err(format!("entry {from} is not in the log").into());
            }
        }
        Ok(())
    }

    /// Makes an entry durable.
    fn append(&self, entry: &LogEntry) -> Result<()> {
        let (done, durable) = oneshot::channel();
        let done = Box::new(move |result| drop(done.send(result)));
        let written: Result<()> = self.runtime.block_on(async {
            self.log.append(vec![entry.clone()], done).await?;
            Ok(durable.await??)
        });
        written?;
        self.log.save_committed(entry.id);
        Ok(())
    }

    /// Applies an entry that is durable.
    fn apply(&mut self, entry: &LogEntry) -> Result<()> {
        let applier = &mut self.applier;
        applier.rows.begin(0);
        let mut rows = PayloadRows::new(&entry.payload);
        while let Some(row) = rows.next()? {
            applier.version = Version(applier.version.0 + 1);
            let value = place(&self.log, entry.id, &row)?;
            applier.rows.put(row.key, applier.version, value);
        }
        if let Some(missed) = applier.rows.take_trouble() {
            return Err(missed.into());
        }
        if let Some(first) = applier.history {
            let last = applier.version.0.saturating_sub(HISTORY_ROWS);
            applier.rows.keep_history(Some(first.max(Version(last))));
        }
        applier.rows.publish(applier.version, entry.id.index);
        self.log.release(entry.id.index);
        self.next_index = entry.id.index + 1;
        self.maintain(entry);
        self.reclaim()
    }

    /// What a node does between two entries so that memory stays bounded, and the next start fast.
    fn maintain(&mut self, applied: &LogEntry) {
        let applier = &mut self.applier;
        if self.group.note_applied(&applier.rows, applied.payload.len()) {
            applier.checkpoint = applied.id.index;
            let checkpoint = Checkpoint {
                applied: applied.id,
                version: applier.version,
                ..Checkpoint::default()
            };
            self.group.checkpoint(&mut applier.rows, checkpoint);
        }
    }

    /// Takes space back once a second, as `server/reclaim` does: what a durable checkpoint has leaves the log but for the newest
    /// segments, and segments go that nobody needs.
    fn reclaim(&mut self) -> Result<()> {
        let now = self.env.clock.now();
        if now.since(self.reclaimed) < RECLAIM_EVERY {
            return Ok(());
        }
        self.reclaimed = now;
        let flushed = self.group.flushed_index();
        let purged = self.log.state().purged.map_or(0, |id| id.index);
        let limit = self.log.purge_limit(KEPT_SEGMENTS);
        let spare = limit.map_or(0, |id| id.index).min(flushed);
        let (log, store) = (&self.log, &self.store);
        store.look();
        self.runtime.block_on(async {
            if let Some(upto) = log.log_id_at(spare).filter(|upto| upto.index > purged) {
                log.purge(upto).await?;
            }
            store.reclaim().await
        })?;
        Ok(())
    }

    /// A value's bytes, checked; without waiting for a disk if that is possible.
    fn value(&self, view: &View, key: &[u8], value: &ValueRef) -> Result<Bytes> {
        for wait in [false, true] {
            if let ReadValue::Ready(bytes) = view.read_value(&self.journal, key, value, wait)? {
                return Ok(bytes);
            }
        }
        Err("a blocking read did not read".into())
    }
}

impl Engine for Atoll {
    fn put_batch(&mut self, rows: &[Row]) -> Result<()> {
        let payload = encode(rows, &self.packer);
        let entry = LogEntry {
            id: LogId {
                term: 1,
                leader: REPLICA,
                index: self.next_index,
            },
            kind: NORMAL,
            payload_crc: crc32fast::hash(&payload),
            payload,
        };
        self.append(&entry)?;
        self.apply(&entry)
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let view = self.group.index().view();
        let found = match view.find(key, false) {
            Err(Missed::WouldBlock) => view.find(key, true)?,
            found => found?,
        };
        match found {
            None => return Ok(false),
            Some(Found::Bytes(_, bytes)) => value.extend_from_slice(&bytes),
            Some(Found::Row(row)) => {
                let bytes = self.value(&view, key, &row.value)?;
                view.keep(key, &row, &bytes);
                value.extend_from_slice(&bytes);
            }
        }
        Ok(true)
    }

    fn scan(&self, each: Each<'_>) -> Result<()> {
        let (mut from, mut ahead) = (Vec::new(), ReadAhead::default());
        let (mut rows, mut keys, mut packed) = (Vec::with_capacity(SCAN_ROWS), Vec::new(), BytesMut::new());
        loop {
            let view = self.group.index().view();
            rows.clear();
            keys.clear();
            let walked = view.walk((&from, &[]), false, true, |key, version, value| {
                keys.extend_from_slice(key);
                rows.push((keys.len(), version, value));
                rows.len() < SCAN_ROWS
            })?;
            let mut start = 0;
            for (end, version, value) in &rows {
                let key = keys.get(start..*end).unwrap_or_default();
                start = *end;
                packed.clear();
                let row = (key, *version, value);
                if !view.append_value(&self.journal, row, true, &mut ahead, &mut packed)? {
                    return Err("a blocking read did not read".into());
                }
                each(key, &packed)?;
            }
            match walked.last.filter(|_| !walked.complete) {
                Some(last) => from = [last.as_bytes(), &[0]].concat(),
                None => break,
            }
        }
        // As a node does every second.
        self.store.look();
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        // No checkpoint that is not due: a node would not make it either.
        for _ in 0..LOOKS {
            if self.group.flushed_index() >= self.applier.checkpoint {
                return Ok(());
            }
            self.runtime.block_on(self.env.clock.sleep(LOOK));
        }
        Err("a checkpoint is not written".into())
    }

    fn tell(&self, metrics: &mut Metrics) -> Result<()> {
        let (stats, (runs, run_bytes)) = (self.journal.stats(), self.group.runs());
        metrics.add("atoll journal", Unit::Bytes, self.journal.used_bytes() as f64);
        metrics.add("atoll journal segments", Unit::Count, stats.segments as f64);
        metrics.add("atoll sync p50", Unit::Micros, stats.sync_us_p50 as f64);
        metrics.add("atoll sync p99", Unit::Micros, stats.sync_us_p99 as f64);
        metrics.add("atoll runs", Unit::Count, runs as f64);
        metrics.add("atoll runs together", Unit::Bytes, run_bytes as f64);
        let written = self.store.written();
        metrics.add("atoll journal wrote", Unit::Bytes, stats.bytes as f64);
        metrics.add("atoll recycled", Unit::Count, stats.segments_recycled as f64);
        metrics.add("atoll checkpoints wrote", Unit::Bytes, written.checkpoints as f64);
        metrics.add("atoll merges wrote", Unit::Bytes, written.merges as f64);
        metrics.add("atoll evacuations wrote", Unit::Bytes, written.evacuations as f64);
        metrics.add("atoll collections wrote", Unit::Bytes, written.collections as f64);
        let memory = self.group.index().memory_bytes();
        metrics.add("atoll index in memory", Unit::Bytes, memory as f64);
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.runtime.block_on(async {
            self.store.close().await;
            self.journal.close().await;
        });
        Ok(())
    }
}

fn env(dir: &Path, kind: Kind) -> Result<Env> {
    let (rng, mut vfs) = (Rng::from_os(), Arc::new(OsVfs) as Arc<dyn Vfs>);
    if kind == Kind::Sealed {
        let keys = Arc::new(KeyRing::parse(KEY)?);
        vfs = Arc::new(SealedVfs::new(vfs, dir, keys, rng.clone()));
    }
    Ok(Env {
        clock: Clock::boot(),
        rng,
        spawn: Spawn::tokio(),
        vfs,
        net: Arc::new(NoNet),
        halt: Halt::abort(),
    })
}

/// Where a row of this entry stands.
fn place(log: &GroupLog, id: LogId, row: &PayloadRow<'_>) -> Result<ValueRef> {
    if row.codec == Codec::None && row.stored.len() <= INLINE_VALUE_BYTES_MAX {
        let value = InlineValue::new(row.stored, row.vcrc).map(ValueRef::Inline);
        return value.ok_or_else(|| "a short value is too long".into());
    }
    let pointer = log.pointer(id, row.offset, row.stored.len() as u32, row.vcrc);
    let mut pointer = pointer.ok_or("an entry that is durable is not in the journal")?;
    if row.codec != Codec::None {
        pointer = pointer
            .packed(row.codec, row.value_len)
            .ok_or("no value is packed so")?;
    }
    Ok(ValueRef::Journal(pointer))
}
