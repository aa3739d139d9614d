//! Bodies of messages that carry a snapshot.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::rpc::{finished, put_optional, put_vote, take_optional, take_vote};
use crate::Position;
use crate::types::{RaftVote, log_id_in, log_id_out};

/// A part of a snapshot. Each says all there is to know of the whole, so that a receiver can begin with any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotPart {
    /// The sending leader's.
    pub(crate) vote: RaftVote,
    /// Tells one sending from every other: the same checkpoint may be cut into other chunks the next time.
    pub(crate) transfer: u64,
    /// Bytes of all chunks together, about: whether there is room for them is seen before they come.
    pub(crate) bytes: u64,
    /// What the snapshot is one of.
    pub(crate) position: Position,
    /// Number of the chunk, from 0; at the end, how many there were.
    pub(crate) seq: u64,
    /// `None`: the end.
    pub(crate) chunk: Option<Bytes>,
}

/// What the receiver says to a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotReply {
    /// It has all chunks before this one.
    Want(u64),
    /// Nothing more is needed: it has everything that the snapshot has, or this vote is higher than the sender's.
    Done(RaftVote),
    /// It is still at work on an earlier part.
    Busy,
    /// It cannot store the snapshot until there is more room, and has given it up; why, for people.
    NoRoom(String),
}

const WANT: u8 = 0;
const DONE: u8 = 1;
const BUSY: u8 = 2;
const NO_ROOM: u8 = 3;
/// Bytes of a reason, at most; the rest is cut off.
const REASON_MAX: usize = 1024;

pub(crate) fn encode_snapshot_part(part: &SnapshotPart) -> Bytes {
    let Position {
        applied,
        membership_id,
        membership,
        installed: _,
    } = &part.position;
    let chunk = part.chunk.as_ref().map_or(0, Bytes::len);
    let mut out = BytesMut::with_capacity(128 + membership.len() + chunk);
    put_vote(&mut out, &part.vote);
    out.put_u64_le(part.transfer);
    out.put_u64_le(part.bytes);
    put_optional(&mut out, applied.map(log_id_out).as_ref());
    put_optional(&mut out, membership_id.map(log_id_out).as_ref());
    out.put_u32_le(membership.len() as u32);
    out.put_slice(membership);
    out.put_u64_le(part.seq);
    match &part.chunk {
        None => out.put_u8(0),
        Some(chunk) => {
            out.put_u8(1);
            out.put_slice(chunk);
        }
    }
    out.freeze()
}

pub(crate) fn decode_snapshot_part(mut body: Bytes) -> Option<SnapshotPart> {
    let vote = take_vote(&mut body)?;
    let transfer = body.try_get_u64_le().ok()?;
    let bytes = body.try_get_u64_le().ok()?;
    let applied = take_optional(&mut body)?.as_ref().map(log_id_in);
    let membership_id = take_optional(&mut body)?.as_ref().map(log_id_in);
    let len = body.try_get_u32_le().ok()? as usize;
    if body.len() < len {
        return None;
    }
    let membership = body.split_to(len);
    let seq = body.try_get_u64_le().ok()?;
    let chunk = match body.try_get_u8().ok()? {
        0 => finished(&body, None)?,
        1 => Some(body),
        _ => return None,
    };
    Some(SnapshotPart {
        vote,
        transfer,
        bytes,
        position: Position {
            applied,
            membership_id,
            membership,
            installed: false,
        },
        seq,
        chunk,
    })
}

pub(crate) fn encode_snapshot_reply(reply: &SnapshotReply) -> Bytes {
    let mut out = BytesMut::with_capacity(32);
    match reply {
        SnapshotReply::Want(seq) => {
            out.put_u8(WANT);
            out.put_u64_le(*seq);
        }
        SnapshotReply::Done(vote) => {
            out.put_u8(DONE);
            put_vote(&mut out, vote);
        }
        SnapshotReply::Busy => out.put_u8(BUSY),
        SnapshotReply::NoRoom(why) => {
            out.put_u8(NO_ROOM);
            let end = (0..=REASON_MAX).rev().find(|end| why.is_char_boundary(*end));
            out.put_slice(why.as_bytes().get(..end.unwrap_or(0)).unwrap_or(why.as_bytes()));
        }
    }
    out.freeze()
}

