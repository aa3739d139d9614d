//! Journal and store of one process, and a small state machine over them.

mod applying;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_env::Vfs;
use atoll_env::vfs::MemVfs;
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId, Version};
use bytes::Bytes;

use super::look::{check_rows, check_view};
use super::model::{History, KEYS, Model, Op, key, payload};
use super::process::Process;
use crate::codec::Compression;
use crate::index::IndexWriter;
use crate::journal::{GroupLog, Identity, Journal, JournalOptions, LogEntry};
use crate::store::{Checkpoint, GroupStore, Restored, Store, StoreError, StoreOptions, SystemRow};

pub(super) const DATA: &str = "/data";
pub(crate) const GROUP: GroupKey = GroupKey::new(GroupId(0x1F), GroupGen(2));
pub(crate) const REPLICA: ReplicaId = ReplicaId(7);
pub(crate) const IDENTITY: Identity = Identity {
    cluster: ClusterId(0xC1),
    node: NodeId(3),
};
/// Nothing is due by itself.
pub(super) const OPTIONS: StoreOptions = StoreOptions {
    checkpoint_memory: usize::MAX,
    checkpoint_log: u64::MAX,
    row_memory: usize::MAX,
    block_cache: 16 * 1024,
    row_cache: 128 * 1024,
    snapshot_chunk: 2 * 1024,
    keep_free: 0,
    journal_budget: u64::MAX,
    value_file_bytes: 64 * 1024,
    maintenance_rate: 0,
    compression: Compression::Zstd,
};
pub(super) const JOURNAL: JournalOptions = JournalOptions {
    segment_bytes: 32 * 1024,
    preallocate: false,
    tail_bytes: 1 << 20,
    cache_bytes: 16 * 1024,
};

pub(super) fn id(index: u64) -> LogId {
    LogId {
        term: 1,
        leader: REPLICA,
        index,
    }
}

/// Why a node did not start.
#[derive(Debug)]
pub(super) enum StartError {
    Journal,
    Store(StoreError),
}

/// A process that applies the log of one group.
pub(super) struct Node {
    pub(super) process: Process,
    pub(super) journal: Journal,
    pub(super) log: GroupLog,
    pub(super) store: Store,
    pub(super) group: GroupStore,
    pub(super) writer: IndexWriter,
    pub(super) model: Model,
    /// Rows of the system changed since the last checkpoint began.
    changed: BTreeMap<Bytes, Option<Bytes>>,
    /// The entry of the last checkpoint begun.
    pub(super) frozen_at: u64,
    pub(super) keeps: Keeps,
    /// The last version after each entry.
    versions: Vec<u64>,
}

/// When history is kept, and for how many entries: of each span the first entry, the first behind it, and the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeps(pub(super) Vec<(u64, u64, u64)>);

impl Keeps {
    /// The entry that can be read at as the first, after so many.
    fn first(&self, applied: u64) -> Option<u64> {
        let mut spans = self.0.iter();
        let (since, _, window) = spans.find(|(since, until, _)| (*since..*until).contains(&applied))?;
        Some((*since).max(applied.saturating_sub(*window)))
    }
}

impl Node {
    /// Starts from what the disk has; `history` has the model after every entry.
    pub(super) async fn start(vfs: MemVfs, history: &History) -> Result<Self, StartError> {
        Self::start_on(Process::on(vfs), history).await
    }

    pub(super) async fn start_on(process: Process, history: &History) -> Result<Self, StartError> {
        Self::start_with(process, OPTIONS, history).await
    }

    pub(super) async fn start_with(
        process: Process,
        options: StoreOptions,
        history: &History,
    ) -> Result<Self, StartError> {
        let (mut node, restored) = Self::open_with(process, options).await?;
        node.restore(restored, history).await;
        Ok(node)
    }

    /// A new node with a value of this length for each of these keys, all of them in the journal.
    pub(super) async fn filled(
        process: Process,
        options: StoreOptions,
        keys: std::ops::Range<u16>,
        len: usize,
    ) -> (Self, History) {
        let mut history = History::default();
        let mut node = Self::start_with(process, options, &history).await.unwrap();
        node.put_each(keys, len, &mut history).await;
        (node, history)
    }

