//! The read side.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use atoll_state::{Ask, PAGE_BYTES, Page, PinnedView, Reader, Row};
use atoll_storage::Missed;
use atoll_types::{Key, Version};
use bytes::Bytes;
use parking_lot::RwLock;

use crate::SledError;
use crate::generation::Generation;
use crate::row::StoredRow;

/// The rows of now: of which generation, changes when a snapshot is ingested.
pub(crate) type Current = Arc<RwLock<Arc<Generation>>>;

/// Gives out views.
pub(crate) struct SledReader(pub(crate) Current);

impl Reader for SledReader {
    fn view(&self) -> Box<dyn PinnedView> {
        let generation = self.0.read().clone();
        let (version, applied_index) = generation.pin();
        Box::new(SledView {
            generation,
            version,
            applied_index,
        })
    }
}

struct SledView {
    generation: Arc<Generation>,
    version: Version,
    applied_index: u64,
}

impl Drop for SledView {
    fn drop(&mut self) {
        self.generation.unpin(self.applied_index);
    }
}

impl SledView {
    fn row(&self, key: &[u8]) -> Result<Option<StoredRow>, SledError> {
        let now = self.generation.table.get(key)?;
        // In this order: `older` says why.
        let older = self.generation.older.read();
        match older.of(key, self.applied_index) {
            Some(before) => Ok(before.clone()),
            None => Ok(now),
        }
    }

    /// The first rows that sled has now, corrected to what stood there when the view was made. The key is the last one looked
    /// at, if there may be more.
    fn some_rows(&self, ask: &Ask<'_>) -> Result<(BTreeMap<Key, StoredRow>, Option<Key>), SledError> {
        let (mut rows, mut bytes, mut passed) = (BTreeMap::new(), 0, None);
        let range = (ask.start, ask.end);
        self.generation.table.each(range, ask.reverse, |key, row| {
            bytes += key.as_bytes().len() + row.value.len();
            rows.insert(key.clone(), row);
            let enough = rows.len() >= ask.most() || bytes >= PAGE_BYTES;
            passed = enough.then_some(key);
            !enough
        })?;
        let older = self.generation.older.read();
        if let Some(bounds) = looked_at(ask, passed.as_ref()) {
            for (key, before) in older.range(bounds, self.applied_index) {
                let key = Key::from_unchecked(key);
                match before {
                    Some(row) => rows.insert(key, row.clone()),
                    None => rows.remove(&key),
                };
            }
        }
        Ok((rows, passed))
    }
}

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The part of a range up to the key that was passed, that key included; `None` if it is empty: a map panics on one that is turned around.
fn looked_at<'a>(ask: &Ask<'a>, passed: Option<&'a Key>) -> Option<Bounds<'a>> {
    let start = Bound::Included(ask.start);
    let end = match ask.end {
        [] => Bound::Unbounded,
        end if end <= ask.start => return None,
        end => Bound::Excluded(end),
    };
    Some(match passed.map(Key::as_bytes) {
        Some(passed) if ask.reverse => (Bound::Included(passed), end),
        Some(passed) => (start, Bound::Included(passed)),
        None => (start, end),
    })
}

/// As many of the rows as a page may have, in its order.
fn page_of(ask: &Ask<'_>, rows: impl Iterator<Item = (Key, StoredRow)>, mut passed: Option<Key>) -> Page {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    let mut rows = rows.peekable();
    while let Some((key, row)) = rows.next() {
        bytes += key.as_bytes().len() + row.value.len();
        let full = kept.len() + 1 >= ask.most() || bytes >= PAGE_BYTES;
        let is_cut = full && rows.peek().is_some();
        if is_cut {
            passed = Some(key.clone());
        }
        kept.push(Row {
            key,
            version: row.version,
            value: if ask.values { row.value } else { Bytes::new() },
        });
        if is_cut {
            break;
        }
    }
    Page { rows: kept, passed }
}

impl PinnedView for SledView {
    fn applied_index(&self) -> u64 {
        self.applied_index
    }

    fn version(&self) -> Version {
        self.version
    }

    fn get(&self, key: &[u8], wait: bool) -> Result<Option<(Version, Bytes)>, Missed> {
        // sled does not say whether it would read a file.
        if !wait {
            return Err(Missed::WouldBlock);
        }
        let row = self.row(key).map_err(SledError::missed)?;
        Ok(row.map(|row| (row.version, row.value)))
    }

    fn page(&self, ask: &Ask<'_>) -> Result<Page, Missed> {
        if !ask.wait {
            return Err(Missed::WouldBlock);
        }
        let (rows, passed) = self.some_rows(ask).map_err(SledError::missed)?;
        Ok(if ask.reverse {
            page_of(ask, rows.into_iter().rev(), passed)
        } else {
            page_of(ask, rows.into_iter(), passed)
        })
    }
}
