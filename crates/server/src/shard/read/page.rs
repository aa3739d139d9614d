//! One page of a scan, put together a few rows at a time.
//!
//! A page is bounded by rows and bytes, or by rows looked at if it only counts; it says whether more rows
//! follow. Whoever makes it takes steps and may let others in between two of them: the view stays pinned,
//! so the page is of one state however long it takes. Keys and short values of a page share one buffer.

use atoll_placement::slot_of;
use atoll_state::{Ask, PinnedView};
use atoll_storage::{ReadAhead, ValueRef, View, Walked};
use atoll_types::limits::{COUNT_PAGE_ROWS_MAX, SCAN_PAGE_BYTES};
use atoll_types::{Mutant, Version, mutant};
use bytes::{Bytes, BytesMut};

use super::{ScanOp, ScanWhat, SlotSet};
use crate::shard::fetch::{Fetch, Miss};
use crate::shard::reply::{Proof, Reply, Row};
use crate::shard::rows_view::RowsView;

/// Rows that one hold of the index's lock gives.
const CHUNK_ROWS: usize = 256;
/// Chunks of a step that reads no values: still well below a millisecond.
const CHUNKS_WITHOUT_VALUES: usize = 16;

/// Longer values are handed on as they were read, without being copied into the page's buffer.
const PACKED_BYTES_MAX: usize = 4 * 1024;

/// What a step came to.
pub(crate) enum Step {
    /// Another one is needed.
    Again,
    /// The page is whole.
    Done,
}

/// A page in the making.
pub(crate) struct ScanPage {
    /// What is left of the range.
    from: Vec<u8>,
    to: Vec<u8>,
    found: Vec<Found>,
    /// Keys and short values.
    packed: BytesMut,
    ahead: ReadAhead,
    /// Rows that belong to the page.
    count: usize,
    /// Bytes of their keys and values.
    bytes: usize,
    looked_at: usize,
    /// Of a page that only counts, the key that filled it.
    full_at: Vec<u8>,
    more: bool,
    done: bool,
}

/// A row of the page.
struct Found {
    /// Where the key stands in the buffer.
    key: (usize, usize),
    version: Version,
    value: Value,
}

enum Value {
    None,
    Packed(usize, usize),
    Own(Bytes),
}

impl ScanPage {
    /// The page of `scan`, with nothing in it yet.
    pub(crate) fn new(scan: &ScanOp) -> Self {
        Self {
            from: scan.start.to_vec(),
            to: scan.end.to_vec(),
            found: Vec::new(),
            packed: BytesMut::new(),
            ahead: ReadAhead::default(),
            count: 0,
            bytes: 0,
            looked_at: 0,
            full_at: Vec::new(),
            more: false,
            done: false,
        }
    }

    /// Goes on for a few rows: those of one chunk if their values are read, else of several.
    pub(crate) fn step(&mut self, scan: &ScanOp, fetch: &Fetch<'_>) -> Result<Step, Miss> {
        let chunks = if scan.what == ScanWhat::Rows || !fetch.may_block {
            1
        } else {
            CHUNKS_WITHOUT_VALUES
        };
        for _ in 0..chunks {
            match scan.what {
                ScanWhat::Rows => match &fetch.snapshot.view {
                    RowsView::Index(view) => self.rows(scan, fetch, view)?,
                    RowsView::Other(view) => self.rows_of_other(scan, fetch, &**view)?,
                },
                ScanWhat::Keys | ScanWhat::Count => self.keys(scan, fetch)?,
            }
            if self.done {
                return Ok(Step::Done);
            }
        }
        Ok(Step::Again)
    }

    /// Ends the page with what it has. False, and nothing is changed, if whoever asked could not go on behind that.
    pub(crate) fn end_early(&mut self, scan: &ScanOp) -> bool {
        let passed = match scan.what {
            ScanWhat::Count => self.looked_at > 0,
            ScanWhat::Rows | ScanWhat::Keys => !self.found.is_empty(),
        };
        if passed {
            (self.more, self.done) = (true, true);
        }
        passed
    }

    /// The slots to look for, if the group owns others too.
    fn filter<'s>(scan: &'s ScanOp, fetch: &Fetch<'_>) -> Option<&'s SlotSet> {
        let slots = scan.slots.as_deref()?;
        (slots.len() != fetch.snapshot.ownership.owned()).then_some(slots)
    }

    fn is_full(&self, scan: &ScanOp) -> bool {
        self.count >= scan.limit || self.bytes >= SCAN_PAGE_BYTES
    }

    /// Rows that the next chunk may add.
    fn room(&self, scan: &ScanOp) -> usize {
        scan.limit.saturating_sub(self.count).min(CHUNK_ROWS)
    }

