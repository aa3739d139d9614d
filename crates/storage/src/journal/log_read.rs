//! Reading a group's log: from memory where possible, else from disk.

use std::io;
use std::ops::Range;

use super::LogEntry;
use super::group::GroupLog;
use super::load::{Chunk, chunks, load};
use super::table::{LogTable, Placed};

/// What comes next of a log.
enum Next {
    /// It is on disk, in these places.
    Cold(Vec<Chunk>),
    /// It is in memory and was taken, or there is nothing more, or no more is asked for.
    End,
}

impl GroupLog {
    /// Entries from `from` up to, without, `to`: as many as fit into `max_bytes`, but at least one if
    /// there is any. From memory where possible, else from disk in pieces of about 1 MiB. They follow each
    /// other without a gap; what is purged meanwhile may be missing at the front, or ends them.
    pub async fn read(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<LogEntry>> {
        let mut entries = Vec::new();
        let mut budget = Budget {
            left: max_bytes,
            any: false,
        };
        let mut next = from;
        loop {
            match self.take_warm(&mut next, to, &mut budget, &mut entries)? {
                Next::Cold(chunks) => entries.extend(load(&self.journal, self.group.key, chunks).await?),
                Next::End => return Ok(entries),
            }
        }
    }

    /// Takes entries from memory if the next one is there; else says where those on disk stand. Their segments
    /// are pinned under the lock of the table: an entry that is kept keeps its segment, one that was purged a
    /// moment ago does not.
    fn take_warm(
        &self,
        next: &mut u64,
        to: u64,
        budget: &mut Budget,
        entries: &mut Vec<LogEntry>,
    ) -> io::Result<Next> {
        let table = self.group.table.lock();
        if table.first() > *next {
            if !entries.is_empty() {
                // Purged since: what follows would leave a gap.
                return Ok(Next::End);
            }
            *next = table.first();
        }
        if *next < table.tail_first().min(to) {
            let cold = budget.take_cold(&table, *next..to);
            if cold.is_empty() {
                return Ok(Next::End);
            }
            *next += cold.len() as u64;
            return chunks(&self.journal, cold).map(Next::Cold);
        }
        let warm = (*next..to.min(table.end())).map_while(|index| table.tail_entry(index));
        entries.extend(warm.take_while(|entry| budget.take(entry.payload.len())));
        Ok(Next::End)
    }
}

/// Bytes a read may still return; the first entry is free.
struct Budget {
    left: usize,
    any: bool,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> bool {
        let taken = bytes <= self.left || !self.any;
        if taken {
            self.left = self.left.saturating_sub(bytes);
        }
        self.any = true;
        taken
    }

    /// Entries that are only on disk.
    fn take_cold(&mut self, table: &LogTable, range: Range<u64>) -> Vec<Placed> {
        let cold = range.start..range.end.min(table.tail_first());
        cold.map_while(|index| table.placed_at(index))
            .take_while(|entry| self.take(entry.place.len as usize))
            .collect()
    }
}
