//! Slots, ring and shard map as pure functions over values.
