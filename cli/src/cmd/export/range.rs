//! Which keys to export, possibly behind those that are in the file already.

use atoll_client::{Row, ScanOptions};
use bytes::Bytes;

/// What is left of a range.
pub(super) struct Range {
    options: ScanOptions,
    after: Option<Bytes>,
}

impl Range {
    /// The whole, or what is behind `after`.
    pub(super) fn new(mut options: ScanOptions, after: Option<Bytes>) -> Self {
        if let Some(after) = &after {
            options.start = after.clone();
        }
        Self { options, after }
    }

    /// What to scan: begins at the last key that is done, because nothing shorter than a key is
    /// certain to come right behind it.
    pub(super) fn options(&self) -> ScanOptions {
        self.options.clone()
    }

    /// True for a row that is in the file already.
    pub(super) fn is_done(&self, row: &Row) -> bool {
        self.after.as_ref().is_some_and(|after| row.key <= *after)
    }
}
