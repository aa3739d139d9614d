//! Linearizable reads without a log entry: ReadIndex (Ongaro, "Consensus: Bridging Theory and
//! Practice", 2014, §6.4), one round for all that wait.
//!
//! A read joins only a round that has not been sent yet: a quorum that confirmed the leader *before*
//! the read arrived proves nothing about it. Per group one round is in flight and one generation
//! waits. On a follower a round is one call to the leader. Afterwards the reads run here, once what
//! was committed at that point is applied; the next round does not wait for that ([`release`]).

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant, trouble, watch};
use atoll_types::{Mutant, ReplicaId, mutant};
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError as OpenRaftError};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::ReadError;
use crate::group::Raft;
use crate::network::Network;

mod freshness;
mod release;

use freshness::Freshness;
use release::Releases;

/// Reads waiting in one generation, at most. Each is a whole frame's worth of one group.
const WAITING_MAX: usize = 16 * 1024;
const ROUND_LIMIT: Duration = Duration::from_secs(2);

/// From here on a read sees every write acknowledged before it was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPoint {
    /// Entries applied here, at least.
    pub applied_index: u64,
}

/// What to do at the read point. Runs on the group's read task: short, never blocking.
pub type Read = Box<dyn FnOnce(Result<ReadPoint, ReadError>) + Send>;

/// Lets reads through. Cheap to clone.
#[derive(Clone)]
pub struct ReadGate(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
    freshness: Freshness,
    /// One more than the last entry applied.
    applied: watch::Receiver<u64>,
}

#[derive(Default)]
struct Waiting {
    reads: Vec<Read>,
    /// Other replicas that asked for the leader's read index.
    askers: Vec<oneshot::Sender<Result<u64, ReadError>>>,
    rounds: u64,
    stopped: bool,
}

impl ReadGate {
    pub(crate) fn start(
        env: &Env,
        raft: Raft,
        network: Network,
        replica: ReplicaId,
        applied: watch::Receiver<u64>,
    ) -> Self {
        let gate = Self(Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Notify::new(),
            freshness: Freshness::default(),
            applied: applied.clone(),
        }));
        let rounds = Rounds {
            releases: Releases::new(env.clone(), applied),
            env: env.clone(),
            raft,
            network,
            replica,
        };
        env.spawn.spawn(rounds.main(gate.clone()));
        gate
    }

    /// Calls `read` once, at a point that is not before now.
    pub fn submit(&self, read: Read) {
        let refusal = {
            let mut waiting = self.0.waiting.lock();
            if waiting.stopped {
                ReadError::Stopped
            } else if waiting.reads.len() >= WAITING_MAX {
                ReadError::Unavailable("too many reads are waiting".to_owned())
            } else {
                waiting.reads.push(read);
                self.0.wake.notify_one();
                return;
            }
        };
        read(Err(refusal));
    }

    /// Waits for a read point.
    pub async fn wait(&self) -> Result<ReadPoint, ReadError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(Box::new(move |point| {
            // The caller may have given up.
            let _ = sender.send(point);
        }));
        receiver.await.unwrap_or(Err(ReadError::Stopped))
    }

    /// Rounds so far.
    pub fn rounds(&self) -> u64 {
        self.0.waiting.lock().rounds
    }

    /// A moment of this replica's own clock: what is applied here has everything that was acknowledged
    /// before it. It is when the newest completed round was sent whose entry is applied; `None`: there
    /// was none yet. Ask before taking a view of the state, not after.
    pub fn fresh_since(&self) -> Option<Instant> {
        let next = *self.0.applied.borrow();
        self.0.freshness.since(next)
    }

    /// The index a reader elsewhere must have applied; only the leader answers.
    pub(crate) async fn leader_index(&self) -> Result<u64, ReadError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.stopped {
                return Err(ReadError::Stopped);
            }
            if waiting.askers.len() >= WAITING_MAX {
                return Err(ReadError::Unavailable("too many reads are waiting".to_owned()));
            }
            waiting.askers.push(sender);
        }
        self.0.wake.notify_one();
        receiver.await.unwrap_or(Err(ReadError::Stopped))
    }

    /// Everything that waits; the next round is theirs. `None` once stopped.
    fn take_generation(&self) -> Option<(Vec<Read>, Askers)> {
        let mut waiting = self.0.waiting.lock();
        if waiting.stopped {
            return None;
        }
        let taken = (
            std::mem::take(&mut waiting.reads),
            std::mem::take(&mut waiting.askers),
        );
        if !taken.0.is_empty() || !taken.1.is_empty() {
            waiting.rounds += 1;
        }
        Some(taken)
    }

    pub(crate) fn stop(&self) {
        let (reads, askers) = {
            let mut waiting = self.0.waiting.lock();
            waiting.stopped = true;
            (
                std::mem::take(&mut waiting.reads),
                std::mem::take(&mut waiting.askers),
            )
        };
        answer_askers(askers, &Err(ReadError::Stopped));
        answer(reads, &Err(ReadError::Stopped));
        self.0.wake.notify_one();
    }
}

