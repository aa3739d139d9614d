//! A tree of sled with the newest row of every key, and the entry that it has.
//!
//! A key of the tree begins with the space it is of, one byte. What an entry changes is written in one batch with the entry's index,
//! so that the two are never apart.

use std::ops::Bound;

use atoll_types::Key;
use sled::{Batch, IVec, Tree};

use crate::SledError;
use crate::error::guarded;
use crate::row::StoredRow;

/// The tree's own rows.
const SPACE_OWN: u8 = 0;
/// The rows of users.
const SPACE_USER: u8 = 1;
const SPACE_END: u8 = 2;

/// Rows that change: the new one of each key, or that it has none.
pub(crate) type Changes = std::collections::BTreeMap<Vec<u8>, Option<StoredRow>>;

/// Newest rows.
pub(crate) struct Table {
    tree: Tree,
}

fn user_key(key: &[u8]) -> Vec<u8> {
    [&[SPACE_USER], key].concat()
}

fn point_key() -> [u8; 1] {
    [SPACE_OWN]
}

impl Table {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// The tree's name.
    pub(crate) fn name(&self) -> IVec {
        self.tree.name()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<StoredRow>, SledError> {
        let found = guarded(|| self.tree.get(user_key(key)))?;
        found.map(|bytes| StoredRow::decode(key, &bytes)).transpose()
    }

    /// The index of the entry whose rows these are.
    pub(crate) fn point(&self) -> Result<Option<u64>, SledError> {
        let found = guarded(|| self.tree.get(point_key()))?;
        let bytes = found.and_then(|bytes| <[u8; 8]>::try_from(&*bytes).ok());
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// Makes these changes and moves to this entry, all at once.
    pub(crate) fn write(&self, changes: &Changes, applied_index: u64) -> Result<(), SledError> {
        let mut batch = Batch::default();
        for (key, row) in changes {
            match row {
                Some(row) => batch.insert(user_key(key), row.encode()),
                None => batch.remove(user_key(key)),
            }
        }
        batch.insert(&point_key(), &applied_index.to_le_bytes());
        guarded(|| self.tree.apply_batch(batch))
    }

    /// Calls `each` with the rows of a range `[start, end)` (an empty end: to the last key), from the first or, with
    /// `reverse`, from the last, until it answers false. Rows that change meanwhile may be seen before or after their change.
    pub(crate) fn each(
        &self,
        (start, end): (&[u8], &[u8]),
        reverse: bool,
        mut each: impl FnMut(Key, StoredRow) -> bool,
    ) -> Result<(), SledError> {
        if !end.is_empty() && end <= start {
            return Ok(());
        }
        let to = match end {
            [] => vec![SPACE_END],
            end => user_key(end),
        };
        let ends = (Bound::Included(user_key(start)), Bound::Excluded(to));
        let mut rows = guarded(|| Ok(self.tree.range(ends)))?;
        loop {
            let next = guarded(|| if reverse { rows.next_back() } else { rows.next() }.transpose())?;
            let Some((key, bytes)) = next else {
                return Ok(());
            };
            let key = key.get(1..).unwrap_or_default();
            let row = StoredRow::decode(key, &bytes)?;
            if !each(Key::from_unchecked(key), row) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SledHome;
    use atoll_types::Version;
    use bytes::Bytes;

    fn with_table(test: impl FnOnce(&Table)) {
        let dir = tempfile::tempdir().unwrap();
        let home = SledHome::open(dir.path(), 1 << 20).unwrap();
        test(&Table::new(home.fresh_tree().unwrap()));
    }

    fn row(key: &[u8], value: &'static [u8]) -> (Vec<u8>, Option<StoredRow>) {
        let row = StoredRow {
            version: Version(3),
            vcrc: atoll_storage::value_crc(key, value),
            value: Bytes::from_static(value),
        };
        (key.to_vec(), Some(row))
    }

    #[test]
    fn rows_and_their_entry_are_written_together() {
        with_table(|table| {
            assert_eq!(table.point().unwrap(), None);
            let changes = Changes::from([row(b"a", b"1"), row(b"b", b"")]);
            table.write(&changes, 7).unwrap();
            assert_eq!(table.point().unwrap(), Some(7));
            assert_eq!(table.get(b"b").unwrap(), row(b"b", b"").1);
            table.write(&Changes::from([(b"a".to_vec(), None)]), 8).unwrap();
            assert_eq!(
                (table.get(b"a").unwrap(), table.point().unwrap()),
                (None, Some(8))
            );
            let mut keys = Vec::new();
            let mut keep = |key: Key, _| {
                keys.push(key.as_bytes().to_vec());
                true
            };
            table.each((b"", b""), false, &mut keep).unwrap();
            table.each((b"b", b"a"), false, &mut keep).unwrap();
            assert_eq!(keys, [b"b"], "the tree's own row is no user's");
        });
    }

    #[test]
    fn a_row_that_is_not_what_was_written_is_an_error_and_never_a_row() {
        with_table(|table| {
            let (key, stored) = row(b"k", b"value");
            let mut bytes = stored.unwrap().encode();
            bytes[14] ^= 1;
            table.tree.insert(user_key(&key), bytes).unwrap();
            assert!(matches!(table.get(&key), Err(SledError::Row(_))));
            let walked = table.each((b"", b""), false, |key, _| panic!("{key:?}"));
            assert!(matches!(walked, Err(SledError::Row(_))));
        });
    }

    #[test]
    fn a_panic_inside_is_an_error() {
        let panicked = guarded::<()>(|| panic!("page {} is torn", 7));
        assert!(matches!(panicked, Err(SledError::Panicked(text)) if text == "page 7 is torn"));
        assert!(matches!(guarded(|| Ok(5)), Ok(5)));
    }
}
