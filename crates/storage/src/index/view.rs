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
    /// order or, with `reverse`, from the last down.
    pub fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        max_rows: usize,
    ) -> Vec<(Key, Version, ValueRef)> {
        let mut rows = Vec::new();
        let (mut from, mut to) = (start.to_vec(), end.to_vec());
        while rows.len() < max_rows {
            let walked = self.walk((&from, &to), reverse, |key, version, value| {
                rows.push((Key::from_unchecked(key), version, value));
                rows.len() < max_rows
            });
            match walked.last.filter(|_| !walked.complete) {
                Some(last) if reverse => to = last.as_bytes().to_vec(),
                Some(last) => from = [last.as_bytes(), &[0]].concat(),
                None => break,
            }
        }
        rows
    }
}

/// What one hold of the lock gave.
#[derive(Debug)]
pub struct Walked {
    /// Rows looked at, seen or not.
    pub looked_at: usize,
    /// The last of them.
    pub last: Option<Key>,
    /// True if the range has no more.
    pub complete: bool,
}

impl View {
    /// Calls `each` with the rows of a range in order until it answers false, looking at no more than one
    /// hold of the lock gives (256; rows that were removed count too). `each` must be short: writers wait
    /// for it.
    pub fn walk(
        &self,
        range: (&[u8], &[u8]),
        reverse: bool,
        mut each: impl FnMut(&[u8], Version, ValueRef) -> bool,
    ) -> Walked {
        let Some(bounds) = borrowed(range) else {
            return Walked::nothing();
        };
        let tree = self.shared.tree.read();
        let each = |key: &Key, seen: Option<(Version, Option<ValueRef>)>| match seen {
            Some((version, Some(value))) => each(key.as_bytes(), version, value),
            _ => true,
        };
        let rows = tree.range(bounds, self.version);
        if reverse {
            look(rows.rev(), each)
        } else {
            look(rows, each)
        }
    }

    /// As [`View::walk`], without the values.
    pub fn walk_keys(
        &self,
        range: (&[u8], &[u8]),
        reverse: bool,
        mut each: impl FnMut(&[u8], Version) -> bool,
    ) -> Walked {
        let Some(bounds) = borrowed(range) else {
            return Walked::nothing();
        };
        let tree = self.shared.tree.read();
        let each =
            |key: &Key, seen: Option<Version>| seen.is_none_or(|version| each(key.as_bytes(), version));
        let rows = tree.range_of_keys(bounds, self.version);
        if reverse {
            look(rows.rev(), each)
        } else {
            look(rows, each)
        }
    }
}

impl Walked {
    const fn nothing() -> Self {
        Self {
            looked_at: 0,
            last: None,
            complete: true,
        }
    }
}

fn look<'a, T>(rows: impl Iterator<Item = (&'a Key, T)>, mut each: impl FnMut(&Key, T) -> bool) -> Walked {
    let (mut looked_at, mut last, mut enough) = (0, None, false);
    for (key, seen) in rows.take(PAGE_ROWS) {
        looked_at += 1;
        last = Some(key);
        enough = !each(key, seen);
        if enough {
            break;
        }
    }
    Walked {
        looked_at,
        last: last.cloned(),
        complete: !enough && looked_at < PAGE_ROWS,
    }
}

type Ends<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The range `[start, end)` (an empty end has no bound), or `None` if it is empty.
fn borrowed<'a>((start, end): (&'a [u8], &'a [u8])) -> Option<Ends<'a>> {
    match end {
        [] => Some((Bound::Included(start), Bound::Unbounded)),
        end if start >= end => None,
        end => Some((Bound::Included(start), Bound::Excluded(end))),
    }
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
