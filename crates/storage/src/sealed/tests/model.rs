//! A sealed file behaves as any other.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions, OpenMode};
use proptest::prelude::*;

use super::super::page::{len_of, len_on_disk};
use super::{DATA, FILE, bytes, disk, make, read, read_all, ring, sealed, simulate};

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize),
    Grow(usize),
    Cut(usize),
    Fill(usize),
    Sync,
    Read(usize, usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // About where pages begin and end, and anywhere.
    let place = || {
        prop_oneof![
            0..300_000_usize,
            (0..70_usize, 0..40_usize).prop_map(|(page, more)| (page * 4064 + more).saturating_sub(20))
        ]
    };
    prop_oneof![
        6 => (place(), 0..20_000_usize).prop_map(|(at, len)| Step::Write(at, len)),
        1 => place().prop_map(Step::Grow),
        1 => (0..70_usize).prop_map(Step::Cut),
        1 => (0..30_000_usize).prop_map(Step::Fill),
        1 => Just(Step::Sync),
        4 => (place(), 0..300_000_usize).prop_map(|(at, len)| Step::Read(at, len)),
        1 => Just(Step::Reopen),
    ]
}

async fn play(steps: Vec<Step>, cold: u64) {
    let below = MemVfs::new(MemVfsOptions {
        cold_reads_permille: cold,
        ..MemVfsOptions::default()
    });
    below.create_dir_all(Path::new("/data/journal")).unwrap();
    let vfs = sealed(&below, &ring(&[1]));
    let path = Path::new(FILE);
    let writer = vfs.open(path, OpenMode::CreateNew).unwrap();
    let mut reader = None;
    let mut model: Vec<u8> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(at, len) => {
                let new: Vec<u8> = bytes(len + number)[number..].to_vec();
                writer.write_at(&new, at as u64).await.unwrap();
                if len > 0 {
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&new);
                }
            }
            Step::Grow(len) if len >= model.len() => {
                writer.allocate(len as u64).unwrap();
                model.resize(len, 0);
            }
            Step::Cut(pages) if pages * 4064 <= model.len() => {
                writer.allocate(pages as u64 * 4064).unwrap();
                model.truncate(pages * 4064);
            }
            Step::Fill(len) => {
                // What was never written to: behind the end, from the next page on.
                let start = model.len().next_multiple_of(4064);
                writer.fill(start as u64, len).await.unwrap();
                if len > 0 {
                    model.resize(start + len, 0);
                }
            }
            Step::Grow(_) | Step::Cut(_) => {}
            Step::Sync => writer.sync().await.unwrap(),
            Step::Read(at, len) => {
                let expected = model.get(at..).unwrap_or_default();
                let expected = &expected[..expected.len().min(len)];
                let file = reader.as_ref().unwrap_or(&writer);
                let mut found = vec![9; len];
                assert_eq!(file.read_at(&mut found, at as u64).unwrap(), expected.len());
                assert_eq!(&found[..expected.len()], expected);
                found.fill(9);
                if let Some(read) = file.try_read_at(&mut found, at as u64).unwrap() {
                    assert_eq!(&found[..read], expected);
                }
            }
            Step::Reopen => {
                writer.sync().await.unwrap();
                reader = Some(vfs.open(path, OpenMode::Read).unwrap());
            }
        }
        assert_eq!(writer.len().unwrap(), model.len() as u64);
    }
    assert_eq!(read(&*writer), model);
    writer.sync().await.unwrap();
    vfs.sync_dir(Path::new("/data/journal")).unwrap();
    let below = below.crash(Crash::LoseAll);
    assert_eq!(read_all(&sealed(&below, &ring(&[2, 1])), FILE), model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_written(steps in prop::collection::vec(step(), 1..40), cold in prop::sample::select(vec![0, 400])) {
        simulate(play(steps, cold));
    }

    #[test]
    fn a_length_on_disk_says_the_length(len in prop_oneof![0..100_000_u64, 0..1_u64 << 40]) {
        assert_eq!(len_of(len_on_disk(len)), len);
    }
}

/// Files that were found are never written to under their old keys; another life has another key.
#[test]
fn a_file_that_was_found_is_written_to_only_in_another_life() {
    simulate(async {
        let below = disk();
        let vfs = sealed(&below, &ring(&[1]));
        make(&vfs, FILE, &bytes(9_000)).await;
        let file = vfs.open(Path::new(FILE), OpenMode::Write).unwrap();
        let refused = file.write_at(b"x", 0).await.unwrap_err();
        assert!(refused.to_string().contains(FILE), "{refused}");
        assert!(file.fill(9_000, 10).await.is_err());
        file.sync().await.unwrap();
        assert_eq!(read(&*file), bytes(9_000), "nothing was written");
        let refused = file.allocate(5_000).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "{refused}");
        file.allocate(4064).unwrap();
        file.allocate(12_000).unwrap();
        assert_eq!(&read(&*file)[..4064], &bytes(4064)[..]);
        assert!(read(&*file)[4064..].iter().all(|byte| *byte == 0));

        file.renew().unwrap();
        assert!(
            file.write_at(b"new", 0).await.is_err(),
            "a stale page holds nothing to be kept"
        );
        file.write_at(&bytes(4070)[6..], 0).await.unwrap();
        file.sync().await.unwrap();
        let found = read_all(&vfs, FILE);
        assert_eq!(found[..4064], bytes(4070)[6..]);
        assert_eq!(found.len(), 12_000, "what was allocated stays");
    });
}

/// Only what holds users' data is sealed.
#[test]
fn everything_outside_the_two_folders_is_as_it_is() {
    simulate(async {
        let below = disk();
        let vfs = sealed(&below, &ring(&[1]));
        below.create_dir_all(Path::new("/data/groups/one")).unwrap();
        below.create_dir_all(Path::new("/elsewhere/journal")).unwrap();
        for (path, clear) in [
            ("/data/IDENT", true),
            ("/data/journal.x", true),
            ("/elsewhere/journal/a", true),
            ("/data/journal/LOCK", true),
            ("/data/journal/a", false),
            ("/data/groups/a", false),
            ("/data/groups/one/a", false),
        ] {
            make(&vfs, path, b"something").await;
            let found = below.read_small(Path::new(path), 1 << 20).unwrap();
            assert_eq!(found == b"something", clear, "{path}");
            assert_eq!(read_all(&vfs, path), b"something");
        }
        assert_eq!(vfs.block_bytes(Path::new(DATA)), 4096);
        assert_eq!(vfs.block_bytes(Path::new("/data/journal")), 4064);
        assert_eq!(vfs.block_bytes(Path::new("/data/groups/one")), 4064);
    });
}
