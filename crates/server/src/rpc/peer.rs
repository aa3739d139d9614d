//! Answers to other nodes: Hello, Claim, Admit.

use std::sync::Arc;

use atoll_env::net::{Code, Status};
use atoll_proto::v1;
use atoll_types::{ClusterId, NodeUuid};

use super::map::{members_from_wire, members_to_wire};
use super::peer_client::{address_from_wire, ident_from_wire};
use crate::identity::Claim;
use crate::membership::{Greeting, Membership};

pub(super) fn hello(
    membership: &Membership,
    map_epoch: u64,
    request: v1::HelloRequest,
) -> Result<v1::HelloReply, Status> {
    let from = greeting_from_request(request).ok_or_else(|| malformed("greeting"))?;
    let own = membership.answer_greeting(&from)?;
    let (claimed_cluster, claimed_set) = own.claim.unwrap_or_default();
    let claimed = !claimed_set.is_empty();
    Ok(v1::HelloReply {
        cluster_id: own
            .ident
            .map_or_else(String::new, |(cluster, _)| cluster.to_string()),
        node: own.ident.map_or(0, |(_, node)| node.0),
        uuid: own.uuid.to_string(),
        incarnation: own.incarnation,
        address: own.address,
        known: members_to_wire(&own.known),
        map_epoch,
        claimed_cluster_id: if claimed {
            claimed_cluster.to_string()
        } else {
            String::new()
        },
        claimed_set: members_to_wire(&claimed_set),
        wall_ms: own.wall_ms,
        ..v1::HelloReply::default()
    })
}

pub(super) async fn claim(
    membership: &Arc<Membership>,
    request: v1::ClaimRequest,
) -> Result<v1::ClaimReply, Status> {
    let cluster = ClusterId::from_hex(&request.cluster_id).ok_or_else(|| malformed("cluster id"))?;
    let members = members_from_wire(request.set).ok_or_else(|| malformed("set"))?;
    let held = membership
        .claim(Claim {
            cluster,
            groups: request.groups,
            members,
        })
        .await?;
    Ok(v1::ClaimReply {
        cluster_id: held.cluster.to_string(),
        groups: held.groups,
    })
}

pub(super) async fn admit(
    membership: &Arc<Membership>,
    request: v1::AdmitRequest,
) -> Result<v1::AdmitReply, Status> {
    let cluster = ClusterId::from_hex(&request.cluster_id).ok_or_else(|| malformed("cluster id"))?;
    let members = members_from_wire(request.set).ok_or_else(|| malformed("set"))?;
    membership.admit(cluster, &members).await?;
    Ok(v1::AdmitReply {})
}

fn greeting_from_request(request: v1::HelloRequest) -> Option<Greeting> {
    Some(Greeting {
        ident: ident_from_wire(&request.cluster_id, request.node).ok()?,
        uuid: NodeUuid::from_hex(&request.uuid)?,
        incarnation: request.incarnation,
        address: address_from_wire(request.address)?,
        known: members_from_wire(request.known)?,
        claim: None,
        wall_ms: 0,
    })
}

fn malformed(what: &str) -> Status {
    Status::new(Code::InvalidArgument, format!("the {what} cannot be read"))
}
