//! Looks at every row of a run, and at whether what the run says of its rows is true.
//!
//! Readers trust the writer for what no sum covers: that rows stand in order, that filter and index lead to every
//! one of them, that the summary counts them. Here all of that is looked at.

use std::cmp::Ordering;

use atoll_types::Version;

use super::block::{Block, Malformed};
use super::reader::Run;
use super::sparse::BlockPlace;
use super::summary::{RunSummary, Tally};
use super::value::{RowValue, RunValue};
use super::window::Window;
use super::{SPACE_SYSTEM, SPACE_USER};

const MALFORMED: &str = "the rows of a block cannot be told apart though its checksum matches";

/// Takes in what is found.
pub(crate) trait RunAudit {
    /// A row of a sound block, which stands at this offset of the file.
    fn row(&mut self, block: u64, key: &[u8], version: Version, value: &RunValue);
    /// Something is wrong with what stands at this offset.
    fn flaw(&mut self, offset: u64, what: String);
    /// So many bytes of blocks are done with.
    fn progress(&mut self, bytes: u64);
}

/// Reads all blocks. One that cannot be read is a flaw, and the others are looked at nevertheless.
pub(crate) fn audit(run: &Run, to: &mut dyn RunAudit) {
    let mut audit = Audit::new(run);
    while audit.step(to) {}
}

/// The same, a block at a time, for whoever has to give way in between.
pub(crate) struct Audit<'a> {
    run: &'a Run,
    /// The block that comes next.
    next: usize,
    /// Every block so far could be read.
    whole: bool,
    before: Option<(Vec<u8>, Version)>,
    tally: Tally,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self {
            run,
            next: 0,
            whole: true,
            before: None,
            tally: Tally::default(),
        }
    }

    /// Looks at the next block, or behind the last at the summary; false once that is done.
    pub(crate) fn step(&mut self, to: &mut dyn RunAudit) -> bool {
        let number = self.next;
        if number >= self.run.index().len() {
            // What is missing of the rows is missing in the numbers too, and says nothing new.
            if self.whole {
                self.check_summary(to);
            }
            return false;
        }
        self.next += 1;
        let Some(place) = self.run.index().place(number) else {
            return true;
        };
        let read = match self.run.block(place, true, false) {
            Ok(Some(block)) => self
                .block(number, place, &block, to)
                .map_err(|_| MALFORMED.to_owned()),
            // A caller who waits is not told to come again.
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(what) = read {
            to.flaw(place.offset, what);
            self.whole = false;
        }
        to.progress(u64::from(place.len));
        true
    }

    fn block(
        &mut self,
        number: usize,
        place: BlockPlace,
        block: &Block,
        to: &mut dyn RunAudit,
    ) -> Result<(), Malformed> {
        let mut window = Window::default();
        for interval in 0..block.intervals() {
            window.load(block, interval)?;
            for row in 0..window.len() {
                let (key, version, value) = window.row(row).ok_or(Malformed)?;
                let value = RunValue::decode(block.bytes(), value).ok_or(Malformed)?;
                let hit = block.lower_bound(key, version)?.hit;
                let found = self.run.index().find(key, version) == number
                    && hit.is_some_and(|(found, _)| found == version);
                self.check_ways(place, key, found, to);
                self.row(place, (key, version), &value, to);
            }
        }
        Ok(())
    }

    /// Readers come to a row by filter and index.
    fn check_ways(&self, place: BlockPlace, key: &[u8], found: bool, to: &mut dyn RunAudit) {
        if !found {
            wrong(to, place, key, "is not where the index leads");
        }
        if !self.run.may_hold(key) {
            wrong(to, place, key, "is not in the filter");
        }
    }

    fn row(
        &mut self,
        place: BlockPlace,
        (key, version): (&[u8], Version),
        value: &RunValue,
        to: &mut dyn RunAudit,
    ) {
        if !matches!(key.first(), Some(&(SPACE_USER | SPACE_SYSTEM))) {
            wrong(to, place, key, "is in no known space");
        }
        let in_order =
            self.before
                .as_ref()
                .is_none_or(|(last_key, last_version)| match last_key.as_slice().cmp(key) {
                    Ordering::Less => true,
                    Ordering::Equal => *last_version > version,
                    Ordering::Greater => false,
                });
        if !in_order {
            wrong(to, place, key, "does not stand in order");
        }
        if let Some((last_key, newer)) = &self.before
            && last_key == key
        {
            self.tally.count_replaced(key, *newer);
        }
        self.tally.count(key, version, RowValue::from(value));
        to.row(place.offset, key, version, value);
        match &mut self.before {
            Some((last_key, last_version)) => {
                last_key.clear();
                last_key.extend_from_slice(key);
                *last_version = version;
            }
            None => self.before = Some((key.to_vec(), version)),
        }
    }

    fn check_summary(&mut self, to: &mut dyn RunAudit) {
        let said = self.run.summary();
        let last = self.before.take().map(|(key, _)| key).unwrap_or_default();
        let counted = RunSummary {
            file_len: said.file_len,
            footer_crc: said.footer_crc,
            ..std::mem::take(&mut self.tally).finish(&last, said.covers)
        };
        if counted != *said {
            let what = "the summary is not that of the rows";
            to.flaw(said.file_len, what.to_owned());
        }
    }
}

fn wrong(to: &mut dyn RunAudit, place: BlockPlace, key: &[u8], what: &str) {
    let key = key.get(1..).unwrap_or_default();
    let what = format!("the row of key '{}' {what}", key.escape_ascii());
    to.flaw(place.offset, what);
}
