//! Every byte of a journal segment, little endian; docs/format.md says the same in tables.
//!
//! A segment is one header block followed by frames. A frame is what one write and one sync make
//! durable; it starts and ends on a multiple of [`Align`], so that a block holding acknowledged bytes is never
//! written again. A frame holds records. Three checks stand behind each other: the frame header's
//! sum is salted with the segment's salt, the segment id and the file offset (bytes of another
//! place or another life of the file fail), the body's sum covers the records, and every entry
//! carries the sum its leader computed. Whoever decodes gets bytes from a disk that may lie: nothing
//! here panics on them and nothing allocates by a length they claim.

mod align;
mod frame;
mod head;
mod journal_head;
mod record;
mod segment;

pub(crate) use align::Align;
#[cfg(feature = "fuzzing")]
pub(crate) use frame::header_crc;
pub(crate) use frame::{FRAME_FLAG_MARKER, FRAME_HEADER_LEN, FrameHeader, FramePlace, body_crc};
pub(crate) use head::{HEAD_LEN, Head, TRUNCATE_FLAG_ALL, VOTE_FLAG_COMMITTED};
pub(crate) use journal_head::JournalHead;
pub(crate) use record::{RECORD_HEADER_LEN, RecordHeader, RecordKind, Records};
pub(crate) use segment::{Chain, HeaderError, SegmentHeader};

/// A frame's records take at most this, unless one record alone needs more.
pub(crate) const BATCH_BODY_MAX: u32 = 4 * 1024 * 1024 - FRAME_HEADER_LEN;

/// No frame is longer; a longer length read from disk is damage.
pub(crate) const FRAME_LEN_MAX: u32 = 32 * 1024 * 1024;

/// No entry payload is longer, so that a frame with it stays below [`FRAME_LEN_MAX`].
pub(crate) const PAYLOAD_LEN_MAX: usize = 16 * 1024 * 1024;

const _: () = {
    assert!(atoll_types::limits::ENTRY_BYTES_MAX <= PAYLOAD_LEN_MAX);
    // The heads of every group, one largest entry and all that rides along fit into a frame.
    assert!(
        PAYLOAD_LEN_MAX + atoll_types::limits::GROUPS_PER_NODE_MAX * 512 + 8192 <= FRAME_LEN_MAX as usize
    );
};

/// Copies `N` bytes at `at`. The caller has checked the length.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..at + N)
        .and_then(|field| field.try_into().ok())
        .expect("the caller checked the length")
}

/// Stores a field at `at`. The caller has sized the buffer.
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes
        .get_mut(at..at + field.len())
        .expect("the caller sized the buffer")
        .copy_from_slice(field);
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(take(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(take(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(take(bytes, at))
}
