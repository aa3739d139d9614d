//! An entry of commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_kv::fuzzing::entry(input));
