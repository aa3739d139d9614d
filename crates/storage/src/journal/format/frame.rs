//! The frame: what one write and one sync make durable together.

use super::{Align, FRAME_LEN_MAX, put, u16_at, u32_at, u64_at};

/// Bytes before the records.
pub(crate) const FRAME_HEADER_LEN: u32 = 64;

/// The frame holds no records; it only tells how far the journal was durable.
pub(crate) const FRAME_FLAG_MARKER: u16 = 1;

const MAGIC: u32 = 0x3142_544C;

/// Where a frame stands; part of its header's sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramePlace {
    pub(crate) salt: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u32,
    /// Of the segment; in no sum, because the padded length is.
    pub(crate) align: Align,
}

/// What stands before the records of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) seq: u64,
    pub(crate) durable_seq: u64,
    pub(crate) wall_ms: u64,
    pub(crate) body_len: u32,
    pub(crate) body_crc: u32,
    pub(crate) previous_crc: u32,
    pub(crate) records: u32,
    pub(crate) flags: u16,
}

impl FrameHeader {
    /// Bytes of the whole frame.
    pub(crate) fn padded_len(&self, align: Align) -> u32 {
        align.padded(FRAME_HEADER_LEN + self.body_len)
    }

    /// The header and its sum.
    pub(crate) fn encode(&self, place: FramePlace) -> ([u8; FRAME_HEADER_LEN as usize], u32) {
        let mut bytes = [0; FRAME_HEADER_LEN as usize];
        put(&mut bytes, 0, &MAGIC.to_le_bytes());
        put(&mut bytes, 8, &self.seq.to_le_bytes());
        put(&mut bytes, 16, &self.durable_seq.to_le_bytes());
        put(&mut bytes, 24, &self.wall_ms.to_le_bytes());
        put(&mut bytes, 32, &self.body_len.to_le_bytes());
        put(&mut bytes, 36, &self.body_crc.to_le_bytes());
        put(&mut bytes, 40, &self.previous_crc.to_le_bytes());
        put(&mut bytes, 44, &self.records.to_le_bytes());
        put(&mut bytes, 48, &self.padded_len(place.align).to_le_bytes());
        put(&mut bytes, 52, &self.flags.to_le_bytes());
        let crc = header_crc(&bytes, place);
        put(&mut bytes, 4, &crc.to_le_bytes());
        (bytes, crc)
    }

    /// The header and its sum, if these bytes are a frame header of this place.
    pub(crate) fn decode(bytes: &[u8], place: FramePlace) -> Option<(Self, u32)> {
        let bytes = bytes.get(..FRAME_HEADER_LEN as usize)?;
        let crc = u32_at(bytes, 4);
        if u32_at(bytes, 0) != MAGIC || crc != header_crc(bytes, place) {
            return None;
        }
        let header = Self {
            seq: u64_at(bytes, 8),
            durable_seq: u64_at(bytes, 16),
            wall_ms: u64_at(bytes, 24),
            body_len: u32_at(bytes, 32),
            body_crc: u32_at(bytes, 36),
            previous_crc: u32_at(bytes, 40),
            records: u32_at(bytes, 44),
            flags: u16_at(bytes, 52),
        };
        // In this order: what a length says that is too large is not even computed with.
        let sound = header.body_len <= FRAME_LEN_MAX - Align::CLEAR.bytes()
            && u32_at(bytes, 48) == header.padded_len(place.align);
        sound.then_some((header, crc))
    }
}

/// The sum over a frame header, which stands in its bytes 4 to 7.
pub(crate) fn header_crc(bytes: &[u8], place: FramePlace) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.salt.to_le_bytes());
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&u64::from(place.offset).to_le_bytes());
    hasher.update(bytes.get(8..).unwrap_or_default());
    hasher.finalize()
}

/// The sum over a frame's records.
pub(crate) fn body_crc(salt: u64, seq: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: FramePlace = FramePlace {
        salt: 5,
        segment: 6,
        offset: 8192,
        align: Align::CLEAR,
    };

    fn header() -> FrameHeader {
        FrameHeader {
            seq: 4,
            durable_seq: 3,
            wall_ms: 9,
            body_len: 5000,
            body_crc: 1,
            previous_crc: 2,
            records: 3,
            flags: 0,
        }
    }

    #[test]
    fn round_trips_and_every_flipped_bit_is_seen() {
        let (bytes, crc) = header().encode(PLACE);
        assert_eq!(FrameHeader::decode(&bytes, PLACE), Some((header(), crc)));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&damaged, PLACE), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_place_or_life_is_not_one() {
        let (bytes, _) = header().encode(PLACE);
        assert_eq!(FrameHeader::decode(&bytes, FramePlace { salt: 4, ..PLACE }), None);
        assert_eq!(
            FrameHeader::decode(&bytes, FramePlace { segment: 7, ..PLACE }),
            None
        );
        assert_eq!(
            FrameHeader::decode(
                &bytes,
                FramePlace {
                    offset: 4096,
                    ..PLACE
                }
            ),
            None
        );
    }
}
