//! Sorting a batch by what its reads need, and answering it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_env::Instant;
use atoll_storage::NotKept;
use atoll_types::limits::SCAN_PAGE_BYTES;
use atoll_types::{Mutant, mutant};

use super::age::age_ms;
use super::{Consistency, Delivery, Failure, Mark, ReadBatch, ReadItem, ReadOp, Reply, Shard};
use crate::shard::counters::Counters;
use crate::shard::fetch::{Fetch, Miss};
use crate::shard::reply::Replies;
use crate::shard::rows_view::RowsView;
use crate::shard::state::Snapshot;

/// Rows a read may touch on the group's read task; more go to the pool.
const ROWS_INLINE_MAX: usize = 256;

/// From where a batch is answered.
#[derive(Clone)]
pub(in crate::shard) struct Stand {
    pub(in crate::shard) snapshot: Arc<Snapshot>,
    /// When it was taken.
    pub(in crate::shard) since: Instant,
    /// Milliseconds the state may be old, at most.
    pub(in crate::shard) age_ms: u64,
    /// True if a read-index round was made for these reads: nothing newer can be had anywhere.
    pub(in crate::shard) by_round: bool,
}

/// What a read needs before it can be answered from a stand.
pub(super) enum Needs {
    Nothing,
    /// A read-index round.
    Round,
    /// An entry that is not applied here yet.
    Entry(u64),
    /// It can never be.
    Refusal(Failure),
}

impl Shard {
    /// Answers every read of the batch, sooner or later. Never blocks.
    pub(crate) fn submit_reads(self: &Arc<Self>, mut batch: ReadBatch) {
        let needs_round =
            |item: &ReadItem| item.at.is_none() && matches!(item.consistency, Consistency::Linearizable);
        if batch.items().iter().all(needs_round) {
            return self.serve_after_round(batch);
        }
        let stand = self.stand();
        let (mut now, mut after_round) = (Vec::new(), Vec::new());
        let mut waiting: BTreeMap<u64, Vec<ReadItem>> = BTreeMap::new();
        let mut refused = Vec::new();
        for item in batch.take() {
            let needs = match item.at {
                Some(at) => stand.needs_at_version(at),
                None => self.needs(item.consistency, &stand),
            };
            match needs {
                Needs::Nothing => now.push(item),
                Needs::Round => after_round.push(item),
                Needs::Entry(index) => waiting.entry(index).or_default().push(item),
                Needs::Refusal(failure) => refused.push(item.answered(Reply::Failed(failure))),
            }
        }
        if !refused.is_empty() {
            batch.to().deliver(&mut refused);
        }
        let again = |items| ReadBatch::new(items, batch.to().clone());
        self.serve(again(now), &stand);
        self.serve_after_round(again(after_round));
        for (index, items) in waiting {
            self.wait_for_entry(index, again(items));
        }
    }

    fn needs(self: &Arc<Self>, consistency: Consistency, stand: &Stand) -> Needs {
        match consistency {
            Consistency::Linearizable => Needs::Round,
            Consistency::Eventual => {
                self.keep_fresh();
                Needs::Nothing
            }
            Consistency::Bounded { max_age_ms } => {
                self.keep_fresh();
                // An age of nothing is told by no clock: it takes a round.
                let is_young = stand.age_ms <= max_age_ms || mutant::is(Mutant::BoundedAtAnyAge);
                if max_age_ms > 0 && is_young {
                    Needs::Nothing
                } else {
                    Needs::Round
                }
            }
            Consistency::Session(None) => Needs::Nothing,
            Consistency::Session(Some(mark)) => self.session_needs(mark, stand),
        }
    }

    /// The mark is compared with the view that is read, not with what is applied a moment later.
    fn session_needs(&self, mark: Mark, stand: &Stand) -> Needs {
        let own = self.state.key.generation;
        if mark.generation > own {
            return Needs::Refusal(Failure::Unavailable(format!(
                "the session has seen incarnation {} of group {}, this replica is of incarnation {own}: read from another",
                mark.generation, self.state.key.id
            )));
        }
        if mark.generation < own {
            // The group was made anew since, and its log with it: no index says whether this replica has
            // all that was kept. A round does.
            return Needs::Round;
        }
        if mark.applied_index <= stand.snapshot.view.applied_index() || mutant::is(Mutant::TokenIgnored) {
            Needs::Nothing
        } else {
            Needs::Entry(mark.applied_index)
        }
    }

    /// The state of now, with its age.
    pub(in crate::shard) fn stand(&self) -> Stand {
        // Before the snapshot, which then has everything that this moment promises.
        let since = self.reads.fresh_since();
        let snapshot = Arc::new(self.state.snapshot());
        let now = self.env.clock.now();
        Stand {
            snapshot,
            since: now,
            age_ms: age_ms(since, now),
            by_round: false,
        }
    }

