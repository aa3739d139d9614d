//! What cannot be written is no run.

use std::io::ErrorKind;
use std::task::{Context, Waker};

use atoll_env::Clock;
use atoll_env::vfs::{Crash, Fault, MemLatency, MemVfsOptions};

use super::*;

const PATH: &str = "/run";

/// Enough for several writes.
fn many_rows() -> Rows {
    let key = |number: u32| (format!("\0{number:06}").into_bytes(), Reverse(Version(1)));
    (0..300)
        .map(|number| (key(number), inline(vec![number as u8; 3_000])))
        .collect()
}

fn create(vfs: &MemVfs) -> RunWriter {
    let file = vfs.open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    RunWriter::create(file, IDENTITY, SALT, 0)
}

async fn add_all(writer: &mut RunWriter, rows: &Rows) -> std::io::Result<()> {
    for ((key, Reverse(version)), value) in rows {
        writer.add(key, *version, value.into()).await?;
    }
    Ok(())
}

fn opened(vfs: &MemVfs) -> Result<Run, RunError> {
    let file = vfs.open(Path::new(PATH), OpenMode::Read)?;
    Run::open(file, IDENTITY, BlockCache::new(0).into())
}

/// At every operation the power goes. What is there then is no run, unless the writer said that it is one.
#[test]
fn a_run_is_whole_or_none_wherever_the_power_goes() {
    let rows = many_rows();
    let vfs = MemVfs::default();
    block_on(write(&vfs, &rows)).unwrap();
    let operations = vfs.operations();
    assert!(operations > 6, "{operations}");
    for operation in 1..=operations {
        for seed in 0..8 {
            let options = MemVfsOptions {
                seed,
                ..MemVfsOptions::default()
            };
            let vfs = MemVfs::new(options);
            vfs.freeze_at(operation);
            block_on(write(&vfs, &rows)).unwrap_err();
            let vfs = vfs.crash(if seed % 2 == 0 {
                Crash::Random
            } else {
                Crash::Process
            });
            // All of it may be there by luck. If so, it is the run.
            if let Ok(run) = opened(&vfs) {
                let found = walk(&mut RunCursor::new(run.into(), (b"", b""), Direction::Forward)).ok();
                assert!(found.is_none_or(|found| found == listed(&rows)));
            }
        }
    }
}

#[test]
fn what_the_writer_called_whole_survives_the_power() {
    let rows = many_rows();
    let vfs = MemVfs::default();
    let summary = block_on(write(&vfs, &rows)).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    let vfs = vfs.crash(Crash::LoseAll);
    let run = opened(&vfs).unwrap();
    assert_eq!(run.summary(), &summary);
    let found = walk(&mut RunCursor::new(run.into(), (b"", b""), Direction::Forward)).unwrap();
    assert!(found == listed(&rows));
}

#[test]
fn a_write_that_failed_is_not_tried_again() {
    let rows = many_rows();
    for room in [None, Some(300_000)] {
        let vfs = MemVfs::default();
        let mut writer = create(&vfs);
        match room {
            None => vfs.fail_next(Fault::Write, PATH),
            Some(bytes) => vfs.set_free_bytes(bytes),
        }
        let failed = block_on(add_all(&mut writer, &rows)).unwrap_err();
        assert_eq!(
            failed.kind() == ErrorKind::StorageFull,
            room.is_some(),
            "{failed}"
        );
        vfs.set_free_bytes(u64::MAX);
        let before = vfs.operations();
        let late = block_on(writer.add(b"\x01late", Version(1), RowValue::Tombstone));
        assert!(late.is_err());
        assert!(block_on(writer.finish(COVERS)).is_err());
        assert_eq!(vfs.operations(), before, "nothing more is written");
        assert!(opened(&vfs).is_err());
    }
}

#[test]
fn a_sync_that_failed_is_an_error() {
    let vfs = MemVfs::default();
    let mut writer = create(&vfs);
    block_on(writer.add(b"\0k", Version(1), RowValue::Tombstone)).unwrap();
    vfs.fail_next(Fault::Sync, PATH);
    assert!(block_on(writer.finish(COVERS)).is_err());
}

