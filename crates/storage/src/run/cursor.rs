//! Walks over the rows of a run in order, either way.
//!
//! Backward is exactly forward turned round: keys descend and, of one key, versions ascend. So all sources
//! of a merge agree in their order, in both directions, and a merging reader that wants each key as of
//! some version takes, forward, the first row of the key that is old enough (and may [`RunCursor::seek`] past newer
//! ones), and backward the last one that is.
//!
//! Only a step reads. One that would have to wait changes nothing, so the same step, with `wait`, goes on from
//! there, on whatever thread.

use std::ops::Range;
use std::sync::Arc;

use atoll_types::Version;

use super::block::Block;
use super::reader::{Looked, Run};
use super::sparse::BlockPlace;
use super::value::RunValue;
use super::window::Window;
use crate::journal::ReadError;

/// Which way a cursor walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Keys ascend; of one key, the newest version comes first.
    Forward,
    /// The same order turned round: keys descend; of one key, the oldest version comes first.
    Backward,
}

/// Where a step led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a row.
    Row,
    /// Behind the last row of the range.
    End,
    /// Nowhere yet: a block is not in memory. Step again with `wait`, on a thread that may.
    WouldBlock,
}

/// A row a cursor stands on.
pub struct RunRow<'a> {
    /// The key, its space first.
    pub key: &'a [u8],
    /// The version.
    pub version: Version,
    cursor: &'a RunCursor,
    number: usize,
    block: &'a Block,
    value: Range<usize>,
}

impl RunRow<'_> {
    /// True if the key was deleted at this version.
    pub fn is_tombstone(&self) -> bool {
        self.value.is_empty()
    }

    /// The value.
    pub fn value(&self) -> Result<RunValue, ReadError> {
        let value = RunValue::decode(self.block.bytes(), self.value.clone());
        value.ok_or_else(|| self.cursor.corrupt(self.number))
    }
}

#[derive(Debug)]
enum Place {
    /// Before the row of this key and version, whether or not there is one, and behind all that come before it.
    Gap(Vec<u8>, Version),
    /// Behind every row.
    Back,
    /// On the row of the window that `row` says.
    Row,
    /// Behind the range.
    End,
    /// In a block, with this number, whose rows cannot be read.
    Malformed(usize),
}

/// Walks over the rows of a range of keys. It keeps the run open, and one block in memory.
pub struct RunCursor {
    run: Arc<Run>,
    start: Vec<u8>,
    end: Vec<u8>,
    direction: Direction,
    keep_blocks: bool,
    place: Place,
    /// The block read last, and its number.
    block: Option<(usize, Block)>,
    window: Window,
    interval: usize,
    row: usize,
}

/// The end of a block, or of sixteen rows, at which a walk enters.
#[derive(Clone, Copy)]
enum Edge {
    First,
    Last,
}

impl RunCursor {
    /// A cursor over the keys from `start` up to, without, `end` (empty: to the last), before the first row of its
    /// direction. Keys begin with their space.
    pub fn new(run: Arc<Run>, (start, end): (&[u8], &[u8]), direction: Direction) -> Self {
        let place = match direction {
            Direction::Forward => Place::Gap(start.to_vec(), Version(u64::MAX)),
            Direction::Backward if end.is_empty() => Place::Back,
            Direction::Backward => Place::Gap(end.to_vec(), Version(u64::MAX)),
        };
        Self {
            run,
            start: start.to_vec(),
            end: end.to_vec(),
            direction,
            keep_blocks: true,
            place,
            block: None,
            window: Window::default(),
            interval: 0,
            row: 0,
        }
    }

    /// Leaves the cache as it is: for a walk over everything, which would push out what is used.
    #[must_use]
    pub fn without_caching(mut self) -> Self {
        self.keep_blocks = false;
        self
    }

    /// Goes right before the row of `key` and `version`, whether or not there is one. The next step leads, forward,
    /// to the first row from there on, and backward to the last one before it; never out of the range.
    pub fn seek(&mut self, key: &[u8], version: Version) {
        self.place = match self.direction {
            Direction::Forward if key < &self.start[..] => Place::Gap(self.start.clone(), Version(u64::MAX)),
            Direction::Backward if self.is_behind_end(key) => Place::Gap(self.end.clone(), Version(u64::MAX)),
            _ => Place::Gap(key.to_vec(), version),
        };
    }

    /// The newest version of a key that is not above `at`, as [`Run::get`], wherever this stands, and stays.
    pub fn find(&self, key: &[u8], at: Version, wait: bool) -> Result<Looked, ReadError> {
        let number = self.run.index().find(key, at);
        let Some(place) = self.run.index().place(number) else {
            return Ok(Looked::Absent);
        };
        match self.fetch(number, wait)? {
            Some(block) => self.run.find_in((place, &block), key, at),
            None => Ok(Looked::WouldBlock),
        }
    }

    /// Goes on to the next row. After [`Step::WouldBlock`], and after an error of the file, it is where it was
    /// before and the same step can be tried again.
    pub fn step(&mut self, wait: bool) -> Result<Step, ReadError> {
        let Some(found) = self.advance(wait)? else {
            return Ok(Step::WouldBlock);
        };
        let inside = found && self.row_is_inside();
        self.place = if inside { Place::Row } else { Place::End };
        Ok(if inside { Step::Row } else { Step::End })
    }

