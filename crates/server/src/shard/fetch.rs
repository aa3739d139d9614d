//! One read against one snapshot.

use atoll_env::Instant;
use atoll_storage::{Found, Journal, Missed, ReadAhead, ReadError, ReadValue, ValueRef, View};
use atoll_types::limits::SCAN_PAGE_BYTES;
use atoll_types::{Epoch, SlotId, Version};
use bytes::{Bytes, BytesMut};

use super::read::{ReadItem, ReadOp, ScanOp, ScanPage, SlotSet, Step};
use super::reply::{Failure, Proof, Reply, Row};
use super::rows_view::RowsView;
use super::state::{ShardState, Snapshot};

/// Steps that a page may take on the task that others wait behind.
const STEPS_AT_ONCE: usize = 2;

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

impl From<Missed> for Miss {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::WouldBlock => Self::Cold,
            Missed::Failed(error) => {
                Self::Corrupt(format!("the rows of this replica cannot be read: {error}"))
            }
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
            ReadOp::Scan(scan) => match &scan.slots {
                Some(slots) => self.owns_all(slots, wanted),
                None => self.owns_anything(wanted),
            },
        }
    }

    /// Reads, if it is admitted.
    pub(crate) fn run(&self, item: &ReadItem, now: Instant) -> Result<Reply, Miss> {
        let epoch = self.admit(item, now)?;
        self.read(&item.op, epoch)
    }

    /// Reads what was admitted in this epoch.
    pub(crate) fn read(&self, op: &ReadOp, epoch: Epoch) -> Result<Reply, Miss> {
        match op {
            ReadOp::Get { key, .. } => self.get(key, epoch),
            ReadOp::MultiGet { keys } => self.multi_get(keys, epoch),
            ReadOp::Scan(scan) => self.short_page(scan, epoch),
        }
    }

    /// A whole page at once.
    fn short_page(&self, scan: &ScanOp, epoch: Epoch) -> Result<Reply, Miss> {
        let mut page = ScanPage::new(scan);
        let steps = if self.may_block { usize::MAX } else { STEPS_AT_ONCE };
        for _ in 0..steps {
            if let Step::Done = page.step(scan, self)? {
                return Ok(page.into_reply(scan, self.proof(epoch)));
            }
        }
        // It looks at more rows than it has.
        Err(Miss::Cold)
    }

    fn get(&self, key: &Bytes, epoch: Epoch) -> Result<Reply, Miss> {
        let found = self.row(key)?;
        Ok(Reply::Value {
            found,
            proof: self.proof(epoch),
        })
    }

    fn multi_get(&self, keys: &[(Bytes, SlotId)], epoch: Epoch) -> Result<Reply, Miss> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for (key, _) in keys {
            if bytes >= SCAN_PAGE_BYTES {
                break;
            }
            let found = self.row(key)?;
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

    fn row(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, Miss> {
        let view = match self.view() {
            RowsView::Index(view) => view,
            RowsView::Other(view) => return Ok(view.get(key, self.may_block)?),
        };
        let row = match view.find(key, self.may_block)? {
            Some(Found::Row(row)) => row,
            Some(Found::Bytes(version, bytes)) => return Ok(Some((version, bytes))),
            None => return Ok(None),
        };
        let bytes = self.value(view, key, &row.value)?;
        view.keep(key, &row, &bytes);
        Ok(Some((row.version, bytes)))
    }

    /// A value's bytes, checked, also from the cache of rows; a scan leaves nothing there.
    pub(crate) fn value_of(
        &self,
        view: &View,
        key: &[u8],
        version: Version,
        value: &ValueRef,
    ) -> Result<Bytes, Miss> {
        match view.cached_value(key, version) {
            Some(bytes) => Ok(bytes),
            None => self.value(view, key, value),
        }
    }

    /// The same of a row of a walk in order, appended to `out`.
    pub(crate) fn append_value(
        &self,
        view: &View,
        row: (&[u8], Version, &ValueRef),
        ahead: &mut ReadAhead,
        out: &mut BytesMut,
    ) -> Result<(), Miss> {
        match view.append_value(self.journal, row, self.may_block, ahead, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Miss::Cold),
            Err(error) => Err(corrupt(row.0, &error)),
        }
    }

    /// A value's bytes, checked.
    fn value(&self, view: &View, key: &[u8], value: &ValueRef) -> Result<Bytes, Miss> {
        match view.read_value(self.journal, key, value, self.may_block) {
            Ok(ReadValue::Ready(value)) => Ok(value),
            Ok(ReadValue::WouldBlock) => Err(Miss::Cold),
            Err(error) => Err(corrupt(key, &error)),
        }
    }

    /// The epoch in which the snapshot's state owns the slot, at least the one asked for.
    fn owns(&self, slot: SlotId, wanted: Epoch) -> Result<Epoch, Failure> {
        self.state.check_owner(&self.snapshot.ownership, slot, wanted)
    }

    fn owns_all(&self, slots: &SlotSet, wanted: Epoch) -> Result<Epoch, Failure> {
        let mut newest = Epoch(0);
        for slot in slots.iter() {
            newest = newest.max(self.owns(slot, wanted)?);
        }
        Ok(newest)
    }

    /// For a scan that names no slot: a group without slots has no rows to be silent about.
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

    fn view(&self) -> &RowsView {
        &self.snapshot.view
    }

    /// The proof of a reply from here.
    pub(crate) fn proof(&self, epoch: Epoch) -> Proof {
        Proof {
            age_ms: self.age_ms,
            ..self
                .state
                .proof(self.view().applied_index(), self.view().version(), epoch)
        }
    }
}

/// What it means that a value does not read.
fn corrupt(key: &[u8], error: &ReadError) -> Miss {
    Miss::Corrupt(format!(
        "the value of key \"{}\" cannot be read: {error}",
        key.escape_ascii()
    ))
}
