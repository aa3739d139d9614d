//! Zstandard, one frame a value: without a sum, the row has one, and without the length, the row says it too.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

/// Higher ones take longer and save next to nothing at the lengths that values have.
const LEVEL: i32 = 1;

thread_local! {
    // Each has tables of its own, which take longer to make than a short value to pack.
    static PACKING: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn packing() -> io::Result<Compressor<'static>> {
    let mut packing = Compressor::new(LEVEL)?;
    packing.include_checksum(false)?;
    packing.include_contentsize(false)?;
    Ok(packing)
}

/// At most so many bytes, or none.
pub(super) fn pack(value: &[u8], most: usize) -> Option<Vec<u8>> {
    PACKING.with_borrow_mut(|kept| {
        let mut packing = kept.take().map_or_else(packing, Ok).ok()?;
        let mut packed = Vec::with_capacity(compress_bound(value.len()));
        let len = packing.compress_to_buffer(value, &mut packed).ok();
        *kept = Some(packing);
        len.filter(|len| *len <= most)?;
        packed.shrink_to_fit();
        Some(packed)
    })
}

/// Writes into room for the value and no further, whatever length and window a frame claims.
pub(super) fn unpack(stored: &[u8], len: usize) -> Option<Vec<u8>> {
    UNPACKING.with_borrow_mut(|kept| {
        let mut unpacking = kept.take().map_or_else(Decompressor::new, Ok).ok()?;
        let mut value = Vec::with_capacity(len);
        let written = unpacking.decompress_to_buffer(stored, &mut value);
        let unpacked = (written.ok()? == len && value.len() == len).then_some(value)?;
        // Not after a failure, which may be one of this memory: the next try is with a fresh one.
        *kept = Some(unpacking);
        Some(unpacked)
    })
}