    fn rows(&mut self, scan: &ScanOp, fetch: &Fetch<'_>, view: &View) -> Result<(), Miss> {
        let filter = Self::filter(scan, fetch);
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        let mut values: Vec<ValueRef> = Vec::with_capacity(self.room(scan));
        let walked = view.walk(
            (&from, &to),
            scan.reverse,
            fetch.may_block,
            |key, version, value| {
                if self.takes(scan, filter, key, value.len()) {
                    self.push(key, version, Value::None);
                    values.push(value);
                }
                !self.more
            },
        )?;
        let fresh = self.found.len() - values.len();
        let mut key = Vec::new();
        for (found, value) in self.found.iter_mut().skip(fresh).zip(&values) {
            let (start, end) = found.key;
            key.clear();
            key.extend_from_slice(self.packed.get(start..end).unwrap_or_default());
            if value.len() > PACKED_BYTES_MAX {
                found.value = Value::Own(fetch.value_of(view, &key, found.version, value)?);
                continue;
            }
            let start = self.packed.len();
            let row = (&key[..], found.version, value);
            fetch.append_value(view, row, &mut self.ahead, &mut self.packed)?;
            found.value = Value::Packed(start, self.packed.len());
        }
        self.advance(scan, walked, from, to);
        Ok(())
    }

    /// The same from a backend that gives pages of whole rows.
    fn rows_of_other(&mut self, scan: &ScanOp, fetch: &Fetch<'_>, view: &dyn PinnedView) -> Result<(), Miss> {
        let filter = Self::filter(scan, fetch);
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        let page = view.page(&Ask {
            start: &from,
            end: &to,
            reverse: scan.reverse,
            // One too many says that there are more.
            rows: self.room(scan) + 1,
            values: true,
            wait: fetch.may_block,
        })?;
        let mut walked = Walked {
            looked_at: page.rows.len(),
            last: None,
            complete: page.passed.is_none(),
        };
        for row in page.rows {
            if self.takes(scan, filter, row.key.as_bytes(), row.value.len()) {
                self.push(row.key.as_bytes(), row.version, Value::Own(row.value));
            }
            walked.last = Some(row.key);
        }
        walked.last = page.passed.or(walked.last);
        self.advance(scan, walked, from, to);
        Ok(())
    }

    fn keys(&mut self, scan: &ScanOp, fetch: &Fetch<'_>) -> Result<(), Miss> {
        let filter = Self::filter(scan, fetch);
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        let view = &fetch.snapshot.view;
        let walked = view.walk_keys((&from, &to), scan.reverse, fetch.may_block, |key, version| {
            if self.takes(scan, filter, key, 0) && scan.what == ScanWhat::Keys {
                self.push(key, version, Value::None);
            }
            !self.more
        })?;
        self.advance(scan, walked, from, to);
        Ok(())
    }

    /// True if the row belongs to the page; it is counted then. A row too many says that there are more.
    fn takes(&mut self, scan: &ScanOp, filter: Option<&SlotSet>, key: &[u8], value: usize) -> bool {
        if self.more || filter.is_some_and(|slots| !slots.contains(slot_of(key))) {
            return false;
        }
        if self.is_full(scan) {
            self.more = true;
            return false;
        }
        self.count += 1;
        if scan.what != ScanWhat::Count {
            self.bytes += key.len() + value;
        } else if self.is_full(scan) {
            self.full_at = key.to_vec();
        }
        true
    }

    fn push(&mut self, key: &[u8], version: Version, value: Value) {
        let start = self.packed.len();
        self.packed.extend_from_slice(key);
        self.found.push(Found {
            key: (start, self.packed.len()),
            version,
            value,
        });
    }

    /// Moves the range on past what was looked at.
    fn advance(&mut self, scan: &ScanOp, walked: Walked, from: Vec<u8>, to: Vec<u8>) {
        (self.from, self.to) = (from, to);
        self.looked_at += walked.looked_at;
        self.done = self.more || walked.complete;
        // The row that told of more is not part of what was passed.
        if let Some(last) = walked.last.filter(|_| !self.more) {
            if scan.reverse {
                self.to = last.as_bytes().to_vec();
            } else {
                self.from = just_after(last.as_bytes());
            }
        }
        if scan.what == ScanWhat::Count && !self.done && self.looked_at >= COUNT_PAGE_ROWS_MAX {
            (self.more, self.done) = (true, true);
        }
    }

    /// The reply that the page is.
    pub(crate) fn into_reply(self, scan: &ScanOp, proof: Proof) -> Reply {
        if scan.what == ScanWhat::Count {
            return Reply::Counted {
                count: self.count as u64,
                last_key: self.last_key(scan),
                more: self.more,
                proof,
            };
        }
        let lost = usize::from(mutant::is(Mutant::ScanRowLost) && self.found.len() > 2);
        let packed = self.packed.freeze();
        let row = |found: Found| {
            let value = match found.value {
                Value::None => Bytes::new(),
                Value::Packed(start, end) => packed.slice(start..end),
                Value::Own(value) => value,
            };
            Row {
                key: packed.slice(found.key.0..found.key.1),
                found: Some((found.version, value)),
            }
        };
        Reply::Page {
            rows: self.found.into_iter().skip(lost).map(row).collect(),
            more: self.more,
            proof,
        }
    }

    /// The last key passed: the one that filled the page, else where the range now begins or ends.
    fn last_key(&self, scan: &ScanOp) -> Bytes {
        if self.looked_at == 0 || !self.full_at.is_empty() {
            return Bytes::copy_from_slice(&self.full_at);
        }
        if scan.reverse {
            return Bytes::copy_from_slice(&self.to);
        }
        let last = self.from.split_last().map_or(&[][..], |(_, last)| last);
        Bytes::copy_from_slice(last)
    }
}

/// The lowest key above `key`.
fn just_after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}
