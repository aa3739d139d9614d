//! The bytes between nodes, written down a second time: a change of them that is not meant fails here.

use atoll_types::{GroupGen, GroupId, GroupKey, LogId, ReplicaId, Vote};
use bytes::{Buf, BufMut, Bytes, BytesMut};

pub const APPEND: u8 = 1;
pub const VOTE: u8 = 2;
pub const PRE_VOTE: u8 = 3;
pub const READ_INDEX: u8 = 5;
pub const SNAPSHOT: u8 = 6;
pub const REPLY: u8 = 16;
pub const REFUSED: u8 = 17;

/// A message of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    pub group: GroupKey,
    pub from: ReplicaId,
    pub to: ReplicaId,
    pub call: u64,
    pub body: Bytes,
}

impl Message {
    /// The answer to this call.
    pub fn answer(&self, kind: u8, body: Bytes) -> Self {
        Self {
            kind,
            group: self.group,
            from: self.to,
            to: self.from,
            call: self.call,
            body,
        }
    }
}

/// A frame of these messages.
pub fn frame(messages: &[Message]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(1);
    for message in messages {
        out.put_u8(message.kind);
        out.put_u64_le(message.group.id.0);
        out.put_u32_le(message.group.generation.0);
        out.put_u64_le(message.from.0);
        out.put_u64_le(message.to.0);
        out.put_u64_le(message.call);
        out.put_u32_le(message.body.len() as u32);
        out.put_slice(&message.body);
    }
    out.freeze()
}

/// The messages of a frame.
pub fn messages(mut frame: Bytes) -> Vec<Message> {
    assert_eq!(frame.get_u8(), 1, "the version of frames");
    let mut messages = Vec::new();
    while !frame.is_empty() {
        let kind = frame.get_u8();
        let group = GroupKey::new(GroupId(frame.get_u64_le()), GroupGen(frame.get_u32_le()));
        let (from, to) = (ReplicaId(frame.get_u64_le()), ReplicaId(frame.get_u64_le()));
        let call = frame.get_u64_le();
        let len = frame.get_u32_le() as usize;
        messages.push(Message {
            kind,
            group,
            from,
            to,
            call,
            body: frame.split_to(len),
        });
    }
    messages
}

fn put_vote(out: &mut BytesMut, vote: Vote) {
    out.put_u64_le(vote.term);
    out.put_u64_le(vote.candidate.0);
    out.put_u8(u8::from(vote.committed));
}

fn take_vote(body: &mut Bytes) -> Vote {
    Vote {
        term: body.get_u64_le(),
        candidate: ReplicaId(body.get_u64_le()),
        committed: body.get_u8() == 1,
    }
}

fn put_log_id(out: &mut BytesMut, id: LogId) {
    out.put_u64_le(id.term);
    out.put_u64_le(id.leader.0);
    out.put_u64_le(id.index);
}

fn take_log_id(body: &mut Bytes) -> LogId {
    LogId {
        term: body.get_u64_le(),
        leader: ReplicaId(body.get_u64_le()),
        index: body.get_u64_le(),
    }
}

fn put_optional(out: &mut BytesMut, id: Option<LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

fn take_optional(body: &mut Bytes) -> Option<LogId> {
    (body.get_u8() == 1).then(|| take_log_id(body))
}

/// An entry: 0 blank, 1 normal, 2 membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: LogId,
    pub kind: u8,
    pub payload: Bytes,
}

/// What a leader sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub vote: Vote,
    pub prev: Option<LogId>,
    pub commit: Option<LogId>,
    pub entries: Vec<Entry>,
}

