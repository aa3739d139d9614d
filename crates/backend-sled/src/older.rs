//! What entries replaced, for views from before them.
//!
//! Before an entry is written to sled, what it replaces is noted here under the entry's index. A view of an earlier entry asks
//! sled first and this second: if sled gave it a row from after its moment, that row's predecessor was noted before. The other order
//! could miss a change between the two questions. A note goes once no view is old enough to need it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::row::StoredRow;

/// What stood at a key before the entry of this index.
struct Note {
    until: u64,
    row: Option<StoredRow>,
}

/// Replaced rows, and which entries replaced them.
#[derive(Default)]
pub(crate) struct Older {
    /// Ascending by entry for each key.
    notes: BTreeMap<Vec<u8>, VecDeque<Note>>,
    /// The keys of each entry, oldest first.
    entries: VecDeque<(u64, Vec<Vec<u8>>)>,
}

impl Older {
    /// Notes what an entry is about to replace. Entries come in order.
    pub(crate) fn note(&mut self, until: u64, rows: Vec<(Vec<u8>, Option<StoredRow>)>) {
        let mut keys = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let notes = self.notes.entry(key.clone()).or_default();
            notes.push_back(Note { until, row });
            keys.push(key);
        }
        self.entries.push_back((until, keys));
    }

    /// What a view of this entry sees of a key (perhaps no row), if that is not what sled has now.
    pub(crate) fn of(&self, key: &[u8], at: u64) -> Option<&Option<StoredRow>> {
        seen(self.notes.get(key)?, at)
    }

    /// The same of all keys between two bounds, in order.
    pub(crate) fn range(
        &self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        at: u64,
    ) -> impl Iterator<Item = (&[u8], &Option<StoredRow>)> {
        let notes = self.notes.range::<[u8], _>(bounds);
        notes.filter_map(move |(key, notes)| Some((&key[..], seen(notes, at)?)))
    }

    /// Lets go of what no view of this entry or a later one needs.
    pub(crate) fn prune(&mut self, oldest: u64) {
        while self.entries.front().is_some_and(|(until, _)| *until <= oldest) {
            let keys = self.entries.pop_front().map(|(_, keys)| keys);
            for key in keys.unwrap_or_default() {
                self.forget(&key, oldest);
            }
        }
    }

    fn forget(&mut self, key: &[u8], oldest: u64) {
        let Some(notes) = self.notes.get_mut(key) else {
            return;
        };
        while notes.front().is_some_and(|note| note.until <= oldest) {
            notes.pop_front();
        }
        if notes.is_empty() {
            self.notes.remove(key);
        }
    }
}

/// The first replacement behind a view's entry replaced what the view sees.
fn seen(notes: &VecDeque<Note>, at: u64) -> Option<&Option<StoredRow>> {
    let first = notes.iter().find(|note| note.until > at)?;
    Some(&first.row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_types::Version;
    use bytes::Bytes;

    fn row(version: u64) -> StoredRow {
        StoredRow {
            version: Version(version),
            vcrc: 0,
            value: Bytes::new(),
        }
    }

    /// The version seen, 0 for no row.
    fn at(older: &Older, index: u64) -> Option<u64> {
        let found = older.of(b"k", index)?;
        Some(found.as_ref().map_or(0, |row| row.version.0))
    }

    #[test]
    fn a_view_sees_what_the_first_entry_behind_it_replaced() {
        let mut older = Older::default();
        older.note(5, vec![(b"k".to_vec(), None), (b"other".to_vec(), Some(row(1)))]);
        older.note(7, vec![(b"k".to_vec(), Some(row(50)))]);
        older.note(9, vec![(b"k".to_vec(), Some(row(70)))]);
        let seen: Vec<_> = (3..11).map(|index| at(&older, index)).collect();
        let (first, second) = (Some(50), Some(70));
        assert_eq!(seen, [Some(0), Some(0), first, first, second, second, None, None]);

        older.prune(6);
        assert_eq!((at(&older, 6), at(&older, 8)), (first, second));
        assert_eq!(older.of(b"other", 6), None);
        older.prune(9);
        assert!(older.notes.is_empty() && older.entries.is_empty());
    }
}
