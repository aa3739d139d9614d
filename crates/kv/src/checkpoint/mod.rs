//! Checkpoints: what a machine knows besides its rows, as rows.
//!
//! A replica that restarts, or is given the state by another one, has a checkpoint: user rows and *system
//! rows*, all at one applied log id. It applies only what came after. So everything that decides about a later
//! entry must be in there, or a write is done twice, an expiry comes at another entry than elsewhere, a
//! fingerprint differs. What is in there, and nothing else, is what [`crate::Machine`] consists of. The log id
//! itself is for the carrier to keep, together with the rows.
//!
//! # What holds
//!
//! 1. A machine restored from system rows answers every later entry as the machine does that wrote them.
//! 2. A freeze ([`crate::Machine::freeze`]) gives what changed since the freeze before it. Put over each other in
//!    order, all that was frozen up to some point makes what [`crate::Machine::checkpoint_all`] gives at that point.
//!    What is not made durable comes again with the next freeze ([`crate::Machine::frozen_failed`]), removals too: a
//!    session that ended and whose removal was lost would come back to life with the next restart.
//! 3. Reading is total. Every value carries its own sum, over its key too, although the runs that hold them and
//!    the frames that ship them have sums as well: here a single wrong bit is a write done twice. What has the right
//!    sum and is not what this version writes is refused nevertheless, with a [`RestoreError`] that names it. Nothing
//!    is allocated beyond what the bytes at hand can fill.
//! 4. Rows of another cluster, group, incarnation or other session limits are refused: limits are part of the state
//!    machine, because they decide who expires.
//! 5. A row that is missing is noticed: the group's row counts the sessions and says whether there is a genesis and history. One
//!    that is *older* than the group's is not in general, so a carrier must never mix rows of two checkpoints.
//!
//! Tests drive random logs through a machine that is frozen, killed and restored anywhere and one that is
//! not, and compare all they say and all they hold, step by step.
//!
//! # Keys
//!
//! Slot u16, kind u8, id. The slot is big-endian, as every number in a key, so that keys order as numbers do; 0xFFFF
//! stands for the whole group. Every row of this version is of the whole group.
//!
//! | kind | row | id | how many |
//! |---|---|---|---|
//! | 1 | group | | one; always the first |
//! | 2 | ownership | | one, once there is a genesis |
//! | 3 | session | client id u128, big-endian | one per session |
//! | 4 | history | | one, while history is kept |
//! | 16 | the control plane's state (`crates/server/src/control/checkpoint.rs`) | | one, and then no other row |
//!
//! # Values
//!
//! Little-endian. Every value of every version begins with its format version (u8) and ends with a sum (u32), which is
//! [`crate::value_crc`] of the key and all that is before it. The fields below stand in between, without gaps. Kinds
//! have format versions of their own; all are at 1.
//!
//! | row | fields |
//! |---|---|
//! | group | cluster u128, group u64, generation u32 |
//! | | group time u64 (ms), last version u64, fingerprint u64, horizon u64 (a version) |
//! | | session lifetime u64 (ms), sessions allowed u64, sessions open u64, flags u8 (bit 0: there was a genesis, bit 1: history is kept) |
//! | ownership | epoch and version of the genesis u64 each, run count u32, per run first slot u16 and last slot u16 |
//! | session | opened u64, reached u64 (versions), last use u64 (group time, ms), acknowledged u64 |
//! | | record count u16, records |
//! | history | window u64 (ms), bytes u64, bytes written u64, mark count u16, per mark time u64 (ms), version u64, bytes written u64 |
//!
//! A group owns what its genesis gave it, because slots do not move yet.
//!
//! A record: sequence number u64, slot u16, outcome kind u8, and then
//!
//! | kind | outcome | fields |
//! |---|---|---|
//! | 1 | done | version u64 |
//! | 2 | computed | version u64, number i64 |
//! | 3 | guard failed, nothing there | guard u16 |
//! | 4 | guard failed | guard u16, version found u64 |
//! | 5 | misfit | operation u16, reason u8 (1 not a number, 2 overflow, 3 too long) |
//!
//! Records ascend by sequence number, the first is not below the acknowledged one. A session's records are part of
//! its row and tagged with their slots, for the day when a slot takes them along.

mod error;
mod fields;
mod freeze;
mod group;
mod history;
mod ownership;
mod restore;
mod row;
mod session;

pub use error::RestoreError;
pub(crate) use freeze::Freezes;
pub use freeze::{FreezeId, Frozen};
pub use restore::Restoration;
pub use row::{SYSTEM_VALUE_BYTES_MAX, SystemKey, SystemRow};
