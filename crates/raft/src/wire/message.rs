//! Frames and message headers.

use atoll_types::{GroupGen, GroupId, GroupKey, ReplicaId};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// First byte of every frame.
const FRAME_VERSION: u8 = 1;
/// Bytes of a message before its body.
const HEADER_BYTES: usize = 1 + 8 + 4 + 8 + 8 + 8 + 4;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Append = 1,
    Vote = 2,
    PreVote = 3,
    Transfer = 4,
    ReadIndex = 5,
    Snapshot = 6,
    /// Whether the replica would take leadership: answered with nothing, or refused.
    Willing = 7,
    /// The answer to the call of the same number.
    Reply = 16,
    /// The call was refused; the body says why, as text.
    Refused = 17,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Append,
            2 => Self::Vote,
            3 => Self::PreVote,
            4 => Self::Transfer,
            5 => Self::ReadIndex,
            6 => Self::Snapshot,
            7 => Self::Willing,
            16 => Self::Reply,
            17 => Self::Refused,
            _ => return None,
        })
    }
}

/// One message of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) group: GroupKey,
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
    pub(crate) call: u64,
    pub(crate) body: Bytes,
}

impl Message {
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    pub(crate) fn encode(&self, frame: &mut BytesMut) {
        frame.put_u8(self.kind as u8);
        frame.put_u64_le(self.group.id.0);
        frame.put_u32_le(self.group.generation.0);
        frame.put_u64_le(self.from.0);
        frame.put_u64_le(self.to.0);
        frame.put_u64_le(self.call);
        frame.put_u32_le(self.body.len() as u32);
        frame.put_slice(&self.body);
    }

    fn decode(frame: &mut Bytes) -> Option<Self> {
        if frame.len() < HEADER_BYTES {
            return None;
        }
        let kind = Kind::from_byte(frame.get_u8())?;
        let group = GroupKey::new(GroupId(frame.get_u64_le()), GroupGen(frame.get_u32_le()));
        let from = ReplicaId(frame.get_u64_le());
        let to = ReplicaId(frame.get_u64_le());
        let call = frame.get_u64_le();
        let len = frame.get_u32_le() as usize;
        if frame.len() < len {
            return None;
        }
        Some(Self {
            kind,
            group,
            from,
            to,
            call,
            body: frame.split_to(len),
        })
    }
}

/// An empty frame with room for `capacity` bytes of messages.
pub(crate) fn start_frame(capacity: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(1 + capacity);
    frame.put_u8(FRAME_VERSION);
    frame
}

/// The messages of a frame; the last item is `None` if the rest cannot be read.
pub(crate) fn frame_messages(mut frame: Bytes) -> impl Iterator<Item = Option<Message>> {
    let mut bad = frame.first() != Some(&FRAME_VERSION);
    frame.advance(frame.len().min(1));
    std::iter::from_fn(move || {
        if bad {
            bad = false;
            frame.clear();
            return Some(None);
        }
        if frame.is_empty() {
            return None;
        }
        let message = Message::decode(&mut frame);
        if message.is_none() {
            frame.clear();
        }
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(call: u64, body: &'static [u8]) -> Message {
        Message {
            kind: Kind::Append,
            group: GroupKey::new(GroupId(3), GroupGen(1)),
            from: ReplicaId(7),
            to: ReplicaId(8),
            call,
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn frames_round_trip() {
        let messages = [message(1, b""), message(2, b"body")];
        let mut frame = start_frame(0);
        for message in &messages {
            message.encode(&mut frame);
        }
        let read: Vec<_> = frame_messages(frame.freeze()).collect();
        assert_eq!(read, messages.map(Some));
    }

    #[test]
    fn every_truncation_is_noticed_or_whole() {
        let mut frame = start_frame(0);
        message(1, b"body").encode(&mut frame);
        let whole = frame.freeze();
        for cut in 0..whole.len() {
            let read: Vec<_> = frame_messages(whole.slice(..cut)).collect();
            match cut {
                1 => assert!(read.is_empty()),
                _ => assert_eq!(read, [None], "cut at {cut}"),
            }
        }
    }
}
