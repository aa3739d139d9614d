//! Many Raft groups on one journal and one transport; wraps openraft.
