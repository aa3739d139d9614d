//! Everything durable of one manifest: runs, newest first, and the value files that they point into.

use std::cmp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use atoll_types::Version;

use super::reach::Reach;
use super::tree::Seen;
use crate::journal::ReadError;
use crate::run::{Direction, Looked, Run, RunCursor, RunValue, SPACE_SYSTEM, SPACE_USER, Step};
use crate::value_file::ValueFile;

/// Why rows could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// They are on a disk, and the caller may not wait for it: ask again where that is allowed.
    #[error("the rows are not in memory")]
    WouldBlock,
    /// They cannot be read.
    #[error(transparent)]
    Failed(#[from] ReadError),
}

/// Open value files of a group, by number.
pub(crate) type ValueFiles = BTreeMap<u32, Arc<ValueFile>>;

/// Rows of several runs as one (of each key, what the newest run that knows it says) with the value files that
/// these rows, and those in the memories above, point into. None of these files is removed while this lives. A cheap
/// handle.
#[derive(Clone, Default)]
pub(crate) struct Below(Arc<Durable>);

/// The same, without keeping it.
pub(crate) struct WeakBelow(Weak<Durable>);

impl WeakBelow {
    pub(crate) fn upgrade(&self) -> Option<Below> {
        self.0.upgrade().map(Below)
    }

    pub(crate) fn lives(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(crate) fn is(&self, below: &Below) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&below.0)
    }
}

#[derive(Default)]
struct Durable {
    /// Newest first.
    runs: Vec<Arc<Run>>,
    values: ValueFiles,
    /// Bytes of values in the journal that walks had to read one by one, since the values were moved last.
    scattered: Arc<AtomicU64>,
}

/// A row of a run, its key with the space.
pub(crate) type RawRow = (Vec<u8>, Version, RunValue);

/// Rows of a range, each key once, in the order asked for.
pub(crate) struct Page<R> {
    pub(crate) rows: Vec<R>,
    /// The range has no more than these.
    pub(crate) complete: bool,
}

/// The same of users. All keys share one buffer.
pub(crate) struct UserPage {
    pub(crate) keys: Vec<u8>,
    pub(crate) rows: Vec<UserRow>,
    /// The range has no more than these.
    pub(crate) complete: bool,
}

/// A row of such a page.
pub(crate) struct UserRow {
    /// Where its key, without the space, stands in the buffer.
    pub(crate) key: Range<usize>,
    pub(crate) seen: Seen,
}

impl UserPage {
    fn push(&mut self, key: &[u8], seen: Seen) {
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.rows.push(UserRow {
            key: start..self.keys.len(),
            seen,
        });
    }
}

/// Which rows to read, and how.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) reverse: bool,
    /// The newest version of interest.
    pub(crate) at: Version,
    /// Rows, at most.
    pub(crate) most: usize,
    pub(crate) wait: bool,
    /// Blocks read go into the cache.
    pub(crate) keep: bool,
}

impl Below {
    /// These runs, newest first, and every value file that they point into.
    pub(crate) fn new(runs: Vec<Arc<Run>>, values: ValueFiles) -> Self {
        Self(Arc::new(Durable {
            runs,
            values,
            scattered: Arc::default(),
        }))
    }

    /// The same, in the place of these, which goes on counting what is read one by one.
    pub(crate) fn instead(&self, runs: Vec<Arc<Run>>, values: ValueFiles) -> Self {
        let scattered = self.0.scattered.clone();
        Self(Arc::new(Durable {
            runs,
            values,
            scattered,
        }))
    }

    /// So many bytes of a value in the journal were read alone, on a walk over rows in order.
    pub(crate) fn note_scattered(&self, bytes: usize) {
        self.0.scattered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of values in the journal that walks have read one by one, since the values were moved last.
    pub(crate) fn scattered(&self) -> u64 {
        self.0.scattered.load(Ordering::Relaxed)
    }

    /// Newest first.
    pub(crate) fn runs(&self) -> &[Arc<Run>] {
        &self.0.runs
    }

    /// The open value files.
    pub(crate) fn values(&self) -> &ValueFiles {
        &self.0.values
    }

    pub(crate) fn downgrade(&self) -> WeakBelow {
        WeakBelow(Arc::downgrade(&self.0))
    }

    /// Adds where rows of the runs point.
    pub(crate) fn add_reach(&self, reach: &mut Reach) {
        for summary in self.runs().iter().map(|run| run.summary()) {
            let segments = summary.journal_bytes.iter().map(|(id, _)| *id);
            segments.for_each(|id| reach.add_segment(id));
            let files = summary.file_bytes.iter().map(|(number, _)| *number);
            files.for_each(|number| reach.add_file(number));
        }
    }

    /// With a run above the others, which points into no other value file than they may.
    pub(crate) fn with_newest(&self, run: Arc<Run>) -> Self {
        let runs = std::iter::once(run).chain(self.runs().iter().cloned());
        self.instead(runs.collect(), self.values().clone())
    }

    /// True if there is no run.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    /// Keys of users, about: each run counts its own.
    pub(crate) fn len(&self) -> usize {
        let keys = self.runs().iter().map(|run| {
            let summary = run.summary();
            let others = summary.tombstones + summary.system_rows;
            summary.entries.saturating_sub(others) as usize
        });
        keys.sum()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.runs().iter().map(|run| run.memory_bytes()).sum()
    }

    /// What a reader at `at` sees of a user's key.
    pub(crate) fn get(&self, key: &[u8], at: Version, wait: bool) -> Result<Option<Seen>, Missed> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = [&[SPACE_USER], key].concat();
        for run in self.runs() {
            match run.get(&key, at, wait)? {
                Looked::Absent => {}
                Looked::Row(version, value) => return Ok(Some((version, value.into()))),
                Looked::WouldBlock => return Err(Missed::WouldBlock),
            }
        }
        Ok(None)
    }

