//! A message of Raft, or a membership in the journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_raft::fuzzing::body(input));
