//! Bodies of messages.

use std::collections::BTreeSet;

use atoll_storage::LogEntry;
use atoll_types::{LogId, ReplicaId, Vote};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use crate::log_store::{entry_in, entry_out};
use crate::types::{
    RaftLogId, RaftMembership, RaftVote, TypeConfig, log_id_in, log_id_out, vote_in, vote_out,
};

const ENTRY_HEADER_BYTES: usize = 24 + 1 + 4 + 4;
/// Members of one group, at most: far beyond any sensible group, small enough to refuse garbage.
const MEMBERS_MAX: u32 = 1024;

fn put_log_id(out: &mut BytesMut, id: LogId) {
    out.put_u64_le(id.term);
    out.put_u64_le(id.leader.0);
    out.put_u64_le(id.index);
}

fn take_log_id(body: &mut Bytes) -> Option<LogId> {
    if body.len() < 24 {
        return None;
    }
    Some(LogId {
        term: body.get_u64_le(),
        leader: ReplicaId(body.get_u64_le()),
        index: body.get_u64_le(),
    })
}

pub(super) fn put_optional(out: &mut BytesMut, id: Option<&RaftLogId>) {
    match id {
        None => out.put_u8(0),
        Some(id) => {
            out.put_u8(1);
            put_log_id(out, log_id_in(id));
        }
    }
}

#[expect(
    clippy::option_option,
    reason = "outside: can it be read; inside: is there one"
)]
pub(super) fn take_optional(body: &mut Bytes) -> Option<Option<RaftLogId>> {
    match body.try_get_u8().ok()? {
        0 => Some(None),
        1 => take_log_id(body).map(|id| Some(log_id_out(id))),
        _ => None,
    }
}

pub(super) fn put_vote(out: &mut BytesMut, vote: &RaftVote) {
    let vote = vote_in(vote);
    out.put_u64_le(vote.term);
    out.put_u64_le(vote.candidate.0);
    out.put_u8(u8::from(vote.committed));
}

pub(super) fn take_vote(body: &mut Bytes) -> Option<RaftVote> {
    if body.len() < 17 {
        return None;
    }
    let vote = Vote {
        term: body.get_u64_le(),
        candidate: ReplicaId(body.get_u64_le()),
        committed: match body.get_u8() {
            0 => false,
            1 => true,
            _ => return None,
        },
    };
    Some(vote_out(vote))
}

pub(super) fn finished<T>(body: &Bytes, value: T) -> Option<T> {
    body.is_empty().then_some(value)
}

pub(crate) fn encode_append(request: AppendEntriesRequest<TypeConfig>) -> Bytes {
    let entries: Vec<LogEntry> = request.entries.into_iter().map(entry_in).collect();
    let size: usize = entries
        .iter()
        .map(|entry| ENTRY_HEADER_BYTES + entry.payload.len())
        .sum();
    let mut out = BytesMut::with_capacity(80 + size);
    put_vote(&mut out, &request.vote);
    put_optional(&mut out, request.prev_log_id.as_ref());
    put_optional(&mut out, request.leader_commit.as_ref());
    out.put_u32_le(entries.len() as u32);
    for entry in &entries {
        put_log_id(&mut out, entry.id);
        out.put_u8(entry.kind);
        out.put_u32_le(entry.payload_crc);
        out.put_u32_le(entry.payload.len() as u32);
        out.put_slice(&entry.payload);
    }
    out.freeze()
}

