//! One replica's rows in the backend under test, over a log, beside the oracle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions};
use atoll_kv::{Command, FreezeId, Machine, SessionLimits};
use atoll_storage::{Checkpoint, NotKept, ReadValue, Restored, StagedSnapshot, SystemRow};
use atoll_types::{Epoch, Outcome, Version};
use bytes::Bytes;

use super::commands::entry;
use super::look::check;
use super::node::{CLUSTER, GROUP, Node, Sizes, id};
use super::oracle::Oracle;
use crate::{Backend, Entry, NativeBackend, PinnedView, Reader};

/// Rows by key, each with its version.
type SeenRows = BTreeMap<Vec<u8>, (Version, Vec<u8>)>;

/// Makes a backend out of the native one of a group that was opened.
pub type Make<'a> = &'a dyn Fn(NativeBackend) -> Box<dyn Backend>;

/// The backend under test and all that it stands on. Every commit compares outcomes with the oracle.
pub struct Bench<'a> {
    make: Make<'a>,
    sizes: Sizes,
    disk: MemVfs,
    node: Node,
    backend: Box<dyn Backend>,
    reader: Arc<dyn Reader>,
    machine: Machine,
    frozen: Option<FreezeId>,
    applied: u64,
    /// The same entries, applied to a plain map.
    pub oracle: Oracle,
}

impl<'a> Bench<'a> {
    /// A group with all slots, on an empty disk with large files.
    pub async fn new(make: Make<'a>) -> Self {
        Self::with(make, Sizes::Large).await
    }

    /// The same with other files.
    pub async fn with(make: Make<'a>, sizes: Sizes) -> Self {
        let disk = MemVfs::new(MemVfsOptions::default());
        let (node, restored) = Node::start(&disk, sizes).await;
        assert_eq!(restored, None);
        let backend = make(NativeBackend::new(node.group.clone(), node.journal.clone()));
        let mut bench = Self {
            make,
            sizes,
            disk,
            node,
            reader: backend.reader(),
            backend,
            machine: Machine::new(CLUSTER, GROUP),
            frozen: None,
            applied: 0,
            oracle: Oracle::new(),
        };
        check(&*bench.view(), &bench.oracle.seen());
        let genesis = Command::genesis(CLUSTER, GROUP, vec![(0, 16_383)], Epoch(1));
        bench.commit(&[genesis]).await;
        bench
    }

    /// The state of now.
    pub fn view(&self) -> Box<dyn PinnedView> {
        self.reader.view()
    }

    /// What gives out views.
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    /// The rows as they were at a version, at most a page of them, from the index: it keeps them below any backend.
    pub fn rows_at(&self, version: Version) -> Result<SeenRows, NotKept> {
        let view = self.node.group.index().view().at_version(version)?;
        let mut found = Vec::new();
        let walked = view.walk((&[], &[]), false, true, |key, version, value| {
            found.push((key.to_vec(), version, value));
            true
        });
        assert!(walked.unwrap().complete, "a page is enough");
        let rows = found.into_iter().map(|(key, version, value)| {
            let read = view.read_value(&self.node.journal, &key, &value, true);
            match read.unwrap() {
                ReadValue::Ready(bytes) => (key, (version, bytes.to_vec())),
                ReadValue::WouldBlock => panic!("it may wait"),
            }
        });
        Ok(rows.collect())
    }

    /// Commits an entry of these commands, and applies it. Outcomes are those of the oracle.
    pub async fn commit(&mut self, commands: &[Command]) -> Vec<Outcome> {
        for command in commands {
            command.check().unwrap();
        }
        let payload = entry(commands);
        let outcomes = self.apply(payload.clone()).await;
        assert_eq!(outcomes, self.oracle.apply(&payload), "{commands:?}");
        outcomes
    }

    /// Commits an entry that changes no row, as Raft makes some for itself.
    pub async fn commit_blank(&mut self) {
        self.apply(Bytes::new()).await;
        self.oracle.apply(&[]);
    }

    async fn apply(&mut self, payload: Bytes) -> Vec<Outcome> {
        let outcomes = self.apply_unseen(&payload).await;
        self.publish();
        outcomes
    }

    /// Appends an entry and applies it, and does not publish it yet.
    pub(crate) async fn apply_unseen(&mut self, payload: &Bytes) -> Vec<Outcome> {
        self.append(payload).await;
        self.apply_next(payload)
    }

    /// Appends an entry behind the last one applied, so far ahead.
    pub(crate) async fn append(&mut self, payload: &Bytes) {
        let last = self.node.log.state().last.map_or(0, |last| last.index);
        let next = last.max(self.applied) + 1;
        self.node.append(next, payload.clone()).await;
    }

    /// Applies the next entry, which was appended.
    pub(crate) fn apply_next(&mut self, payload: &Bytes) -> Vec<Outcome> {
        self.applied += 1;
        let mut outcomes = Vec::new();
        self.backend.begin();
        if !payload.is_empty() {
            let entry = Entry {
                id: id(self.applied),
                payload,
                log: &self.node.log,
            };
            self.backend
                .apply(&entry, &mut self.machine, Some(&mut outcomes))
                .unwrap();
        }
        outcomes
    }

