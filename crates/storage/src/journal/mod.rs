//! The journal: one append-only log on disk for all groups of a node.
//!
//! Every group's entries, votes and marks go into one sequence of segment files, so that one sync
//! makes all of them durable together. It is the only place where values are written before they
//! settle; the index points into it.
//!
//! An `append` gives its records a place ([`intake`]), puts the entries into the group's table
//! ([`table`]) and returns: from then on they can be read. The writer ([`writer`]), alone on its
//! thread, takes what has gathered, writes it as one frame, syncs once, and only then calls back.
//! While it syncs, the next frame gathers; that is all there is to group commit.
//!
//! Old segments go at the front ([`freeing`]) when every group has purged what stands there and the caller needs
//! no value in them any more; their files become new segments ([`spares`]).
//!
//! What holds here, and where it is checked:
//! - I1: a callback fires only after the sync of its frame (`writer`; crash tests).
//! - I2: a frame is not written before the one before it is durable (`writer`: one loop, no overlap).
//!   Therefore a damaged frame with a sound one after it was durable once: rot, not a torn write.
//! - I3: acknowledged bytes are never written again: frames start on a block boundary and no old
//!   segment is appended to after a restart (`intake`, `recovery`).
//! - I4: nothing published points at bytes that may vanish: nothing is published but memory yet; an
//!   entry not yet synced is read from memory (`segment`).
//! - I5: every pointer resolves to bytes whose sum over key and value is the pointer's (`value`).
//! - I6: purged ≤ committed, and committed entries are never cut (`table`).
//! - I9: a file is removed only if nothing was ever acknowledged in it (`recovery`), or after the journal says durably that
//!   nobody needs it (`freeing`; crash tests). What it held is never found in its next life (`spares`).
//! - Only a run of segments at the front is ever freed. Whatever else is missing was lost, and a log that does
//!   not follow its purge without a gap is not used (`recovery`).
//! - Quarantine and damage outlive the segments that they were found in (`format`: heads).
//! - I10: recovery can be cut at any step and starts over (`recovery`; crash tests).
//! - I11: no place of a file is written twice under one salt (as I3; salts are fresh per segment).
//! - One journal at a time writes to a folder; who is ending still counts (`recovery`, `prepare`).
//! - A journal that ends before what its folder says was durable has lost something, also if it was cut between two
//!   frames; what it says never leads (`high_water`, `recovery`; crash tests).
//! - I12: votes never go back to an earlier term (`group`).
//!
//! I7 and I8 speak of merges, which do not exist yet.

mod cache;
mod format;
mod freeing;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod group;
mod high_water;
mod intake;
mod load;
mod log_read;
mod prepare;
mod recovery;
mod segment;
mod shared;
mod spares;
mod stats;
mod table;
mod value;
mod writer;

pub(crate) use format::Align;
pub(crate) use high_water::{DURABLE, MarkFound};
pub(crate) use load::load_one;
pub(crate) use prepare::{UNREADY, file_name};
pub(crate) use recovery::{LOCK, SegmentAudit, SegmentState, SegmentStep, Survey, chain_before, owner_of};
pub(crate) use segment::{Segment, SegmentTable};
pub(crate) use spares::SPARE;
pub(crate) use table::{LogTable, Placed};

pub use group::{GroupLog, LogState};
pub use intake::AppendDone;
pub use recovery::OpenError;
pub(crate) use segment::Ends;
pub use spares::SpareLimits;
pub use stats::{JournalStats, SLOW_SYNC};
pub use value::{JournalPointer, ReadError, ReadValue, value_crc};

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_env::Env;
use atoll_types::limits::{GROUPS_PER_NODE_MAX, TAIL_BYTES, VALUE_CACHE_BYTES};
use atoll_types::{ClusterId, GroupKey, LogId, NodeId, ReplicaId};
use bytes::Bytes;

use format::{RecordHeader, RecordKind};
use group::Group;
use shared::{Handle, closed};
use writer::Writer;

/// How a journal lays out its files and how much it keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Bytes of one segment file. One record alone may exceed it.
    pub segment_bytes: u32,
    /// Fill segments with zeros in the background before they are used: overwriting blocks that
    /// exist syncs twice as fast as growing a file. Off, files grow.
    pub preallocate: bool,
    /// Bytes of entries kept in memory after they are durable.
    pub tail_bytes: usize,
    /// Bytes of values kept in memory after they were read from a file; 0: none.
    pub cache_bytes: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            preallocate: true,
            tail_bytes: TAIL_BYTES,
            cache_bytes: VALUE_CACHE_BYTES,
        }
    }
}

