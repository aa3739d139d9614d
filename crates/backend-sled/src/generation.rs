//! Rows of one group from one filling on: a tree, the point that readers see, and what views from before need.

use std::collections::BTreeMap;

use atoll_state::{Ask, PinnedView};
use atoll_types::Version;
use parking_lot::{Mutex, RwLock};

use crate::error::guarded;
use crate::older::Older;
use crate::row::StoredRow;
use crate::table::{Changes, Table};
use crate::{SledError, SledHome};

/// A tree with its readers. Dropped, it leaves nothing in sled.
pub(crate) struct Generation {
    home: SledHome,
    pub(crate) table: Table,
    point: Mutex<Point>,
    pub(crate) older: RwLock<Older>,
}

/// What readers see.
struct Point {
    version: Version,
    applied_index: u64,
    /// How many views hold each entry.
    pins: BTreeMap<u64, usize>,
}

impl Generation {
    /// Fills a fresh tree with everything that a view sees. Waits for disks.
    pub(crate) fn of(home: &SledHome, source: &dyn PinnedView) -> Result<Self, SledError> {
        let generation = Self {
            home: home.clone(),
            table: Table::new(home.fresh_tree()?),
            point: Mutex::new(Point {
                version: source.version(),
                applied_index: source.applied_index(),
                pins: BTreeMap::new(),
            }),
            older: RwLock::default(),
        };
        generation.fill(source)?;
        Ok(generation)
    }

    fn fill(&self, source: &dyn PinnedView) -> Result<(), SledError> {
        let mut from = Vec::new();
        loop {
            let page = source.page(&Ask::range(&from, &[]))?;
            let mut rows = Changes::new();
            for row in page.rows {
                let key = row.key.as_bytes().to_vec();
                let stored = StoredRow {
                    version: row.version,
                    vcrc: atoll_storage::value_crc(&key, &row.value),
                    value: row.value,
                };
                rows.insert(key, Some(stored));
            }
            self.table.write(&rows, source.applied_index())?;
            match page.passed {
                Some(passed) => from = [passed.as_bytes(), &[0]].concat(),
                None => return Ok(()),
            }
        }
    }

    /// Makes an entry's changes, and shows them all at once.
    pub(crate) fn publish(
        &self,
        changes: &Changes,
        version: Version,
        applied_index: u64,
    ) -> Result<(), SledError> {
        let expected = self.point.lock().applied_index;
        let found = self.table.point()?;
        if found != Some(expected) {
            return Err(SledError::Point { expected, found });
        }
        let mut replaced = Vec::with_capacity(changes.len());
        for key in changes.keys() {
            replaced.push((key.clone(), self.table.get(key)?));
        }
        // Before the tree changes: a view that finds a new row there must find the old one here.
        self.older.write().note(applied_index, replaced);
        self.table.write(changes, applied_index)?;
        let mut point = self.point.lock();
        (point.version, point.applied_index) = (version, applied_index);
        let oldest = point
            .pins
            .first_key_value()
            .map_or(applied_index, |(index, _)| *index);
        drop(point);
        // Whoever pins from here on pins this entry or a later one.
        self.older.write().prune(oldest);
        Ok(())
    }

    /// Holds on to the state of now: its version and its entry.
    pub(crate) fn pin(&self) -> (Version, u64) {
        let mut point = self.point.lock();
        let index = point.applied_index;
        *point.pins.entry(index).or_default() += 1;
        (point.version, index)
    }

    /// Lets go of an entry that was pinned.
    pub(crate) fn unpin(&self, index: u64) {
        let mut point = self.point.lock();
        let Some(count) = point.pins.get_mut(&index) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            point.pins.remove(&index);
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // What cannot be removed now goes with the whole directory at the next start.
        drop(guarded(|| self.home.db().drop_tree(self.table.name())));
    }
}
