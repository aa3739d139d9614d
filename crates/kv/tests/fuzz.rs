//! The fuzz targets of this crate, replayed: their corpora and mutations of them.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
#[expect(unreachable_pub, reason = "a module of a test")]
mod replay;

use atoll_kv::fuzzing;

#[test]
fn no_bytes_break_the_codecs() {
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
    let checkpoint = replay::Target {
        name: "kv_checkpoint",
        seeds: fuzzing::checkpoint_seeds(),
        check: fuzzing::checkpoint,
        // Two machines.
        base: 2 << 20,
        // Two of everything, and a record in memory is four times that of a row.
        per_byte: 64,
    };
    checkpoint.replay(40_000);
}
