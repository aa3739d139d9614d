//! A reader's fixed point of view.

use std::ops::Bound;
use std::sync::Arc;

use atoll_types::{Key, Version};

use super::value::ValueRef;
use super::{PAGE_ROWS, Shared};

/// Sees the index as it was when the view was taken, whatever is applied since. While it lives,
/// replaced versions it may see stay in memory: keep it for one request, not longer.
pub struct View {
    shared: Arc<Shared>,
    version: Version,
    applied_index: u64,
}

impl View {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut published = shared.published.lock();
        published.pin();
        let (version, applied_index) = (published.version, published.applied_index);
        drop(published);
        Self {
            shared,
            version,
            applied_index,
        }
    }

    /// Index of the last entry this view sees.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The group's last version at this point.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A key's version and value.
    pub fn get(&self, key: &[u8]) -> Option<(Version, ValueRef)> {
        let (version, value) = self.shared.tree.read().get(key, self.version)?;
        Some((version, value?))
    }

    /// Rows from `start` up to, without, `end` (empty: to the last key), at most `max_rows`, in key
    /// order or, with `reverse`, from the last down. The lock is held for 256 rows at a time.
    pub fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        max_rows: usize,
    ) -> Vec<(Key, Version, ValueRef)> {
        let mut rows = Vec::new();
        let Some((mut from, to)) = bounds(start, end) else {
            return rows;
        };
        let mut to = to.map(<[u8]>::to_vec);
        while rows.len() < max_rows {
            let tree = self.shared.tree.read();
            let range = tree.range(
                (from.as_ref().map(|key| &key[..]), to.as_ref().map(|key| &key[..])),
                self.version,
            );
            let wanted = max_rows - rows.len();
            let (count, last) = if reverse {
                page(range.rev(), wanted, &mut rows)
            } else {
                page(range, wanted, &mut rows)
            };
            let next = last
                .filter(|_| count == PAGE_ROWS)
                .map(|key| Bound::Excluded(key.as_bytes().to_vec()));
            match next {
                Some(next) if reverse => to = next,
                Some(next) => from = next,
                None => break,
            }
        }
        rows
    }
}

/// Takes up to a page of rows, visible or not; returns how many were looked at and the last key.
fn page<'a>(
    range: impl Iterator<Item = (&'a Key, Option<super::tree::Seen>)>,
    wanted: usize,
    rows: &mut Vec<(Key, Version, ValueRef)>,
) -> (usize, Option<&'a Key>) {
    let full = rows.len() + wanted;
    let mut looked_at = 0;
    let mut last = None;
    for (key, seen) in range.take(PAGE_ROWS) {
        looked_at += 1;
        last = Some(key);
        if let Some((version, Some(value))) = seen {
            rows.push((key.clone(), version, value));
            if rows.len() == full {
                break;
            }
        }
    }
    (looked_at, last)
}

impl Drop for View {
    fn drop(&mut self) {
        self.shared.published.lock().unpin(self.version);
    }
}

/// From an owned key, which moves on page by page, to a borrowed one.
pub(crate) type Bounds<'a> = (Bound<Vec<u8>>, Bound<&'a [u8]>);

/// The range, or `None` if it is empty (a tree panics on one that is turned around).
pub(crate) fn bounds<'a>(start: &[u8], end: &'a [u8]) -> Option<Bounds<'a>> {
    let to = match end {
        [] => Bound::Unbounded,
        end if start >= end => return None,
        end => Bound::Excluded(end),
    };
    Some((Bound::Included(start.to_vec()), to))
}