impl Append {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        put_vote(&mut out, self.vote);
        put_optional(&mut out, self.prev);
        put_optional(&mut out, self.commit);
        out.put_u32_le(self.entries.len() as u32);
        for entry in &self.entries {
            put_log_id(&mut out, entry.id);
            out.put_u8(entry.kind);
            out.put_u32_le(crc32fast::hash(&entry.payload));
            out.put_u32_le(entry.payload.len() as u32);
            out.put_slice(&entry.payload);
        }
        out.freeze()
    }

    pub fn decode(mut body: Bytes) -> Self {
        let vote = take_vote(&mut body);
        let (prev, commit) = (take_optional(&mut body), take_optional(&mut body));
        let count = body.get_u32_le();
        let entries = (0..count).map(|_| {
            let id = take_log_id(&mut body);
            let (kind, crc, len) = (body.get_u8(), body.get_u32_le(), body.get_u32_le());
            let payload = body.split_to(len as usize);
            assert_eq!(crc, crc32fast::hash(&payload));
            Entry { id, kind, payload }
        });
        Self {
            vote,
            prev,
            commit,
            entries: entries.collect(),
        }
    }
}

/// A follower's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    All,
    UpTo(Option<LogId>),
    Conflict,
    HigherVote(Vote),
}

impl Appended {
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::All => out.put_u8(0),
            Self::UpTo(id) => {
                out.put_u8(1);
                put_optional(&mut out, id);
            }
            Self::Conflict => out.put_u8(2),
            Self::HigherVote(vote) => {
                out.put_u8(3);
                put_vote(&mut out, vote);
            }
        }
        out.freeze()
    }

    pub fn decode(mut body: Bytes) -> Self {
        match body.get_u8() {
            0 => Self::All,
            1 => Self::UpTo(take_optional(&mut body)),
            2 => Self::Conflict,
            3 => Self::HigherVote(take_vote(&mut body)),
            other => panic!("an answer of kind {other}"),
        }
    }
}

/// What a candidate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    pub vote: Vote,
    pub last: Option<LogId>,
    /// The leader has asked for this election, so that its lease does not count.
    pub transfer: bool,
}

impl VoteRequest {
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        put_vote(&mut out, self.vote);
        put_optional(&mut out, self.last);
        out.put_u8(u8::from(self.transfer));
        out.freeze()
    }

    pub fn decode(mut body: Bytes) -> Self {
        Self {
            vote: take_vote(&mut body),
            last: take_optional(&mut body),
            transfer: body.get_u8() == 1,
        }
    }
}

/// What a voter answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteReply {
    pub vote: Vote,
    pub granted: bool,
    pub last: Option<LogId>,
}

impl VoteReply {
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        put_vote(&mut out, self.vote);
        out.put_u8(u8::from(self.granted));
        put_optional(&mut out, self.last);
        out.freeze()
    }

    pub fn decode(mut body: Bytes) -> Self {
        Self {
            vote: take_vote(&mut body),
            granted: body.get_u8() == 1,
            last: take_optional(&mut body),
        }
    }
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub vote: Vote,
    pub transfer: u64,
    pub bytes: u64,
    pub applied: Option<LogId>,
    pub membership_id: Option<LogId>,
    pub membership: Bytes,
    pub seq: u64,
    pub chunk: Option<Bytes>,
}

impl Part {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        put_vote(&mut out, self.vote);
        out.put_u64_le(self.transfer);
        out.put_u64_le(self.bytes);
        put_optional(&mut out, self.applied);
        put_optional(&mut out, self.membership_id);
        out.put_u32_le(self.membership.len() as u32);
        out.put_slice(&self.membership);
        out.put_u64_le(self.seq);
        out.put_u8(u8::from(self.chunk.is_some()));
        out.put_slice(self.chunk.as_deref().unwrap_or_default());
        out.freeze()
    }
}

/// What a receiver says to a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Took {
    Want(u64),
    Done(Vote),
    Busy,
    NoRoom(String),
}

impl Took {
    pub fn decode(mut body: Bytes) -> Self {
        match body.get_u8() {
            0 => Self::Want(body.get_u64_le()),
            1 => Self::Done(take_vote(&mut body)),
            2 => Self::Busy,
            3 => Self::NoRoom(String::from_utf8(body.to_vec()).unwrap()),
            other => panic!("an answer of kind {other}"),
        }
    }
}

/// The payload of a membership entry: one set of voters.
pub fn membership(voters: &[ReplicaId]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_u32_le(1);
    for _ in ["voters", "nodes"] {
        out.put_u32_le(voters.len() as u32);
        for voter in voters {
            out.put_u64_le(voter.0);
        }
    }
    out.freeze()
}
