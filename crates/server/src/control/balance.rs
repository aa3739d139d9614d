//! Brings leaderships to where the map prefers them, gently.
//!
//! A hand-over that fails costs the group an election, so one is begun only when little can go wrong:
//! this node has led for a while, the preferred replica's log matches almost to the end, and its node
//! has just answered. One group at a time.

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
/// A new leader is left alone this long.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
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
    /// Since when, and in which term, this node leads a group it should not.
    misplaced: BTreeMap<GroupId, (u64, Instant)>,
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
            let since = match self.misplaced.get(&group) {
                Some(&(term, since)) if term == status.term => since,
                _ => now,
            };
            still.insert(group, (status.term, since));
            // A hand-over would end what brings a follower up, and who gave this group up could not do it.
            let busy = status.snapshots_sent > 0;
            let settled = now.since(since) >= SETTLED_AFTER && !busy;
            let may = settled && self.membership.clocks().may_lead(node, now);
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

    async fn hand_over(&self, group: GroupId, to: ReplicaId, node: NodeId) {
        let Some(shard) = self.registry.get(group) else {
            return;
        };
        tracing::info!(%group, to = %node, "leadership goes to its preferred node");
        if let Err(error) = shard.group().transfer_leader(to).await {
            tracing::warn!(%group, %error, "the leadership was not handed over");
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
    use super::*;

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
