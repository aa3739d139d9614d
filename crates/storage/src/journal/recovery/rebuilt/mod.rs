//! One group's log, made again from its records.
//!
//! In a journal that begins in the middle, the heads of its first frame name entries that stood in segments
//! that are gone. They were purged before these went, but the record that says so may stand far behind. So
//! such a log is read with a gap at its front, and must have closed it by the end: otherwise entries are
//! missing that nobody gave up, and a shorter log would have forgotten what it acknowledged.

use atoll_types::{LogId, Vote};

use crate::journal::format::{Head, RecordHeader, RecordKind, TRUNCATE_FLAG_ALL, VOTE_FLAG_COMMITTED};
use crate::journal::intake::Location;
use crate::journal::table::{LogError, LogTable, Placed};

/// A group's log as far as it was read.
#[derive(Default)]
pub(super) struct Rebuilt {
    table: LogTable,
    gap: Option<Gap>,
}

/// Entries behind `purged` and up to `last` are not there; the table begins after them.
#[derive(Clone, Copy)]
struct Gap {
    purged: Option<LogId>,
    last: LogId,
}

impl Gap {
    fn holds(&self, id: LogId) -> bool {
        id.index < self.last.index && self.purged.is_none_or(|purged| purged.index < id.index)
    }
}

impl Rebuilt {
    /// A log of which nothing but this was read.
    pub(super) fn from_head(head: &Head) -> Result<Self, String> {
        let before =
            |last: Option<LogId>| last.map(|last| last.index) < head.purged.map(|purged| purged.index);
        if before(head.last) {
            return Err("its head says that it ends before what it has purged".to_owned());
        }
        let mut table = LogTable::after(head.last).map_err(text)?;
        table.vote = head.vote;
        table.committed = head.committed;
        let last = head.last.filter(|_| head.last != head.purged);
        let gap = last.map(|last| Gap {
            purged: head.purged,
            last,
        });
        Ok(Self { table, gap })
    }

    /// Takes in what a record says.
    pub(super) fn change(&mut self, record: &RecordHeader, place: Location) -> Result<(), String> {
        match record.kind {
            RecordKind::Entry => {
                LogTable::check_next(self.table.last(), record.id).map_err(text)?;
                self.table.push(Placed {
                    id: record.id,
                    kind: record.flags,
                    place,
                });
                Ok(())
            }
            RecordKind::Vote => {
                self.table.vote = Some(Vote {
                    term: record.id.term,
                    candidate: record.id.leader,
                    committed: record.flags & VOTE_FLAG_COMMITTED != 0,
                });
                Ok(())
            }
            RecordKind::TruncateAfter => {
                let last = (record.flags & TRUNCATE_FLAG_ALL == 0).then_some(record.id);
                self.truncate_after(last)
            }
            RecordKind::Purge => self.purge(record.id),
            RecordKind::Committed => {
                self.table.committed = Some(record.id);
                Ok(())
            }
            RecordKind::GroupCreate | RecordKind::GroupHead | RecordKind::JournalHead => Ok(()),
        }
    }

    fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), String> {
        let unknown = |id| format!("its log is cut after {id}, which is not there");
        let Some(gap) = self.gap else {
            if let Some(id) = last.filter(|last| !self.table.holds(*last)) {
                return Err(unknown(id));
            }
            self.table.truncate_after(last);
            return Ok(());
        };
        match last {
            Some(id) if self.table.holds(id) => {
                self.table.truncate_after(last);
                Ok(())
            }
            Some(id) if gap.holds(id) => {
                self.gap = Some(Gap { last: id, ..gap });
                self.begin_after(last)
            }
            Some(id) if gap.purged != last => Err(unknown(id)),
            _ => {
                self.gap = None;
                self.begin_after(gap.purged)
            }
        }
    }

    /// Nothing of what was read is left but vote and commit mark.
    fn begin_after(&mut self, last: Option<LogId>) -> Result<(), String> {
        let table = LogTable::after(last).map_err(text)?;
        let old = std::mem::replace(&mut self.table, table);
        self.table.vote = old.vote;
        self.table.committed = old.committed;
        Ok(())
    }

    fn purge(&mut self, upto: LogId) -> Result<(), String> {
        if let Some(gap) = &mut self.gap {
            if gap.purged.is_some_and(|purged| purged.index >= upto.index) {
                return Ok(());
            }
            if upto.index < gap.last.index {
                gap.purged = Some(upto);
                return Ok(());
            }
            if upto.index == gap.last.index && upto != gap.last {
                return Err(format!("{upto} is purged, but {} stood there", gap.last));
            }
            self.gap = None;
        }
        if self.table.is_purged(upto) {
            return Ok(());
        }
        self.table.check_purge(upto).map_err(text)?;
        self.table.purge(upto);
        Ok(())
    }

    /// The log, if it is whole and is what its last head says.
    pub(super) fn finish(self, head: &Head) -> Result<LogTable, String> {
        self.check(head).map(|()| self.table)
    }

    /// An error if it is not whole, or not what its last head says.
    pub(super) fn check(&self, head: &Head) -> Result<(), String> {
        if let Some(Gap { purged, last }) = self.gap {
            let from = purged.map_or_else(
                || "the first".to_owned(),
                |purged| format!("the one after {purged}"),
            );
            return Err(format!(
                "its entries from {from} up to {last} are missing, and nothing says that they were purged"
            ));
        }
        let (purged, last) = (self.table.purged(), self.table.last());
        if (purged, last) != (head.purged, head.last) {
            return Err(format!(
                "what was read is purged up to {purged:?} and ends with {last:?}, but it should be {head:?}"
            ));
        }
        Ok(())
    }
}

fn text(error: LogError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
