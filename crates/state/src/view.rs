//! The read side.

use atoll_storage::Missed;
use atoll_types::{Key, Version};
use bytes::Bytes;

/// Rows of a page, at most.
pub const PAGE_ROWS: usize = 256;
/// Bytes of keys and values from which on a page takes no more rows: no page has more than these and one row.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// Gives out views of one group's rows.
pub trait Reader: Send + Sync {
    /// The state of now.
    fn view(&self) -> Box<dyn PinnedView>;
}

/// Sees the rows as they were when it was made, whatever happens to them since. While it lives, what it sees is kept: hold it
/// for one request, not longer.
pub trait PinnedView: Send + Sync {
    /// Index of the last entry it sees.
    fn applied_index(&self) -> u64;

    /// The group's last version at this point.
    fn version(&self) -> Version;

    /// A key's version and value, checked. Without `wait` a disk is not waited for.
    fn get(&self, key: &[u8], wait: bool) -> Result<Option<(Version, Bytes)>, Missed>;

    /// The first rows of a range, in the order asked for.
    fn page(&self, ask: &Ask<'_>) -> Result<Page, Missed>;
}

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The first key of the range; empty: from the first one on.
    pub start: &'a [u8],
    /// Its end, not included; empty: no end.
    pub end: &'a [u8],
    /// From the last key down.
    pub reverse: bool,
    /// Rows, at most; 0 counts as 1, more than [`PAGE_ROWS`] as that.
    pub rows: usize,
    /// Values too; without them a page has empty ones, and no value is read.
    pub values: bool,
    /// A disk may be waited for.
    pub wait: bool,
}

impl<'a> Ask<'a> {
    /// All rows of a range, with values, in order.
    pub fn range(start: &'a [u8], end: &'a [u8]) -> Self {
        Self {
            start,
            end,
            reverse: false,
            rows: PAGE_ROWS,
            values: true,
            wait: true,
        }
    }

    /// How many rows its page may have.
    pub fn most(&self) -> usize {
        self.rows.clamp(1, PAGE_ROWS)
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Its version.
    pub version: Version,
    /// Its value, checked; empty if it was not asked for.
    pub value: Bytes,
}

/// Rows of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub rows: Vec<Row>,
    /// More may follow behind this key, which is not always that of the last row. `None`: the range has no more.
    pub passed: Option<Key>,
}