    pub(super) fn serve_after_round(self: &Arc<Self>, batch: ReadBatch) {
        if batch.items().is_empty() {
            return;
        }
        Counters::add(&self.counters.read_batches, 1);
        let shard = self.clone();
        self.reads.submit(Box::new(move |point| match point {
            Ok(_) => {
                let stand = Stand {
                    snapshot: Arc::new(shard.state.snapshot()),
                    since: shard.env.clock.now(),
                    age_ms: 0,
                    by_round: true,
                };
                shard.serve(batch, &stand);
            }
            Err(error) => batch.fail(&Failure::of_read(shard.state.key, &error)),
        }));
    }

    /// Answers everything from one snapshot, sooner or later.
    pub(in crate::shard) fn serve(self: &Arc<Self>, batch: ReadBatch, stand: &Stand) {
        match &stand.snapshot.view {
            RowsView::Index(_) => self.answer(batch, stand, false),
            RowsView::Other(_) => self.serve_on_pool(batch, stand),
        }
    }

    /// Answers everything from one snapshot; what would wait for a disk, elsewhere unless it may.
    pub(super) fn answer(self: &Arc<Self>, mut batch: ReadBatch, stand: &Stand, may_block: bool) {
        let now = self.env.clock.now();
        let items = batch.take();
        let mut replies = Vec::with_capacity(items.len());
        let mut bytes = 0;
        let (mut after_round, mut after_closing) = (Vec::new(), Vec::new());
        for item in items {
            // A frame may ask for gigabytes: what is read goes on its way before more is.
            if bytes >= SCAN_PAGE_BYTES {
                self.deliver(std::mem::take(&mut replies), &**batch.to());
                bytes = 0;
            }
            let past = match item.at.map(|at| self.stand_at(stand, at)).transpose() {
                Ok(past) => past,
                Err(NotKept::Ahead { .. }) => {
                    after_closing.push(item);
                    continue;
                }
                Err(not_kept) => {
                    replies.push(item.answered(Reply::Failed(self.not_kept(&item, not_kept))));
                    continue;
                }
            };
            let stand = past.as_ref().unwrap_or(stand);
            let fetch = self.fetch(stand, may_block);
            let tried = match fetch.admit(&item, now) {
                Ok(_) if item.op.rows_max() > ROWS_INLINE_MAX => Err(Miss::Cold),
                // In steps, which know when to let go of the view.
                Ok(_) if may_block && matches!(item.op, ReadOp::Scan(_)) => Err(Miss::Cold),
                Ok(epoch) => fetch.read(&item.op, epoch),
                Err(failure) => Err(failure.into()),
            };
            match tried {
                Ok(reply) => {
                    bytes += reply.row_bytes();
                    replies.push(item.answered(reply));
                }
                Err(Miss::Failed(failure)) if may_own_it_later(&item, &failure, stand) => {
                    after_round.push(item);
                }
                Err(Miss::Failed(failure)) => replies.push(item.answered(Reply::Failed(failure))),
                Err(Miss::Cold | Miss::Corrupt(_)) => self.serve_cold(item, batch.to(), stand),
            }
        }
        self.deliver(replies, &**batch.to());
        if !after_round.is_empty() {
            self.serve_after_round(ReadBatch::new(after_round, batch.to().clone()));
        }
        if !after_closing.is_empty() {
            self.serve_after_closing(ReadBatch::new(after_closing, batch.to().clone()), stand);
        }
    }

    /// Counts replies and hands them over.
    pub(super) fn deliver(&self, mut replies: Vec<Delivery>, to: &dyn Replies) {
        if replies.is_empty() {
            return;
        }
        Counters::add(&self.counters.reads, replies.len());
        if *self.leader.borrow() != Some(self.state.replica) {
            let is_served = |delivery: &&Delivery| !matches!(delivery.reply, Reply::Failed(_));
            let served = replies.iter().filter(is_served).count();
            Counters::add(&self.counters.follower_reads, served);
        }
        to.deliver(&mut replies);
    }

    pub(super) fn fetch<'a>(&'a self, stand: &'a Stand, may_block: bool) -> Fetch<'a> {
        Fetch {
            state: &self.state,
            journal: &self.journal,
            snapshot: &stand.snapshot,
            age_ms: stand.age_ms,
            may_block,
        }
    }
}

/// A session's holder knows from the map that the group owns the slot; this replica may only be behind.
/// After a round it is not.
fn may_own_it_later(item: &ReadItem, failure: &Failure, stand: &Stand) -> bool {
    let is_session = matches!(item.consistency, Consistency::Session(_));
    is_session && !stand.by_round && matches!(failure, Failure::NotOwner { .. } | Failure::Unavailable(_))
}
