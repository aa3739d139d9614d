//! The fuzz target of this crate, replayed: the corpus and mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
#[expect(unreachable_pub, reason = "a module of a test")]
mod replay;

use atoll_proto::fuzzing;

#[test]
fn no_bytes_break_a_message_or_its_conversion() {
    let message = replay::Target {
        name: "proto_message",
        seeds: fuzzing::message_seeds(),
        check: fuzzing::message,
        // A map, which has a row for every slot, several times.
        base: 4 << 20,
        // A run of slots, or an item, from two bytes.
        per_byte: 2048,
    };
    message.replay(40_000);
}
