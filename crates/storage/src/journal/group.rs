//! The log of one group, as Raft sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_types::{Codec, GroupKey, LogId, Mutant, ReplicaId, Vote, mutant};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{SemaphorePermit, oneshot};

use super::format::{
    PAYLOAD_LEN_MAX, RECORD_HEADER_LEN, RecordHeader, RecordKind, TRUNCATE_FLAG_ALL, VOTE_FLAG_COMMITTED,
};
use super::intake::AppendDone;
use super::shared::{Handle, RECORD_ROOM, closed};
use super::table::LogTable;
use super::{JournalPointer, LogEntry};

/// Durable entries of one group that stay in memory for followers, unless all groups together have
/// too many.
const TAIL_WINDOW: usize = 4 * 1024 * 1024;

/// What a log remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The newest vote.
    pub vote: Option<Vote>,
    /// The newest commit mark given.
    pub committed: Option<LogId>,
    /// The last entry that is gone from the front.
    pub purged: Option<LogId>,
    /// The last entry, else [`LogState::purged`].
    pub last: Option<LogId>,
}

pub(crate) struct Group {
    pub(crate) key: GroupKey,
    pub(crate) replica: ReplicaId,
    /// The record that creates the group is known to be durable.
    pub(crate) created: AtomicBool,
    pub(crate) table: Mutex<LogTable>,
}

impl Group {
    pub(crate) fn new(key: GroupKey, replica: ReplicaId) -> Self {
        Self {
            key,
            replica,
            created: AtomicBool::new(false),
            table: Mutex::default(),
        }
    }

    pub(crate) fn recovered(key: GroupKey, replica: ReplicaId, table: LogTable) -> Self {
        Self {
            key,
            replica,
            created: AtomicBool::new(true),
            table: Mutex::new(table),
        }
    }
}

/// Whether a change has to be told to the journal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    New,
    Already,
}

/// One group's log. A cheap handle; all handles see the same log at once.
#[derive(Clone)]
pub struct GroupLog {
    pub(super) journal: Arc<Handle>,
    pub(super) group: Arc<Group>,
}

impl GroupLog {
    pub(crate) fn new(journal: Arc<Handle>, group: Arc<Group>) -> Self {
        Self { journal, group }
    }

    /// The group.
    pub fn key(&self) -> GroupKey {
        self.group.key
    }

    /// The replica that lives here.
    pub fn replica(&self) -> ReplicaId {
        self.group.replica
    }

    /// What the log remembers, as of now: the latest given, which may be ahead of the disk.
    pub fn state(&self) -> LogState {
        let table = self.group.table.lock();
        LogState {
            vote: table.vote,
            committed: table.committed,
            purged: table.purged(),
            last: table.last(),
        }
    }

    /// Adds entries. On return every handle can read them; `done` is called once, after the sync
    /// that made them durable. Waits only while too many bytes are not durable yet. If this fails,
    /// nothing was added and `done` is never called.
    pub async fn append(&self, entries: Vec<LogEntry>, done: AppendDone) -> io::Result<()> {
        if entries.is_empty() {
            done(Ok(()));
            return Ok(());
        }
        let bytes = check(&entries)?;
        let room = self.journal.reserve(bytes).await?;
        self.place(entries, done, room)?;
        self.journal.work.notify_one();
        Ok(())
    }

    fn place(&self, entries: Vec<LogEntry>, done: AppendDone, room: SemaphorePermit<'_>) -> io::Result<()> {
        let mut table = self.group.table.lock();
        let mut last = table.last();
        for entry in &entries {
            LogTable::check_next(last, entry.id).map_err(invalid)?;
            last = Some(entry.id);
        }
        let before = table.tail_bytes();
        {
            let mut intake = self.journal.intake.lock();
            if intake.closing {
                return Err(closed());
            }
            for entry in entries {
                let place = intake.push(self.header(&entry), entry.payload.clone());
                table.push_with_tail(entry, place);
            }
            let bytes = room.num_permits();
            room.forget();
            intake.finish(bytes, Some(done));
        }
        let added = table.tail_bytes() - before;
        let total = self.journal.tail_bytes.fetch_add(added, Ordering::Relaxed) + added;
        if total > self.journal.tail_bytes_max {
            // Even what is not applied yet may go once it is durable: the disk has it.
            let over = total - self.journal.tail_bytes_max;
            let aim = table.tail_bytes().saturating_sub(over);
            self.shrink(&mut table, false, aim);
        }
        Ok(())
    }

