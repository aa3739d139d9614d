//! Gives up a leadership that its replica should not have.
//!
//! A leader whose state cannot be read serves what it can, but cannot bring up whoever needs a snapshot, and answers some reads
//! with errors; another replica has the same state on another disk.
//!
//! Handing over is asked of openraft only when little can go wrong: from then on this replica takes no writes and is heard no
//! more, and openraft has no way back. If the other has died just then and the rest lack entries, none of them can be elected,
//! and this one, which could, thinks that it leads. So a leadership that nobody has taken is ended here, and an election decides.
//!
//! Before, the other is asked whether it is willing. It is not if its node says so ([`Reluctance`]), nor for a while after it gave this
//! leadership up itself, twice as long each time. So leadership does not go to and fro between two replicas that cannot keep
//! it, or between one that cannot and a balancer that wants it there. Elections do not ask: a poor leader is better than none.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant, trouble, watch};
use atoll_types::{GroupKey, ReplicaId};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::VoteRequest;
use openraft_rt::Instant as _;
use parking_lot::Mutex;

use crate::group::Raft;
use crate::transport::{CallFailure, Transport};
use crate::types::{RaftVote, TypeConfig};
use crate::wire::Kind;
use crate::{GroupStatus, RaftError};

/// Entries by which a successor may lag: what is on its way anyway.
const LAG_MAX: u64 = 16;
/// A successor has answered within so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// It says within so long whether it is willing.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// Between two hand-overs: the first has to show.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Leadership is taken within so long, or nobody takes it: longer than others need to see that nobody leads, and to elect one.
const TAKEN_WITHIN: Duration = Duration::from_secs(4);
/// Between two words in the log.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long a replica is not willing after it gave its leadership up, the first time and at most.
const UNWILLING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60 * 60));
/// One that has not given it up for so long begins with the first again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6 * 60 * 60);

/// Why a node's replicas should not be handed leadership; `None`: they may be. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Reluctance(Arc<Mutex<Option<String>>>);

impl Reluctance {
    pub(crate) fn set(&self, why: Option<&str>) {
        *self.0.lock() = why.map(str::to_owned);
    }

    fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// One replica's way out of leading.
pub(crate) struct Leaving {
    env: Env,
    who: (GroupKey, ReplicaId),
    raft: Raft,
    transport: Arc<Transport>,
    reluctance: Reluctance,
    past: Mutex<Past>,
}

/// What it did before.
#[derive(Default)]
struct Past {
    asked: Option<Instant>,
    said: Option<Instant>,
    given_up: Option<GivenUp>,
}

/// The last time that leadership was given up.
struct GivenUp {
    at: Instant,
    /// For so long it is not taken back.
    pause: Duration,
    reason: String,
}

impl Past {
    fn give_up(&mut self, reason: &str, now: Instant) {
        let (first, most) = UNWILLING;
        let before = self.given_up.as_ref();
        let before = before.filter(|before| is_within(Some(before.at), FORGOTTEN_AFTER, now));
        self.given_up = Some(GivenUp {
            at: now,
            pause: before.map_or(first, |before| (before.pause * 2).min(most)),
            reason: reason.to_owned(),
        });
    }

    /// Why leadership is not taken back now.
    fn unwilling(&self, now: Instant) -> Option<String> {
        let GivenUp { at, pause, reason } = self.given_up.as_ref()?;
        is_within(Some(*at), *pause, now).then(|| format!("it gave leadership up: {reason}"))
    }
}

impl Leaving {
    pub(crate) fn new(
        env: Env,
        who: (GroupKey, ReplicaId),
        raft: Raft,
        transport: Arc<Transport>,
        reluctance: Reluctance,
    ) -> Self {
        Self {
            env,
            who,
            raft,
            transport,
            reluctance,
            past: Mutex::default(),
        }
    }

    /// Hands leadership to a follower that is caught up and willing, if this replica leads, there is one, and nobody was asked just
    /// before. Returns to whom.
    pub(crate) async fn give_up(&self, reason: &str) -> Result<Option<ReplicaId>, RaftError> {
        let Some(candidates) = self.begin() else {
            return Ok(None);
        };
        for to in candidates {
            if self.ask(to).await.is_err() {
                continue;
            }
            let now = self.env.clock.now();
            self.past.lock().give_up(reason, now);
            self.say(reason, Some(to), now);
            self.transfer(to).await?;
            return Ok(Some(to));
        }
        self.say(reason, None, self.env.clock.now());
        Ok(None)
    }

