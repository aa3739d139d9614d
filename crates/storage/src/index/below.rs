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
    /// Versions that only a reader below it would see may be missing.
    horizon: Version,
    /// Bytes of values in the journal that walks had to read one by one, since the values were moved last.
    scattered: Arc<AtomicU64>,
}

/// A row of a run, its key with the space.
pub(crate) type RawRow = (Vec<u8>, Version, RunValue);

/// Rows of users of a range, each key once, in the order asked for. All keys share one buffer.
pub(crate) struct UserPage {
    pub(crate) keys: Vec<u8>,
    pub(crate) rows: Vec<UserRow>,
    /// The range has no more than these.
    pub(crate) complete: bool,
}

/// Room made for each key of a page before it is known.
const KEY_BYTES_GUESS: usize = 32;

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
    /// These runs, newest first, and every value file that they point into. Versions that only a reader below `horizon`
    /// would see may be missing.
    pub(crate) fn new(runs: Vec<Arc<Run>>, values: ValueFiles, horizon: Version) -> Self {
        Self(Arc::new(Durable {
            runs,
            values,
            horizon,
            scattered: Arc::default(),
        }))
    }

    /// The same, in the place of these, which goes on counting what is read one by one. What is missing below these' horizon
    /// stays missing.
    pub(crate) fn instead(&self, runs: Vec<Arc<Run>>, values: ValueFiles, horizon: Version) -> Self {
        Self(Arc::new(Durable {
            runs,
            values,
            horizon: self.horizon().max(horizon),
            scattered: self.0.scattered.clone(),
        }))
    }

    /// The lowest version that can be read at.
    pub(crate) fn horizon(&self) -> Version {
        self.0.horizon
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
        self.runs().iter().for_each(|run| reach.add_run(run));
    }

    /// With a run above the others, which points into no other value file than they may, and in which versions below
    /// `horizon` may be missing.
    pub(crate) fn with_newest(&self, run: Arc<Run>, horizon: Version) -> Self {
        let runs = std::iter::once(run).chain(self.runs().iter().cloned());
        self.instead(runs.collect(), self.values().clone(), horizon)
    }

    /// True if there is no run.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    /// Keys of users, about: each run counts its own.
    pub(crate) fn len(&self) -> usize {
        let keys = self.runs().iter().map(|run| {
            let summary = run.summary();
            let others = summary.tombstones + summary.system_rows + summary.replaced;
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
        let mut merge = Merge::begin(self.runs(), (&start, &end), ask)?;
        let mut page = UserPage {
            keys: Vec::with_capacity(ask.most * KEY_BYTES_GUESS),
            rows: Vec::with_capacity(ask.most),
            complete: false,
        };
        while page.rows.len() < ask.most {
            match merge.advance()? {
                Some(Some((version, value))) => {
                    let key = merge.key().get(1..).unwrap_or_default();
                    page.push(key, (version, value.into()));
                }
                // Known to no one who looks from so far back: as good as removed. It counts, or a page of many such keys would take
                // as long as all of them do.
                Some(None) => {
                    let key = merge.key().get(1..).unwrap_or_default();
                    page.push(key, (Version::ZERO, None));
                }
                None => {
                    page.complete = true;
                    break;
                }
            }
        }
        Ok(page)
    }

    /// The same of rows of any space, one after the other.
    pub(crate) fn raw_rows(&self, range: (&[u8], &[u8]), ask: Ask) -> Result<Vec<RawRow>, Missed> {
        let mut merge = Merge::begin(self.runs(), range, ask)?;
        let mut rows = Vec::new();
        while rows.len() < ask.most {
            match merge.advance()? {
                Some(Some((version, value))) => rows.push((merge.key().to_vec(), version, value)),
                // Known to no one who looks from so far back.
                Some(None) => {}
                None => break,
            }
        }
        Ok(rows)
    }
}

/// Cursors on several runs, newest first, each on a row or at its end. After an error nobody knows where they stand.
struct Merge {
    cursors: Vec<RunCursor>,
    /// It is one run, which has each key once.
    alone: bool,
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
            alone: matches!(runs, [run] if run.summary().replaced == 0),
            ask,
            key: Vec::new(),
        })
    }

    /// What is seen of the next key, which [`Merge::key`] tells, if anything is; `None` at the end.
    #[expect(
        clippy::option_option,
        reason = "the end is not the same as a key nothing is seen of"
    )]
    fn advance(&mut self) -> Result<Option<Option<Newest>>, Missed> {
        if self.alone {
            return self.advance_alone();
        }
        let mut key = std::mem::take(&mut self.key);
        let Some((first, next)) = self.next_key() else {
            self.key = key;
            return Ok(None);
        };
        key.clear();
        key.extend_from_slice(next);
        let mut newest = None;
        // None before it stands on this key.
        for cursor in self.cursors.iter_mut().skip(first) {
            let seen = pass(cursor, &key, self.ask)?;
            newest = newest.or(seen);
        }
        self.key = key;
        Ok(Some(newest))
    }

    /// The same where no key needs to be compared.
    #[expect(
        clippy::option_option,
        reason = "the end is not the same as a key nothing is seen of"
    )]
    fn advance_alone(&mut self) -> Result<Option<Option<Newest>>, Missed> {
        let Some(cursor) = self.cursors.first_mut() else {
            return Ok(None);
        };
        let Some(row) = cursor.current() else {
            return Ok(None);
        };
        self.key.clear();
        self.key.extend_from_slice(row.key);
        let newest = if row.version <= self.ask.at {
            Some((row.version, row.value()?))
        } else {
            None
        };
        step(cursor, self.ask.wait)?;
        Ok(Some(newest))
    }

    /// The key that comes next, and the first cursor that stands on it.
    fn next_key(&self) -> Option<(usize, &[u8])> {
        let heads = self.cursors.iter().enumerate();
        let mut heads = heads.filter_map(|(number, cursor)| Some((number, cursor.current()?.key)));
        let first = heads.next()?;
        let lower = |lowest: (usize, _), head: (usize, _)| match self.order(head.1, lowest.1) {
            cmp::Ordering::Less => head,
            cmp::Ordering::Equal | cmp::Ordering::Greater => lowest,
        };
        Some(heads.fold(first, lower))
    }

    /// The key passed last, with its space.
    fn key(&self) -> &[u8] {
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

pub(super) fn step(cursor: &mut RunCursor, wait: bool) -> Result<(), Missed> {
    match cursor.step(wait)? {
        Step::Row | Step::End => Ok(()),
        Step::WouldBlock => Err(Missed::WouldBlock),
    }
}
