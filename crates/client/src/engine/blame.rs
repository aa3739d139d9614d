//! What a failed attempt says about the node that was asked.

use std::sync::Arc;

use atoll_env::trouble;
use atoll_proto::v1::error_detail::Kind;

use super::Engine;
use super::job::{Miss, Rot, Trip};
use crate::consistency::Routing;
use crate::pipe::Failure;
use crate::retry::Fault;
use crate::stats::count;

impl Engine {
    /// Corrects the guess at the leader. True if there is a better one than before.
    pub(super) fn learn(&self, miss: &Miss) -> bool {
        let (Some(group), Some(peer)) = (&miss.group, &miss.peer) else {
            return false;
        };
        match &miss.fault {
            Fault::Refused(detail) if detail.kind() == Kind::NotLeader => {
                let named = self
                    .router
                    .named(detail)
                    .filter(|named| !Arc::ptr_eq(named, peer));
                // Followers go on naming a dead leader until its lease is over.
                if let Some(named) = named.filter(|named| named.looks_alive(&self.wires)) {
                    group.leads(&named);
                    return true;
                }
                group.failed(peer);
            }
            Fault::Refused(detail) if matches!(detail.kind(), Kind::Unavailable | Kind::UnknownOutcome) => {
                group.failed(peer);
            }
            Fault::Pipe(Failure::NotSent(_) | Failure::Lost(_) | Failure::TimedOut { sent: true }) => {
                group.failed(peer);
            }
            Fault::NoRoute(_) | Fault::Refused(_) | Fault::Pipe(_) => {}
        }
        false
    }

    /// Draws conclusions about the node that failed. True if the call may go to another replica.
    pub(super) fn turn_away(&self, trip: &mut Trip<'_>, miss: &Miss) -> bool {
        let Some(peer) = &miss.peer else {
            return false;
        };
        let routing = trip.routing();
        let failed = match &miss.fault {
            Fault::Pipe(failure) => !matches!(failure, Failure::Full),
            Fault::NoRoute(_) | Fault::Refused(_) => false,
        };
        if failed {
            let env = &self.wires.env;
            if peer.health.failed(env.clock.now(), &env.rng) {
                count(&self.wires.counters.ejections);
                tracing::debug!(target: "atoll_client", node = peer.address(), "reads avoid this node for a while");
            }
        }
        let refusal = match &miss.fault {
            Fault::Refused(detail) => detail.kind(),
            Fault::NoRoute(_) | Fault::Pipe(_) => Kind::Unspecified,
        };
        if refusal == Kind::NotLeader {
            trip.to_leader = true;
            return false;
        }
        if refusal == Kind::NotOwner && routing != Routing::Leader {
            // Perhaps only this replica is behind, and would be asked again and again. The leader knows.
            trip.to_leader = true;
            return true;
        }
        let cannot = failed || matches!(refusal, Kind::Unavailable | Kind::Deadline);
        if cannot {
            // A leader that this read was sent on to: any replica may be asked again.
            trip.to_leader = false;
            trip.avoid = Some(Arc::clone(peer));
        }
        // Whoever hunts for a leader need not wait because one of the candidates is down.
        let unsent = matches!(&miss.fault, Fault::Pipe(Failure::NotSent(_)));
        unsent || cannot && routing != Routing::Leader
    }

    pub(super) fn tally(&self, trip: &mut Trip<'_>, miss: &Miss) {
        let counters = &self.wires.counters;
        match &miss.fault {
            Fault::Refused(detail) if detail.kind() == Kind::NotLeader => count(&counters.redirects),
            Fault::Refused(detail) if detail.kind() == Kind::Overloaded => count(&counters.overloaded),
            Fault::Refused(detail) if detail.kind() == Kind::Corrupt => count(&counters.corrupt),
            Fault::Pipe(Failure::TimedOut { .. }) => {
                trip.timeouts += 1;
                count(&counters.timeouts);
            }
            Fault::NoRoute(_) | Fault::Refused(_) | Fault::Pipe(_) => count(&counters.retries),
        }
    }
}

/// Takes a read that met damaged bytes to another replica, at once: each is asked once.
pub(super) fn shun(trip: &mut Trip<'_>, miss: &Miss) {
    if let (Fault::Refused(detail), Some(group), Some(peer)) = (&miss.fault, &miss.group, &miss.peer) {
        trouble::sometimes("a read that met damaged bytes was taken to another replica");
        tracing::warn!(target: "atoll_client", node = peer.address(), why = detail.message, "damaged bytes");
        Rot::note(&mut trip.rot, group.key(), peer, &detail.message);
    }
}