    /// The row it stands on; none before the first step, after a seek, and behind the end.
    pub fn current(&self) -> Option<RunRow<'_>> {
        if !matches!(self.place, Place::Row) {
            return None;
        }
        let (key, version, value) = self.window.row(self.row)?;
        let (number, block) = self.block.as_ref()?;
        Some(RunRow {
            key,
            version,
            cursor: self,
            number: *number,
            block,
            value,
        })
    }

    fn is_behind_end(&self, key: &[u8]) -> bool {
        !self.end.is_empty() && key >= &self.end[..]
    }

    fn row_is_inside(&self) -> bool {
        let Some((key, ..)) = self.window.row(self.row) else {
            return false;
        };
        match self.direction {
            Direction::Forward => !self.is_behind_end(key),
            Direction::Backward => key >= &self.start[..],
        }
    }

    /// Moves to the next row of the run: true if there is one, `None` if that would have to wait.
    fn advance(&mut self, wait: bool) -> Result<Option<bool>, ReadError> {
        match &self.place {
            Place::End => Ok(Some(false)),
            Place::Malformed(number) => Err(self.corrupt(*number)),
            Place::Back => self.enter_before(self.run.index().len(), wait),
            Place::Row => self.leave_row(wait),
            Place::Gap(key, version) => {
                let (key, version) = (key.clone(), *version);
                self.leave_gap(&key, version, wait)
            }
        }
    }

    /// From a gap to the row behind it or before it.
    fn leave_gap(&mut self, key: &[u8], version: Version, wait: bool) -> Result<Option<bool>, ReadError> {
        let number = self.run.index().find(key, version);
        if number == self.run.index().len() {
            return match self.direction {
                Direction::Forward => Ok(Some(false)),
                Direction::Backward => self.enter_before(number, wait),
            };
        }
        let Some(block) = self.fetch(number, wait)? else {
            return Ok(None);
        };
        let bound = block.lower_bound(key, version);
        let bound = bound.map_err(|_| self.corrupt(number))?;
        match self.direction {
            Direction::Forward if bound.interval < block.intervals() => {
                self.load(number, block, bound.interval, Edge::First)?;
                self.row = bound.row;
                Ok(Some(true))
            }
            Direction::Forward => self.enter_after(number, wait),
            Direction::Backward if bound.row > 0 => {
                self.load(number, block, bound.interval, Edge::First)?;
                self.row = bound.row - 1;
                Ok(Some(true))
            }
            Direction::Backward => match bound.interval.checked_sub(1) {
                Some(interval) => self.load(number, block, interval, Edge::Last),
                None => self.enter_before(number, wait),
            },
        }
    }

    /// From a row to the next one.
    fn leave_row(&mut self, wait: bool) -> Result<Option<bool>, ReadError> {
        let (next, edge) = match self.direction {
            Direction::Forward => (Some(self.row + 1), Edge::First),
            Direction::Backward => (self.row.checked_sub(1), Edge::Last),
        };
        if let Some(row) = next.filter(|row| *row < self.window.len()) {
            self.row = row;
            return Ok(Some(true));
        }
        let Some((number, block)) = self.block.clone() else {
            return Ok(Some(false));
        };
        let next = match self.direction {
            Direction::Forward => Some(self.interval + 1),
            Direction::Backward => self.interval.checked_sub(1),
        };
        match (next.filter(|next| *next < block.intervals()), self.direction) {
            (Some(interval), _) => self.load(number, block, interval, edge),
            (None, Direction::Forward) => self.enter_after(number, wait),
            (None, Direction::Backward) => self.enter_before(number, wait),
        }
    }

    /// To the first row of the next block.
    fn enter_after(&mut self, number: usize, wait: bool) -> Result<Option<bool>, ReadError> {
        let number = number + 1;
        if number >= self.run.index().len() {
            return Ok(Some(false));
        }
        match self.fetch(number, wait)? {
            Some(block) => self.load(number, block, 0, Edge::First),
            None => Ok(None),
        }
    }

    /// To the last row of the block before.
    fn enter_before(&mut self, number: usize, wait: bool) -> Result<Option<bool>, ReadError> {
        let Some(number) = number.checked_sub(1) else {
            return Ok(Some(false));
        };
        let Some(block) = self.fetch(number, wait)? else {
            return Ok(None);
        };
        let last = block.intervals() - 1;
        self.load(number, block, last, Edge::Last)
    }

    fn fetch(&self, number: usize, wait: bool) -> Result<Option<Block>, ReadError> {
        if let Some((held, block)) = &self.block
            && *held == number
        {
            return Ok(Some(block.clone()));
        }
        match self.run.index().place(number) {
            Some(place) => self.run.block(place, wait, self.keep_blocks),
            None => Err(self.corrupt(number)),
        }
    }

    /// Unpacks an interval and stands on its first or last row.
    fn load(
        &mut self,
        number: usize,
        block: Block,
        interval: usize,
        edge: Edge,
    ) -> Result<Option<bool>, ReadError> {
        let loaded = self.window.load(&block, interval);
        self.block = Some((number, block));
        if loaded.is_err() {
            self.place = Place::Malformed(number);
            return Err(self.corrupt(number));
        }
        self.interval = interval;
        self.row = match edge {
            Edge::First => 0,
            Edge::Last => self.window.len() - 1,
        };
        Ok(Some(true))
    }

    fn corrupt(&self, number: usize) -> ReadError {
        let place = self.run.index().place(number);
        self.run
            .corrupt(place.unwrap_or(BlockPlace { offset: 0, len: 0 }))
    }
}
