//! A frame between two nodes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_raft::fuzzing::frame(input));