impl JournalOptions {
    /// For clusters on a laptop: small files that grow.
    pub fn dev() -> Self {
        Self {
            segment_bytes: 8 * 1024 * 1024,
            preallocate: false,
            ..Self::default()
        }
    }
}

/// The segments of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalSegments {
    /// The oldest one there is.
    pub oldest: u32,
    /// The newest one, which records are placed in now.
    pub newest: u32,
    /// As [`Journal::used_bytes`].
    pub bytes: u64,
}

/// Whose journal it is. Stands in every segment; another's journal is never opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
}

/// One entry of a group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position.
    pub id: LogId,
    /// 0 blank, 1 normal, 2 membership; opaque here.
    pub kind: u8,
    /// The content, opaque here.
    pub payload: Bytes,
    /// Sum of the payload, computed once by the leader; checked at append and at every read.
    pub payload_crc: u32,
}

/// The journal of a node. A cheap handle. When the last one and the last [`GroupLog`] are dropped, the
/// journal ends by itself, after it has written what it was given; until then, and as long as any is
/// open, its folder is in use.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

impl Journal {
    /// Opens the journal in a folder, creating or recovering it. What was read is synced, the old
    /// segment is never appended to again and a new one is open when this returns. Fails with
    /// [`OpenError::InUse`] while a journal is open there.
    pub async fn open(
        env: &Env,
        dir: &Path,
        identity: Identity,
        options: JournalOptions,
    ) -> Result<Self, OpenError> {
        let (ready, opened) = tokio::sync::oneshot::channel();
        let (own, dir) = (env.clone(), dir.to_owned());
        env.spawn.dedicated("journal", async move {
            let (shared, writer) = match Writer::start(own, dir, identity, options).await {
                Ok(started) => started,
                Err(error) => {
                    // The opener may have been dropped; then nobody wants to know.
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            // If the opener was dropped, so is the handle, and there is nothing to do but to end.
            drop(ready.send(Ok(Handle::new(shared))));
            writer.run().await;
        });
        match opened.await {
            Ok(handle) => handle.map(|handle| Self(Arc::new(handle))),
            Err(_) => Err(OpenError::Io(io::ErrorKind::Interrupted.into())),
        }
    }

    /// The groups that live here, quarantined ones too.
    pub fn groups(&self) -> Vec<(GroupKey, ReplicaId)> {
        let groups = self.0.groups.read();
        let mut all: Vec<_> = groups.iter().map(|(key, group)| (*key, group.replica)).collect();
        all.extend(self.0.quarantined.iter().map(|(key, lost)| (*key, lost.replica)));
        all.sort_unstable();
        all
    }

    /// Groups whose log here is damaged. Their replicas must not start: one that voted or
    /// acknowledged with a shortened log could undo what the cluster promised.
    pub fn quarantined(&self) -> Vec<GroupKey> {
        self.0.quarantined.keys().copied().collect()
    }

    /// Why a group is in quarantine, for the operator.
    pub fn quarantine_reason(&self, key: GroupKey) -> Option<String> {
        self.0.quarantined.get(&key).map(|lost| lost.reason.clone())
    }

    /// Makes a group live here; durable on return. Again with the same replica it is the same group,
    /// with another it is an error.
    pub async fn create_group(&self, key: GroupKey, replica: ReplicaId) -> io::Result<GroupLog> {
        if let Some(lost) = self.0.quarantined.get(&key) {
            let reason = format!("group {key} is in quarantine: {}", lost.reason);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let group = self.insert_group(key, replica)?;
        if !group.created.load(Ordering::Acquire) {
            self.0.barrier().await?;
            group.created.store(true, Ordering::Release);
        }
        Ok(GroupLog::new(self.0.clone(), group))
    }

    /// Sound frames found when the journal was opened. None where there must have been some means that
    /// the log is lost.
    pub fn frames_found(&self) -> u64 {
        self.0.frames_found
    }

    /// The first damage found when the journal was opened.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.as_deref()
    }

    /// Makes a frame durable, so that from now on a journal without one is known to have lost it.
    pub async fn mark(&self) -> io::Result<()> {
        self.0.barrier().await
    }

    fn insert_group(&self, key: GroupKey, replica: ReplicaId) -> io::Result<Arc<Group>> {
        let mut groups = self.0.groups.write();
        if let Some(group) = groups.get(&key) {
            if group.replica != replica {
                let reason = format!(
                    "group {key} lives here as replica {}, not {replica}",
                    group.replica
                );
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
            }
            return Ok(group.clone());
        }
        if let Some(damage) = &self.0.damage {
            // It may have lived here and voted: an empty log under its id would forget both.
            let reason = format!(
                "the journal is damaged ({damage}): whether group {key} stood in it cannot be told, so replica {replica} must not \
                 start here again"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if groups.len() >= GROUPS_PER_NODE_MAX {
            let reason = format!("a node hosts at most {GROUPS_PER_NODE_MAX} groups");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, reason));
        }
        let mut intake = self.0.intake.lock();
        if intake.closing {
            return Err(closed());
        }
        let id = LogId {
            term: 0,
            leader: replica,
            index: 0,
        };
        intake.push(
            RecordHeader::plain(RecordKind::GroupCreate, 0, key, id),
            Bytes::new(),
        );
        let group = Arc::new(Group::new(key, replica));
        groups.insert(key, group.clone());
        Ok(group)
    }

    /// A group that lives here and is sound.
    pub fn group(&self, key: GroupKey) -> Option<GroupLog> {
        let group = self.0.groups.read().get(&key).cloned()?;
        Some(GroupLog::new(self.0.clone(), group))
    }

    /// Counters.
    pub fn stats(&self) -> JournalStats {
        let segments = &self.0.segments;
        self.0.stats.read(segments.count(), segments.freed())
    }

    /// Bytes of entries kept in memory, of all groups.
    pub fn tail_bytes(&self) -> usize {
        self.0.tail_bytes.load(Ordering::Relaxed)
    }

    /// The oldest and the newest segment; none before the first.
    pub(crate) fn ends(&self) -> Option<Ends> {
        self.0.segments.ends()
    }

    /// Bytes the journal takes on disk up to its end; freed segments take none. Up to two files that are prepared ahead
    /// and those that wait to be used again ([`Journal::spare_bytes`]) come on top, as does what was given to it and is not written
    /// yet.
    pub fn used_bytes(&self) -> u64 {
        self.0.segments.sealed_bytes() + self.0.current_bytes.load(Ordering::Relaxed)
    }

    /// The segments there are.
    pub fn segments(&self) -> JournalSegments {
        let ends = self.0.segments.ends();
        JournalSegments {
            oldest: ends.map_or(0, |ends| ends.oldest),
            newest: ends.map_or(0, |ends| ends.newest),
            bytes: self.used_bytes(),
        }
    }

    /// A segment, pinned; none if it is not there.
    pub(crate) fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        self.0.segments.get(id)
    }

    /// The oldest segment that the groups' logs need, now or later.
    pub(crate) fn needed_by_logs(&self) -> u32 {
        self.0.needed_by_logs()
    }

    /// What the segments in a range take on disk, the newest left out.
    pub(crate) fn bytes_of(&self, segments: Range<u32>) -> u64 {
        self.0.segments.bytes_of(segments)
    }

    /// The newest segment that was found rotten; 0: none. It is to go with all before it: no log keeps entries there for
    /// others ([`GroupLog::purge_limit`]).
    pub(crate) fn rotten(&self) -> u32 {
        self.0.rotten.load(Ordering::Relaxed)
    }

    /// Notes which segment is rotten.
    pub(crate) fn set_rotten(&self, segment: u32) {
        self.0.rotten.store(segment, Ordering::Relaxed);
    }

    /// Lets everything in segments before this one go: nobody but the groups' logs needs it any more, as far as
    /// the caller knows. Goes as far as the logs let it: a segment stays that holds an entry which its group
    /// has not purged, and so do all behind it; the newest one stays, too. Groups in quarantine keep nothing.
    /// Returns the oldest segment there is then.
    ///
    /// Waits for a sync and for the folder; writers do not wait for it. Whoever reads from a segment at that moment
    /// reads on; later a pointer into it gives [`ReadError::Freed`]. Cancelled or failed, it has let some of
    /// the segments go or none, and may be called again.
    pub async fn free_before(&self, segment: u32) -> io::Result<u32> {
        self.0.free_before(segment).await
    }

    /// Writes everything given so far, commit marks included, and ends. On return nothing touches the
    /// folder any more, and it can be opened again. Later writes fail; reads go on.
    pub async fn close(&self) {
        self.0.begin_close();
        let mut ended = self.0.ended.subscribe();
        // An error means that the writer is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Reads a value and checks it against its key; never waits for a disk.
    pub fn read_value(&self, pointer: &JournalPointer, key: &[u8]) -> Result<ReadValue, ReadError> {
        self.0.segments.read_value(pointer, key, false)
    }

    /// As [`Journal::read_value`], waiting for the disk: for a thread that may.
    pub fn read_value_blocking(&self, pointer: &JournalPointer, key: &[u8]) -> Result<Bytes, ReadError> {
        match self.0.segments.read_value(pointer, key, true)? {
            ReadValue::Ready(bytes) => Ok(bytes),
            ReadValue::WouldBlock => Err(ReadError::Io(io::ErrorKind::WouldBlock.into())),
        }
    }
}
