//! Identifiers. Node, group and replica ids are given out by counters in group 0 and never reused.

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// Parses 32 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                if text.len() != 32 {
                    return None;
                }
                u128::from_str_radix(text, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    };
}

number_id!(
    /// A process with a data directory. Given out by group 0, from 1.
    NodeId, u64
);
number_id!(
    /// One Raft group. 0 is the control plane.
    GroupId, u64
);
number_id!(
    /// One placement of a group on a node; this is the member id inside Raft.
    ReplicaId, u64
);
number_id!(
    /// One of 16,384 hash buckets.
    SlotId, u16
);
number_id!(
    /// A version of the shard map, or of one slot's ownership. Only grows.
    Epoch, u64
);
number_id!(
    /// Incarnation of a group; a re-created group has a higher one and refuses messages of the older.
    GroupGen, u32
);
random_id!(
    /// Names a cluster for ever; 128 random bits drawn once by `init`.
    ClusterId
);
random_id!(
    /// Names a data directory before it belongs to a cluster.
    NodeUuid
);
random_id!(
    /// A client session owner; 128 random bits.
    ClientId
);

impl GroupId {
    /// The control plane's group.
    pub const CONTROL: Self = Self(0);
}

/// A group together with its incarnation: the key under which logs and messages are filed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The group.
    pub id: GroupId,
    /// Its incarnation.
    pub generation: GroupGen,
}

impl GroupKey {
    /// Joins a group and its incarnation.
    pub const fn new(id: GroupId, generation: GroupGen) -> Self {
        Self { id, generation }
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects_other_lengths() {
        let id = ClusterId(0x0123_4567_89ab_cdef);
        assert_eq!(ClusterId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ClusterId::from_hex("12"), None);
        assert_eq!(ClusterId::from_hex(&"g".repeat(32)), None);
    }
}