type Askers = Vec<oneshot::Sender<Result<u64, ReadError>>>;

fn answer(reads: Vec<Read>, point: &Result<ReadPoint, ReadError>) {
    for read in reads {
        read(point.clone());
    }
}

fn answer_askers(askers: Askers, index: &Result<u64, ReadError>) {
    for asker in askers {
        // An asker may have given up.
        let _ = asker.send(index.clone());
    }
}

struct Rounds {
    env: Env,
    raft: Raft,
    network: Network,
    replica: ReplicaId,
    releases: Releases,
}

impl Rounds {
    async fn main(self, gate: ReadGate) {
        while let Some((reads, askers)) = gate.take_generation() {
            if reads.is_empty() && askers.is_empty() {
                gate.0.wake.notified().await;
                continue;
            }
            self.round(&gate, reads, askers).await;
        }
    }

    async fn round(&self, gate: &ReadGate, mut reads: Vec<Read>, askers: Askers) {
        let sent = self.env.clock.now();
        let (index, by_leader) = match self.leader_round().await {
            Ok(index) => (Ok(index), true),
            Err(ReadError::NotLeader { leader: Some(leader) }) if leader != self.replica => {
                (self.follower_round(leader).await, false)
            }
            Err(error) => (Err(error), false),
        };
        if mutant::is(Mutant::ReadJoinsSentRound) {
            reads.extend(gate.take_generation().unwrap_or_default().0);
        }
        // Only a leader may tell others; a follower that asked a leader must not pass it on, or two
        // confused replicas could send each other in circles.
        let for_askers = match &index {
            Ok(index) if by_leader => Ok(*index),
            Ok(_) => Err(ReadError::NotLeader { leader: None }),
            Err(error) => Err(error.clone()),
        };
        answer_askers(askers, &for_askers);
        trouble::pause("read gate: index known").await;
        match index {
            Ok(index) => {
                let sent = if mutant::is(Mutant::AgeFromAnswer) {
                    self.env.clock.now()
                } else {
                    sent
                };
                gate.0.freshness.record(sent, index);
                self.releases.release(reads, index).await;
            }
            Err(error) => answer(reads, &Err(error)),
        }
    }

    async fn leader_round(&self) -> Result<u64, ReadError> {
        if mutant::is(Mutant::LeaderReadWithoutQuorum) && self.raft.as_leader().is_ok() {
            return Ok(self.releases.applied_index());
        }
        let confirmed = self
            .env
            .clock
            .timeout(ROUND_LIMIT, self.raft.get_read_log_id(ReadPolicy::ReadIndex))
            .await;
        match confirmed {
            Ok(Ok((read_log_id, _))) => Ok(read_log_id.log_id().index),
            Ok(Err(OpenRaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                Err(ReadError::NotLeader {
                    leader: forward.leader_id.map(ReplicaId),
                })
            }
            Ok(Err(OpenRaftError::APIError(error))) => Err(ReadError::Unavailable(error.to_string())),
            Ok(Err(OpenRaftError::Fatal(_))) => Err(ReadError::Stopped),
            Err(elapsed) => Err(ReadError::Unavailable(elapsed.to_string())),
        }
    }

    async fn follower_round(&self, leader: ReplicaId) -> Result<u64, ReadError> {
        if mutant::is(Mutant::FollowerReadWithoutLeader) {
            return Ok(self.releases.applied_index());
        }
        self.network
            .read_index(leader, ROUND_LIMIT)
            .await
            .inspect(|_| trouble::sometimes("a follower got a read index from its leader"))
            .map_err(|failure| ReadError::Unavailable(format!("replica {leader} leads but: {failure}")))
    }
}
