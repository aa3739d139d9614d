//! The fuzz target of this crate, replayed: the corpus and mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
#[expect(unreachable_pub, reason = "a module of a test")]
mod replay;

use atoll_kv::fuzzing;

#[test]
fn no_bytes_break_the_entry_codec() {
    let entry = replay::Target {
        name: "kv_entry",
        seeds: fuzzing::entry_seeds(),
        check: fuzzing::entry,
        // A machine, which has a table of all slots.
        base: 1 << 20,
        // The commands as they were before they were encoded, twice.
        per_byte: 64,
    };
    entry.replay(40_000);
}
