//! Which replica a read is sent to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use atoll_env::{Instant, Rng};

use crate::consistency::Routing;
use crate::pipe::Peer;

/// A replica in another zone has to be four times as fast as those in the client's zone, and 20 ms on
/// top, to be taken instead: then the zone's replicas are stuck, not merely slower.
const FAR_FACTOR: f64 = 4.0;
const FAR_NANOS: f64 = 20e6;

/// A replica as the choice sees it.
pub(crate) struct Replica {
    pub(crate) peer: Arc<Peer>,
    /// It is in the client's zone.
    pub(crate) near: bool,
}

/// What a choice depends on.
pub(crate) struct Choice<'a> {
    pub(crate) routing: Routing,
    /// Failed a moment ago for the same call: not again if there is another.
    pub(crate) avoid: Option<&'a Arc<Peer>>,
    /// Damaged for what this call reads: never again, also if there is no other.
    pub(crate) rotten: &'a [Arc<Peer>],
    pub(crate) now: Instant,
    pub(crate) rng: &'a Rng,
}

impl Choice<'_> {
    /// Chooses among replicas. An ejected one whose probe is due comes first and gets this one call;
    /// then the healthy ones by the policy; and if there is none, the one whose probe is due next. None
    /// only if all are damaged.
    pub(super) fn among(&self, replicas: &[Replica], turn: &AtomicUsize) -> Option<Arc<Peer>> {
        let sound = || replicas.iter().filter(|replica| !self.is_rotten(replica));
        let allowed = || sound().filter(|replica| !self.avoids(replica));
        let probe = allowed().find(|replica| replica.peer.health.claim_probe(self.now, self.rng));
        let chosen = probe
            .or_else(|| self.by_policy(replicas, turn))
            .or_else(|| allowed().min_by_key(|replica| replica.peer.health.probe_at()))
            .or_else(|| sound().next());
        chosen.map(|replica| Arc::clone(&replica.peer))
    }

    fn is_rotten(&self, replica: &Replica) -> bool {
        self.rotten.iter().any(|peer| Arc::ptr_eq(peer, &replica.peer))
    }

    fn avoids(&self, replica: &Replica) -> bool {
        self.avoid.is_some_and(|peer| Arc::ptr_eq(peer, &replica.peer))
    }

    fn by_policy<'r>(&self, replicas: &'r [Replica], turn: &AtomicUsize) -> Option<&'r Replica> {
        let healthy = || {
            let fit = |replica: &&Replica| {
                !self.avoids(replica) && !self.is_rotten(replica) && !replica.peer.health.is_ejected()
            };
            replicas.iter().filter(fit)
        };
        match self.routing {
            Routing::Leader | Routing::RoundRobin => {
                let count = healthy().count().max(1);
                healthy().nth(turn.fetch_add(1, Relaxed) % count)
            }
            Routing::Nearest => healthy().min_by(|a, b| self.distance(a).total_cmp(&self.distance(b))),
            Routing::Fastest => {
                let count = healthy().count().max(1);
                // Two different ones, each as likely as any other: the second is drawn from those left.
                let first = self.rng.below(count as u64) as usize;
                let step = 1 + self.rng.below(count.saturating_sub(1) as u64) as usize;
                let (one, other) = (healthy().nth(first), healthy().nth((first + step) % count));
                let load = |replica: &&Replica| replica.peer.latency.load(self.now);
                one.into_iter()
                    .chain(other)
                    .min_by(|a, b| load(a).total_cmp(&load(b)))
            }
        }
    }

    fn distance(&self, replica: &Replica) -> f64 {
        let latency = replica.peer.latency.expected(self.now);
        if replica.near {
            latency
        } else {
            latency * FAR_FACTOR + FAR_NANOS
        }
    }
}
