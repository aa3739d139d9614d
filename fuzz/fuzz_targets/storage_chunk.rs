//! A chunk of a snapshot.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_storage::fuzzing::chunk(input));
