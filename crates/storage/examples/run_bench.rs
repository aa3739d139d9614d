//! Rows per second into a run, gets and scans: `run_bench [rows]`.
//!
//! On a disk in memory, so the figures are those of the code: keys of 16 bytes, values of 24 bytes inline, a block
//! cache that holds everything. Gets are of keys in random order.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::vfs::{MemVfs, OpenMode};
use atoll_env::{Clock, Rng, Vfs};
use atoll_storage::{
    BlockCache, Direction, Looked, RowValue, Run, RunCursor, RunIdentity, RunWriter, Step, value_crc,
};
use atoll_types::{GroupKey, LogId, Version};

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"\0key/0000000000.";
    for (place, digit) in key.iter_mut().skip(5).take(10).zip((0..10).rev()) {
        *place = b'0' + (number / 10_u64.pow(digit) % 10) as u8;
    }
    key
}

fn report(what: &str, count: u64, took: Duration) {
    let nanos = took.as_nanos() as f64 / count as f64;
    println!("{what:<24} {nanos:>8.0} ns {:>12.0} /s", 1e9 / nanos);
}

async fn bench(rows: u64) -> Result<(), Box<dyn std::error::Error>> {
    let (vfs, clock, rng) = (MemVfs::default(), Clock::boot(), Rng::seeded(1));
    let path = Path::new("/run");
    let identity = RunIdentity {
        identity: atoll_storage::Identity::default(),
        group: GroupKey::default(),
        number: 1,
    };
    let started = clock.now();
    let file = vfs.open(path, OpenMode::CreateNew)?;
    let mut writer = RunWriter::create(file, identity, rng.bits64(), rows as usize);
    let value = [7; 24];
    let vcrc = value_crc(&key(0), &value);
    for number in 0..rows {
        let value = RowValue::Inline { bytes: &value, vcrc };
        writer
            .add(&key(number), Version(1_000_000 + number % 1_000), value)
            .await?;
    }
    let summary = writer.finish(LogId::default()).await?;
    report("write", rows, clock.now().since(started));
    println!("{:.1} bytes per row", summary.file_len as f64 / rows as f64);

    let cache = Arc::new(BlockCache::new(2 * summary.file_len as usize));
    let run = Run::open(vfs.open(path, OpenMode::Read)?, identity, cache)?;
    println!(
        "{:.2} bytes of memory per row",
        run.memory_bytes() as f64 / rows as f64
    );
    let run = Arc::new(run);
    for (what, direction) in [
        ("scan, forward", Direction::Forward),
        ("scan, backward", Direction::Backward),
    ] {
        let started = clock.now();
        let mut cursor = RunCursor::new(run.clone(), (b"", b""), direction);
        let mut found = 0;
        while cursor.step(true)? == Step::Row {
            found += u64::from(cursor.current().is_some());
        }
        assert_eq!(found, rows, "every row is found");
        report(what, rows, clock.now().since(started));
    }
    for (what, absent) in [("get", false), ("get, absent", true)] {
        let started = clock.now();
        for _ in 0..rows {
            let mut key = key(rng.below(rows));
            if absent && let Some(last) = key.last_mut() {
                *last = b'!';
            }
            let looked = run.get(&key, Version(u64::MAX), true)?;
            assert_eq!(looked == Looked::Absent, absent, "what was written is found");
        }
        report(what, rows, clock.now().since(started));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(bench(rows))
}
