//! A node: shards, control plane and RPC.
