//! A message of the API, and its conversion.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atoll_proto::fuzzing::message(input));
