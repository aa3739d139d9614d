//! The reads of one frame for one group.

use std::sync::Arc;

use atoll_env::Instant;

use super::{Failure, ReadItem, Reply};
use crate::shard::reply::Replies;

/// The reads that one frame has for one group. Dropped with reads left, it answers them.
pub(crate) struct ReadBatch {
    items: Vec<ReadItem>,
    to: Arc<dyn Replies>,
}

impl ReadBatch {
    /// Reads whose replies go to `to`.
    pub(crate) fn new(items: Vec<ReadItem>, to: Arc<dyn Replies>) -> Self {
        Self { items, to }
    }

    /// Where the replies go.
    pub(super) fn to(&self) -> &Arc<dyn Replies> {
        &self.to
    }

    /// The reads that are left.
    pub(super) fn items(&self) -> &[ReadItem] {
        &self.items
    }

    /// Takes the reads out; whoever does so answers them.
    pub(super) fn take(&mut self) -> Vec<ReadItem> {
        std::mem::take(&mut self.items)
    }

    /// Answers all with the same failure.
    pub(super) fn fail(mut self, failure: &Failure) {
        let items = self.take();
        deliver_failure(&items, failure, &*self.to);
    }

    /// When the first of the reads gives up.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.items.iter().map(|item| item.deadline).min()
    }

    /// Nothing of it is to be waited for after `latest`.
    pub(super) fn give_up_by(&mut self, latest: Instant) {
        for item in &mut self.items {
            item.deadline = item.deadline.min(latest);
        }
    }

    /// The reads that have given up by `now`; the others stay.
    pub(super) fn split_late(&mut self, now: Instant) -> Option<Self> {
        if self.first_deadline().is_none_or(|first| first > now) {
            return None;
        }
        let (late, rest): (Vec<_>, Vec<_>) = self.take().into_iter().partition(|item| item.deadline <= now);
        self.items = rest;
        (!late.is_empty()).then(|| Self::new(late, self.to.clone()))
    }
}

impl Drop for ReadBatch {
    fn drop(&mut self) {
        let failure = Failure::Unavailable("the read was dropped before it was done".into());
        deliver_failure(&self.items, &failure, &*self.to);
    }
}

fn deliver_failure(items: &[ReadItem], failure: &Failure, to: &dyn Replies) {
    if items.is_empty() {
        return;
    }
    let failed = |item: &ReadItem| item.answered(Reply::Failed(failure.clone()));
    to.deliver(&mut items.iter().map(failed).collect());
}