/// Pieces whose fields take more room than their bytes. Being refused, the row must leave no trace: the block
/// before it does not end for its sake, so a row may still come between.
#[test]
fn a_row_that_fits_into_no_block_leaves_no_trace() {
    let piece = Piece::Filed(FilePointer {
        file: 1,
        offset: u32::MAX,
        stored_len: 0,
        len: 0,
        codec: Codec::None,
        vcrc: 0,
    });
    let joined = Joined::from_pieces(vec![piece; 400_000], 0).unwrap();
    let large = vec![1; 9_000];
    let large = RowValue::Inline {
        bytes: &large,
        vcrc: 0,
    };
    let vfs = MemVfs::default();
    let mut writer = create(&vfs);
    block_on(async {
        writer.add(b"\0a", Version(1), large).await.unwrap();
        let refused = writer.add(b"\0zz", Version(1), RowValue::Joined(&joined)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        writer.add(b"\0bb", Version(1), large).await.unwrap();
        writer.finish(COVERS).await.unwrap();
    });
    let run = opened(&vfs).unwrap();
    for key in [b"\0a".as_slice(), b"\0bb"] {
        let looked = run.get(key, Version(1), true).unwrap();
        assert!(matches!(looked, Looked::Row(Version(1), _)), "{looked:?}");
    }
}

/// A call that is dropped while its write is under way leaves nobody who knows what was written.
#[test]
fn an_abandoned_write_ends_the_run() {
    let clock = Clock::simulated(1.0, 0);
    let second = std::time::Duration::from_secs(1);
    let range = second..second * 2;
    let vfs = MemVfs::new(MemVfsOptions {
        latency: Some(MemLatency {
            clock,
            write: range.clone(),
            sync: range,
        }),
        ..MemVfsOptions::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut writer = create(&vfs);
    let mut context = Context::from_waker(Waker::noop());
    let abandoned = many_rows().iter().any(|((key, Reverse(version)), value)| {
        let mut added = std::pin::pin!(writer.add(key, *version, value.into()));
        added.as_mut().poll(&mut context).is_pending()
    });
    assert!(abandoned);
    let late = runtime.block_on(writer.add(b"\x01late", Version(1), RowValue::Tombstone));
    assert!(late.is_err());
}

#[test]
fn rows_out_of_order_or_bounds_are_refused_and_change_nothing() {
    let vfs = MemVfs::default();
    let mut writer = create(&vfs);
    let long_key = vec![0; ROW_KEY_MAX + 1];
    let long = vec![0; VALUE_LEN_MAX + 1];
    let long = RowValue::Inline {
        bytes: &long,
        vcrc: 0,
    };
    block_on(async {
        writer.add(b"\0k", Version(5), RowValue::Tombstone).await.unwrap();
        let refused: [(&[u8], u64, RowValue<'_>); 8] = [
            (b"\0k", 5, RowValue::Tombstone),
            (b"\0k", 6, RowValue::Tombstone),
            (b"\0j", 1, RowValue::Tombstone),
            (b"\0", 9, RowValue::Tombstone),
            (b"", 9, RowValue::Tombstone),
            (b"\x02k", 9, RowValue::Tombstone),
            (&long_key, 9, RowValue::Tombstone),
            (b"\0l", 9, long),
        ];
        for (key, version, value) in refused {
            let error = writer.add(key, Version(version), value).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key:?}");
        }
        writer.add(b"\0k", Version(4), RowValue::Tombstone).await.unwrap();
        let summary = writer.finish(COVERS).await.unwrap();
        assert_eq!((summary.entries, &summary.max_key[..]), (2, &b"\0k"[..]));
    });
    let run = opened(&vfs).unwrap();
    let found = walk(&mut RunCursor::new(run.into(), (b"", b""), Direction::Forward)).unwrap();
    assert_eq!(found.len(), 2);
}
