//! Answers to other nodes: Hello, Claim, Admit.

use std::sync::Arc;

use atoll_env::net::{Code, Status};
use atoll_placement::ShardMap;
use atoll_proto::v1;
use atoll_types::{ClusterId, NodeUuid};

use super::map::{members_from_wire, members_to_wire};
use super::peer_client::{address_from_wire, ident_from_wire, zone_from_wire};
use crate::identity::Claim;
use crate::membership::{Greeting, Membership};

pub(super) fn hello(
    membership: &Membership,
    map: Option<&ShardMap>,
    request: v1::HelloRequest,
) -> Result<v1::HelloReply, Status> {
    let from = greeting_from_request(request).ok_or_else(|| malformed("greeting"))?;
    if let Some(map) = map {
        check_listed(map, &from)?;
    }
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
        map_epoch: map.map_or(0, |map| map.epoch.0),
        claimed_cluster_id: if claimed {
            claimed_cluster.to_string()
        } else {
            String::new()
        },
        claimed_set: members_to_wire(&claimed_set),
        wall_ms: own.wall_ms,
        zone: own.zone,
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
        set: members_to_wire(&held.members),
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

/// Refuses a node of this cluster that group 0 never admitted: its id is another directory's, or nobody's
/// as far as this node's map says.
fn check_listed(map: &ShardMap, from: &Greeting) -> Result<(), Status> {
    let Some((cluster, node)) = from.ident.filter(|(cluster, _)| *cluster == map.cluster) else {
        return Ok(());
    };
    match map.nodes.get(&node) {
        Some(entry) if entry.uuid == from.uuid => Ok(()),
        Some(entry) => {
            let refusal = format!(
                "node {node} of cluster {cluster} is directory {}, not {}: this one was never admitted; start with an \
                 empty directory",
                entry.uuid, from.uuid
            );
            tracing::error!(%node, uuid = %from.uuid, address = from.address, "greeted by a directory that was never admitted");
            Err(Status::new(Code::FailedPrecondition, refusal))
        }
        // It may have joined a moment ago.
        None => Err(Status::new(
            Code::Unavailable,
            format!("node {node} is not in this node's map, of epoch {}", map.epoch),
        )),
    }
}

fn greeting_from_request(request: v1::HelloRequest) -> Option<Greeting> {
    Some(Greeting {
        ident: ident_from_wire(&request.cluster_id, request.node).ok()?,
        uuid: NodeUuid::from_hex(&request.uuid)?,
        incarnation: request.incarnation,
        address: address_from_wire(request.address)?,
        zone: zone_from_wire(request.zone)?,
        known: members_from_wire(request.known)?,
        claim: None,
        wall_ms: 0,
    })
}

fn malformed(what: &str) -> Status {
    Status::new(Code::InvalidArgument, format!("the {what} cannot be read"))
}

#[cfg(test)]
mod tests {
    use atoll_placement::NodeEntry;
    use atoll_types::{Epoch, NodeId};

    use super::*;

    #[test]
    fn an_id_belongs_to_the_directory_it_was_given_to() {
        let entry = NodeEntry {
            uuid: NodeUuid(7),
            address: "a:1".to_owned(),
            zone: String::new(),
        };
        let map = ShardMap {
            epoch: Epoch(3),
            cluster: ClusterId(1),
            nodes: [(NodeId(4), entry)].into(),
            ..ShardMap::default()
        };
        let code = |cluster: u128, node: u64, uuid: u128| {
            let from = Greeting {
                ident: Some((ClusterId(cluster), NodeId(node))),
                uuid: NodeUuid(uuid),
                ..Greeting::default()
            };
            check_listed(&map, &from).err().map(|status| status.code)
        };
        assert_eq!(code(1, 4, 7), None);
        assert_eq!(code(1, 4, 8), Some(Code::FailedPrecondition));
        assert_eq!(code(1, 5, 7), Some(Code::Unavailable));
        // Another cluster is refused elsewhere, and a node without one is welcome.
        assert_eq!(code(2, 4, 8), None);
        assert_eq!(check_listed(&map, &Greeting::default()), Ok(()));
    }
}
