//! Rows that an entry looks at, brought into memory before it is applied.
//!
//! Guards and changes that compute look at older rows, and these may stand in files only. Applying runs on the task that
//! serves others, which must not wait for a disk; so the rows are read on a thread that may, which leaves the blocks
//! that they stand in in the cache. If they are gone again by then, or were never kept, applying waits after all: what
//! an entry does never depends on it.

use atoll_kv::{EntryView, Look};
use atoll_storage::Missed;
use bytes::Bytes;

use super::rows_view::RowsView;

/// Rows to read, and a view that has them.
pub(super) struct ColdRows {
    view: RowsView,
    rows: Vec<Rows>,
}

struct Rows {
    start: Bytes,
    /// `None`: one key.
    end: Option<Bytes>,
    most: u32,
}

impl ColdRows {
    /// Those of an entry's rows that are not in memory; `None` if all are.
    pub(super) fn of(payload: &Bytes, view: RowsView) -> Option<Self> {
        // What cannot be read is told when it is applied.
        let entry = EntryView::parse(payload).ok()?;
        let rows: Vec<Rows> = entry
            .looks()
            .map(|look| Rows::of(look, payload))
            .filter(|rows| matches!(rows.look(&view, false), Err(Missed::WouldBlock)))
            .collect();
        (!rows.is_empty()).then_some(Self { view, rows })
    }

    /// Reads them. Waits for the disk.
    pub(super) fn read(self) {
        for rows in &self.rows {
            // What cannot be read is told when it is looked at.
            let _ = rows.look(&self.view, true);
        }
    }
}

impl Rows {
    fn of(look: Look<'_>, payload: &Bytes) -> Self {
        match look {
            Look::Key(key) => Self {
                start: payload.slice_ref(key),
                end: None,
                most: 1,
            },
            Look::Range { start, end, most } => Self {
                start: payload.slice_ref(start),
                end: Some(payload.slice_ref(end)),
                most,
            },
        }
    }

    fn look(&self, view: &RowsView, wait: bool) -> Result<(), Missed> {
        let Some(end) = &self.end else {
            return view.version_of(&self.start, wait).map(drop);
        };
        let (mut from, mut left) = (self.start.to_vec(), self.most);
        loop {
            let walked = view.walk_keys((&from, end), false, wait, |_, _| {
                left = left.saturating_sub(1);
                left > 0
            })?;
            match walked.last.filter(|_| !walked.complete && left > 0) {
                Some(last) => from = [last.as_bytes(), &[0]].concat(),
                None => return Ok(()),
            }
        }
    }
}
