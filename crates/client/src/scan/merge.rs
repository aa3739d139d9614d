//! The merge of what the groups answered.

use std::collections::VecDeque;

use atoll_types::{Epoch, GroupId};
use bytes::Bytes;

use crate::error::Error;
use crate::model::Row;

/// Rows of all groups, given out in key order.
pub(super) struct Merge {
    sources: Vec<Source>,
    reverse: bool,
}

struct Source {
    group: GroupId,
    slot_epoch: Epoch,
    rows: VecDeque<Row>,
    /// The group has more after `last`.
    more: bool,
    /// The last key received.
    last: Option<Bytes>,
}

impl Merge {
    pub(super) fn new(reverse: bool) -> Self {
        Self {
            sources: Vec::new(),
            reverse,
        }
    }

    /// Forgets everything and begins anew with these groups.
    pub(super) fn restart(&mut self, groups: impl Iterator<Item = (GroupId, Epoch)>) {
        let fresh = |(group, slot_epoch)| Source {
            group,
            slot_epoch,
            rows: VecDeque::new(),
            more: true,
            last: None,
        };
        self.sources = groups.map(fresh).collect();
    }

    /// The groups that have to be asked before the next key is known, and after which key to go on.
    pub(super) fn dry(&self) -> impl Iterator<Item = (GroupId, Epoch, Option<Bytes>)> {
        let dry = self.sources.iter().filter(|source| source.is_dry());
        dry.map(|source| (source.group, source.slot_epoch, source.last.clone()))
    }

    /// Takes a group's answer. An answer out of order is an error: merging it would lose rows.
    pub(super) fn fill(&mut self, group: GroupId, rows: Vec<Row>, more: bool) -> Result<(), Error> {
        let reverse = self.reverse;
        let Some(source) = self.sources.iter_mut().find(|source| source.group == group) else {
            return Ok(());
        };
        if rows.is_empty() && more {
            return Err(Error::internal("a group has more rows but sends none"));
        }
        for row in rows {
            let in_order = source
                .last
                .as_ref()
                .is_none_or(|last| (row.key < *last) == reverse && row.key != *last);
            if !in_order {
                return Err(Error::internal("a group sent rows out of order"));
            }
            source.last = Some(row.key.clone());
            source.rows.push_back(row);
        }
        source.more = more;
        Ok(())
    }

    /// True if every group has a row here or no more to send: then the next key is known.
    pub(super) fn is_ready(&self) -> bool {
        !self.sources.is_empty() && !self.sources.iter().any(Source::is_dry)
    }

    /// The next row; `None` at the end. Only if [`Merge::is_ready`].
    pub(super) fn pop(&mut self) -> Option<Row> {
        let heads = self.sources.iter_mut().filter(|source| !source.rows.is_empty());
        let key = |source: &&mut Source| source.rows.front().map(|row| row.key.clone());
        let next = if self.reverse {
            heads.max_by_key(key)
        } else {
            heads.min_by_key(key)
        };
        next?.rows.pop_front()
    }
}

impl Source {
    fn is_dry(&self) -> bool {
        self.more && self.rows.is_empty()
    }
}