    fn header(&self, entry: &LogEntry) -> RecordHeader {
        RecordHeader {
            kind: RecordKind::Entry,
            flags: entry.kind,
            group: self.group.key,
            payload_len: entry.payload.len() as u32,
            payload_crc: entry.payload_crc,
            id: entry.id,
        }
    }

    /// Remembers a vote; durable on return. An older term than remembered is refused.
    pub async fn save_vote(&self, vote: Vote) -> io::Result<()> {
        let room = self.journal.reserve(RECORD_ROOM).await?;
        let id = LogId {
            term: vote.term,
            leader: vote.candidate,
            index: 0,
        };
        let flags = if vote.committed { VOTE_FLAG_COMMITTED } else { 0 };
        let header = RecordHeader::plain(RecordKind::Vote, flags, self.group.key, id);
        let (done, durable) = oneshot::channel();
        // Whoever waited may be gone by then.
        let done: AppendDone = Box::new(move |result| drop(done.send(result)));
        self.record(&header, room, Some(done), |table| {
            if let Some(old) = table.vote.filter(|old| old.term > vote.term) {
                let reason = format!("a vote of term {} after one of term {}", vote.term, old.term);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
            table.vote = Some(vote);
            Ok(Said::New)
        })?;
        if mutant::is(Mutant::VoteNotSynced) {
            return Ok(());
        }
        durable.await.map_err(|_| closed())?
    }

    /// Remembers how far the log is committed. Rides with the next batch and never causes a sync:
    /// losing it costs nothing but a wait after a restart.
    pub fn save_committed(&self, id: LogId) {
        let mut table = self.group.table.lock();
        if table.committed != Some(id) {
            table.committed = Some(id);
            self.journal.intake.lock().note_committed(self.group.key, id);
        }
    }

    /// Cuts everything after `last`, or everything kept. In force at once; in the journal it stands
    /// before any later append.
    pub async fn truncate_after(&self, last: Option<LogId>) -> io::Result<()> {
        let room = self.journal.reserve(RECORD_ROOM).await?;
        let flags = if last.is_none() { TRUNCATE_FLAG_ALL } else { 0 };
        let id = last.unwrap_or_default();
        let header = RecordHeader::plain(RecordKind::TruncateAfter, flags, self.group.key, id);
        self.record(&header, room, None, |table| {
            table.check_truncate(last).map_err(invalid)?;
            let before = table.tail_bytes();
            table.truncate_after(last);
            self.journal
                .tail_bytes
                .fetch_sub(before - table.tail_bytes(), Ordering::Relaxed);
            Ok(Said::New)
        })
    }

    /// Forgets everything up to `upto`, which may lie beyond the last entry. In force at once.
    pub async fn purge(&self, upto: LogId) -> io::Result<()> {
        if self.group.table.lock().is_purged(upto) {
            return Ok(());
        }
        let room = self.journal.reserve(RECORD_ROOM).await?;
        let header = RecordHeader::plain(RecordKind::Purge, 0, self.group.key, upto);
        self.record(&header, room, None, |table| {
            // Somebody else may have purged further meanwhile.
            if table.is_purged(upto) {
                return Ok(Said::Already);
            }
            table.check_purge(upto).map_err(invalid)?;
            let before = table.tail_bytes();
            table.purge(upto);
            self.journal
                .tail_bytes
                .fetch_sub(before - table.tail_bytes(), Ordering::Relaxed);
            Ok(Said::New)
        })
    }

    /// The last entry that stands in segments older than the newest `keep_segments`, as of now: once
    /// everything up to it is purged, this group's log needs none of those. A segment known to be rotten is never among
    /// those kept, nor is what stands before it: a start that finds it puts every group into quarantine.
    pub fn purge_limit(&self, keep_segments: u32) -> Option<LogId> {
        let newest = self.journal.segments.ends()?.newest;
        let old = newest.checked_sub(keep_segments);
        let rotten = Some(self.journal.rotten.load(Ordering::Relaxed));
        let rotten = rotten.filter(|rotten| *rotten > 0 && *rotten < newest);
        let first_kept = old.max(rotten)?.checked_add(1)?;
        self.group.table.lock().last_before(first_kept)
    }

    /// Bytes of full segments from the one on that the entry behind `index` stands in; 0 if there is none: what stays at least
    /// as long as that entry does, whoever else needs it.
    pub fn bytes_behind(&self, index: u64) -> u64 {
        let behind = index.saturating_add(1);
        let Some(place) = self.group.table.lock().place_at(behind) else {
            return 0;
        };
        self.journal.segments.bytes_of(place.segment..u32::MAX)
    }

    /// The segment that the first kept entry stands in: segments before it hold nothing of this log.
    pub fn oldest_segment(&self) -> Option<u32> {
        self.group.table.lock().oldest_segment()
    }

    /// Changes the table and places the record that says so, as one step.
    fn record(
        &self,
        header: &RecordHeader,
        room: SemaphorePermit<'_>,
        done: Option<AppendDone>,
        change: impl FnOnce(&mut LogTable) -> io::Result<Said>,
    ) -> io::Result<()> {
        let mut table = self.group.table.lock();
        let mut intake = self.journal.intake.lock();
        if intake.closing {
            return Err(closed());
        }
        if change(&mut table)? == Said::Already {
            return Ok(());
        }
        intake.push(*header, Bytes::new());
        let bytes = room.num_permits();
        room.forget();
        intake.finish(bytes, done);
        drop(intake);
        self.journal.work.notify_one();
        Ok(())
    }

    /// The id of the entry at an index, if it is kept.
    pub fn log_id_at(&self, index: u64) -> Option<LogId> {
        self.group.table.lock().id_at(index)
    }

    /// Where a value inside an entry's payload stands, as it is; see [`JournalPointer::packed`]. By id: an entry of another
    /// term at the same index is another entry.
    pub fn pointer(&self, id: LogId, value_offset: u32, len: u32, vcrc: u32) -> Option<JournalPointer> {
        let table = self.group.table.lock();
        let place = table
            .place_at(id.index)
            .filter(|_| table.id_at(id.index) == Some(id))?;
        let end = value_offset.checked_add(len)?;
        (end <= place.len).then_some(JournalPointer {
            segment: place.segment,
            offset: place.offset + value_offset,
            stored_len: len,
            len,
            codec: Codec::None,
            vcrc,
        })
    }

    /// Entries up to `applied_index` may leave memory once they are durable; a window of the newest
    /// stays for followers that are close behind.
    pub fn release(&self, applied_index: u64) {
        let mut table = self.group.table.lock();
        table.note_applied(applied_index);
        let groups = self.journal.groups.read().len().max(1);
        let window = TAIL_WINDOW.min(self.journal.tail_bytes_max / (2 * groups));
        if table.tail_bytes() > window {
            self.shrink(&mut table, true, window);
        }
    }

    fn shrink(&self, table: &mut LogTable, applied_only: bool, aim: usize) {
        let freed = table.shrink_tail(
            applied_only,
            |place| self.journal.is_durable(place),
            |bytes| bytes > aim,
        );
        self.journal.tail_bytes.fetch_sub(freed, Ordering::Relaxed);
    }
}

/// Checks entries before they are taken; returns the room they need.
fn check(entries: &[LogEntry]) -> io::Result<usize> {
    let mut bytes = 0;
    for entry in entries {
        if entry.payload.len() > PAYLOAD_LEN_MAX {
            let reason = format!(
                "entry {} has {} bytes, at most {PAYLOAD_LEN_MAX}",
                entry.id,
                entry.payload.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        if crc32fast::hash(&entry.payload) != entry.payload_crc {
            let reason = format!("entry {} does not match its checksum", entry.id);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        bytes += RECORD_HEADER_LEN as usize + entry.payload.len();
    }
    Ok(bytes)
}

fn invalid(error: super::table::LogError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
