//! openraft's log storage on the shared journal.
//!
//! The order that openraft demands (votes, appends and truncations of a group never overtake each
//! other on disk) is the order of the journal's queue. `append` returns once the entries can be read;
//! the callback fires after their fsync.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use atoll_env::trouble;
use atoll_storage::{GroupLog, LogEntry};
use atoll_types::{LogId, Mutant, limits, mutant};
use bytes::Bytes;
use futures_util::{Stream, stream};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};

use crate::facts;
use crate::types::{
    EntryData, RaftEntry, RaftLogId, RaftVote, TypeConfig, log_id_in, log_id_out, vote_in, vote_out,
};
use crate::wire;

/// One group's log, for openraft; also its reader.
#[derive(Clone)]
pub(crate) struct LogStore(GroupLog);

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

impl LogStore {
    pub(crate) fn new(log: GroupLog) -> Self {
        Self(log)
    }

    async fn read_all(&self, mut from: u64, to: u64) -> io::Result<Vec<RaftEntry>> {
        let mut entries = Vec::new();
        while from < to {
            let chunk = self.0.read(from, to, limits::APPEND_BYTES).await?;
            // A log may begin after `from`: what counts is what came back.
            let Some(last) = chunk.last() else { break };
            from = last.id.index + 1;
            for entry in chunk {
                entries.push(entry_out(entry)?);
            }
        }
        Ok(entries)
    }

    /// `[from, to)` clipped to what the log holds.
    fn clip<RB: RangeBounds<u64>>(&self, range: &RB) -> (u64, u64) {
        let state = self.0.state();
        let first = state.purged.map_or(0, |id| id.index + 1);
        let end = state.last.map_or(0, |id| id.index + 1);
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        (from.max(first), to.min(end))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let state = self.0.state();
        Ok(LogState {
            last_purged_log_id: state.purged.map(log_id_out),
            last_log_id: state.last.map(log_id_out),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Result<(), io::Error> {
        trouble::pause("raft: before a vote is saved").await;
        self.0.save_vote(vote_in(vote)).await?;
        facts::voted(&self.0, vote_in(vote));
        trouble::pause("raft: a vote is durable, nobody knows").await;
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        let mut mark = committed.as_ref().map(log_id_in);
        if mutant::is(Mutant::CommitMarkTooHigh) {
            mark = self.0.state().last.or(mark);
        }
        if let Some(id) = mark {
            self.0.save_committed(id);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        let committed = self.0.state().committed;
        Ok(committed
            .filter(|_| !mutant::is(Mutant::ServeBeforeReplay))
            .map(log_id_out))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().map(entry_in).collect();
        trouble::pause("raft: before an append").await;
        facts::appended(&self.0, &entries);
        let last = entries.last().map(|entry| entry.id);
        let told = last.filter(|_| trouble::ON).map(|last| (self.0.clone(), last));
        let done = move |result: io::Result<()>| {
            if let Some((log, last)) = told.filter(|_| result.is_ok()) {
                facts::durable(&log, last);
            }
            callback.io_completed(result);
        };
        self.0.append(entries, Box::new(done)).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<RaftLogId>) -> Result<(), io::Error> {
        let keep = last_log_id.as_ref().map(log_id_in);
        let end = self.0.state().last.map(|last| last.index);
        // Keeping more than there is changes nothing.
        let nothing = keep.is_some_and(|keep| end.is_none_or(|end| keep.index > end));
        if nothing || mutant::is(Mutant::ConflictKept) {
            return Ok(());
        }
        facts::truncated(&self.0, keep);
        self.0.truncate_after(keep).await
    }

    async fn purge(&mut self, log_id: RaftLogId) -> Result<(), io::Error> {
        let upto = log_id_in(&log_id);
        let end = self.0.state().last.map_or(0, |last| last.index + 1);
        if mutant::is(Mutant::InstallKeepsOldLog) && upto.index >= end {
            return Ok(());
        }
        self.0.purge(upto).await?;
        facts::purged(&self.0, upto);
        trouble::pause("raft: a log is purged, not durably").await;
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<RaftEntry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = self.clip(&range);
        self.read_all(from, to).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<RaftEntry>, io::Error> {
        let (from, to) = self.clip(&(start..end));
        // What stands behind a gap must not be sent as if it followed.
        if from != start || from >= to {
            return Ok(Vec::new());
        }
        let chunk = self.0.read(from, to, limits::APPEND_BYTES).await?;
        chunk.into_iter().map(entry_out).collect()
    }

    /// The apply path: a chunk at a time, because a lagging replica may have gigabytes to apply.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<RaftEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = self.clip(&range);
        let start = Chunks {
            log: self.clone(),
            next: from,
            to,
            ready: VecDeque::new(),
        };
        Box::pin(stream::try_unfold(start, |mut chunks| async move {
            let entry = chunks.next().await?;
            Ok(entry.map(|entry| (entry, chunks)))
        }))
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        Ok(self.0.state().vote.map(vote_out))
    }
}

struct Chunks {
    log: LogStore,
    next: u64,
    to: u64,
    ready: VecDeque<LogEntry>,
}

impl Chunks {
    async fn next(&mut self) -> io::Result<Option<RaftEntry>> {
        if self.ready.is_empty() && self.next < self.to {
            self.ready = self
                .log
                .0
                .read(self.next, self.to, limits::APPEND_BYTES)
                .await?
                .into();
            self.next = self.ready.back().map_or(self.to, |last| last.id.index + 1);
        }
        self.ready.pop_front().map(entry_out).transpose()
    }
}

/// openraft's entry as the journal keeps it.
pub(crate) fn entry_in(entry: RaftEntry) -> LogEntry {
    let id: LogId = log_id_in(&entry.log_id);
    match entry.payload {
        EntryPayload::Blank => LogEntry {
            id,
            kind: BLANK,
            payload: Bytes::new(),
            payload_crc: 0,
        },
        EntryPayload::Normal(data) => LogEntry {
            id,
            kind: NORMAL,
            payload: data.payload,
            payload_crc: data.crc,
        },
        EntryPayload::Membership(membership) => {
            let payload = wire::encode_membership(&membership);
            let payload_crc = crc32fast::hash(&payload);
            LogEntry {
                id,
                kind: MEMBERSHIP,
                payload,
                payload_crc,
            }
        }
    }
}

/// The journal's entry as openraft wants it.
pub(crate) fn entry_out(entry: LogEntry) -> io::Result<RaftEntry> {
    let payload = match entry.kind {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(EntryData {
            payload: entry.payload,
            crc: entry.payload_crc,
        }),
        MEMBERSHIP => EntryPayload::Membership(
            wire::decode_membership(&entry.payload)
                .ok_or_else(|| io::Error::other(format!("membership entry {} cannot be read", entry.id)))?,
        ),
        kind => {
            return Err(io::Error::other(format!(
                "entry {} has unknown kind {kind}",
                entry.id
            )));
        }
    };
    Ok(RaftEntry {
        log_id: log_id_out(entry.id),
        payload,
    })
}