    /// Makes what was applied visible, and begins a checkpoint if one is due.
    pub(crate) fn publish(&mut self) {
        self.backend.keep_history(self.machine.history_horizon());
        self.backend
            .publish(self.machine.last_version(), self.applied)
            .unwrap();
        self.node.log.release(self.applied);
        // With small files it may be the space they take that asks for a checkpoint.
        if self.backend.note_applied(0) {
            self.begin_checkpoint();
        }
    }

    /// The state of now is the oracle's, in every way there is to look.
    pub fn check(&self) {
        check(&*self.view(), &self.oracle.seen());
        assert_eq!(self.machine.state_hash(), self.oracle.hash());
    }

    /// Begins a checkpoint of what is applied; false if there is nothing to write or one is being written.
    pub fn begin_checkpoint(&mut self) -> bool {
        if !self.node.group.may_checkpoint(self.applied) {
            return false;
        }
        if let Some(before) = self.frozen.take() {
            self.machine.frozen_durable(before);
        }
        let frozen = self.machine.freeze();
        self.frozen = Some(frozen.id);
        let rows = frozen.rows.into_iter().map(|row| SystemRow {
            key: Bytes::copy_from_slice(row.key.as_bytes()),
            value: row.value,
        });
        self.backend.checkpoint(Checkpoint {
            applied: id(self.applied),
            version: self.machine.last_version(),
            membership: Bytes::from_static(b"who"),
            membership_id: Some(id(1)),
            rows: rows.collect(),
        });
        true
    }

    /// Makes everything that is applied durable in a checkpoint, and lets merges that come of it have their time.
    pub async fn checkpoint(&mut self) {
        // One may be under way, of an earlier entry.
        let mut durable = self.node.group.durable();
        while self.node.group.flushed_index() < self.applied {
            self.begin_checkpoint();
            durable.changed().await.unwrap();
        }
        self.pause().await;
    }

    /// Lets what goes on in the background come to its end.
    pub async fn pause(&self) {
        self.node.env.clock.sleep(Duration::from_secs(2)).await;
    }

    /// How many runs the group has.
    pub fn runs(&self) -> usize {
        self.node.group.runs().0
    }

    /// Kills the process, and starts it again from what the disk has: the newest durable checkpoint, and the log.
    pub async fn restart(self) -> Self {
        let Self {
            make,
            sizes,
            disk,
            node,
            backend,
            reader,
            oracle,
            ..
        } = self;
        drop((backend, reader));
        node.kill();
        let disk = disk.crash(Crash::LoseAll);
        let (node, restored) = Node::start(&disk, sizes).await;
        let backend = make(NativeBackend::new(node.group.clone(), node.journal.clone()));
        let mut bench = Self {
            make,
            sizes,
            disk,
            node,
            reader: backend.reader(),
            backend,
            machine: Machine::new(CLUSTER, GROUP),
            frozen: None,
            applied: 0,
            oracle,
        };
        if let Some(restored) = restored {
            bench.take_over(&restored).await;
        }
        bench.replay().await;
        bench
    }

    async fn take_over(&mut self, restored: &Restored) {
        let checkpoint = &restored.checkpoint;
        let rows = checkpoint.rows.iter();
        let rows = rows.filter_map(|row| Some((&row.key, row.value.as_ref()?)));
        self.machine = Machine::restore(CLUSTER, GROUP, SessionLimits::default(), rows).unwrap();
        self.backend.keep_history(self.machine.history_horizon());
        self.applied = checkpoint.applied.index;
        self.frozen = None;
        assert_eq!(self.machine.last_version(), checkpoint.version);
        let view = self.view();
        assert_eq!(
            (view.applied_index(), view.version()),
            (self.applied, checkpoint.version)
        );
        if restored.installed {
            self.node.log.purge(checkpoint.applied).await.unwrap();
        }
    }

    async fn replay(&mut self) {
        let behind = self.node.log.read(self.applied + 1, u64::MAX, usize::MAX);
        for entry in behind.await.unwrap() {
            assert_eq!(entry.id, id(self.applied + 1));
            self.apply_next(&entry.payload);
            self.publish();
        }
    }

    /// Takes the newest durable checkpoint of another replica in, as far as that it could be installed.
    pub(crate) async fn stage(&self, other: &Bench<'_>) -> StagedSnapshot {
        let mut source = other.node.group.snapshot().unwrap();
        let mut sink = self.node.group.receive(source.position().clone());
        while let Some(chunk) = source.next_chunk().await.unwrap() {
            sink.add(chunk).await.unwrap();
        }
        sink.finish().await.unwrap()
    }

    /// Makes a snapshot the state. The oracle is that of the replica it came from.
    pub(crate) async fn ingest(&mut self, staged: StagedSnapshot, oracle: Oracle) {
        let restored = self.backend.ingest(staged).await.unwrap();
        self.oracle = oracle;
        self.take_over(&restored).await;
    }

    /// What it was compared with.
    pub(crate) fn into_oracle(self) -> Oracle {
        self.oracle
    }
}
