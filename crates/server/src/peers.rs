//! How Raft reaches other nodes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::BoxFuture;
use atoll_env::net::Link;
use atoll_raft::Peers;
use atoll_types::{GroupKey, NodeId, ReplicaId};

use crate::directory::Directory;
use crate::membership::Membership;
use crate::rpc::PeerClient;

const HELLO_LIMIT: Duration = Duration::from_millis(800);
const OPEN_LIMIT: Duration = Duration::from_millis(800);

/// Dials by node id: whoever answers must be that node of this cluster, wherever the address came
/// from.
pub(crate) struct CheckedPeers {
    directory: Arc<Directory>,
    membership: Arc<Membership>,
    client: PeerClient,
}

impl CheckedPeers {
    pub(crate) fn new(directory: Arc<Directory>, membership: Arc<Membership>, client: PeerClient) -> Self {
        Self {
            directory,
            membership,
            client,
        }
    }
}

impl Peers for CheckedPeers {
    fn node_of(&self, group: GroupKey, replica: ReplicaId) -> Option<NodeId> {
        self.directory.node_of(group.id, replica)
    }

    fn dial(&self, node: NodeId) -> BoxFuture<'static, io::Result<Link>> {
        let address = self.directory.address(node);
        let (membership, client) = (self.membership.clone(), self.client.clone());
        let cluster = self.directory.cluster();
        Box::pin(async move {
            let address =
                address.ok_or_else(|| io::Error::other(format!("no address of node {node} is known")))?;
            let own = membership.greeting();
            let answer = match client.hello(&address, &own, HELLO_LIMIT).await {
                Ok(answer) => answer,
                Err(error) => {
                    membership.book().failed(&address);
                    return Err(io::Error::other(format!("node {node} at {address}: {error}")));
                }
            };
            if answer.ident != Some((cluster, node)) {
                membership.book().failed(&address);
                let who = match answer.ident {
                    Some((cluster, node)) => format!("node {node} of cluster {cluster}"),
                    None => "a node without a cluster".to_owned(),
                };
                return Err(io::Error::other(format!(
                    "{address} should be node {node}, but {who} answers there"
                )));
            }
            membership.heard(&answer);
            client.raft(&address, OPEN_LIMIT).await
        })
    }
}
