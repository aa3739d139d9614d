//! Slots, ring and shard map as pure functions over values: no I/O, no clock, no randomness.
//!
//! A key hashes to one of 16,384 slots ([`slot_of`]); a slot belongs to a group; a group's replicas
//! are placed on nodes. The [`ShardMap`] says all of it at one epoch.
//!
//! Placement is *incremental*: the next map is a function of the last one and the set of groups
//! ([`reassign`]), not of the groups alone, because every slot that moves is data copied over the
//! network. What always holds, and is tested for 3 to 200 groups over long histories:
//!
//! - no group has more than ⌈1.10 · mean⌉ slots;
//! - a group that joins n − 1 others moves at most 1.05/n of all slots, all of them to itself;
//! - a group that leaves moves its own slots and no others;
//! - a map that only grew has at most 64 runs of slots per group;
//! - equal input gives equal output, on every machine and in every version.
//!
//! Replicas are spread over nodes and zones ([`place_replicas`]): zones first, because a zone fails as
//! a whole, then nodes, then leaders.
//!
//! The map is intent and a hint for routing. The authority over a slot is the replicated state of
//! the group that serves it, so nothing here needs to be atomic with anything.

mod assign;
mod error;
mod leaders;
mod map;
mod replicas;
mod ring;
mod slot;
mod slots;

pub use assign::{assign, reassign};
pub use error::MapError;
pub use map::{GroupEntry, NodeEntry, ShardMap};
pub use replicas::{place_replicas, spread_over_zones};
pub use slot::{crc16, hash_part, slot_of};
pub use slots::{SlotOwner, SlotRun, Slots};

#[cfg(test)]
mod tests;