pub(crate) fn decode_append(mut body: Bytes) -> Option<AppendEntriesRequest<TypeConfig>> {
    let vote = take_vote(&mut body)?;
    let prev_log_id = take_optional(&mut body)?;
    let leader_commit = take_optional(&mut body)?;
    let count = body.try_get_u32_le().ok()? as usize;
    let mut entries = Vec::with_capacity(count.min(body.len() / ENTRY_HEADER_BYTES));
    let mut next = prev_log_id
        .as_ref()
        .map_or(Some(0), |prev| prev.index.checked_add(1));
    for _ in 0..count {
        let id = take_log_id(&mut body)?;
        // Entries that do not follow on what comes before them would leave a hole: Raft trusts its leader
        // in this, and leaders have been wrong.
        if next != Some(id.index) {
            return None;
        }
        next = id.index.checked_add(1);
        let kind = body.try_get_u8().ok()?;
        let payload_crc = body.try_get_u32_le().ok()?;
        let len = body.try_get_u32_le().ok()? as usize;
        if body.len() < len {
            return None;
        }
        let payload = body.split_to(len);
        // Checked before Raft sees it: a damaged entry is refused here, not acknowledged.
        if crc32fast::hash(&payload) != payload_crc {
            return None;
        }
        entries.push(
            entry_out(LogEntry {
                id,
                kind,
                payload,
                payload_crc,
            })
            .ok()?,
        );
    }
    finished(
        &body,
        AppendEntriesRequest {
            vote,
            prev_log_id,
            entries,
            leader_commit,
        },
    )
}

pub(crate) fn encode_append_reply(reply: &AppendEntriesResponse<TypeConfig>) -> Bytes {
    let mut out = BytesMut::with_capacity(32);
    match reply {
        AppendEntriesResponse::Success => out.put_u8(0),
        AppendEntriesResponse::PartialSuccess(id) => {
            out.put_u8(1);
            put_optional(&mut out, id.as_ref());
        }
        AppendEntriesResponse::Conflict => out.put_u8(2),
        AppendEntriesResponse::HigherVote(vote) => {
            out.put_u8(3);
            put_vote(&mut out, vote);
        }
    }
    out.freeze()
}

pub(crate) fn decode_append_reply(mut body: Bytes) -> Option<AppendEntriesResponse<TypeConfig>> {
    let reply = match body.try_get_u8().ok()? {
        0 => AppendEntriesResponse::Success,
        1 => AppendEntriesResponse::PartialSuccess(take_optional(&mut body)?),
        2 => AppendEntriesResponse::Conflict,
        3 => AppendEntriesResponse::HigherVote(take_vote(&mut body)?),
        _ => return None,
    };
    finished(&body, reply)
}

pub(crate) fn encode_vote_request(request: &VoteRequest<TypeConfig>) -> Bytes {
    let mut out = BytesMut::with_capacity(48);
    put_vote(&mut out, &request.vote);
    put_optional(&mut out, request.last_log_id.as_ref());
    out.put_u8(u8::from(request.leadership_transfer));
    out.freeze()
}

pub(crate) fn decode_vote_request(mut body: Bytes) -> Option<VoteRequest<TypeConfig>> {
    let mut request = VoteRequest::new(take_vote(&mut body)?, take_optional(&mut body)?);
    request.leadership_transfer = body.try_get_u8().ok()? == 1;
    finished(&body, request)
}

pub(crate) fn encode_vote_reply(reply: &VoteResponse<TypeConfig>) -> Bytes {
    let mut out = BytesMut::with_capacity(48);
    put_vote(&mut out, &reply.vote);
    out.put_u8(u8::from(reply.vote_granted));
    put_optional(&mut out, reply.last_log_id.as_ref());
    out.freeze()
}

pub(crate) fn decode_vote_reply(mut body: Bytes) -> Option<VoteResponse<TypeConfig>> {
    let vote = take_vote(&mut body)?;
    let granted = body.try_get_u8().ok()? == 1;
    let last_log_id = take_optional(&mut body)?;
    finished(&body, VoteResponse::new(vote, last_log_id, granted))
}

pub(crate) fn encode_transfer(request: &TransferLeaderRequest<TypeConfig>) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    put_vote(&mut out, request.from_leader());
    out.put_u64_le(*request.to_node_id());
    put_optional(&mut out, request.last_log_id());
    out.freeze()
}

pub(crate) fn decode_transfer(mut body: Bytes) -> Option<TransferLeaderRequest<TypeConfig>> {
    let from = take_vote(&mut body)?;
    let to = body.try_get_u64_le().ok()?;
    let last_log_id = take_optional(&mut body)?;
    finished(&body, TransferLeaderRequest::new(from, to, last_log_id))
}

/// The index up to which a reader must have applied.
pub(crate) fn encode_read_index(index: u64) -> Bytes {
    Bytes::copy_from_slice(&index.to_le_bytes())
}

