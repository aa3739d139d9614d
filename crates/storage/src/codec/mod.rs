//! Values packed one by one, so that each can still be read by itself.
//!
//! A value is packed once, by the leader that takes it ([`Packer`], lz4), and its entry, its journal records on all replicas and the
//! rows that point there carry these bytes. When it moves to a value file it is packed anew (zstd, if it is long enough to gain by
//! that). Short values, and those that packing does not make shorter by an eighth or so, stay as they are.
//!
//! What holds here, and who checks it:
//! - What was packed unpacks to the same bytes: each packed form is unpacked and compared before anybody uses it ([`pack`]), so that a
//!   fault of a packer costs room and no data.
//! - The sum that ties a value to its key is that of the value itself, whatever is stored. It is computed before packing and
//!   proved after unpacking, by whoever reads.
//! - So unpacking meets bytes that nothing has proved. Any are the value or an error ([`unpack`]): no panic, and no more room than
//!   the length that the row says, which is bounded ([`Codec::admits`]) (`tests`; the fuzz target `storage_packed`).
//! - Packing is a function of the value and of what was packed before on this node, never of time. Replicas need not agree about it: an entry's bytes
//!   are one node's work, and no state is computed from what is stored.

mod lz4;
mod packer;
#[cfg(test)]
mod tests;
mod zstandard;

use atoll_types::Codec;
use atoll_types::limits::{PACKED_VALUE_BYTES_MIN, VALUE_BYTES_MAX};
use bytes::Bytes;

pub use packer::{Compression, Packed, Packer};

/// Shorter values gain little by zstd, which takes several times longer to unpack them.
const ZSTD_VALUE_BYTES_MIN: usize = 1024;

/// Bytes of a packed value from which on unpacking it takes as long as waiting for a disk.
pub(crate) const UNPACKED_AT_ONCE_MAX: usize = 64 * 1024;

/// The bytes in which a value is to be stored, if they are enough fewer. A codec may give way to a faster one.
pub(crate) fn pack(codec: Codec, value: &[u8]) -> Option<(Codec, Vec<u8>)> {
    if !(PACKED_VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&value.len()) {
        return None;
    }
    let codec = match codec {
        Codec::Zstd if value.len() < ZSTD_VALUE_BYTES_MIN => Codec::Lz4,
        other => other,
    };
    let most = value.len() - value.len() / 8;
    let stored = match codec {
        Codec::None => return None,
        Codec::Lz4 => lz4::pack(value, most)?,
        Codec::Zstd => zstandard::pack(value, most)?,
    };
    let back = unpack(codec, &stored, value.len());
    if back.as_deref() != Some(value) {
        tracing::error!(%codec, len = value.len(), "a packed value does not unpack to itself: it is stored as it is");
        return None;
    }
    Some((codec, stored))
}

/// The value of `len` bytes that is stored in these by a codec that packs; `None` if they are of no such value.
pub fn unpack(codec: Codec, stored: &[u8], len: usize) -> Option<Vec<u8>> {
    if !codec.admits(stored.len(), len) {
        return None;
    }
    match codec {
        Codec::None => Some(stored.to_vec()),
        Codec::Lz4 => lz4::unpack(stored, len),
        Codec::Zstd => zstandard::unpack(stored, len),
    }
}

/// The same, without a copy if nothing was packed.
pub(crate) fn unpacked(codec: Codec, stored: Bytes, len: usize) -> Option<Bytes> {
    match codec {
        Codec::None => (stored.len() == len).then_some(stored),
        Codec::Lz4 | Codec::Zstd => unpack(codec, &stored, len).map(Bytes::from),
    }
}

/// What the unpackers promise about bytes of any kind, as a check that panics if it does not hold. The first five bytes say
/// codec and length.
#[cfg(any(test, feature = "fuzzing"))]
pub fn packed(input: &[u8]) {
    let Some((head, stored)) = input.split_first_chunk::<5>() else {
        return;
    };
    let [codec, len @ ..] = *head;
    let len = u32::from_le_bytes(len) as usize;
    let Some(codec) = Codec::from_number(codec) else {
        return;
    };
    let Some(value) = unpack(codec, stored, len) else {
        return;
    };
    assert_eq!(value.len(), len, "a value has the length that was asked for");
    assert!(codec.admits(stored.len(), len));
    assert_eq!(
        unpack(codec, stored, len),
        Some(value),
        "the same bytes are the same value"
    );
}

/// Inputs worth starting from: values of some kinds, packed by each codec.
#[cfg(any(test, feature = "fuzzing"))]
pub fn packed_seeds() -> Vec<(String, Vec<u8>)> {
    let text = b"{\"name\":\"a value that repeats itself\",\"count\":17},".repeat(30);
    let mixed: Vec<u8> = (0..2_000_u32).map(|at| ((at * at) >> 5) as u8).collect();
    let values = [("text", text), ("mixed", mixed), ("zeros", vec![0; 70_000])];
    let mut seeds = Vec::new();
    for (name, value) in values {
        for codec in [Codec::Lz4, Codec::Zstd] {
            let Some((codec, stored)) = pack(codec, &value) else {
                continue;
            };
            let mut seed = vec![codec.number()];
            seed.extend((value.len() as u32).to_le_bytes());
            seed.extend(stored);
            seeds.push((format!("{name}-{codec}"), seed));
        }
    }
    seeds
}
