//! One read against one snapshot.

use atoll_env::Instant;
use atoll_storage::{Journal, JournalPointer, ReadValue, ValueRef, View};
use atoll_types::limits::{SCAN_PAGE_BYTES, SCAN_PAGE_ROWS_MAX};
use atoll_types::{Epoch, Key, SlotId, Version};
use bytes::{Bytes, BytesMut};

use super::read::{ReadItem, ReadOp};
use super::reply::{Failure, Proof, Reply, Row};
use super::state::{ShardState, Snapshot};

/// Rows taken from the index at a time, which is also what one hold of its lock gives.
const CHUNK_ROWS: usize = 256;

/// Why there is no reply yet.
#[derive(Debug)]
pub(crate) enum Miss {
    /// A value is on a disk and this thread must not wait for it.
    Cold,
    /// A value does not match its checksum.
    Corrupt(String),
    /// There will be none.
    Failed(Failure),
}

impl Miss {
    /// The failure it becomes when nothing more can be tried.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Cold => Failure::Internal("a blocking read did not read".into()),
            Self::Corrupt(what) => Failure::Corrupt(what),
            Self::Failed(failure) => failure,
        }
    }
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How and from what to read.
pub(crate) struct Fetch<'a> {
    pub(crate) state: &'a ShardState,
    pub(crate) journal: &'a Journal,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) age_ms: u64,
    pub(crate) may_block: bool,
}

