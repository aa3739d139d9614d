//! Gives up a leadership that its replica should not have.
//!
//! A leader whose state cannot be read serves what it can, but cannot bring up whoever needs a snapshot, and answers some reads
//! with errors; another replica has the same state on another disk.
//!
//! Handing over is asked of openraft only when little can go wrong: from then on this replica takes no writes and is heard no
//! more, and openraft has no way back. If the other has died just then and the rest lack entries, none of them can be elected,
//! and this one, which could, thinks that it leads. So a leadership that nobody has taken is ended here, and an election decides.

use std::time::Duration;

use atoll_env::{Env, Instant, trouble, watch};
use atoll_types::{GroupKey, ReplicaId};
use openraft::async_runtime::WatchReceiver;
use openraft::raft::VoteRequest;
use openraft_rt::Instant as _;
use parking_lot::Mutex;

use crate::group::Raft;
use crate::types::{RaftVote, TypeConfig};
use crate::{GroupStatus, RaftError};

/// Entries by which a successor may lag: what is on its way anyway.
const LAG_MAX: u64 = 16;
/// A successor has answered within so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Between two hand-overs: the first has to show.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Leadership is taken within so long, or nobody takes it: longer than others need to see that nobody leads, and to elect one.
const TAKEN_WITHIN: Duration = Duration::from_secs(4);
/// Between two words in the log.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// One replica's way out of leading.
pub(crate) struct Leaving {
    env: Env,
    who: (GroupKey, ReplicaId),
    raft: Raft,
    past: Mutex<Past>,
}

/// What it did before.
#[derive(Default)]
struct Past {
    asked: Option<Instant>,
    said: Option<Instant>,
    reason: Option<String>,
}

impl Leaving {
    pub(crate) fn new(env: Env, who: (GroupKey, ReplicaId), raft: Raft) -> Self {
        Self {
            env,
            who,
            raft,
            past: Mutex::default(),
        }
    }

    /// Hands leadership to a follower that is caught up, if this replica leads, there is one, and it was not asked just before.
    /// Returns who was asked.
    pub(crate) async fn give_up(&self, reason: &str) -> Result<Option<ReplicaId>, RaftError> {
        let Some(to) = self.begin(reason) else {
            return Ok(None);
        };
        self.hand_over(to).await?;
        Ok(Some(to))
    }

    /// Hands leadership to a replica. Returns once asked.
    pub(crate) async fn hand_over(&self, to: ReplicaId) -> Result<(), RaftError> {
        let term = GroupStatus::of(&self.raft.metrics().borrow_watched()).term;
        let asked = self.raft.trigger().transfer_leader(to.0).await;
        asked.map_err(|error| RaftError::Raft(error.to_string()))?;
        let (env, raft, who) = (self.env.clone(), self.raft.clone(), self.who);
        let watching = async move {
            env.clock.sleep(TAKEN_WITHIN).await;
            let status = GroupStatus::of(&raft.metrics().borrow_watched());
            if status.is_leader && status.term == term && status.running {
                end_leadership(&raft, who, to, term).await;
            }
        };
        self.env.spawn.spawn(watching);
        Ok(())
    }

    /// Why leadership was given up last.
    pub(crate) fn reason(&self) -> Option<String> {
        self.past.lock().reason.clone()
    }

    /// Gives up as often as a reason comes, until nobody can tell one.
    pub(crate) async fn follow(&self, mut reasons: watch::Receiver<Option<String>>) {
        while reasons.changed().await.is_ok() {
            let reason = reasons.borrow_and_update().clone();
            // A replica that has stopped leads nothing.
            let _ = match reason {
                Some(reason) => self.give_up(&reason).await,
                None => Ok(None),
            };
        }
    }

    /// Whom to ask, if anybody; remembers and says so.
    fn begin(&self, reason: &str) -> Option<ReplicaId> {
        let metrics = self.raft.metrics();
        let (status, to) = {
            let metrics = metrics.borrow_watched();
            (GroupStatus::of(&metrics), successor(&metrics))
        };
        let now = self.env.clock.now();
        let mut past = self.past.lock();
        if !status.is_leader || is_within(past.asked, AGAIN_AFTER, now) {
            return None;
        }
        if !is_within(past.said, SAY_AGAIN_AFTER, now) {
            past.said = Some(now);
            self.say(reason, to);
        }
        if to.is_some() {
            past.asked = Some(now);
            past.reason = Some(reason.to_owned());
        }
        to
    }

    fn say(&self, reason: &str, to: Option<ReplicaId>) {
        let (group, replica) = self.who;
        if let Some(to) = to {
            tracing::warn!(%group, %replica, %to, reason, "gives leadership up");
        } else {
            tracing::error!(
                %group, %replica, reason,
                "should not lead, but no other replica is caught up and answers: it goes on"
            );
        }
    }
}

/// Votes for `to` in the next term, as if it had asked. If it does, it is told the same; if not, nobody counts the vote, and this
/// replica is a follower until it or another one campaigns.
async fn end_leadership(raft: &Raft, (group, replica): (GroupKey, ReplicaId), to: ReplicaId, term: u64) {
    trouble::sometimes("a hand-over that nobody took was ended");
    tracing::warn!(%group, %replica, %to, "nobody took leadership over; an election follows");
    let last = raft.with_raft_state(|state| state.log_ids.last().copied()).await;
    // A replica that has stopped leads nothing.
    let Ok(last_log_id) = last else { return };
    let _ = raft
        .vote(VoteRequest {
            vote: RaftVote::new(term + 1, to.0),
            last_log_id,
            leadership_transfer: true,
        })
        .await;
}

fn is_within(last: Option<Instant>, span: Duration, now: Instant) -> bool {
    last.is_some_and(|last| now < last + span)
}

/// The follower that has most of the log, if it has almost all of it and has just answered.
fn successor(metrics: &openraft::RaftMetrics<TypeConfig>) -> Option<ReplicaId> {
    let status = GroupStatus::of(metrics);
    let own = ReplicaId(metrics.id);
    let now = crate::runtime::Instant::now();
    let answered = |id: ReplicaId| {
        let heard = metrics.heartbeat.as_ref()?.get(&id.0)?.as_ref()?;
        Some(now - **heard <= ANSWERED_WITHIN)
    };
    let fit = status.matched.iter().filter(|(id, index)| {
        *id != own
            && status.voters.contains(id)
            && index + LAG_MAX >= status.last_index
            && answered(*id) == Some(true)
    });
    fit.max_by_key(|(_, index)| *index).map(|(id, _)| *id)
}
