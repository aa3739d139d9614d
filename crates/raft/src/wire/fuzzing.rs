//! What the encodings between nodes promise about bytes of any kind, as checks that panic if it does not
//! hold. Shared by fuzz targets (`fuzz/`) and the test that replays their corpus.

use std::collections::BTreeSet;
use std::fmt::Debug;

use atoll_types::{GroupGen, GroupId, GroupKey, ReplicaId};
use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use super::{
    Kind, Message, SnapshotPart, SnapshotReply, decode_append, decode_append_reply, decode_membership,
    decode_read_index, decode_snapshot_part, decode_snapshot_reply, decode_transfer, decode_vote_reply,
    decode_vote_request, encode_append, encode_append_reply, encode_membership, encode_read_index,
    encode_snapshot_part, encode_snapshot_reply, encode_transfer, encode_vote_reply, encode_vote_request,
    frame_messages, start_frame,
};
use crate::Position;
use crate::types::{
    EntryData, LeaderId, RaftEntry, RaftLogId, RaftMembership, RaftVote, TypeConfig, log_id_in,
};

/// A frame is read up to the first byte that makes no sense; the messages before it are encoded as they
/// were found.
pub fn frame(input: &[u8]) {
    let mut encoded = start_frame(input.len());
    let mut sound = true;
    for message in frame_messages(Bytes::copy_from_slice(input)) {
        assert!(sound, "nothing comes after what cannot be read");
        match message {
            Some(message) => message.encode(&mut encoded),
            None => sound = false,
        }
    }
    if sound && !input.is_empty() {
        assert_eq!(&encoded[..], input);
    } else if encoded.len() > 1 {
        assert_eq!(input.get(..encoded.len()), Some(&encoded[..]));
    }
}

/// A body of the kind that the first byte says is refused, or read to something that is encoded to
/// bytes that mean the same.
pub fn body(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    match kind % 9 {
        0 => same(body, decode_append, |request| encode_append(request.clone())),
        1 => same(body, decode_append_reply, encode_append_reply),
        2 => same(body, decode_vote_request, encode_vote_request),
        3 => same(body, decode_vote_reply, encode_vote_reply),
        4 => same(body, decode_transfer, encode_transfer),
        5 => same(body, decode_read_index, |index| encode_read_index(*index)),
        6 => same(body, |body| decode_membership(&body), encode_membership),
        7 => same(body, decode_snapshot_part, encode_snapshot_part),
        _ => same(body, decode_snapshot_reply, encode_snapshot_reply),
    }
}

fn same<T: Debug>(body: Bytes, decode: impl Fn(Bytes) -> Option<T>, encode: impl Fn(&T) -> Bytes) {
    let Some(value) = decode(body) else {
        return;
    };
    let encoded = encode(&value);
    let again = decode(encoded.clone()).expect("what was encoded can be read");
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
    assert_eq!(encode(&again), encoded);
}

fn id(index: u64) -> RaftLogId {
    RaftLogId {
        leader_id: LeaderId { term: 4, node_id: 2 },
        index,
    }
}

fn membership() -> RaftMembership {
    let sets = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
    let nodes = BTreeSet::from([1, 2, 3, 4, 9]);
    RaftMembership::new(sets, nodes).expect("every voter is a node")
}

fn append() -> Bytes {
    let data = EntryData::new(Bytes::from_static(b"payload"));
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(data),
        EntryPayload::Membership(membership()),
    ];
    let entry = |(payload, index)| RaftEntry {
        log_id: id(index),
        payload,
    };
    encode_append(AppendEntriesRequest {
        vote: RaftVote::new_committed(4, 2),
        prev_log_id: Some(id(6)),
        entries: payloads.into_iter().zip(7..).map(entry).collect(),
        leader_commit: None,
    })
}

fn vote_request() -> Bytes {
    let mut request = VoteRequest::<TypeConfig>::new(RaftVote::new(5, 1), Some(id(3)));
    request.leadership_transfer = true;
    encode_vote_request(&request)
}

fn snapshot_part(chunk: Option<Bytes>) -> Bytes {
    encode_snapshot_part(&SnapshotPart {
        vote: RaftVote::new_committed(5, 1),
        transfer: 77,
        bytes: 1 << 33,
        position: Position {
            applied: Some(log_id_in(&id(8))),
            membership_id: Some(log_id_in(&id(3))),
            membership: encode_membership(&membership()),
            installed: false,
        },
        seq: 3,
        chunk,
    })
}

/// For [`body`]: one of every kind, and more of those that differ.
pub fn body_seeds() -> Vec<(String, Vec<u8>)> {
    let vote = RaftVote::new(5, 1);
    let transfer = TransferLeaderRequest::<TypeConfig>::new(vote, 3, Some(id(3)));
    let partial = AppendEntriesResponse::<TypeConfig>::PartialSuccess(Some(id(2)));
    let higher = AppendEntriesResponse::<TypeConfig>::HigherVote(vote);
    let seeds = [
        ("append", 0, append()),
        ("append-partial", 1, encode_append_reply(&partial)),
        ("append-higher", 1, encode_append_reply(&higher)),
        ("vote", 2, vote_request()),
        (
            "vote-reply",
            3,
            encode_vote_reply(&VoteResponse::<TypeConfig>::new(vote, None, true)),
        ),
        ("transfer", 4, encode_transfer(&transfer)),
        ("read-index", 5, encode_read_index(77)),
        ("membership", 6, encode_membership(&membership())),
        ("snapshot", 7, snapshot_part(Some(Bytes::from_static(b"rows")))),
        ("snapshot-end", 7, snapshot_part(None)),
        ("snapshot-want", 8, encode_snapshot_reply(&SnapshotReply::Want(3))),
        (
            "snapshot-done",
            8,
            encode_snapshot_reply(&SnapshotReply::Done(vote)),
        ),
        (
            "snapshot-no-room",
            8,
            encode_snapshot_reply(&SnapshotReply::NoRoom("full".to_owned())),
        ),
    ];
    let input = |(name, kind, body): (&str, u8, Bytes)| (name.to_owned(), [&[kind][..], &body].concat());
    seeds.into_iter().map(input).collect()
}

/// For [`frame`].
pub fn frame_seeds() -> Vec<(String, Vec<u8>)> {
    let message = |kind, call, body| Message {
        kind,
        group: GroupKey::new(GroupId(3), GroupGen(1)),
        from: ReplicaId(7),
        to: ReplicaId(8),
        call,
        body,
    };
    let refused = Bytes::from_static(b"no such group");
    let frames = [
        ("append", vec![message(Kind::Append, 1, append())]),
        ("empty", vec![]),
        ("refused", vec![message(Kind::Refused, 2, refused)]),
        (
            "several",
            vec![
                message(Kind::Vote, 3, vote_request()),
                message(Kind::ReadIndex, 4, encode_read_index(5)),
                message(Kind::Reply, 3, Bytes::new()),
            ],
        ),
    ];
    let input = |(name, messages): (&str, Vec<Message>)| {
        let mut frame = start_frame(0);
        for message in &messages {
            message.encode(&mut frame);
        }
        (name.to_owned(), frame.to_vec())
    };
    frames.into_iter().map(input).collect()
}
