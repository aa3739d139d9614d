//! Reads on the node's pool: those that wait for a disk, and pages too long for the task that point reads
//! wait behind.
//!
//! As long as a view lives, no file that it may read from goes, nor any segment of the journal, however much was merged since. So no scan has
//! one for longer than [`PIN_MAX`], nor, once it has had it for a while, when more than `pin-mib` of the disk could go without it:
//! then a page ends with the rows that it has, and whoever asked goes on behind them with another view, as behind any page. A page that
//! has nothing by then goes on with another view itself.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Instant, trouble};
use parking_lot::Mutex;

use super::serve::Stand;
use super::{Failure, RETRY_AFTER_MS, ReadBatch, ReadItem, ReadOp, Reply, ScanPage, Shard, Step};
use crate::shard::counters::Counters;
use crate::shard::fetch::Miss;
use crate::shard::reply::Replies;
use crate::shard::rows_view::RowsView;

/// How long one read may keep on the disk what nothing else needs any more.
pub(in crate::shard) const PIN_MAX: Duration = Duration::from_secs(10);

/// How often is looked how much that is.
pub(in crate::shard) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One read that is done on the pool. Dropped, it answers.
struct ColdRead {
    single: ReadBatch,
    stand: Stand,
    /// What there is of a scan's page.
    page: Option<ScanPage>,
    /// True once it began anew from a fresh view.
    again: bool,
    /// When to look next what its view keeps on the disk.
    look: Instant,
}

impl Shard {
    /// Does the whole read again where it may wait for a disk. The snapshot is the same, so what was
    /// found out about it stays true.
    pub(in crate::shard) fn serve_cold(
        self: &Arc<Self>,
        item: ReadItem,
        to: &Arc<dyn Replies>,
        stand: &Stand,
    ) {
        Counters::add(&self.counters.cold_reads, 1);
        let cold = ColdRead {
            single: ReadBatch::new(vec![item], to.clone()),
            stand: stand.clone(),
            page: None,
            again: false,
            look: stand.since + LOOK_EVERY,
        };
        // Whoever gets the job also gets the duty to answer; the batch answers if the job is dropped.
        let handed = Arc::new(Mutex::new(Some(cold)));
        let (shard, taken) = (self.clone(), handed.clone());
        let job = Box::new(move || {
            if let Some(cold) = taken.lock().take() {
                shard.run_cold(cold);
            }
        });
        if self.pool.submit(job).is_err()
            && let Some(cold) = handed.lock().take()
        {
            cold.single.fail(&overloaded());
        }
    }

    /// Answers a whole batch where a disk may be waited for: of a backend that does not say when it would.
    pub(super) fn serve_on_pool(self: &Arc<Self>, batch: ReadBatch, stand: &Stand) {
        if batch.items().is_empty() {
            return;
        }
        let handed = Arc::new(Mutex::new(Some(batch)));
        let (shard, stand, taken) = (self.clone(), stand.clone(), handed.clone());
        let job = Box::new(move || {
            let batch = taken.lock().take();
            if let Some(batch) = batch {
                shard.answer(batch, &stand, true);
            }
        });
        if self.pool.submit(job).is_err()
            && let Some(batch) = handed.lock().take()
        {
            batch.fail(&overloaded());
        }
    }

    /// Goes on until the read is done, or others wait: then it stands at their end.
    fn run_cold(self: &Arc<Self>, mut cold: ColdRead) {
        loop {
            let reply = match self.step_cold(&mut cold) {
                Ok(Some(reply)) => reply,
                Ok(None) if self.pool.has_waiting() => {
                    let shard = self.clone();
                    return self.pool.queue_again(Box::new(move || shard.run_cold(cold)));
                }
                Ok(None) => continue,
                // Once more from a fresh view, before anything is called rotten (D16).
                Err(Miss::Corrupt(_)) if !cold.again => match self.stand_again(&cold) {
                    Ok(stand) => {
                        (cold.stand, cold.page, cold.again) = (stand, None, true);
                        continue;
                    }
                    Err(failure) => Reply::Failed(failure),
                },
                Err(miss) => Reply::Failed(miss.into_failure()),
            };
            let items = cold.single.take();
            let replies = items.iter().map(|item| item.answered(reply.clone())).collect();
            return self.deliver(replies, &**cold.single.to());
        }
    }

    /// A fresh view, of the same version if one was asked for.
    fn stand_again(&self, cold: &ColdRead) -> Result<Stand, Failure> {
        let fresh = Stand {
            since: self.env.clock.now(),
            snapshot: Arc::new(self.state.snapshot()),
            ..cold.stand.clone()
        };
        let asked = cold
            .single
            .items()
            .first()
            .and_then(|item| Some((item, item.at?)));
        match asked {
            Some((item, at)) => self
                .stand_at(&fresh, at)
                .map_err(|not_kept| self.not_kept(item, not_kept)),
            None => Ok(fresh),
        }
    }

    /// True if the view is to be let go, because of its age or of what it keeps on the disk. Rows of another backend than the index keep
    /// nothing there.
    fn is_held_enough(&self, stand: &Stand, look: &mut Instant, now: Instant) -> bool {
        if now >= stand.since + PIN_MAX {
            return true;
        }
        let RowsView::Index(view) = &stand.snapshot.view else {
            return false;
        };
        if now < *look {
            return false;
        }
        *look = now + LOOK_EVERY;
        let is_too_much = self.store.held_back_by_view(view) > self.pin_bytes;
        if is_too_much {
            trouble::sometimes("a read that kept too much on the disk let go of it");
        }
        is_too_much
    }

    /// The reply, or nothing yet.
    fn step_cold(&self, cold: &mut ColdRead) -> Result<Option<Reply>, Miss> {
        let Some(item) = cold.single.items().first() else {
            return Err(Miss::Failed(Failure::Internal(
                "a read without a question".into(),
            )));
        };
        let (fetch, now) = (self.fetch(&cold.stand, true), self.env.clock.now());
        let ReadOp::Scan(scan) = &item.op else {
            return fetch.run(item, now).map(Some);
        };
        let epoch = fetch.admit(item, now)?;
        let mut page = cold.page.take().unwrap_or_else(|| ScanPage::new(scan));
        match page.step(scan, &fetch)? {
            Step::Done => Ok(Some(page.into_reply(scan, fetch.proof(epoch)))),
            Step::Again if self.is_held_enough(&cold.stand, &mut cold.look, now) => {
                if page.end_early(scan) {
                    return Ok(Some(page.into_reply(scan, fetch.proof(epoch))));
                }
                // It has no row yet, so nothing in it is of the old view.
                cold.stand = self.stand_again(cold).map_err(Miss::Failed)?;
                cold.look = cold.stand.since + LOOK_EVERY;
                cold.page = Some(page);
                Ok(None)
            }
            Step::Again => {
                cold.page = Some(page);
                Ok(None)
            }
        }
    }
}

fn overloaded() -> Failure {
    Failure::Overloaded {
        what: "too many reads wait for the disk",
        retry_after_ms: RETRY_AFTER_MS,
    }
}
