//! A reader's fixed point of view.

use std::ops::Bound;
use std::sync::Arc;

use atoll_types::{Key, Version};
use bytes::Bytes;

use super::below::Missed;
use super::layers::{Content, Layers};
use super::tree::{Seen, Tree};
use super::value::ValueRef;

/// Sees the index as it was when the view was taken, whatever is applied, frozen or written to files since. While
/// it lives, replaced versions it may see stay in memory and the files it may read stay on disk: keep it for
/// one request, not longer.
pub struct View {
    layers: Arc<Layers>,
    /// Which it holds.
    version: Version,
    /// Up to which it sees rows: the same, or an earlier one.
    at: Version,
    /// The lowest that it could see rows up to, as far as is known.
    horizon: Version,
    /// Below this one rows are gone, whatever is said of what is kept.
    gone: Version,
    applied_index: u64,
}

impl View {
    pub(crate) fn new(layers: Arc<Layers>) -> Self {
        let mut published = layers.active.published.lock();
        published.pin();
        let (version, applied_index) = (published.version, published.applied_index);
        let missing = layers.below.horizon().min(version);
        let horizon = published.readable_from().max(missing);
        let gone = if published.is_said() { horizon } else { missing };
        drop(published);
        Self {
            layers,
            version,
            at: version,
            horizon,
            gone,
            applied_index,
        }
    }

    /// A view of the same moment that sees the rows of all keys as they were at an earlier version, whether or not anything was
    /// written at just that one.
    pub fn at_version(&self, at: Version) -> Result<Self, NotKept> {
        let Self {
            version,
            horizon,
            gone,
            ..
        } = *self;
        if at > version {
            return Err(NotKept::Ahead { newest: version });
        }
        if at < gone {
            return Err(NotKept::Compacted { oldest: gone });
        }
        if at < horizon {
            return Err(NotKept::Unsaid);
        }
        self.layers.active.published.lock().pin_again(version);
        Ok(Self {
            layers: self.layers.clone(),
            version,
            at,
            horizon,
            gone,
            applied_index: self.applied_index,
        })
    }

    /// The lowest version that [`View::at_version`] takes.
    pub fn horizon(&self) -> Version {
        self.horizon
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Index of the last entry this view sees.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The group's last version at this point.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A key's version and value. Without `wait` a disk is not waited for.
    pub fn get(&self, key: &[u8], wait: bool) -> Result<Option<(Version, ValueRef)>, Missed> {
        let seen = self.layers.get(key, self.at, wait)?;
        Ok(seen.and_then(|(version, value)| Some((version, value?))))
    }

    /// A key's row, for whoever needs its bytes: also from the cache of rows read from files. Without `wait` a disk is
    /// not waited for.
    pub fn find(&self, key: &[u8], wait: bool) -> Result<Option<Found>, Missed> {
        let cached = &self.layers.active.cached;
        let (seen, from_files) = match self.layers.get_in_memory(key, self.at) {
            Some((version, Some(value))) if !matches!(value, ValueRef::Inline(_)) => {
                if let Some(bytes) = cached.value(key, version) {
                    return Ok(Some(Found::Bytes(version, bytes)));
                }
                (Some((version, Some(value))), true)
            }
            Some(seen) => (Some(seen), false),
            None => {
                // Of a group without files nothing is known that memory does not have.
                if self.layers.below.is_empty() {
                    return Ok(None);
                }
                if let Some((version, bytes)) = cached.get(key, self.at) {
                    return Ok(Some(Found::Bytes(version, bytes)));
                }
                (self.layers.below.get(key, self.at, wait)?, true)
            }
        };
        Ok(seen.and_then(|(version, value)| {
            Some(Found::Row(Row {
                version,
                value: value?,
                from_files,
            }))
        }))
    }

    /// Hands over the bytes of a row that this view gave, after they were checked, for whoever asks next.
    pub fn keep(&self, key: &[u8], row: &Row, bytes: &Bytes) {
        // Bytes that somebody else holds too are a part of the log in memory, which need not be read. And the cache has
        // only the newest row of a key, which one of an earlier version need not be.
        if row.from_files && bytes.is_unique() && self.at == self.version {
            let cached = &self.layers.active.cached;
            cached.keep(key, (row.version, row.value.vcrc(), bytes), self.version);
        }
    }

    /// The bytes of a row that this view gave, if the cache has them.
    pub fn cached_value(&self, key: &[u8], version: Version) -> Option<Bytes> {
        self.layers.active.cached.value(key, version)
    }

    /// Rows from `start` up to, without, `end` (empty: to the last key), at most `max_rows`, in key
    /// order or, with `reverse`, from the last down. Waits for disks.
    pub fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<(Key, Version, ValueRef)>, Missed> {
        let mut rows = Vec::new();
        let (mut from, mut to) = (start.to_vec(), end.to_vec());
        while rows.len() < max_rows {
            let walked = self.walk((&from, &to), reverse, true, |key, version, value| {
                rows.push((Key::from_unchecked(key), version, value));
                rows.len() < max_rows
            })?;
            match walked.last.filter(|_| !walked.complete) {
                Some(last) if reverse => to = last.as_bytes().to_vec(),
                Some(last) => from = [last.as_bytes(), &[0]].concat(),
                None => break,
            }
        }
        Ok(rows)
    }
}

/// Why there is no view of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Rows that it would see are gone.
    #[error("what there was at that version is not kept any more; the oldest that can be read is {oldest}")]
    Compacted {
        /// The lowest version that can be read at.
        oldest: Version,
    },
    /// Rows that it would see may be there or not: nobody has said how much of history there is, since the group was opened or a
    /// snapshot installed. That is said soon; other replicas know it.
    #[error("how far back it can be read is not known yet")]
    Unsaid,
    /// It lies behind the last version of the group.
    #[error("the group has not reached that version yet, its last is {newest}")]
    Ahead {
        /// The group's last version.
        newest: Version,
    },
}

