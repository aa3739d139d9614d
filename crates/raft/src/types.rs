//! openraft's type parameters, pinned once. None of them leaves this crate.

use std::fmt;

use atoll_types::{LogId, Outcome, ReplicaId, Vote};
use bytes::Bytes;

use crate::responder::Callback;
use crate::runtime::Runtime;

/// The configuration of openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = EntryData;
    type R = Vec<Outcome>;
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = RaftVote;
    type Payload = openraft::EntryPayload<EntryData, u64, ()>;
    type Entry = RaftEntry;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = Callback<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// Several leaders may exist in one term, ordered by replica id: fewer split votes.
pub(crate) type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub(crate) type RaftVote = openraft::impls::Vote<LeaderId>;
pub(crate) type RaftLogId = openraft::LogId<LeaderId>;
pub(crate) type RaftEntry = openraft::impls::Entry<LeaderId, openraft::EntryPayload<EntryData, u64, ()>>;
pub(crate) type RaftMembership = openraft::Membership<u64, ()>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, u64, ()>;

/// The bytes of a normal entry with their checksum: computed once by the leader and carried to every
/// journal.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EntryData {
    pub(crate) payload: Bytes,
    pub(crate) crc: u32,
}

impl EntryData {
    pub(crate) fn new(payload: Bytes) -> Self {
        let crc = crc32fast::hash(&payload);
        Self { payload, crc }
    }
}

impl fmt::Debug for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.payload.len())
    }
}

impl fmt::Display for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(crate) fn log_id_in(id: &RaftLogId) -> LogId {
    LogId {
        term: id.leader_id.term,
        leader: ReplicaId(id.leader_id.node_id),
        index: id.index,
    }
}

pub(crate) fn log_id_out(id: LogId) -> RaftLogId {
    RaftLogId {
        leader_id: LeaderId {
            term: id.term,
            node_id: id.leader.0,
        },
        index: id.index,
    }
}

pub(crate) fn vote_in(vote: &RaftVote) -> Vote {
    Vote {
        term: vote.leader_id.term,
        candidate: ReplicaId(vote.leader_id.node_id),
        committed: vote.committed,
    }
}

pub(crate) fn vote_out(vote: Vote) -> RaftVote {
    RaftVote {
        leader_id: LeaderId {
            term: vote.term,
            node_id: vote.candidate.0,
        },
        committed: vote.committed,
    }
}