impl Fetch<'_> {
    /// The epoch in which the snapshot's state owns all that is read, unless the deadline has passed.
    pub(crate) fn admit(&self, item: &ReadItem, now: Instant) -> Result<Epoch, Failure> {
        if item.deadline <= now {
            return Err(Failure::Deadline);
        }
        let wanted = item.slot_epoch;
        match &item.op {
            ReadOp::Get { slot, .. } => self.owns(*slot, wanted),
            ReadOp::MultiGet { keys } => {
                // All or nothing: a caller whose map is old must hear of it whatever the byte bound cuts off.
                let mut newest = Epoch(0);
                for (_, slot) in keys {
                    newest = newest.max(self.owns(*slot, wanted)?);
                }
                Ok(newest)
            }
            ReadOp::Scan { .. } => self.owns_anything(wanted),
        }
    }

    /// Reads, if it is admitted.
    pub(crate) fn run(&self, item: &ReadItem, now: Instant) -> Result<Reply, Miss> {
        let epoch = self.admit(item, now)?;
        match &item.op {
            ReadOp::Get { key, .. } => self.get(key, epoch),
            ReadOp::MultiGet { keys } => self.multi_get(keys, epoch),
            ReadOp::Scan {
                start,
                end,
                limit,
                reverse,
                keys_only,
            } => {
                let mut page = Page {
                    rows: Vec::new(),
                    bytes: 0,
                    limit: *limit,
                    keys_only: *keys_only,
                };
                let more = self.scan(start, end, *reverse, &mut page)?;
                Ok(Reply::Page {
                    rows: page.rows,
                    more,
                    proof: self.proof(epoch),
                })
            }
        }
    }

    fn get(&self, key: &Bytes, epoch: Epoch) -> Result<Reply, Miss> {
        let found = match self.view().get(key) {
            Some((version, value)) => Some((version, self.value(key, &value)?)),
            None => None,
        };
        Ok(Reply::Value {
            found,
            proof: self.proof(epoch),
        })
    }

    fn multi_get(&self, keys: &[(Bytes, SlotId)], epoch: Epoch) -> Result<Reply, Miss> {
        let mut rows = Vec::with_capacity(keys.len().min(CHUNK_ROWS));
        let mut bytes = 0;
        for (key, _) in keys {
            if bytes >= SCAN_PAGE_BYTES {
                break;
            }
            let found = match self.view().get(key) {
                Some((version, value)) => Some((version, self.value(key, &value)?)),
                None => None,
            };
            bytes += key.len() + found.as_ref().map_or(0, |(_, value)| value.len());
            rows.push(Row {
                key: key.clone(),
                found,
            });
        }
        let unread = (keys.len() - rows.len()) as u32;
        Ok(Reply::Values {
            rows,
            unread,
            proof: self.proof(epoch),
        })
    }

    /// Fills the page; true if more rows follow.
    fn scan(&self, start: &Bytes, end: &Bytes, reverse: bool, page: &mut Page) -> Result<bool, Miss> {
        let (mut from, mut to) = (start.clone(), end.clone());
        loop {
            if !to.is_empty() && from >= to {
                return Ok(false);
            }
            // One row more than fits tells whether there is more.
            let wanted = (page.room() + 1).min(CHUNK_ROWS);
            let chunk = self.view().scan(&from, &to, reverse, wanted);
            let complete = chunk.len() < wanted;
            if !self.take_rows(chunk, page)? {
                return Ok(true);
            }
            let Some(last) = page.rows.last().filter(|_| !complete) else {
                return Ok(false);
            };
            if reverse {
                to = last.key.clone();
            } else {
                from = just_after(&last.key);
            }
        }
    }

    /// False if the page had no room for all of them.
    fn take_rows(&self, rows: Vec<(Key, Version, ValueRef)>, page: &mut Page) -> Result<bool, Miss> {
        for (key, version, value) in rows {
            if page.is_full() {
                return Ok(false);
            }
            let key = key.as_bytes();
            let value = if page.keys_only {
                Bytes::new()
            } else {
                self.value(key, &value)?
            };
            page.bytes += key.len() + value.len();
            page.rows.push(Row {
                key: Bytes::copy_from_slice(key),
                found: Some((version, value)),
            });
        }
        Ok(true)
    }

    fn value(&self, key: &[u8], value: &ValueRef) -> Result<Bytes, Miss> {
        let corrupt = |error: &dyn std::fmt::Display| {
            Miss::Corrupt(format!(
                "the value of key \"{}\" cannot be read: {error}",
                key.escape_ascii()
            ))
        };
        let read = |pointer: &JournalPointer| {
            if self.may_block {
                let value = self.journal.read_value_blocking(pointer, key);
                return value.map(ReadValue::Ready);
            }
            self.journal.read_value(pointer, key)
        };
        let tried = match value {
            ValueRef::Journal(pointer) => read(pointer),
            ValueRef::Joined(joined) => joined.read(key, read),
            ValueRef::Inline(_) => {
                let checked = value
                    .inline_checked(key)
                    .expect("the value was just seen to stand inline");
                return checked.map_err(|error| corrupt(&error));
            }
        };
        match tried {
            Ok(ReadValue::Ready(value)) => Ok(value),
            Ok(ReadValue::WouldBlock) => Err(Miss::Cold),
            Err(error) => Err(corrupt(&error)),
        }
    }

    /// The epoch in which the snapshot's state owns the slot, at least the one asked for.
    fn owns(&self, slot: SlotId, wanted: Epoch) -> Result<Epoch, Failure> {
        self.state.check_owner(&self.snapshot.ownership, slot, wanted)
    }

    /// For a scan, which names no slot: a group without slots has no rows to be silent about.
    fn owns_anything(&self, wanted: Epoch) -> Result<Epoch, Failure> {
        let ownership = &self.snapshot.ownership;
        self.state.check_genesis(ownership)?;
        let (group, epoch) = (self.state.key, ownership.newest());
        if epoch < wanted {
            Err(Failure::NotOwner {
                group,
                slot: SlotId(0),
                epoch,
            })
        } else {
            Ok(epoch)
        }
    }

    fn view(&self) -> &View {
        &self.snapshot.view
    }

    fn proof(&self, epoch: Epoch) -> Proof {
        Proof {
            age_ms: self.age_ms,
            ..self
                .state
                .proof(self.view().applied_index(), self.view().version(), epoch)
        }
    }
}

struct Page {
    rows: Vec<Row>,
    bytes: usize,
    limit: usize,
    keys_only: bool,
}

impl Page {
    fn room(&self) -> usize {
        self.limit.min(SCAN_PAGE_ROWS_MAX).saturating_sub(self.rows.len())
    }

    fn is_full(&self) -> bool {
        self.room() == 0 || self.bytes >= SCAN_PAGE_BYTES
    }
}

/// The lowest key above `key`.
fn just_after(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.extend_from_slice(&[0]);
    next.freeze()
}