pub(crate) fn decode_snapshot_reply(mut body: Bytes) -> Option<SnapshotReply> {
    let reply = match body.try_get_u8().ok()? {
        WANT => SnapshotReply::Want(body.try_get_u64_le().ok()?),
        DONE => SnapshotReply::Done(take_vote(&mut body)?),
        BUSY => SnapshotReply::Busy,
        NO_ROOM => {
            let why = body.split_to(body.len().min(REASON_MAX));
            SnapshotReply::NoRoom(std::str::from_utf8(&why).ok()?.to_owned())
        }
        _ => return None,
    };
    finished(&body, reply)
}

#[cfg(test)]
mod tests {
    use atoll_types::{LogId, ReplicaId};

    use super::*;

    fn part(chunk: Option<&'static [u8]>) -> SnapshotPart {
        let id = |index| LogId {
            term: 4,
            leader: ReplicaId(2),
            index,
        };
        SnapshotPart {
            vote: RaftVote::new_committed(5, 1),
            transfer: 77,
            bytes: 1 << 40,
            position: Position {
                applied: Some(id(9)),
                membership_id: Some(id(3)),
                membership: Bytes::from_static(b"members"),
                installed: false,
            },
            seq: 6,
            chunk: chunk.map(Bytes::from_static),
        }
    }

    #[test]
    fn parts_and_answers_round_trip() {
        for part in [part(Some(b"rows")), part(Some(b"")), part(None)] {
            assert_eq!(
                decode_snapshot_part(encode_snapshot_part(&part)),
                Some(part.clone())
            );
        }
        let vote = RaftVote::new_committed(5, 1);
        for reply in [
            SnapshotReply::Want(8),
            SnapshotReply::Done(vote),
            SnapshotReply::Busy,
            SnapshotReply::NoRoom("full".to_owned()),
        ] {
            assert_eq!(decode_snapshot_reply(encode_snapshot_reply(&reply)), Some(reply));
        }
    }

    #[test]
    fn of_a_long_reason_the_beginning_is_told() {
        for (letter, told) in [
            ("x", REASON_MAX),
            ("\u{20ac}", REASON_MAX / 3),
            ("x", 3),
            ("x", 0),
        ] {
            let reply = SnapshotReply::NoRoom(letter.repeat(told.max(if told > 3 { 5000 } else { 0 })));
            let told = SnapshotReply::NoRoom(letter.repeat(told));
            assert_eq!(decode_snapshot_reply(encode_snapshot_reply(&reply)), Some(told));
        }
        let long = [vec![NO_ROOM], vec![b'x'; REASON_MAX + 1]].concat();
        assert_eq!(decode_snapshot_reply(long.into()), None);
        assert_eq!(decode_snapshot_reply(Bytes::from_static(&[NO_ROOM, 0xFF])), None);
    }

    /// A chunk ends with its message; whether it is whole, its own sums say.
    #[test]
    fn what_stands_before_a_chunk_is_there_or_the_part_is_refused() {
        let whole = encode_snapshot_part(&part(Some(b"rows")));
        for cut in 0..whole.len() - 4 {
            assert_eq!(decode_snapshot_part(whole.slice(..cut)), None, "cut at {cut}");
        }
        let end = encode_snapshot_part(&part(None));
        for cut in 0..end.len() {
            assert_eq!(decode_snapshot_part(end.slice(..cut)), None, "cut at {cut}");
        }
        let more = Bytes::from([&end[..], b"x"].concat());
        assert_eq!(decode_snapshot_part(more), None);
        let reply = encode_snapshot_reply(&SnapshotReply::Want(8));
        for cut in 0..reply.len() {
            assert_eq!(decode_snapshot_reply(reply.slice(..cut)), None, "cut at {cut}");
        }
    }
}
