//! openraft's network on the transport.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Tempo;
use atoll_types::{GroupKey, Mutant, ReplicaId, mutant};
use bytes::Bytes;
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::snapshot::{Carried, RaftSnapshot, SendError, Sender, Tries};
use crate::transport::{CallFailure, Transport};
use crate::types::{RaftVote, TypeConfig, log_id_in};
use crate::wire::{self, Kind};

/// openraft lets appends run for ever; a half-open connection must not wedge a follower.
const APPEND_LIMIT: Duration = Duration::from_secs(2);

/// How long openraft gives a call, on its own time, in that of the clock that ends it here.
fn ttl(option: &RPCOption) -> Duration {
    option.hard_ttl().mul_f64(Tempo::current().stretch())
}

/// Makes clients to other replicas of one group.
#[derive(Clone)]
pub(crate) struct Network {
    transport: Arc<Transport>,
    group: GroupKey,
    replica: ReplicaId,
    snapshots: Sender,
}

impl Network {
    pub(crate) fn new(snapshots: Sender) -> Self {
        Self {
            transport: Arc::clone(&snapshots.transport),
            group: snapshots.group,
            replica: snapshots.replica,
            snapshots,
        }
    }

    /// Asks the leader for a read index.
    pub(crate) async fn read_index(&self, leader: ReplicaId, limit: Duration) -> Result<u64, CallFailure> {
        let ends = (self.replica, leader);
        let body = self
            .transport
            .call(Kind::ReadIndex, self.group, ends, Bytes::new(), limit)
            .await?;
        wire::decode_read_index(body).ok_or_else(|| CallFailure::Refused("unreadable read index".to_owned()))
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _node: &()) -> Self::Network {
        let target = ReplicaId(target);
        Client {
            tries: Tries::new(target, &self.snapshots.board),
            network: self.clone(),
            target,
        }
    }
}

/// Calls one replica.
pub(crate) struct Client {
    network: Network,
    target: ReplicaId,
    /// Of sending it a snapshot: openraft makes a client for each, and keeps it until one got through.
    tries: Tries,
}

impl Client {
    async fn call(
        &self,
        kind: Kind,
        rpc: RPCTypes,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, RPCError<TypeConfig>> {
        let Network {
            transport,
            group,
            replica,
            snapshots: _,
        } = &self.network;
        let ends = (*replica, self.target);
        let answer = transport.call(kind, *group, ends, body, limit).await;
        answer.map_err(|failure| match failure {
            CallFailure::Timeout => {
                let (id, target) = (replica.0, self.target.0);
                RPCError::Timeout(Timeout {
                    action: rpc,
                    id,
                    target,
                    timeout: limit,
                })
            }
            // A refusal is no better than an unreachable node: back off.
            failure => RPCError::Unreachable(Unreachable::new(&failure)),
        })
    }

    fn unreadable(&self) -> RPCError<TypeConfig> {
        RPCError::Network(NetworkError::from_string(format!(
            "unreadable answer of replica {}",
            self.target
        )))
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = Carried;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let behind = rpc.prev_log_id.as_ref().map(|id| id.index);
        if !rpc.entries.is_empty() && self.network.snapshots.holds.is_given_up(behind) {
            // What is on its way keeps the log from being purged. This ends it; a snapshot follows.
            let error = io::Error::other("entries that it lacks are purged");
            return Err(RPCError::Unreachable(Unreachable::new(&error)));
        }
        let limit = option.soft_ttl().max(APPEND_LIMIT);
        let body = wire::encode_append(rpc);
        let answer = self
            .call(Kind::Append, RPCTypes::AppendEntries, body, limit)
            .await;
        if answer.is_err() && mutant::is(Mutant::CommitWithoutQuorum) {
            return Ok(AppendEntriesResponse::Success);
        }
        let answer = answer?;
        wire::decode_append_reply(answer).ok_or_else(|| self.unreadable())
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::encode_vote_request(&rpc);
        let answer = self.call(Kind::Vote, RPCTypes::Vote, body, ttl(&option)).await?;
        wire::decode_vote_reply(answer).ok_or_else(|| self.unreadable())
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::encode_vote_request(&rpc);
        let answer = self
            .call(Kind::PreVote, RPCTypes::Vote, body, ttl(&option))
            .await?;
        wire::decode_vote_reply(answer).ok_or_else(|| self.unreadable())
    }

    /// Bounds itself: openraft's limit is for the whole, which may take hours.
    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let Carried::Here(store) = snapshot.snapshot else {
            let error = io::Error::other("a received snapshot is not to be sent");
            return Err(StreamingError::Unreachable(Unreachable::new(&error)));
        };
        let least = snapshot.meta.last_log_id.as_ref().map(log_id_in);
        let Network {
            replica, snapshots, ..
        } = &self.network;
        let whom = (self.target, vote);
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = snapshots.send(&mut self.tries, whom, &*store, least) => sent,
        };
        match sent {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            // After a timeout openraft asks for the newest checkpoint and calls again at once.
            Err(SendError::AskAgain) => Err(StreamingError::Timeout(Timeout {
                action: RPCTypes::InstallSnapshot,
                id: replica.0,
                target: self.target.0,
                timeout: Duration::ZERO,
            })),
            Err(error) => {
                // Also what cannot be read here: to openraft that would be the end of the replica, but it serves
                // all that it has, and another one may lead.
                let (from, to, group) = (replica, self.target, snapshots.group);
                tracing::warn!(%group, %from, %to, %error, "a snapshot was not sent");
                Err(StreamingError::Unreachable(Unreachable::new(&error)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::encode_transfer(&req);
        // The answer carries no reason: on refusal the transfer fails and an election decides.
        self.call(Kind::Transfer, RPCTypes::TransferLeader, body, ttl(&option))
            .await?;
        Ok(Ok(()))
    }
}
