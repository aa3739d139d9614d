//! Making a cluster, looking at it, and moving leaderships: plain calls to one node.

use std::time::Duration;

use atoll_env::Env;
use atoll_proto::{method, v1};
use atoll_types::{GroupId, NodeId};
use bytes::Bytes;
use prost::Message;

use crate::error::Error;

/// How long an administrative call may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// Settings of [`init`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// Addresses of all initial nodes. Empty: the receiving node's own `--join` list and itself.
    pub addresses: Vec<String>,
    /// Data groups to make; 0: two per node.
    pub groups: u32,
    /// How long it may take.
    pub deadline: Duration,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            groups: 0,
            deadline: Duration::from_secs(60),
        }
    }
}

/// Makes a cluster of the given nodes, once. Safe to repeat with the same set.
pub async fn init(env: &Env, address: &str, options: InitOptions) -> Result<v1::InitReply, Error> {
    let request = v1::InitRequest {
        addresses: options.addresses,
        groups: options.groups,
    };
    call(env, address, method::INIT, &request, options.deadline).await
}

/// What a node knows of itself and of the cluster.
pub async fn status(env: &Env, address: &str) -> Result<v1::StatusReply, Error> {
    call(env, address, method::STATUS, &v1::StatusRequest {}, DEADLINE).await
}

/// The shard map as a node knows it.
pub async fn map(env: &Env, address: &str) -> Result<Option<v1::ShardMap>, Error> {
    let request = v1::GetMapRequest { known_epoch: 0 };
    let reply: v1::GetMapReply = call(env, address, method::GET_MAP, &request, DEADLINE).await?;
    Ok(reply.map)
}

/// Hands a group's leadership to its replica on another node. Ask the node that leads.
pub async fn transfer_leader(env: &Env, address: &str, group: GroupId, to: NodeId) -> Result<(), Error> {
    let request = v1::TransferLeaderRequest {
        group: group.0,
        to_node: to.0,
    };
    let _: v1::TransferLeaderReply = call(env, address, method::TRANSFER_LEADER, &request, DEADLINE).await?;
    Ok(())
}

/// All of these can be repeated without harm, which is what to do after `Unknown`.
async fn call<Reply: Message + Default>(
    env: &Env,
    address: &str,
    method: &'static str,
    request: &impl Message,
    deadline: Duration,
) -> Result<Reply, Error> {
    let request = Bytes::from(request.encode_to_vec());
    let reply = env.net.call(address, method, request, deadline).await;
    let reply = reply.map_err(|error| Error::from_call(error).at(address))?;
    Reply::decode(reply)
        .map_err(|error| Error::internal(format!("{address}: the reply cannot be read: {error}")))
}
