//! A journal folder whose only segment file holds these bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_storage::fuzzing::segment(input));
