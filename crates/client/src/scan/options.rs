//! What to scan.

use bytes::Bytes;

/// What to scan. The default is everything, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// The first key, included. Empty: no bound.
    pub start: Bytes,
    /// Where to stop, not included. Empty: no bound.
    pub end: Bytes,
    /// Only keys that begin with this, within the bounds above.
    pub prefix: Bytes,
    /// Rows in all, at most.
    pub limit: Option<u64>,
    /// Rows in one page, at most; 1 to 4,096. A page also ends at about 1 MiB. The scan holds at most
    /// this many rows of each group.
    pub page_rows: u32,
    /// Leave the values out.
    pub keys_only: bool,
    /// From the highest key down.
    pub reverse: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            start: Bytes::new(),
            end: Bytes::new(),
            prefix: Bytes::new(),
            limit: None,
            page_rows: 1_024,
            keys_only: false,
            reverse: false,
        }
    }
}

impl ScanOptions {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self {
            prefix: prefix.into(),
            ..Self::default()
        }
    }

    /// All keys from `start`, included, to `end`, not included; an empty `end` is no bound.
    pub fn range(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self {
            start: start.into(),
            end: end.into(),
            ..Self::default()
        }
    }
}
