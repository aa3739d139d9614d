//! The fuzz targets of this crate, replayed: the corpus and mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
#[expect(unreachable_pub, reason = "a module of a test")]
mod replay;

use atoll_raft::fuzzing;
use replay::Target;

/// One after the other: memory is counted for the whole process.
#[test]
fn no_bytes_break_the_encodings_between_nodes() {
    let frame = Target {
        name: "raft_frame",
        seeds: fuzzing::frame_seeds(),
        check: fuzzing::frame,
        base: 4096,
        per_byte: 8,
    };
    frame.replay(40_000);
    let body = Target {
        name: "raft_body",
        seeds: fuzzing::body_seeds(),
        check: fuzzing::body,
        base: 16 * 1024,
        // Every id becomes a node of two sets, and the whole is written out as text.
        per_byte: 256,
    };
    body.replay(40_000);
}
