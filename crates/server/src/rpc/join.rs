//! Answers to directories that want to join: by group 0's leader, passed on once by everyone else.

use std::time::Duration;

use atoll_env::net::{CallError, Code, Status};
use atoll_placement::ShardMap;
use atoll_proto::v1;
use atoll_types::{GroupId, NodeUuid};

use super::map::map_to_wire;
use super::router::{not_in_a_cluster, unavailable};
use crate::control::RegisterError;
use crate::identity::{ADDRESS_BYTES_MAX, Ident, is_zone};
use crate::membership::Newcomer;
use crate::node::Core;
use crate::running::Running;

/// Of each node that it is passed on to.
const PASS_ON_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn join(core: &Core, request: v1::JoinRequest) -> Result<v1::JoinReply, Status> {
    let forwarded = request.forwarded;
    let newcomer = newcomer_from_wire(request)?;
    let running = core.running().ok_or_else(|| not_in_a_cluster(core))?;
    let refusal = match running.registrar() {
        Some(registrar) => match registrar.register(&newcomer).await {
            Ok((node, state)) => {
                let cluster = state.map.cluster;
                return Ok(reply(Ident { cluster, node }, &state.map));
            }
            Err(error) => error,
        },
        None => RegisterError::NotLeader,
    };
    match refusal {
        RegisterError::NotLeader if forwarded => Err(unavailable(&refusal.to_string())),
        RegisterError::NotLeader => pass_on(core, &running, &newcomer).await,
        RegisterError::Later(reason) => Err(unavailable(&reason)),
        RegisterError::Never(reason) => Err(Status::new(Code::FailedPrecondition, reason)),
        RegisterError::Full => Err(Status::new(Code::ResourceExhausted, refusal.to_string())),
    }
}

/// To the leader, or, where that is not known, to one node of group 0 after the other.
async fn pass_on(core: &Core, running: &Running, newcomer: &Newcomer) -> Result<v1::JoinReply, Status> {
    let directory = running.directory();
    let leader = running
        .host()
        .group(GroupId::CONTROL)
        .and_then(|group| directory.node_of(GroupId::CONTROL, group.leader()?));
    let nodes = leader.map_or_else(|| directory.control_nodes(), |leader| vec![leader]);
    let own = directory.local_node();
    let addresses = nodes
        .into_iter()
        .filter(|node| *node != own)
        .filter_map(|node| directory.address(node));
    for address in addresses {
        match core.peers.join(&address, newcomer, true, PASS_ON_LIMIT).await {
            Ok((ident, map)) => return Ok(reply(ident, &map)),
            Err(CallError::Status(status)) if status.code != Code::Unavailable => return Err(status),
            Err(error) => tracing::debug!(address, %error, "a join was not answered"),
        }
    }
    Err(unavailable(
        "the control plane has no leader that this node can reach",
    ))
}

fn reply(ident: Ident, map: &ShardMap) -> v1::JoinReply {
    v1::JoinReply {
        cluster_id: ident.cluster.to_string(),
        node: ident.node.0,
        map: Some(map_to_wire(map, |_| None)),
    }
}

fn newcomer_from_wire(request: v1::JoinRequest) -> Result<Newcomer, Status> {
    let refuse = |what: &str| Status::new(Code::InvalidArgument, format!("the {what} cannot be used"));
    let address = request.address;
    if address.len() > ADDRESS_BYTES_MAX || !address.contains(':') {
        return Err(refuse("address"));
    }
    if !is_zone(&request.zone) {
        return Err(refuse("zone"));
    }
    Ok(Newcomer {
        uuid: NodeUuid::from_hex(&request.uuid).ok_or_else(|| refuse("uuid"))?,
        address,
        zone: request.zone,
    })
}
