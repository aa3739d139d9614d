//! The bytes between nodes, and membership in the journal. Our own encodings: openraft gives no
//! stable ones.
//!
//! A frame carries messages of many groups: `version u8`, then messages. A message is a fixed header
//! and a body: `kind u8, group u64, generation u32, from u64, to u64, call u64, len u32, body`.
//! Numbers are little endian. Decoding is total: bad bytes give `None`, and nothing is allocated
//! beyond the frame; entry payloads share the frame's memory.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod message;
mod rpc;
mod snapshot;

pub(crate) use message::{Kind, Message, frame_messages, start_frame};
pub(crate) use rpc::{
    decode_append, decode_append_reply, decode_membership, decode_read_index, decode_transfer,
    decode_vote_reply, decode_vote_request, encode_append, encode_append_reply, encode_membership,
    encode_read_index, encode_transfer, encode_vote_reply, encode_vote_request,
};
pub(crate) use snapshot::{
    SnapshotPart, SnapshotReply, decode_snapshot_part, decode_snapshot_reply, encode_snapshot_part,
    encode_snapshot_reply,
};
