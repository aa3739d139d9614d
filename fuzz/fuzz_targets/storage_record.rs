//! The records of a frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_storage::fuzzing::record(input));
