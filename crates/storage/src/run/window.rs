//! Sixteen rows of a block, unpacked, for a cursor to stand on.

use std::ops::Range;

use atoll_types::Version;

use super::ROW_KEY_MAX;
use super::block::{Block, Malformed, RESTART_ROWS};

struct Row {
    key: Range<usize>,
    version: Version,
    value: Range<usize>,
}

/// Rows of one interval with their whole keys. Its memory is used again for the next.
#[derive(Default)]
pub(super) struct Window {
    keys: Vec<u8>,
    rows: Vec<Row>,
}

impl Window {
    /// Unpacks an interval. After an error it holds nothing.
    pub(super) fn load(&mut self, block: &Block, interval: usize) -> Result<(), Malformed> {
        self.keys.clear();
        self.rows.clear();
        let loaded = self.unpack(block, interval);
        if loaded.is_err() {
            self.rows.clear();
        }
        loaded
    }

    fn unpack(&mut self, block: &Block, interval: usize) -> Result<(), Malformed> {
        let mut before = 0..0;
        for row in block.rows(interval)? {
            let row = row?;
            let sound = row.shared <= before.len()
                && row.shared + row.tail.len() <= ROW_KEY_MAX
                && self.rows.len() < RESTART_ROWS;
            if !sound {
                return Err(Malformed);
            }
            let start = self.keys.len();
            self.keys
                .extend_from_within(before.start..before.start + row.shared);
            self.keys.extend_from_slice(row.tail);
            before = start..self.keys.len();
            self.rows.push(Row {
                key: before.clone(),
                version: row.version,
                value: row.value,
            });
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Key, version and place of the value.
    pub(super) fn row(&self, row: usize) -> Option<(&[u8], Version, Range<usize>)> {
        let row = self.rows.get(row)?;
        Some((self.keys.get(row.key.clone())?, row.version, row.value.clone()))
    }
}
