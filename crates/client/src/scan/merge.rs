//! The merge of what the groups answered.

use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use atoll_types::limits::SCAN_PAGE_BYTES;
use bytes::Bytes;

use crate::error::Error;
use crate::model::Row;
use crate::route::Share;

/// Rows of all groups, given out in key order. Groups stand here by their place in the list.
///
/// Invariant: the heap holds the next row of every source that has one; `headless` counts the others
/// that may still get one.
pub(super) struct Merge {
    sources: Vec<Source>,
    heads: BinaryHeap<Head>,
    headless: usize,
    reverse: bool,
}

/// One group, or a part of its slots.
struct Source {
    share: Share,
    /// Received and not yet in the heap.
    rows: VecDeque<Row>,
    bytes: usize,
    /// The group has more after `last`.
    more: bool,
    /// A request is under way.
    asked: bool,
    /// The heap holds a row of it.
    headed: bool,
    /// The last key received.
    last: Option<Bytes>,
}

/// The next row of a source.
struct Head {
    row: Row,
    source: usize,
    reverse: bool,
}

impl Merge {
    pub(super) fn new(reverse: bool) -> Self {
        Self {
            sources: Vec::new(),
            heads: BinaryHeap::new(),
            headless: 0,
            reverse,
        }
    }

    /// Forgets everything and begins anew with these groups.
    pub(super) fn restart(&mut self, shares: &[Share]) {
        let fresh = |share: &Share| Source {
            share: share.clone(),
            rows: VecDeque::new(),
            bytes: 0,
            more: true,
            asked: false,
            headed: false,
            last: None,
        };
        self.sources = shares.iter().map(fresh).collect();
        self.headless = self.sources.len();
        self.heads.clear();
    }

    /// The next source to ask, of which key to go on after, marked as asked: one without rows, else
    /// one with room for another request's rows.
    pub(super) fn ask_next(&mut self, rows: usize) -> Option<(usize, &Share, Option<Bytes>)> {
        let waiting = |source: &Source| source.more && !source.asked;
        let hungry = |source: &Source| {
            waiting(source) && source.rows.len() <= rows && source.bytes <= SCAN_PAGE_BYTES / 2
        };
        let dry = |source: &Source| waiting(source) && source.rows.is_empty();
        let place = self
            .sources
            .iter()
            .position(dry)
            .or_else(|| self.sources.iter().position(hungry))?;
        let source = self.sources.get_mut(place)?;
        source.asked = true;
        Some((place, &source.share, source.last.clone()))
    }

    /// The request of a source has ended; it may be asked again.
    pub(super) fn unasked(&mut self, place: usize) {
        if let Some(source) = self.sources.get_mut(place) {
            source.asked = false;
        }
    }

    /// Takes a group's answer. An answer out of order is an error: merging it would lose rows.
    pub(super) fn fill(&mut self, place: usize, rows: Vec<Row>, more: bool) -> Result<(), Error> {
        let reverse = self.reverse;
        let Some(source) = self.sources.get_mut(place) else {
            return Ok(());
        };
        if rows.is_empty() && more {
            return Err(Error::internal("a group has more rows but sends none"));
        }
        let follows = |before: &Bytes, after: &Bytes| before != after && (after < before) == reverse;
        let first_follows = match (&source.last, rows.first()) {
            (Some(last), Some(first)) => follows(last, &first.key),
            _ => true,
        };
        if !first_follows || !rows.is_sorted_by(|a, b| follows(&a.key, &b.key)) {
            return Err(Error::internal("a group sent rows out of order"));
        }
        if let Some(last) = rows.last() {
            source.last = Some(last.key.clone());
        }
        source.bytes += rows.iter().map(Row::len).sum::<usize>();
        source.rows.extend(rows);
        source.more = more;
        if !source.headed {
            let next = source.next();
            // Either it has a row again, or it never will.
            self.headless -= 1;
            source.headed = next.is_some();
            self.heads.extend(next.map(|row| Head {
                row,
                source: place,
                reverse,
            }));
        }
        Ok(())
    }

    /// True if every group has a row here or no more to send: then the next key is known.
    pub(super) fn is_ready(&self) -> bool {
        self.headless == 0 && !self.sources.is_empty()
    }

    /// The next row; `None` at the end. Only if [`Merge::is_ready`].
    pub(super) fn pop(&mut self) -> Option<Row> {
        let mut top = self.heads.peek_mut()?;
        let source = self.sources.get_mut(top.source)?;
        if let Some(next) = source.next() {
            // Sifts once, when `top` goes; taking out and putting in would sift twice.
            return Some(std::mem::replace(&mut top.row, next));
        }
        source.headed = false;
        self.headless += usize::from(source.more);
        Some(PeekMut::pop(top).row)
    }
}

impl Source {
    fn next(&mut self) -> Option<Row> {
        let row = self.rows.pop_front()?;
        self.bytes -= row.len();
        Some(row)
    }
}

impl Ord for Head {
    /// The heap gives the greatest first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let order = self.row.key.cmp(&other.row.key);
        if self.reverse { order } else { order.reverse() }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
