//! Numbers of the format. Never changed; a change is a new codec version.

/// Bytes of an entry's header.
pub const ENTRY_HEADER_BYTES: usize = 40;
/// Bytes of a command's row.
pub const COMMAND_ROW_BYTES: usize = 64;
/// Bytes of a guard's row before its keys.
pub(crate) const GUARD_ROW_BYTES: usize = 16;
/// Bytes of an op's row before its key.
pub(crate) const OP_ROW_BYTES: usize = 16;

/// The payload is an entry of commands.
pub(crate) const PAYLOAD_COMMANDS: u8 = 1;
/// The version described here.
pub(crate) const CODEC_VERSION: u8 = 1;

pub(crate) const FLAG_SESSION: u8 = 1;
pub(crate) const FLAG_SKIPPABLE: u8 = 1 << 7;

pub(crate) const KIND_WRITE: u8 = 0;
pub(crate) const KIND_OPEN_SESSION: u8 = 1;
pub(crate) const KIND_GENESIS: u8 = 2;
pub(crate) const KIND_TICK: u8 = 3;
pub(crate) const KIND_CLOSE_AT: u8 = 4;
pub(crate) const KIND_PREPARE: u8 = 5;
pub(crate) const KIND_DECIDE: u8 = 6;
pub(crate) const KIND_IMPORT: u8 = 7;
pub(crate) const KIND_SEAL: u8 = 8;
pub(crate) const KIND_ACTIVATE: u8 = 9;
pub(crate) const KIND_REJECT: u8 = 10;
pub(crate) const KIND_KEEP_HISTORY: u8 = 11;

pub(crate) const GUARD_KEY: u8 = 0;
pub(crate) const GUARD_RANGE: u8 = 1;

pub(crate) const OP_PUT: u8 = 0;
pub(crate) const OP_DELETE: u8 = 1;
pub(crate) const OP_INCREMENT: u8 = 2;
pub(crate) const OP_APPEND: u8 = 3;
pub(crate) const OP_MIN: u8 = 4;
pub(crate) const OP_MAX: u8 = 5;
pub(crate) const OP_DELETE_RANGE: u8 = 6;
pub(crate) const OP_BODY: u8 = 255;

/// window u64, bytes u64.
pub(crate) const HISTORY_BYTES: usize = 16;

/// Bytes of an operation's number.
pub(crate) const NUMBER_BYTES: usize = 8;
/// Bytes of a range's limit, before its end.
pub(crate) const RANGE_LIMIT_BYTES: usize = 4;

/// cluster u128, group u64, generation u32, run count u32, epoch u64; then first u16, last u16 each.
pub(crate) const GENESIS_BYTES: usize = 40;
/// One run of a genesis.
pub(crate) const RUN_BYTES: usize = 4;
