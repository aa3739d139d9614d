//! One frame of the journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_storage::fuzzing::batch(input));
