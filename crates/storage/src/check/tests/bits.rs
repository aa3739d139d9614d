//! Every byte of every file is under some check, or is padding that nothing reads.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::MemVfs;

use super::{file, is_damaged, report};
use crate::check::FileKind;
use crate::check::report::FileReport;
use crate::store::tests::disk::{data, group_dir, journal_dir, sealed, simulate, starts, stopped};

/// Files of a stopped node, whole paths.
fn files(vfs: &MemVfs) -> Vec<PathBuf> {
    let report = report(vfs);
    let of = |file: &FileReport| data().join(&file.path);
    report.files.iter().map(of).collect()
}

/// Flips one bit, and gives what is said then.
fn flipped(vfs: &MemVfs, path: &Path, offset: u64, bit: u8) -> (MemVfs, crate::check::Report) {
    let vfs = vfs.fork(offset);
    vfs.flip_bit(path, offset, bit);
    let found = report(&vfs);
    (vfs, found)
}

#[test]
fn every_bit_of_the_small_files_is_seen() {
    simulate(async {
        let vfs = stopped().await;
        for path in [journal_dir().join("DURABLE"), group_dir().join("MANIFEST")] {
            let len = vfs.durable_bytes(&path).unwrap().len() as u64;
            for bit in 0..len * 8 {
                let (_, found) = flipped(&vfs, &path, bit / 8, (bit % 8) as u8);
                assert!(!found.is_sound(), "{} bit {bit}", path.display());
                assert!(
                    is_damaged(&file(&found, &path).state),
                    "{} bit {bit}",
                    path.display()
                );
            }
        }
    });
}

/// How many flipped bits of a file are seen, of one in every thirteen bytes, and how many are not.
async fn flip_all(vfs: &MemVfs, path: &Path) -> (u64, u64) {
    let len = vfs.durable_bytes(path).unwrap().len() as u64;
    let (mut seen, mut unread) = (0, 0);
    // The header is a block that is summed as a whole: some of it will do.
    for offset in (0..len.min(4096)).step_by(97).chain((4096..len).step_by(13)) {
        let (flipped, found) = flipped(vfs, path, offset, (offset % 8) as u8);
        if found.is_sound() {
            unread += 1;
            assert!(unread % 50 != 0 || starts(&flipped).await);
            continue;
        }
        assert!(
            is_damaged(&file(&found, path).state),
            "{} offset {offset}",
            path.display()
        );
        seen += 1;
    }
    (seen, unread)
}

/// What is not seen is in the padding of a frame, and the node starts as if nothing were.
#[test]
fn bits_all_over_the_large_files_are_seen_or_are_padding() {
    simulate(async {
        let vfs = stopped().await;
        let (mut seen, mut padding) = (0, 0);
        for path in files(&vfs) {
            let kind = file(&report(&vfs), &path).kind;
            if !matches!(kind, FileKind::Run | FileKind::Segment) {
                continue;
            }
            let (found, unread) = flip_all(&vfs, &path).await;
            assert!(unread == 0 || kind == FileKind::Segment, "{}", path.display());
            seen += found;
            padding += unread;
        }
        assert!(seen > 300, "{seen} of {padding} more");
        // Frames end on multiples of 4,096.
        assert!(padding > 50, "{padding}");
    });
}

#[test]
fn a_file_that_is_cut_or_gone_is_named() {
    simulate(async {
        let vfs = stopped().await;
        for path in files(&vfs) {
            let kind = file(&report(&vfs), &path).kind;
            if kind == FileKind::Lock || vfs.durable_bytes(&path).unwrap().is_empty() {
                continue;
            }
            let cut = vfs.fork(0);
            let len = vfs.durable_bytes(&path).unwrap().len() as u64;
            // Below the length of what stands in it; a segment's end is padding.
            cut.truncate(&path, (len - 1) / 4096 * 4096);
            assert!(!report(&cut).is_sound(), "{} was cut", path.display());
            let gone = vfs.fork(0);
            gone.remove(&path).unwrap();
            let found = report(&gone);
            // A folder without DURABLE is as an older version left it.
            assert_eq!(
                found.is_sound(),
                kind == FileKind::Mark,
                "{} is gone: {found:#?}",
                path.display()
            );
        }
    });
}

/// Flips bits all over a sealed file, each for itself; how many of them are told of.
async fn bits_seen(vfs: &MemVfs, path: &Path) -> u64 {
    let kind = file(&report(vfs), path).kind;
    if matches!(kind, FileKind::Lock | FileKind::Spare) {
        return 0;
    }
    let mut seen = 0;
    let len = vfs.durable_bytes(path).unwrap().len() as u64;
    for offset in (0..len).step_by(173) {
        let (flipped, found) = flipped(vfs, path, offset, (offset % 8) as u8);
        let told = is_damaged(&file(&found, path).state);
        let shown = path.display();
        assert_eq!(told, offset >= 8192, "{shown} offset {offset}: {found:#?}");
        seen += u64::from(told);
        assert!(told || offset % 50 != 0 || starts(&flipped).await);
    }
    seen
}

/// Every page is under a tag; of the header, one of two copies is enough.
#[test]
fn bits_all_over_sealed_files_are_seen() {
    sealed(|| {
        simulate(async {
            let vfs = stopped().await;
            let mut seen = 0;
            for path in files(&vfs) {
                seen += bits_seen(&vfs, &path).await;
            }
            assert!(seen > 100, "{seen}");
        });
    });
}