    /// Hands leadership to a replica, if that is willing. Returns once asked.
    pub(crate) async fn hand_over(&self, to: ReplicaId) -> Result<(), RaftError> {
        let asked = self.ask(to).await;
        asked.map_err(|failure| RaftError::Unwilling(to, failure.to_string()))?;
        self.transfer(to).await
    }

    async fn ask(&self, to: ReplicaId) -> Result<Bytes, CallFailure> {
        let (group, replica) = self.who;
        let ends = (replica, to);
        self.transport
            .call(Kind::Willing, group, ends, Bytes::new(), ASK_LIMIT)
            .await
    }

    async fn transfer(&self, to: ReplicaId) -> Result<(), RaftError> {
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

    /// Why this replica should not be handed leadership now; `None`: it takes it.
    pub(crate) fn unwilling(&self) -> Option<String> {
        let own = self.past.lock().unwilling(self.env.clock.now());
        own.or_else(|| self.reluctance.get())
    }

    /// Why leadership was given up last.
    pub(crate) fn reason(&self) -> Option<String> {
        let past = self.past.lock();
        past.given_up.as_ref().map(|given_up| given_up.reason.clone())
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

    /// Whom to ask, in this order; `None` if this is not the moment. Remembers that somebody is asked.
    fn begin(&self) -> Option<Vec<ReplicaId>> {
        let metrics = self.raft.metrics();
        let (status, candidates) = {
            let metrics = metrics.borrow_watched();
            (GroupStatus::of(&metrics), successors(&metrics))
        };
        let now = self.env.clock.now();
        let mut past = self.past.lock();
        if !status.is_leader || is_within(past.asked, AGAIN_AFTER, now) {
            return None;
        }
        if !candidates.is_empty() {
            past.asked = Some(now);
        }
        Some(candidates)
    }

    fn say(&self, reason: &str, to: Option<ReplicaId>, now: Instant) {
        let mut past = self.past.lock();
        if is_within(past.said, SAY_AGAIN_AFTER, now) {
            return;
        }
        past.said = Some(now);
        let (group, replica) = self.who;
        if let Some(to) = to {
            tracing::warn!(%group, %replica, %to, reason, "gives leadership up");
        } else {
            tracing::error!(
                %group, %replica, reason,
                "should not lead, but no other replica is caught up, answers and is willing: it goes on"
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

/// The followers that have almost all of the log and have just answered; who has most comes first.
fn successors(metrics: &openraft::RaftMetrics<TypeConfig>) -> Vec<ReplicaId> {
    let status = GroupStatus::of(metrics);
    let own = ReplicaId(metrics.id);
    let now = crate::runtime::Instant::now();
    let answered = |id: ReplicaId| {
        let heard = metrics.heartbeat.as_ref()?.get(&id.0)?.as_ref()?;
        Some(now - **heard <= ANSWERED_WITHIN)
    };
    let mut fit: Vec<(ReplicaId, u64)> = status.matched.clone();
    fit.retain(|(id, index)| {
        *id != own
            && status.voters.contains(id)
            && index + LAG_MAX >= status.last_index
            && answered(*id) == Some(true)
    });
    fit.sort_by_key(|(_, index)| std::cmp::Reverse(*index));
    fit.into_iter().map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use atoll_env::Clock;

    use super::*;

    async fn willing_after(past: &Past, clock: &Clock) -> Duration {
        let start = clock.now();
        while past.unwilling(clock.now()).is_some() {
            clock.sleep(Duration::from_secs(1)).await;
        }
        clock.now().since(start)
    }

    #[tokio::test(start_paused = true)]
    async fn who_gave_up_takes_it_back_later_each_time() {
        let clock = Clock::simulated(1.0, 0);
        let mut past = Past::default();
        assert_eq!(past.unwilling(clock.now()), None);
        let mut waits = Vec::new();
        for _ in 0..10 {
            past.give_up("rot", clock.now());
            waits.push(willing_after(&past, &clock).await);
        }
        assert_eq!(waits.first(), Some(&UNWILLING.0));
        assert!(
            waits
                .windows(2)
                .all(|pair| pair[1] == (pair[0] * 2).min(UNWILLING.1))
        );
        assert_eq!(waits.last(), Some(&UNWILLING.1));
        clock.sleep(FORGOTTEN_AFTER).await;
        past.give_up("rot", clock.now());
        let why = past.unwilling(clock.now()).unwrap();
        assert!(why.contains("rot"), "{why}");
        clock.sleep(UNWILLING.0).await;
        assert_eq!(past.unwilling(clock.now()), None, "that was long ago");
    }
}
