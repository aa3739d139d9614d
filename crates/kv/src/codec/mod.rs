//! One entry, many commands: the bytes that are journaled, replicated and applied.
//!
//! ```text
//! header         40 bytes
//! command table  64 bytes a row, so a command is found by its position
//! guard table    rows with their keys
//! op table       rows with their keys
//! value area     values concatenated in the order of their ops
//! ```
//!
//! All numbers are little-endian. Values stand at the end and uncompressed as a whole, so that each
//! is addressable by one positioned read of the journal, at an offset of the payload that the index
//! keeps. The leader builds these bytes once; they are journaled and sent as they are, and followers
//! decode them in place.
//!
//! Header: payload kind u8 (1), codec version u8 (1), reserved u16, elapsed_ms u32, stamp u64,
//! command count u32, guard count u32, guard table bytes u32, op count u32, op table bytes u32, value
//! area bytes u32.
//!
//! Command row: client id u128, seq u64, ack u64, after u64, kind u8, flags u8 (bit 0: has a session;
//! bit 7: may be skipped by a version that does not know the kind), slot u16, guards at u32, guard
//! count u32, ops at u32, op count u32, values at u32. The three positions are bytes from the start of
//! the table or area; commands lie in it in order and without gaps.
//!
//! Guard row: kind u8 (0 key, 1 range), flags u8, key length u16, end length u16, reserved u16,
//! version u64, key bytes, end bytes.
//!
//! Op row: op u8, flags u8 (bits 0-1: value codec, 0 none, 1 lz4, 2 zstd), key length u16, raw length u32, stored
//! length u32, vcrc u32 (of the key and what stands in the value area, unpacked), key bytes.
//!
//! Only what is put may have a codec; then the stored length is below the raw length, which is 65 bytes to 1 MiB. The sum is that of the
//! value itself, so it goes with it wherever and however it is stored. Decoding an entry unpacks nothing: the state machine
//! needs no byte of a long value.
//!
//! | op | name | key | in the value area |
//! |---|---|---|---|
//! | 0 | put | the key | the value |
//! | 1 | delete | the key | nothing |
//! | 2 | increment | the key | what is added, i64 |
//! | 3 | append | the key | the suffix |
//! | 4 | min | the key | the number, i64 |
//! | 5 | max | the key | the number, i64 |
//! | 6 | delete range | first key | limit u32, then the end, which is not empty |
//! | 255 | body | empty | what a command other than a write has to say |
//!
//! Ops 2 to 6 came later than the others under the same codec version: a replica that does not know them
//! stops at the first entry that has one. The same goes for codecs.
//!
//! Kinds: 0 write, 1 open session, 2 genesis, 3 tick, 4 close at (up to `after`), 11 keep history (its body: window u64 in ms, bytes u64;
//! both 0: none). 5 to 10 are reserved. Kind 11 came later under the same codec version, as ops 2 to 6 did. Kind 4 was reserved: a replica that
//! does not know it refuses it and goes on, with another last version. So it is only written where history is kept: such a replica has
//! stopped before.
//!
//! Decoding is total. [`EntryView::parse`] checks every position, length and number once; what passes
//! it can be walked without a failure. It allocates nothing. Whatever this version does not know
//! is an error rather than a guess, because a replica that skips what others apply differs from them.

mod encode;
mod layout;
mod op;
mod rows;
mod view;

pub use encode::{EntryHeader, encode_entry};
pub use layout::{COMMAND_ROW_BYTES, ENTRY_HEADER_BYTES};
pub(crate) use layout::{NUMBER_BYTES, RANGE_LIMIT_BYTES};
pub use op::OpView;
pub use view::{CommandView, EntryView, GenesisView, GuardView, KindView};
