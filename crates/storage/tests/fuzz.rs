//! The fuzz targets of this crate, replayed: the corpus and mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
#[expect(unreachable_pub, reason = "a module of a test")]
mod replay;

use atoll_storage::fuzzing;
use replay::Target;

/// One after the other: memory is counted for the whole process.
#[test]
fn no_bytes_break_a_decoder() {
    let segment = Target {
        name: "storage_segment",
        seeds: fuzzing::segment_seeds(),
        check: fuzzing::segment,
        // The disk in memory and the buffers of three journals.
        base: 4 << 20,
        per_byte: 64,
    };
    segment.replay(8_000);
    let batch = Target {
        name: "storage_batch",
        seeds: fuzzing::batch_seeds(),
        check: fuzzing::batch,
        base: 4096,
        per_byte: 2,
    };
    batch.replay(40_000);
    let record = Target {
        name: "storage_record",
        seeds: fuzzing::record_seeds(),
        check: fuzzing::record,
        base: 4096,
        per_byte: 0,
    };
    record.replay(40_000);
    let run = Target {
        name: "storage_run",
        seeds: fuzzing::run_seeds(),
        check: fuzzing::run,
        // The keys of sixteen rows, which may repeat each other.
        base: 256 * 1024,
        per_byte: 64,
    };
    run.replay(10_000);
    let packed = Target {
        name: "storage_packed",
        seeds: fuzzing::packed_seeds(),
        check: fuzzing::packed,
        // The longest value, twice.
        base: 2 << 20,
        per_byte: 2,
    };
    packed.replay(40_000);
    let chunk = Target {
        name: "storage_chunk",
        seeds: fuzzing::chunk_seeds(),
        check: fuzzing::chunk,
        base: 4096,
        // The bytes, and what is written again, which grows by doubling.
        per_byte: 5,
    };
    chunk.replay(40_000);
}
