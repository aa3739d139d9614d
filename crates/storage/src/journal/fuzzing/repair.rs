//! Puts right the sums of damaged bytes, so that what stands behind the sums is reached.

use super::super::format::{Align, FRAME_HEADER_LEN, FramePlace, body_crc, header_crc};

const ALIGN: Align = Align::CLEAR;
/// Bit of the mode: sums of headers and bodies.
pub(super) const SUMS: u8 = 1;
/// Bit of the mode: what a frame says about the one before it.
pub(super) const CHAIN: u8 = 2;
/// Bit of the mode: the file is segment 2, and there is no segment 1.
pub(super) const LATER: u8 = 4;

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    u32::from_le_bytes(field.unwrap_or_default())
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
    u64::from_le_bytes(field.unwrap_or_default())
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

/// Signs a frame's header as that of a place.
pub(super) fn header(frame: &mut [u8], place: FramePlace) -> u32 {
    let crc = header_crc(frame.get(..FRAME_HEADER_LEN as usize).unwrap_or_default(), place);
    put(frame, 4, &crc.to_le_bytes());
    crc
}

/// Signs a segment's header and its frames, one after the other.
pub(super) fn segment(bytes: &mut [u8], mode: u8) {
    if mode & SUMS == 0 {
        return;
    }
    let header_len = ALIGN.header_len() as usize;
    let crc = crc32fast::hash(bytes.get(..header_len - 4).unwrap_or_default());
    put(bytes, header_len - 4, &crc.to_le_bytes());
    let (salt, segment) = (u64_at(bytes, 48), u64_at(bytes, 40));
    let (mut seq, mut previous) = (u64_at(bytes, 56), u32_at(bytes, 76));
    let mut offset = ALIGN.header_len();
    while let Some(frame) = bytes
        .get_mut(offset as usize..)
        .filter(|frame| frame.len() >= ALIGN.bytes() as usize)
    {
        if mode & CHAIN != 0 {
            put(frame, 8, &seq.to_le_bytes());
            put(frame, 40, &previous.to_le_bytes());
        }
        let body_len = u32_at(frame, 32).min((frame.len() - FRAME_HEADER_LEN as usize) as u32);
        let end = (FRAME_HEADER_LEN + body_len) as usize;
        let body = frame.get(FRAME_HEADER_LEN as usize..end).unwrap_or_default();
        let crc = body_crc(salt, u64_at(frame, 8), body);
        put(frame, 36, &crc.to_le_bytes());
        put(frame, 48, &ALIGN.padded(end as u32).to_le_bytes());
        previous = header(
            frame,
            FramePlace {
                salt,
                segment,
                offset,
                align: ALIGN,
            },
        );
        seq = seq.wrapping_add(1);
        offset += ALIGN.padded(end as u32);
    }
}
