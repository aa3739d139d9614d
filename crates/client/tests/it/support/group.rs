//! One group as a correct server keeps it: rows, versions, and what became of each session's writes.

use std::collections::BTreeMap;

use atoll_placement::slot_of;
use atoll_proto::v1::error_detail::Kind as ErrorKind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::write_op::Kind;
use atoll_proto::v1::{
    Misfit, MultiGetReply, MultiGetRequest, OpenSessionReply, OpenSessionRequest, Proof, Row, ScanReply,
    ScanRequest, WriteOp, WriteReply, WriteRequest,
};
use bytes::Bytes;

use super::error;

#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) id: u64,
    /// Entries applied.
    pub(super) index: u64,
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

#[derive(Clone, Default)]
pub(super) struct Memory {
    ack: u64,
    outcomes: BTreeMap<u64, WriteReply>,
}

impl Group {
    /// What a replica on `node` says about its state.
    pub(super) fn proof(&self, node: u64) -> Proof {
        Proof {
            group: self.id,
            generation: 1,
            replica: self.id * 100 + node,
            applied_index: self.index,
            version: self.last,
            ..Proof::default()
        }
    }

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
            proof: Some(self.proof(0)),
        })
    }

    pub(super) fn scan(&self, scan: &ScanRequest, page_rows: usize) -> Reply {
        let limit = match scan.limit {
            0 => page_rows,
            limit => page_rows.min(limit as usize),
        };
        let named = |key: &Bytes| {
            let slot = u32::from(slot_of(key).0);
            scan.slots.chunks(2).any(|run| run[0] <= slot && slot <= run[1])
        };
        let inside = |key: &Bytes| {
            *key >= scan.start
                && (scan.end.is_empty() || *key < scan.end)
                && (scan.slots.is_empty() || named(key))
        };
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
        let mut reply = ScanReply {
            more,
            proof: Some(self.proof(0)),
            ..ScanReply::default()
        };
        if scan.count_only {
            reply.count = rows.len() as u64;
            reply.last_key = rows.pop().map(|row| row.key).unwrap_or_default();
        } else {
            reply.rows = rows;
        }
        Reply::Scan(Box::new(reply))
    }

    pub(super) fn open(&mut self, open: &OpenSessionRequest) -> Reply {
        let client = (open.client_high, open.client_low);
        if open.version < self.horizon && !self.sessions.contains_key(&client) {
            return Reply::Error(error(ErrorKind::SessionExpired));
        }
        self.sessions.entry(client).or_default();
        self.last += 1;
        self.index += 1;
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
            return Reply::Error(error(ErrorKind::SessionExpired));
        };
        memory.ack = memory.ack.max(session.ack);
        let ack = memory.ack;
        memory.outcomes.retain(|&seq, _| seq >= ack);
        if session.seq < ack {
            return Reply::Error(error(ErrorKind::Stale));
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
        let mut number = None;
        let mut changed = BTreeMap::new();
        for (place, op) in write.ops.iter().enumerate().filter(|(_, op)| !is_range(op)) {
            let stored = self.rows.get(&op.key).map(|row| row.0.clone());
            match compute(op, stored.as_ref()) {
                Ok((value, result)) => {
                    changed.insert(op.key.clone(), value);
                    number = number.or(result);
                }
                Err(misfit) => {
                    return WriteReply {
                        misfit: misfit.into(),
                        misfit_op: place as u32,
                        ..WriteReply::default()
                    };
                }
            }
        }
        self.applied += 1;
        self.index += 1;
        self.last = (self.last + 1).max(write.after + 1);
        for (key, value) in changed {
            match value {
                Some(value) => drop(self.rows.insert(key, (value, self.last))),
                None => drop(self.rows.remove(&key)),
            }
        }
        for op in write.ops.iter().filter(|op| is_range(op)) {
            let limit = if op.limit == 0 { 4_096 } else { op.limit };
            let gone: Vec<_> = self
                .rows
                .range(op.key.clone()..op.end.clone())
                .take(limit as usize)
                .map(|(key, _)| key.clone())
                .collect();
            for key in &gone {
                self.rows.remove(key);
            }
            number = i64::try_from(gone.len()).ok();
        }
        WriteReply {
            applied: true,
            version: self.last,
            number,
            ..WriteReply::default()
        }
    }
}

fn is_range(op: &WriteOp) -> bool {
    op.kind() == Kind::DeleteRange
}

/// The value an operation leaves, and the number it gives.
fn compute(op: &WriteOp, stored: Option<&Bytes>) -> Result<(Option<Bytes>, Option<i64>), Misfit> {
    let number = || match stored {
        None => Ok(None),
        Some(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Misfit::NotANumber)?;
            text.parse::<i64>().map(Some).map_err(|_| Misfit::NotANumber)
        }
    };
    let number = match op.kind() {
        Kind::Put => return Ok((Some(op.value.clone()), None)),
        Kind::Delete | Kind::DeleteRange => return Ok((None, None)),
        Kind::Append => {
            let value = [&stored.cloned().unwrap_or_default()[..], &op.value].concat();
            let length = i64::try_from(value.len()).ok();
            return Ok((Some(value.into()), length));
        }
        Kind::Increment => number()?
            .unwrap_or(0)
            .checked_add(op.number)
            .ok_or(Misfit::Overflow)?,
        Kind::Min => number()?.unwrap_or(i64::MAX).min(op.number),
        Kind::Max => number()?.unwrap_or(i64::MIN).max(op.number),
    };
    Ok((Some(number.to_string().into()), Some(number)))
}
