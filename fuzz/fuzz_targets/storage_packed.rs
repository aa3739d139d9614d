//! A packed value.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_storage::fuzzing::packed(input));
