//! Whatever becomes of the bytes on disk: what is read is what was written, or shows that it is not.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};

use super::super::page::{PAGE, UNREADABLE};
use super::{FILE, bytes, disk, make, read_all, ring, sealed, simulate};

const CONTENT: usize = 4064;
/// Two pages and a part.
const LEN: usize = 2 * CONTENT + 700;

async fn one(path: &str) -> MemVfs {
    let below = disk();
    make(&sealed(&below, &ring(&[1])), path, &bytes(LEN)).await;
    below
}

fn raw(vfs: &MemVfs, path: &str) -> Vec<u8> {
    vfs.durable_bytes(Path::new(path)).unwrap()
}

/// The disk, with other bytes in a file.
async fn with(vfs: &MemVfs, path: &str, bytes: &[u8]) -> MemVfs {
    let vfs = vfs.fork(1);
    vfs.remove(Path::new(path)).unwrap();
    make(&vfs, path, bytes).await;
    vfs
}

/// Which pages are what was written; the others are unreadable from their first to their last byte.
fn pages(vfs: &MemVfs) -> Vec<bool> {
    let found = read_all(&sealed(vfs, &ring(&[1])), FILE);
    let expected = bytes(LEN);
    let same = |(found, expected): (&[u8], &[u8])| {
        let same = found == expected;
        assert!(same || found.iter().all(|byte| *byte == UNREADABLE));
        same
    };
    assert_eq!(found.len(), LEN);
    found
        .chunks(CONTENT)
        .zip(expected.chunks(CONTENT))
        .map(same)
        .collect()
}

#[test]
fn every_bit_of_a_page_is_noticed_there_and_nowhere_else() {
    simulate(async {
        let below = one(FILE).await;
        let len = raw(&below, FILE).len();
        assert_eq!(len, 4 * PAGE + 32 + 700);
        for byte in (2 * PAGE..len).filter(|byte| byte % PAGE < 64 || byte % 11 == 0) {
            for bit in 0..8 {
                below.flip_bit(Path::new(FILE), byte as u64, bit);
                let broken = byte / PAGE - 2;
                let expected: Vec<_> = (0..3).map(|page| page != broken).collect();
                assert_eq!(pages(&below), expected, "byte {byte} bit {bit}");
                below.flip_bit(Path::new(FILE), byte as u64, bit);
            }
        }
        assert_eq!(pages(&below), [true; 3]);
    });
}

#[test]
fn one_copy_of_the_header_is_enough_and_without_any_nothing_opens() {
    simulate(async {
        let below = one(FILE).await;
        for byte in (0..2 * PAGE).filter(|byte| byte % PAGE < 130 || byte % 37 == 0) {
            let vfs = below.fork(byte as u64);
            vfs.flip_bit(Path::new(FILE), byte as u64, (byte % 8) as u8);
            assert_eq!(pages(&vfs), [true; 3], "byte {byte}");
            vfs.flip_bit(Path::new(FILE), ((byte + PAGE) % (2 * PAGE)) as u64, 1);
            assert_eq!(pages(&vfs), [false; 3], "byte {byte}");
        }
    });
}

/// Somebody who can make sums right cannot make a key that opens.
#[test]
fn a_header_with_a_sum_that_is_made_right_opens_nothing_else() {
    simulate(async {
        let below = one(FILE).await;
        let original = raw(&below, FILE);
        for byte in (16..120).filter(|byte| !(32..40).contains(byte)) {
            let mut forged = original.clone();
            for copy in [0, PAGE] {
                forged[copy + byte] ^= 4;
                let sum = crc32fast::hash(&forged[copy..copy + PAGE - 4]);
                forged[copy + PAGE - 4..copy + PAGE].copy_from_slice(&sum.to_le_bytes());
            }
            assert_eq!(
                pages(&with(&below, FILE, &forged).await),
                [false; 3],
                "byte {byte}"
            );
        }
    });
}