    /// Opens everything, and applies nothing.
    pub(super) async fn open(process: Process) -> Result<(Self, Option<Restored>), StartError> {
        Self::open_with(process, OPTIONS).await
    }

    pub(super) async fn open_with(
        process: Process,
        options: StoreOptions,
    ) -> Result<(Self, Option<Restored>), StartError> {
        let dir = Path::new(DATA).join("journal");
        let journal = Journal::open(&process.env, &dir, IDENTITY, JOURNAL).await;
        let journal = journal.map_err(|_| StartError::Journal)?;
        let log = journal.create_group(GROUP, REPLICA).await;
        let log = log.map_err(|_| StartError::Journal)?;
        let store = Store::start(&process.env, Path::new(DATA), journal.clone(), IDENTITY, options);
        let opened = store.open_group(GROUP, REPLICA);
        let (group, restored) = opened.map_err(|error| {
            process.kill();
            StartError::Store(error)
        })?;
        let node = Self {
            writer: group.index().writer(),
            process,
            journal,
            log,
            store,
            group,
            model: Model::default(),
            changed: BTreeMap::new(),
            frozen_at: 0,
            keeps: Keeps::default(),
            versions: vec![0],
        };
        Ok((node, restored))
    }

    /// Checks what a checkpoint says, and applies what the log has behind it.
    pub(super) async fn restore(&mut self, restored: Option<Restored>, history: &History) {
        if let Some(restored) = restored {
            let index = restored.checkpoint.applied.index;
            let last = self.log.state().last.map_or(0, |last| last.index);
            if restored.installed {
                self.log.purge(id(index)).await.unwrap();
            } else {
                assert!(index <= last, "a checkpoint of entry {index}, a log up to {last}");
            }
            self.take_over(&restored, history);
        }
        self.writer.keep_history(self.horizon());
        assert_eq!(self.group.flushed_index(), self.model.applied);
        self.check_rows();
        let entries = self
            .log
            .read(self.model.applied + 1, u64::MAX, usize::MAX)
            .await
            .unwrap();
        for entry in entries {
            self.apply(entry.id.index, &history.entries[entry.id.index as usize]);
        }
        self.check_rows();
    }

    /// Goes on from a checkpoint, and checks what it says.
    pub(super) fn take_over(&mut self, restored: &Restored, history: &History) {
        let checkpoint = &restored.checkpoint;
        let index = checkpoint.applied.index;
        self.model = history.models[index as usize].clone();
        let system = checkpoint.rows.iter();
        let system = system.map(|row| (row.key.clone(), row.value.clone().unwrap()));
        assert_eq!(
            system.collect::<BTreeMap<_, _>>(),
            self.model.system,
            "rows of the system"
        );
        assert_eq!(checkpoint.version, Version(self.model.version));
        assert_eq!(&checkpoint.membership[..], &index.to_le_bytes());
        assert_eq!(checkpoint.membership_id, Some(id(index)));
        self.changed.clear();
        self.frozen_at = index;
        let models = history.models.iter().take(index as usize + 1);
        self.versions = models.map(|model| model.version).collect();
        self.writer.keep_history(self.horizon());
    }

    /// What history is kept from, if any is.
    pub(super) fn horizon(&self) -> Option<Version> {
        let first = self.keeps.first(self.versions.len() as u64 - 1)?;
        self.versions.get(first as usize).map(|version| Version(*version))
    }

    /// Appends an entry, applies it, and gives what tells of its durability.
    pub(super) async fn write(
        &mut self,
        ops: &[Op],
        history: &mut History,
    ) -> Option<tokio::sync::oneshot::Receiver<std::io::Result<()>>> {
        let index = self.model.applied + 1;
        let payload = Bytes::from(payload(index, ops));
        let entry = LogEntry {
            id: id(index),
            kind: 1,
            payload_crc: crc32fast::hash(&payload),
            payload,
        };
        let (done, durable) = tokio::sync::oneshot::channel();
        let done: crate::journal::AppendDone = Box::new(move |result| drop(done.send(result)));
        // It may be on the disk even if nobody says so.
        history.push(&self.model, ops);
        self.log.append(vec![entry], done).await.ok()?;
        // Rows that an entry needs cannot be read any more on a disk that froze.
        if self.process.vfs.is_frozen() {
            return None;
        }
        self.apply(index, ops);
        Some(durable)
    }

