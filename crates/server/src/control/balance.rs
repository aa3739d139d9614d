//! Brings leaderships to where the map prefers them, gently.
//!
//! A hand-over that fails costs the group an election, so one is begun only when little can go wrong:
//! this node has led for a while, the preferred replica's log matches almost to the end, its node
//! has just answered, and it is willing. One group at a time. While a follower waits for a snapshot of this replica, or comes up
//! from one, leadership stays: the next leader might have to begin all over. A replica that is not willing (it gave the group up because
//! it could not read its state, its disk is full) is asked ever more seldom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant};
use atoll_raft::GroupStatus;
use atoll_types::{GroupId, NodeId, ReplicaId};

use crate::directory::Directory;
use crate::membership::Membership;
use crate::rpc::PeerClient;
use crate::store::Registry;

const EVERY: Duration = Duration::from_secs(2);
/// A new leader is left alone this long, and one that is not to be relieved at most so long.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
const SETTLED_AFTER_MAX: Duration = Duration::from_secs(10 * 60);
/// Between two hand-overs of one node.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries by which a follower may lag and still count as caught up: what is on its way anyway.
const LAG_MAX: u64 = 16;
const LIMIT: Duration = Duration::from_millis(500);

/// Watches the groups this node leads.
pub(crate) struct Balancer {
    env: Env,
    directory: Arc<Directory>,
    registry: Arc<Registry>,
    membership: Arc<Membership>,
    peers: PeerClient,
    /// Groups that this node leads and should not.
    misplaced: BTreeMap<GroupId, Misplaced>,
}

/// A leadership that should be elsewhere.
#[derive(Clone, Copy)]
struct Misplaced {
    term: u64,
    /// When it began, or what kept it here last came to its end.
    since: Instant,
    /// It stays for so long from then on.
    stays: Duration,
}

impl Misplaced {
    fn new(term: u64, since: Instant) -> Self {
        Self {
            term,
            since,
            stays: SETTLED_AFTER,
        }
    }

    fn may_go(&self, now: Instant) -> bool {
        now.since(self.since) >= self.stays
    }

    /// It could not be handed over.
    fn refuse(&mut self, now: Instant) {
        self.since = now;
        self.stays = (self.stays * 2).min(SETTLED_AFTER_MAX);
    }
}

impl Balancer {
    pub(crate) fn new(
        env: &Env,
        directory: Arc<Directory>,
        registry: Arc<Registry>,
        membership: Arc<Membership>,
        peers: PeerClient,
    ) -> Self {
        Self {
            env: env.clone(),
            directory,
            registry,
            membership,
            peers,
            misplaced: BTreeMap::new(),
        }
    }

    /// Runs until stopped.
    pub(crate) async fn run(mut self) {
        loop {
            self.env
                .clock
                .sleep(EVERY.mul_f64(0.8 + 0.4 * self.env.rng.fraction()))
                .await;
            if let Some((group, to, node)) = self.choose()
                && self.answers(node).await
            {
                self.hand_over(group, to, node).await;
                self.env.clock.sleep(PAUSE).await;
            }
        }
    }

    /// A group led here, its preferred replica and that one's node.
    fn choose(&mut self) -> Option<(GroupId, ReplicaId, NodeId)> {
        let (map, now) = (self.directory.map(), self.env.clock.now());
        let mut still = BTreeMap::new();
        let mut chosen = None;
        for shard in self.registry.all() {
            let (group, status) = (shard.group().key().id, shard.group().status());
            let preferred = map
                .groups
                .get(&group)
                .and_then(|entry| entry.replicas.first_key_value());
            let Some((&replica, &node)) = preferred else {
                continue;
            };
            if !status.is_leader || replica == shard.group().replica() {
                continue;
            }
            let mut misplaced = match self.misplaced.get(&group) {
                Some(misplaced) if misplaced.term == status.term => *misplaced,
                _ => Misplaced::new(status.term, now),
            };
            if status.snapshots_sent > 0 {
                misplaced.since = now;
            }
            still.insert(group, misplaced);
            let may = misplaced.may_go(now) && self.membership.clocks().may_lead(node, now);
            if chosen.is_none() && may && caught_up(&status, replica) {
                chosen = Some((group, replica, node));
            }
        }
        self.misplaced = still;
        chosen
    }

    async fn answers(&self, node: NodeId) -> bool {
        let Some(address) = self.directory.address(node) else {
            return false;
        };
        let answer = self
            .peers
            .hello(&address, &self.membership.greeting(), LIMIT)
            .await;
        answer.is_ok_and(|answer| answer.ident == Some((self.directory.cluster(), node)))
    }

    async fn hand_over(&mut self, group: GroupId, to: ReplicaId, node: NodeId) {
        let Some(shard) = self.registry.get(group) else {
            return;
        };
        tracing::info!(%group, to = %node, "leadership goes to its preferred node");
        if let Err(error) = shard.group().transfer_leader(to).await {
            tracing::warn!(%group, %error, "the leadership was not handed over");
            let now = self.env.clock.now();
            if let Some(misplaced) = self.misplaced.get_mut(&group) {
                misplaced.refuse(now);
            }
        }
    }
}

/// True if a follower's log is known to match almost to the end.
pub(crate) fn caught_up(status: &GroupStatus, replica: ReplicaId) -> bool {
    let mut matched = status.matched.iter().filter(|(follower, _)| *follower == replica);
    matched.any(|(_, index)| index + LAG_MAX >= status.last_index)
}

#[cfg(test)]
mod tests {
    use atoll_env::Clock;

    use super::*;

    async fn stays(misplaced: &Misplaced, clock: &Clock) -> Duration {
        let start = clock.now();
        while !misplaced.may_go(clock.now()) {
            clock.sleep(Duration::from_secs(1)).await;
        }
        clock.now().since(start)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_a_leadership_is_asked_ever_more_seldom() {
        let clock = Clock::simulated(1.0, 0);
        let mut misplaced = Misplaced::new(1, clock.now());
        let mut waited = Vec::new();
        for _ in 0..10 {
            waited.push(stays(&misplaced, &clock).await);
            misplaced.refuse(clock.now());
        }
        assert_eq!(waited.first(), Some(&SETTLED_AFTER));
        let doubled = |pair: &[Duration]| pair[1] == (pair[0] * 2).min(SETTLED_AFTER_MAX);
        assert!(waited.windows(2).all(doubled), "{waited:?}");
        assert_eq!(waited.last(), Some(&SETTLED_AFTER_MAX));
    }

    #[test]
    fn only_a_follower_close_to_the_end_is_caught_up() {
        let matched = vec![(ReplicaId(1), 90), (ReplicaId(2), 50)];
        let status = GroupStatus {
            last_index: 100,
            matched,
            ..GroupStatus::default()
        };
        assert!(caught_up(&status, ReplicaId(1)));
        assert!(!caught_up(&status, ReplicaId(2)));
        assert!(!caught_up(&status, ReplicaId(3)));
    }
}