pub(crate) fn decode_read_index(mut body: Bytes) -> Option<u64> {
    let index = body.try_get_u64_le().ok()?;
    finished(&body, index)
}

/// Voter sets (two while a change is under way) and learners; ids only, never addresses.
pub(crate) fn encode_membership(membership: &RaftMembership) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(1);
    let sets = membership.get_joint_config();
    out.put_u32_le(sets.len() as u32);
    for set in sets {
        put_ids(&mut out, set.iter().copied());
    }
    put_ids(&mut out, membership.nodes().map(|(id, ())| *id));
    out.freeze()
}

pub(crate) fn decode_membership(bytes: &Bytes) -> Option<RaftMembership> {
    let mut body = bytes.clone();
    if body.try_get_u8().ok()? != 1 {
        return None;
    }
    let count = body.try_get_u32_le().ok()?;
    if count > 2 {
        return None;
    }
    let mut sets = Vec::new();
    for _ in 0..count {
        sets.push(take_ids(&mut body)?);
    }
    let nodes = take_ids(&mut body)?;
    let membership = RaftMembership::new(sets, nodes).ok()?;
    finished(&body, membership)
}

fn put_ids(out: &mut BytesMut, ids: impl Iterator<Item = u64>) {
    let ids: Vec<u64> = ids.collect();
    out.put_u32_le(ids.len() as u32);
    for id in ids {
        out.put_u64_le(id);
    }
}

fn take_ids(body: &mut Bytes) -> Option<BTreeSet<u64>> {
    let count = body.try_get_u32_le().ok()?;
    if count > MEMBERS_MAX {
        return None;
    }
    (0..count).map(|_| body.try_get_u64_le().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EntryData, LeaderId, RaftEntry};

    fn id(index: u64) -> RaftLogId {
        RaftLogId {
            leader_id: LeaderId { term: 4, node_id: 2 },
            index,
        }
    }

    fn append() -> AppendEntriesRequest<TypeConfig> {
        let data = EntryData::new(Bytes::from_static(b"payload"));
        let sets = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
        let nodes = BTreeSet::from([1, 2, 3, 4, 9]);
        AppendEntriesRequest {
            vote: RaftVote::new_committed(4, 2),
            prev_log_id: Some(id(6)),
            entries: vec![
                RaftEntry {
                    log_id: id(7),
                    payload: openraft::EntryPayload::Blank,
                },
                RaftEntry {
                    log_id: id(8),
                    payload: openraft::EntryPayload::Normal(data),
                },
                RaftEntry {
                    log_id: id(9),
                    payload: openraft::EntryPayload::Membership(RaftMembership::new(sets, nodes).unwrap()),
                },
            ],
            leader_commit: None,
        }
    }

    #[test]
    fn append_round_trips() {
        let read = decode_append(encode_append(append())).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", append()));
    }

    #[test]
    fn a_flipped_bit_in_a_payload_is_refused() {
        let whole = encode_append(append());
        let at = whole.windows(7).position(|window| window == b"payload").unwrap();
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        assert!(decode_append(bytes.into()).is_none());
    }

    #[test]
    fn no_truncation_panics_or_passes() {
        let whole = encode_append(append());
        for cut in 0..whole.len() {
            assert!(decode_append(whole.slice(..cut)).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn other_messages_round_trip() {
        let vote = RaftVote::new(5, 1);
        let mut request = VoteRequest::<TypeConfig>::new(vote, Some(id(3)));
        request.leadership_transfer = true;
        assert_eq!(decode_vote_request(encode_vote_request(&request)), Some(request));
        let reply = VoteResponse::<TypeConfig>::new(vote, None, true);
        assert_eq!(decode_vote_reply(encode_vote_reply(&reply)), Some(reply));
        let transfer = TransferLeaderRequest::<TypeConfig>::new(vote, 3, Some(id(3)));
        assert_eq!(decode_transfer(encode_transfer(&transfer)), Some(transfer));
        for reply in [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(Some(id(2))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(vote),
        ] {
            assert_eq!(decode_append_reply(encode_append_reply(&reply)), Some(reply));
        }
        assert_eq!(decode_read_index(encode_read_index(77)), Some(77));
    }
}
