//! Calls to other nodes.

use std::io;
use std::time::Duration;

use atoll_env::Env;
use atoll_env::net::{CallError, Code, Link, Status};
use atoll_placement::ShardMap;
use atoll_proto::{method, v1};
use atoll_types::{ClusterId, NodeId, NodeUuid};
use prost::Message;

use super::map::{map_from_wire, members_from_wire, members_to_wire};
use crate::identity::{ADDRESS_BYTES_MAX, Claim, Ident, is_zone};
use crate::membership::{Greeting, Newcomer};

/// Asks other nodes. Every answer is checked for form; what it means is decided by the caller.
#[derive(Clone)]
pub(crate) struct PeerClient {
    env: Env,
}

impl PeerClient {
    pub(crate) fn new(env: &Env) -> Self {
        Self { env: env.clone() }
    }

    /// Greets, and hears who answers.
    pub(crate) async fn hello(
        &self,
        to: &str,
        own: &Greeting,
        limit: Duration,
    ) -> Result<Greeting, CallError> {
        let request = v1::HelloRequest {
            cluster_id: own
                .ident
                .map_or_else(String::new, |(cluster, _)| cluster.to_string()),
            node: own.ident.map_or(0, |(_, node)| node.0),
            uuid: own.uuid.to_string(),
            incarnation: own.incarnation,
            address: own.address.clone(),
            known: members_to_wire(&own.known),
            zone: own.zone.clone(),
        };
        let reply: v1::HelloReply = self.call(to, method::HELLO, &request, limit).await?;
        greeting_from_reply(reply).ok_or_else(|| unreadable(to))
    }

    /// Asks a node to promise itself to a set. Returns the claim it holds now.
    pub(crate) async fn claim(&self, to: &str, claim: &Claim, limit: Duration) -> Result<Claim, CallError> {
        let request = v1::ClaimRequest {
            cluster_id: claim.cluster.to_string(),
            set: members_to_wire(&claim.members),
            groups: claim.groups,
        };
        let reply: v1::ClaimReply = self.call(to, method::CLAIM, &request, limit).await?;
        let cluster = ClusterId::from_hex(&reply.cluster_id).ok_or_else(|| unreadable(to))?;
        let mut members = members_from_wire(reply.set).ok_or_else(|| unreadable(to))?;
        if members.is_empty() {
            // It knows of no zones, so its claim holds none.
            members.clone_from(&claim.members);
            for member in &mut members {
                member.zone.clear();
            }
        }
        Ok(Claim {
            cluster,
            groups: reply.groups,
            members,
        })
    }

    /// Asks for a node id in a cluster that exists. Returns it with the map that has it.
    pub(crate) async fn join(
        &self,
        to: &str,
        newcomer: &Newcomer,
        forwarded: bool,
        limit: Duration,
    ) -> Result<(Ident, ShardMap), CallError> {
        let request = v1::JoinRequest {
            uuid: newcomer.uuid.to_string(),
            address: newcomer.address.clone(),
            zone: newcomer.zone.clone(),
            forwarded,
        };
        let reply: v1::JoinReply = self.call(to, method::JOIN, &request, limit).await?;
        let cluster = ClusterId::from_hex(&reply.cluster_id).ok_or_else(|| unreadable(to))?;
        let map = reply.map.and_then(map_from_wire).ok_or_else(|| unreadable(to))?;
        let node = NodeId(reply.node);
        Ok((Ident { cluster, node }, map))
    }

    /// Tells a node that all of its set hold the claim.
    pub(crate) async fn admit(&self, to: &str, claim: &Claim, limit: Duration) -> Result<(), CallError> {
        let request = v1::AdmitRequest {
            cluster_id: claim.cluster.to_string(),
            set: members_to_wire(&claim.members),
        };
        let _: v1::AdmitReply = self.call(to, method::ADMIT, &request, limit).await?;
        Ok(())
    }

    /// The node's map if it is newer than `known`.
    pub(crate) async fn map(
        &self,
        to: &str,
        known: u64,
        limit: Duration,
    ) -> Result<Option<ShardMap>, CallError> {
        let request = v1::GetMapRequest { known_epoch: known };
        let reply: v1::GetMapReply = self.call(to, method::GET_MAP, &request, limit).await?;
        reply
            .map
            .map(|map| map_from_wire(map).ok_or_else(|| unreadable(to)))
            .transpose()
    }

    /// Opens the Raft stream.
    pub(crate) async fn raft(&self, to: &str, limit: Duration) -> io::Result<Link> {
        self.env
            .net
            .open(to, method::RAFT, 0, limit)
            .await
            .map_err(|error| io::Error::other(error.to_string()))
    }

    async fn call<Q, R>(
        &self,
        to: &str,
        method: &'static str,
        request: &Q,
        limit: Duration,
    ) -> Result<R, CallError>
    where
        Q: Message,
        R: Message + Default,
    {
        let reply = self
            .env
            .net
            .call(to, method, request.encode_to_vec().into(), limit)
            .await?;
        R::decode(reply).map_err(|_| unreadable(to))
    }
}

fn unreadable(from: &str) -> CallError {
    CallError::Status(Status::new(
        Code::Internal,
        format!("{from} sent an answer that cannot be read"),
    ))
}

fn greeting_from_reply(reply: v1::HelloReply) -> Option<Greeting> {
    let claim = match ClusterId::from_hex(&reply.claimed_cluster_id) {
        Some(cluster) => Some((cluster, members_from_wire(reply.claimed_set)?)),
        None => None,
    };
    Some(Greeting {
        ident: ident_from_wire(&reply.cluster_id, reply.node).ok()?,
        uuid: NodeUuid::from_hex(&reply.uuid)?,
        incarnation: reply.incarnation,
        address: address_from_wire(reply.address)?,
        zone: zone_from_wire(reply.zone)?,
        known: members_from_wire(reply.known)?,
        claim,
        wall_ms: reply.wall_ms,
    })
}

/// A cluster id that cannot be read.
pub(super) struct BadId;

/// `None`: not part of a cluster.
pub(super) fn ident_from_wire(cluster: &str, node: u64) -> Result<Option<(ClusterId, NodeId)>, BadId> {
    if cluster.is_empty() {
        return Ok(None);
    }
    match ClusterId::from_hex(cluster) {
        Some(cluster) => Ok(Some((cluster, NodeId(node)))),
        None => Err(BadId),
    }
}

/// An address that fits into the address book; empty while the sender does not know its own.
pub(super) fn address_from_wire(address: String) -> Option<String> {
    (address.len() <= ADDRESS_BYTES_MAX).then_some(address)
}

/// A zone that may stand in the map.
pub(super) fn zone_from_wire(zone: String) -> Option<String> {
    is_zone(&zone).then_some(zone)
}
