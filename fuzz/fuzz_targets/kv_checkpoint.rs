//! System rows of a checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_kv::fuzzing::checkpoint(input));
