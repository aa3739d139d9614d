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
    let mut walk = Walk {
        run,
        to,
        before: None,
        tally: Tally::default(),
    };
    let mut whole = true;
    for number in 0..run.index().len() {
        let Some(place) = run.index().place(number) else {
            continue;
        };
        let read = match run.block(place, true, false) {
            Ok(Some(block)) => walk
                .block(number, place, &block)
                .map_err(|_| MALFORMED.to_owned()),
            // A caller who waits is not told to come again.
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(what) = read {
            walk.to.flaw(place.offset, what);
            whole = false;
        }
        walk.to.progress(u64::from(place.len));
    }
    // What is missing of the rows is missing in the numbers too, and says nothing new.
    if whole {
        walk.check_summary();
    }
}

struct Walk<'a> {
    run: &'a Run,
    to: &'a mut dyn RunAudit,
    before: Option<(Vec<u8>, Version)>,
    tally: Tally,
}

impl Walk<'_> {
    fn block(&mut self, number: usize, place: BlockPlace, block: &Block) -> Result<(), Malformed> {
        let mut window = Window::default();
        for interval in 0..block.intervals() {
            window.load(block, interval)?;
            for row in 0..window.len() {
                let (key, version, value) = window.row(row).ok_or(Malformed)?;
                let value = RunValue::decode(block.bytes(), value).ok_or(Malformed)?;
                let hit = block.lower_bound(key, version)?.hit;
                let found = self.run.index().find(key, version) == number
                    && hit.is_some_and(|(found, _)| found == version);
                self.check_ways(place, key, found);
                self.row(place, key, version, &value);
            }
        }
        Ok(())
    }

    /// Readers come to a row by filter and index.
    fn check_ways(&mut self, place: BlockPlace, key: &[u8], found: bool) {
        if !found {
            self.wrong(place, key, "is not where the index leads");
        }
        if !self.run.may_hold(key) {
            self.wrong(place, key, "is not in the filter");
        }
    }

    fn row(&mut self, place: BlockPlace, key: &[u8], version: Version, value: &RunValue) {
        if !matches!(key.first(), Some(&(SPACE_USER | SPACE_SYSTEM))) {
            self.wrong(place, key, "is in no known space");
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
            self.wrong(place, key, "does not stand in order");
        }
        self.tally.count(key, version, RowValue::from(value));
        self.to.row(place.offset, key, version, value);
        match &mut self.before {
            Some((last_key, last_version)) => {
                last_key.clear();
                last_key.extend_from_slice(key);
                *last_version = version;
            }
            None => self.before = Some((key.to_vec(), version)),
        }
    }

    fn wrong(&mut self, place: BlockPlace, key: &[u8], what: &str) {
        let key = key.get(1..).unwrap_or_default();
        let what = format!("the row of key '{}' {what}", key.escape_ascii());
        self.to.flaw(place.offset, what);
    }

    fn check_summary(self) {
        let said = self.run.summary();
        let last = self.before.map(|(key, _)| key).unwrap_or_default();
        let counted = RunSummary {
            file_len: said.file_len,
            footer_crc: said.footer_crc,
            ..self.tally.finish(&last, said.covers)
        };
        if counted != *said {
            let what = "the summary is not that of the rows";
            self.to.flaw(said.file_len, what.to_owned());
        }
    }
}
