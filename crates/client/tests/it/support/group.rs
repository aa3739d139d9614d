//! One group as a correct server keeps it: rows, versions, and what became of each session's writes.

use std::collections::BTreeMap;

use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::{
    MultiGetReply, MultiGetRequest, OpenSessionReply, OpenSessionRequest, Proof, Row, ScanReply, ScanRequest,
    WriteReply, WriteRequest,
};
use bytes::Bytes;

use super::error;

#[derive(Default)]
pub(super) struct Group {
    pub(super) leader: u64,
    /// What followers say about the leader.
    pub(super) hint: bool,
    pub(super) rows: BTreeMap<Bytes, (Bytes, u64)>,
    pub(super) last: u64,
    pub(super) sessions: BTreeMap<(u64, u64), Memory>,
    /// The version up to which forgotten sessions came.
    pub(super) horizon: u64,
    /// Writes really done; repeats are not counted.
    pub(super) applied: u64,
}

#[derive(Default)]
pub(super) struct Memory {
    ack: u64,
    outcomes: BTreeMap<u64, WriteReply>,
}

impl Group {
    pub(super) fn row(&self, key: &Bytes) -> Row {
        let (value, version) = self.rows.get(key).cloned().unwrap_or_default();
        Row {
            key: key.clone(),
            value,
            version,
            found: version != 0,
        }
    }

    pub(super) fn multi_get(&self, get: &MultiGetRequest, page_rows: usize) -> Reply {
        let rows: Vec<_> = get.keys.iter().take(page_rows).map(|key| self.row(key)).collect();
        let unread = (get.keys.len() - rows.len()) as u32;
        Reply::MultiGet(MultiGetReply {
            rows,
            unread,
            proof: None,
        })
    }

    pub(super) fn scan(&self, scan: &ScanRequest, page_rows: usize) -> Reply {
        let limit = page_rows.min(scan.limit as usize);
        let inside = |key: &Bytes| *key >= scan.start && (scan.end.is_empty() || *key < scan.end);
        let mut rows: Vec<Row> = self
            .rows
            .keys()
            .filter(|key| inside(key))
            .map(|key| self.row(key))
            .collect();
        if scan.reverse {
            rows.reverse();
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        if scan.keys_only {
            for row in &mut rows {
                row.value.clear();
            }
        }
        let proof = Proof {
            version: self.last,
            ..Proof::default()
        };
        Reply::Scan(ScanReply {
            rows,
            more,
            proof: Some(proof),
            ..ScanReply::default()
        })
    }

    pub(super) fn open(&mut self, open: &OpenSessionRequest) -> Reply {
        let client = (open.client_high, open.client_low);
        if open.version < self.horizon && !self.sessions.contains_key(&client) {
            return Reply::Error(error(Kind::SessionExpired));
        }
        self.sessions.entry(client).or_default();
        self.last += 1;
        Reply::OpenSession(OpenSessionReply {
            version: self.last,
            proof: None,
        })
    }

    pub(super) fn forget_sessions(&mut self) {
        self.sessions.clear();
        self.horizon = self.last;
    }

    pub(super) fn write(&mut self, write: &WriteRequest) -> Reply {
        let Some(session) = write.session else {
            return Reply::Write(self.apply(write));
        };
        let id = (session.client_high, session.client_low);
        let Some(memory) = self.sessions.get_mut(&id) else {
            return Reply::Error(error(Kind::SessionExpired));
        };
        memory.ack = memory.ack.max(session.ack);
        let ack = memory.ack;
        memory.outcomes.retain(|&seq, _| seq >= ack);
        if session.seq < ack {
            return Reply::Error(error(Kind::Stale));
        }
        if let Some(known) = memory.outcomes.get(&session.seq) {
            return Reply::Write(*known);
        }
        assert!(
            memory.outcomes.len() < atoll_types::limits::SESSION_OPEN_MAX,
            "too many open numbers"
        );
        let outcome = self.apply(write);
        self.sessions
            .get_mut(&id)
            .unwrap()
            .outcomes
            .insert(session.seq, outcome);
        Reply::Write(outcome)
    }

    fn apply(&mut self, write: &WriteRequest) -> WriteReply {
        for (place, guard) in write.guards.iter().enumerate() {
            let version = if guard.end.is_empty() {
                self.row(&guard.key).version
            } else {
                self.rows
                    .range(guard.key.clone()..guard.end.clone())
                    .map(|(_, row)| row.1)
                    .max()
                    .unwrap_or(0)
            };
            let holds = if guard.end.is_empty() {
                version == guard.version
            } else {
                version <= guard.version
            };
            if !holds {
                return WriteReply {
                    applied: false,
                    failed_guard: place as u32,
                    version,
                    ..WriteReply::default()
                };
            }
        }
        self.applied += 1;
        self.last = (self.last + 1).max(write.after + 1);
        for op in &write.ops {
            if op.kind == 0 {
                self.rows.insert(op.key.clone(), (op.value.clone(), self.last));
            } else {
                self.rows.remove(&op.key);
            }
        }
        WriteReply {
            applied: true,
            version: self.last,
            ..WriteReply::default()
        }
    }
}