    /// The same, and it is durable.
    pub(super) async fn write_durably(&mut self, ops: &[Op], history: &mut History) {
        self.write(ops, history).await.unwrap();
        self.journal.mark().await.unwrap();
    }

    /// A value of this length for each of these keys, each in an entry of its own.
    pub(super) async fn put_each(
        &mut self,
        keys: impl IntoIterator<Item = u16>,
        len: usize,
        history: &mut History,
    ) {
        for key in keys {
            self.write_durably(&[Op::put(key, len)], history).await;
        }
    }

    /// As an entry that changes nothing: lets go of what a look at older rows held.
    pub(super) async fn write_nothing(&mut self, history: &mut History) {
        drop(self.write(&[], history).await.unwrap());
    }

    pub(super) fn is_busy(&self) -> bool {
        self.group.0.busy.load(Ordering::Acquire)
    }

    /// Lets so much time pass.
    pub(super) async fn sleep(&self, time: Duration) {
        self.process.env.clock.sleep(time).await;
    }

    /// Begins a checkpoint, if none is under way.
    pub(super) fn begin_checkpoint(&mut self) -> bool {
        if self.is_busy() || self.model.applied == self.frozen_at {
            return false;
        }
        let rows = std::mem::take(&mut self.changed).into_iter();
        let applied = self.model.applied;
        let checkpoint = Checkpoint {
            applied: id(applied),
            version: Version(self.model.version),
            membership: applied.to_le_bytes().to_vec().into(),
            membership_id: Some(id(applied)),
            rows: rows.map(|(key, value)| SystemRow { key, value }).collect(),
        };
        self.frozen_at = applied;
        self.group.checkpoint(&mut self.writer, checkpoint);
        true
    }

    /// Waits until nothing is frozen and nothing is being merged. False if that takes too long.
    pub(super) async fn settle(&self) -> bool {
        for _ in 0..100 {
            if !self.is_busy() && self.store.is_idle() {
                return true;
            }
            self.sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// A checkpoint, from its beginning to its end, with the merge that comes with it.
    pub(super) async fn checkpoint(&mut self) -> bool {
        self.begin_checkpoint() && self.settle().await
    }

    /// Compares everything there is to read now with the model.
    pub(super) fn check(&mut self) {
        check_view(&self.group.index().view(), &self.model, &self.journal);
        self.check_writer();
    }

    /// Compares all rows as a reader sees them now with the model.
    pub(super) fn check_rows(&self) {
        check_rows(&self.group.index().view(), &self.model, &self.journal);
    }

    fn check_writer(&mut self) {
        for number in (0..KEYS).step_by(7) {
            let (key, expected) = (key(number), self.model.rows.get(&key(number)));
            assert_eq!(self.writer.version_of(&key), expected.map(|row| row.0));
            let value = self.writer.value_of(&key);
            assert_eq!(value.map(|value| value.len()), expected.map(|row| row.1.len()));
        }
        for (start, end, limit) in [(0, KEYS, 1000), (100, 300, 1000), (5, 590, 257), (30, 31, 1)] {
            let (start, end) = (key(start), key(end));
            let range = || self.model.rows.range(start.clone()..end.clone());
            let newest = range().map(|(_, row)| row.0).max();
            let expected: Vec<_> = range().map(|(key, _)| key.clone()).take(limit).collect();
            assert_eq!(self.writer.newest_in(&start, &end), newest);
            let keys = self.writer.keys_in(&start, &end, limit).into_iter();
            assert_eq!(
                keys.map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>(),
                expected
            );
        }
        assert!(self.writer.take_trouble().is_none());
    }

    /// Names in the group's folder of files of a kind.
    pub(super) fn files_of(&self, extension: &str) -> Vec<String> {
        let mut files = self.files();
        files.retain(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|found| found == extension)
        });
        files
    }

    /// Names in the group's folder.
    pub(super) fn files(&self) -> Vec<String> {
        self.process.vfs.list(&group_dir()).unwrap()
    }
}

pub(crate) fn group_dir() -> std::path::PathBuf {
    Path::new(DATA).join("groups/000000000000001f-00000002")
}
