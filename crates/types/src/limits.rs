//! Every bound of the system. A request beyond one gets a clear error, never an allocation.

/// Number of hash slots (Redis Cluster's).
pub const SLOTS: u16 = 16_384;
/// Bytes of a key, at most.
pub const KEY_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a value, at most.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Values up to this size stand inside the index.
pub const INLINE_VALUE_BYTES_MAX: usize = 64;
/// Shorter values are not packed.
pub const PACKED_VALUE_BYTES_MIN: usize = 256;
/// Appended bytes up to this size are kept in memory, longer ones in the journal.
pub const APPEND_MEMORY_BYTES_MAX: usize = 4 * 1024;
/// Operations in one command.
pub const BATCH_OPS_MAX: usize = 4_096;
/// Bytes (keys and values) of one command.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Guards in one command.
pub const BATCH_GUARDS_MAX: usize = 4_096;
/// Keys in the ranges that guard one command, together, when its leader accepts it.
pub const GUARD_KEYS_MAX: usize = 64 * 1024;
/// Packing of waiting commands into one entry stops here.
pub const ENTRY_PACK_BYTES: usize = 1024 * 1024;
/// Commands in one entry.
pub const ENTRY_COMMANDS_MAX: usize = 4_096;
/// Bytes of one entry, at most.
pub const ENTRY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Bytes of one message on any link.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Commands waiting for one group's proposer.
pub const PROPOSER_COMMANDS_MAX: usize = 64 * 1024;
/// Bytes waiting for one group's proposer.
pub const PROPOSER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries of one group proposed and not yet committed.
pub const PROPOSER_ENTRIES_MAX: usize = 2;
/// Fields of one request, keys of its operations and the like, counted before it is decoded: two bytes
/// become a hundred in memory. The same of all operations of one frame of a pipe together.
pub const REQUEST_FIELDS_MAX: usize = 128 * 1024;
/// Operations pending on one pipe.
pub const PIPE_OPS_MAX: usize = 4_096;
/// Bytes pending on one pipe.
pub const PIPE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Open sequence numbers of one session.
pub const SESSION_OPEN_MAX: usize = 4_096;
/// Sessions of one group.
pub const SESSIONS_MAX: usize = 100_000;
/// Group time after which an unused session expires, in milliseconds.
pub const SESSION_TTL_MS: u64 = 60 * 60 * 1000;
/// Keys in one multi-get.
pub const MULTI_GET_KEYS_MAX: usize = 4_096;
/// Rows in one scan page.
pub const SCAN_PAGE_ROWS_MAX: usize = 4_096;
/// Rows looked at for one page that only counts.
pub const COUNT_PAGE_ROWS_MAX: usize = 64 * 1024;
/// Pairs of slots that a scan page names.
pub const SCAN_SLOT_PAIRS_MAX: usize = 16_384;
/// Bytes of one scan page, about.
pub const SCAN_PAGE_BYTES: usize = 1024 * 1024;
/// Groups that a session token has marks of.
pub const SESSION_TOKEN_MARKS_MAX: usize = 4_096;
/// Bytes of an encoded session token.
pub const SESSION_TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Bytes of log entries kept in memory per node.
pub const TAIL_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of values kept in memory per node after they were read from disk.
pub const VALUE_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of log entries sent to a follower in one message, about.
pub const APPEND_BYTES: usize = 1024 * 1024;
/// Bytes of one chunk of a snapshot, at most: a row alone may be nearly as long.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Snapshots that a node sends at once.
pub const SNAPSHOTS_SENT_MAX: usize = 2;
/// Snapshots that a node receives at once.
pub const SNAPSHOTS_RECEIVED_MAX: usize = 2;
/// How far ahead of a proposer's clock a client-supplied version may be, in milliseconds.
pub const VERSION_AHEAD_MS_MAX: u64 = 60_000;
/// Groups on one node, at most.
pub const GROUPS_PER_NODE_MAX: usize = 4_096;

const _: () = {
    assert!(VALUE_BYTES_MAX <= BATCH_BYTES_MAX);
    assert!(ENTRY_PACK_BYTES <= ENTRY_BYTES_MAX);
    assert!(INLINE_VALUE_BYTES_MAX < PACKED_VALUE_BYTES_MIN);
    // One command alone always fits into an entry, with its tables (64 B a row is ample).
    assert!(BATCH_BYTES_MAX + 64 * (BATCH_OPS_MAX + BATCH_GUARDS_MAX) + 4096 <= ENTRY_BYTES_MAX);
    assert!(ENTRY_BYTES_MAX + ENTRY_BYTES_MAX / 8 < MESSAGE_BYTES_MAX);
    assert!(SNAPSHOT_CHUNK_BYTES_MAX + 64 * 1024 < MESSAGE_BYTES_MAX);
    assert!(SCAN_PAGE_BYTES + VALUE_BYTES_MAX + KEY_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(KEY_BYTES_MAX <= u16::MAX as usize);
    assert!(ENTRY_COMMANDS_MAX >= PROPOSER_ENTRIES_MAX);
};
