//! A view of a group's rows, whatever holds them.
//!
//! The index of the storage engine is asked directly, row by row and without a copy; another backend by pages.

use atoll_state::{Ask, PAGE_ROWS, PinnedView};
use atoll_storage::{GroupIndex, Missed, NotKept, View, Walked};
use atoll_types::Version;

/// The rows of one moment.
pub(crate) enum RowsView {
    /// In the index.
    Index(View),
    /// In another backend.
    Other(Box<dyn PinnedView>),
}

impl RowsView {
    /// Index of the last entry it sees.
    pub(crate) fn applied_index(&self) -> u64 {
        match self {
            Self::Index(view) => view.applied_index(),
            Self::Other(view) => view.applied_index(),
        }
    }

    /// The group's last version at this point.
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Index(view) => view.version(),
            Self::Other(view) => view.version(),
        }
    }

    /// The same rows as they were at a version, from the index: it keeps history whatever else holds the rows of now, and has
    /// every entry before that does.
    pub(crate) fn at_version(&self, at: Version, index: &GroupIndex) -> Result<Self, NotKept> {
        let past = match self {
            Self::Index(view) => view.at_version(at)?,
            Self::Other(view) if view.version() < at => {
                return Err(NotKept::Ahead {
                    newest: view.version(),
                });
            }
            Self::Other(_) => index.view().at_version(at)?,
        };
        Ok(Self::Index(past))
    }

    /// A key's version. Without `wait` a disk is not waited for.
    pub(crate) fn version_of(&self, key: &[u8], wait: bool) -> Result<Option<Version>, Missed> {
        Ok(match self {
            Self::Index(view) => view.get(key, wait)?.map(|row| row.0),
            Self::Other(view) => view.get(key, wait)?.map(|row| row.0),
        })
    }

    /// As [`View::walk_keys`].
    pub(crate) fn walk_keys(
        &self,
        (start, end): (&[u8], &[u8]),
        reverse: bool,
        wait: bool,
        mut each: impl FnMut(&[u8], Version) -> bool,
    ) -> Result<Walked, Missed> {
        let view = match self {
            Self::Index(view) => return view.walk_keys((start, end), reverse, wait, each),
            Self::Other(view) => view,
        };
        let page = view.page(&Ask {
            start,
            end,
            reverse,
            rows: PAGE_ROWS,
            values: false,
            wait,
        })?;
        let mut walked = Walked {
            looked_at: 0,
            last: None,
            complete: false,
        };
        for row in page.rows {
            walked.looked_at += 1;
            let goes_on = each(row.key.as_bytes(), row.version);
            walked.last = Some(row.key);
            if !goes_on {
                return Ok(walked);
            }
        }
        walked.complete = page.passed.is_none();
        walked.last = page.passed.or(walked.last);
        Ok(walked)
    }
}
