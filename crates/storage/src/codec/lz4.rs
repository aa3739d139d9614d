//! LZ4's block format, in safe code both ways.

use std::cell::RefCell;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

/// Room kept by a thread between two values.
const KEPT_BYTES_MAX: usize = 128 * 1024;

/// What packing needs beside the value.
#[derive(Default)]
struct Tools {
    table: CompressTable,
    /// The packer asks for more room than it will need.
    room: Vec<u8>,
}

thread_local! {
    static TOOLS: RefCell<Tools> = RefCell::default();
}

/// At most so many bytes, or none.
pub(super) fn pack(value: &[u8], most: usize) -> Option<Vec<u8>> {
    TOOLS.with_borrow_mut(|Tools { table, room }| {
        let needed = get_maximum_output_size(value.len());
        if room.len() < needed {
            room.resize(needed, 0);
        }
        // A table for long values is slower to clear, and does not become a small one by itself.
        if value.len() < usize::from(u16::MAX) && matches!(table, CompressTable::Large(_)) {
            *table = CompressTable::small();
        }
        let len = compress_into_with_table(value, room, table).ok();
        let packed = len.filter(|len| *len <= most).and_then(|len| room.get(..len));
        let packed = packed.map(<[u8]>::to_vec);
        if room.len() > KEPT_BYTES_MAX {
            *room = Vec::new();
        }
        packed
    })
}

pub(super) fn unpack(stored: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut value = vec![0; len];
    let written = decompress_into(stored, &mut value).ok()?;
    (written == len).then_some(value)
}