/// A row that a view sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its version and its value, checked.
    Bytes(Version, Bytes),
    /// Its value has to be read.
    Row(Row),
}

/// A row whose value has to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its version.
    pub version: Version,
    /// Where its value stands.
    pub value: ValueRef,
    /// Memory does not have all of it.
    from_files: bool,
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
    /// for it. Without `wait` a disk is not waited for.
    pub fn walk(
        &self,
        range: (&[u8], &[u8]),
        reverse: bool,
        wait: bool,
        mut each: impl FnMut(&[u8], Version, ValueRef) -> bool,
    ) -> Result<Walked, Missed> {
        let mut each = |key: &[u8], version, value: Option<ValueRef>| {
            value.is_none_or(|value| each(key, version, value))
        };
        self.layers.walk(range, self.at, (reverse, wait), &mut each)
    }

    /// As [`View::walk`], without the values.
    pub fn walk_keys(
        &self,
        range: (&[u8], &[u8]),
        reverse: bool,
        wait: bool,
        mut each: impl FnMut(&[u8], Version) -> bool,
    ) -> Result<Walked, Missed> {
        let mut each = |key: &[u8], version, there: Option<()>| there.is_none_or(|()| each(key, version));
        self.layers.walk(range, self.at, (reverse, wait), &mut each)
    }
}

impl Content for ValueRef {
    fn rows<'t>(
        tree: &'t Tree,
        ends: Ends<'t>,
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'t Key, Option<(Version, Option<Self>)>)> {
        tree.range(ends, at)
    }

    fn of(seen: Seen) -> (Version, Option<Self>) {
        seen
    }
}

impl Content for () {
    fn rows<'t>(
        tree: &'t Tree,
        ends: Ends<'t>,
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'t Key, Option<(Version, Option<Self>)>)> {
        tree.range_of_keys(ends, at)
    }

    fn of((version, value): Seen) -> (Version, Option<Self>) {
        (version, value.map(drop))
    }
}

impl Walked {
    pub(crate) const fn nothing() -> Self {
        Self {
            looked_at: 0,
            last: None,
            complete: true,
        }
    }
}

/// The ends of a range of keys.
pub(crate) type Ends<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The range `[start, end)` (an empty end has no bound), or `None` if it is empty (a tree panics on one that is
/// turned around).
pub(crate) fn borrowed<'a>((start, end): (&'a [u8], &'a [u8])) -> Option<Ends<'a>> {
    match end {
        [] => Some((Bound::Included(start), Bound::Unbounded)),
        end if start >= end => None,
        end => Some((Bound::Included(start), Bound::Excluded(end))),
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.layers.active.published.lock().unpin(self.version);
    }
}