    /// The first rows of users in `[start, end)` (an empty end: no end), or the last ones from the end down.
    pub(crate) fn page(&self, (start, end): (&[u8], &[u8]), ask: Ask) -> Result<UserPage, Missed> {
        let start = [&[SPACE_USER], start].concat();
        let end = match end {
            [] => vec![SPACE_SYSTEM],
            end => [&[SPACE_USER], end].concat(),
        };
        let mut merge = self.rows((&start, &end), ask)?;
        let mut page = UserPage {
            keys: Vec::new(),
            rows: Vec::with_capacity(ask.most),
            complete: false,
        };
        while page.rows.len() < ask.most {
            match merge.advance()? {
                Some(Some((version, value))) => {
                    let key = merge.key().get(1..).unwrap_or_default();
                    page.push(key, (version, value.into()));
                }
                // Known to no one who looks from so far back.
                Some(None) => {}
                None => {
                    page.complete = true;
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Walks over the rows of a range, of any space; how many is for the caller to say.
    pub(crate) fn rows(&self, range: (&[u8], &[u8]), ask: Ask) -> Result<Merge, Missed> {
        Merge::begin(self.runs(), range, ask)
    }

    /// The same of rows of any space.
    pub(crate) fn raw_page(&self, range: (&[u8], &[u8]), ask: Ask) -> Result<Page<RawRow>, Missed> {
        let mut merge = self.rows(range, ask)?;
        let mut rows = Vec::new();
        while rows.len() < ask.most {
            match merge.next()? {
                Some(Some(row)) => rows.push(row),
                // Known to no one who looks from so far back.
                Some(None) => {}
                None => return Ok(Page { rows, complete: true }),
            }
        }
        Ok(Page {
            rows,
            complete: false,
        })
    }
}

/// Cursors on several runs, newest first, each on a row or at its end. After an error nobody knows where they stand.
pub(crate) struct Merge {
    cursors: Vec<RunCursor>,
    ask: Ask,
    /// The key passed last.
    key: Vec<u8>,
}

/// What is seen of a key.
type Newest = (Version, RunValue);

impl Merge {
    fn begin(runs: &[Arc<Run>], range: (&[u8], &[u8]), ask: Ask) -> Result<Self, Missed> {
        let direction = if ask.reverse {
            Direction::Backward
        } else {
            Direction::Forward
        };
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let cursor = RunCursor::new(run.clone(), range, direction);
            let mut cursor = if ask.keep {
                cursor
            } else {
                cursor.without_caching()
            };
            step(&mut cursor, ask.wait)?;
            cursors.push(cursor);
        }
        Ok(Self {
            cursors,
            ask,
            key: Vec::new(),
        })
    }

    /// What is seen of the next key, if anything is; `None` at the end.
    #[expect(
        clippy::option_option,
        reason = "the end is not the same as a key nothing is seen of"
    )]
    pub(crate) fn next(&mut self) -> Result<Option<Option<RawRow>>, Missed> {
        let Some(newest) = self.advance()? else {
            return Ok(None);
        };
        Ok(Some(
            newest.map(|(version, value)| (self.key.clone(), version, value)),
        ))
    }

    /// The same, but for the key, which [`Merge::key`] tells.
    #[expect(
        clippy::option_option,
        reason = "the end is not the same as a key nothing is seen of"
    )]
    pub(crate) fn advance(&mut self) -> Result<Option<Option<Newest>>, Missed> {
        let keys = self
            .cursors
            .iter()
            .filter_map(RunCursor::current)
            .map(|row| row.key);
        let Some(next) = keys.min_by(|left, right| self.order(left, right)) else {
            return Ok(None);
        };
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(next);
        let mut newest = None;
        for cursor in &mut self.cursors {
            let seen = pass(cursor, &key, self.ask)?;
            newest = newest.or(seen);
        }
        self.key = key;
        Ok(Some(newest))
    }

    /// The key passed last, with its space.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    fn order(&self, left: &[u8], right: &[u8]) -> cmp::Ordering {
        let order = left.cmp(right);
        if self.ask.reverse { order.reverse() } else { order }
    }
}

/// Moves a cursor past a key; the newest version it has of it that is old enough.
fn pass(cursor: &mut RunCursor, key: &[u8], ask: Ask) -> Result<Option<Newest>, Missed> {
    let mut seen: Option<Newest> = None;
    while let Some(row) = cursor.current().filter(|row| row.key == key) {
        let newer = seen.as_ref().is_none_or(|(version, _)| *version < row.version);
        if row.version <= ask.at && newer {
            seen = Some((row.version, row.value()?));
        }
        step(cursor, ask.wait)?;
    }
    Ok(seen)
}

fn step(cursor: &mut RunCursor, wait: bool) -> Result<(), Missed> {
    match cursor.step(wait)? {
        Step::Row | Step::End => Ok(()),
        Step::WouldBlock => Err(Missed::WouldBlock),
    }
}