#[test]
fn pages_of_another_place_or_file_do_not_open() {
    simulate(async {
        let below = one(FILE).await;
        let other = "/data/journal/other";
        make(&sealed(&below, &ring(&[1])), other, &bytes(LEN)).await;
        let (own, foreign) = (raw(&below, FILE), raw(&below, other));
        let page = |bytes: &[u8], number: usize| bytes[(number + 2) * PAGE..(number + 3) * PAGE].to_vec();
        assert_ne!(page(&own, 0), page(&foreign, 0), "the same bytes under two keys");
        let mut swapped = own.clone();
        swapped[2 * PAGE..3 * PAGE].copy_from_slice(&page(&own, 1));
        swapped[3 * PAGE..4 * PAGE].copy_from_slice(&page(&own, 0));
        assert_eq!(pages(&with(&below, FILE, &swapped).await), [false, false, true]);
        let mut mixed = own.clone();
        mixed[2 * PAGE..3 * PAGE].copy_from_slice(&page(&foreign, 0));
        assert_eq!(pages(&with(&below, FILE, &mixed).await), [false, true, true]);
        let headed = [&foreign[..2 * PAGE], &own[2 * PAGE..]].concat();
        assert_eq!(pages(&with(&below, FILE, &headed).await), [false; 3]);
        // A whole file in the place of another is a file; what stands in it tells that it is the wrong one.
        assert_eq!(pages(&with(&below, FILE, &foreign).await), [true; 3]);
    });
}

#[test]
fn zeros_and_ends_that_are_missing_look_as_in_any_file() {
    simulate(async {
        let below = one(FILE).await;
        let mut zeroed = raw(&below, FILE);
        zeroed[3 * PAGE..4 * PAGE].fill(0);
        let vfs = with(&below, FILE, &zeroed).await;
        let found = read_all(&sealed(&vfs, &ring(&[1])), FILE);
        assert_eq!(found[..CONTENT], bytes(LEN)[..CONTENT]);
        assert!(found[CONTENT..2 * CONTENT].iter().all(|byte| *byte == 0));
        assert_eq!(found[2 * CONTENT..], bytes(LEN)[2 * CONTENT..]);
        for len in (0..raw(&below, FILE).len() as u64).step_by(61) {
            let cut = below.fork(len);
            cut.truncate(Path::new(FILE), len);
            let cut = cut.crash(Crash::Process);
            let found = read_all(&sealed(&cut, &ring(&[1])), FILE);
            assert!(found.len() < LEN);
            for (found, expected) in found.chunks(CONTENT).zip(bytes(LEN).chunks(CONTENT)) {
                let unreadable = found.iter().all(|byte| *byte == UNREADABLE);
                assert!(unreadable || found == expected, "cut at {len}");
            }
        }
    });
}

#[test]
fn a_file_that_is_not_sealed_is_never_shown() {
    simulate(async {
        let below = disk();
        make(&below, FILE, &bytes(5 * PAGE)).await;
        let found = read_all(&sealed(&below, &ring(&[1])), FILE);
        assert_eq!(found, vec![UNREADABLE; 3 * CONTENT]);
    });
}

fn refused(vfs: &MemVfs, keys: &[u8]) -> String {
    let opened = sealed(vfs, &ring(keys)).open(&PathBuf::from(FILE), OpenMode::Read);
    opened.err().unwrap().to_string()
}

#[test]
fn a_wrong_key_and_a_later_version_are_told_by_name() {
    simulate(async {
        let below = one(FILE).await;
        let (used, given) = (ring(&[1]).newest(), ring(&[2]).newest());
        let text = refused(&below, &[2]);
        for part in [FILE, &used.to_string(), &given.to_string(), "not among the keys"] {
            assert!(text.contains(part), "{text}");
        }
        let text = refused(&below, &[2, 3]);
        assert!(text.contains(&ring(&[2, 3]).to_string()), "{text}");
        assert_eq!(read_all(&sealed(&below, &ring(&[3, 1])), FILE), bytes(LEN));
        for (at, part) in [(8, "format version 7"), (12, "features 0x7")] {
            let mut later = raw(&below, FILE);
            for copy in [0, PAGE] {
                later[copy + at] = 7;
                let sum = crc32fast::hash(&later[copy..copy + PAGE - 4]);
                later[copy + PAGE - 4..copy + PAGE].copy_from_slice(&sum.to_le_bytes());
            }
            let text = refused(&with(&below, FILE, &later).await, &[1]);
            assert!(text.contains(part) && text.contains(FILE), "{text}");
        }
    });
}
