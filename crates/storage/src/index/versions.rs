//! Rows of several runs as one, with those older versions that history keeps.

use std::sync::Arc;

use atoll_types::Version;

use super::below::{Missed, RawRow};
use super::passing::step;
use crate::run::{Direction, Run, RunCursor, SPACE_SYSTEM};

/// Walks over rows of runs in order: of each key the newest, and then, newest first, every older one that is seen by
/// somebody who reads at the horizon or above it. Rows of the system have no history: of them only the newest.
///
/// It waits for disks, leaves the cache as it is, and holds one block of each run. After an error nobody knows where it stands.
pub(crate) struct Versions {
    /// Newest first, each on a row or at its end.
    cursors: Vec<RunCursor>,
    horizon: Version,
    /// The key of now, empty before the first.
    key: Vec<u8>,
    /// The oldest version of it that was passed.
    newer: Option<Version>,
}

impl Versions {
    /// From the first row of these runs, newest first, or behind a version of a key, which begins with its space.
    pub(crate) fn begin(
        runs: &[Arc<Run>],
        behind: Option<(&[u8], Version)>,
        horizon: Version,
    ) -> Result<Self, Missed> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let mut cursor = RunCursor::new(run.clone(), (&[], &[]), Direction::Forward).without_caching();
            if let Some((key, version)) = behind {
                // Versions descend, so the one below comes next. None is 0.
                cursor.seek(key, Version(version.0.saturating_sub(1)));
            }
            step(&mut cursor, true)?;
            cursors.push(cursor);
        }
        let (key, newer) = behind.unzip();
        Ok(Self {
            cursors,
            horizon,
            key: key.map(<[u8]>::to_vec).unwrap_or_default(),
            newer,
        })
    }

    /// Passes the next row, and gives it if anybody needs it: there may be millions in a row that nobody does. `None` at the
    /// end.
    #[expect(
        clippy::option_option,
        reason = "the end is not the same as a row that nobody needs"
    )]
    pub(crate) fn next(&mut self) -> Result<Option<Option<RawRow>>, Missed> {
        let Some(at) = self.of_key().or_else(|| self.next_key()) else {
            return Ok(None);
        };
        let horizon = match self.key.first() {
            Some(&SPACE_SYSTEM) => Version(u64::MAX),
            _ => self.horizon,
        };
        let Some(cursor) = self.cursors.get_mut(at) else {
            return Ok(None);
        };
        let Some(row) = cursor.current() else {
            return Ok(None);
        };
        let version = row.version;
        // The newest is seen by all who come.
        let is_needed = self.newer.is_none_or(|newer| newer > horizon && version < newer);
        let value = is_needed.then(|| row.value()).transpose()?;
        self.newer = Some(self.newer.map_or(version, |newer| newer.min(version)));
        step(cursor, true)?;
        Ok(Some(value.map(|value| (self.key.clone(), version, value))))
    }

    /// The key of the row passed last, with its space.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The newest run that has more rows of the key of now.
    fn of_key(&self) -> Option<usize> {
        let stands = |cursor: &RunCursor| cursor.current().is_some_and(|row| row.key == self.key);
        self.cursors.iter().position(stands)
    }

    /// Goes on to the next key; the newest run that has it.
    fn next_key(&mut self) -> Option<usize> {
        let heads = self.cursors.iter().enumerate();
        let heads = heads.filter_map(|(at, cursor)| Some((cursor.current()?.key, at)));
        let (key, at) = heads.min()?;
        self.key.clear();
        self.key.extend_from_slice(key);
        self.newer = None;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Below;

    #[test]
    fn of_no_runs_there_are_no_rows() {
        let none = Below::default();
        let mut versions = Versions::begin(none.runs(), None, Version::ZERO).unwrap();
        assert!(versions.next().unwrap().is_none());
    }
}
