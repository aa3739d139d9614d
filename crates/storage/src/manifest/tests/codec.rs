use atoll_types::Version;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::codec::{DecodeError, decode, encode};
use super::super::state::{RUN_SEGMENTS_MAX, RUNS_MAX, VALUE_FILES_MAX};
use super::*;

fn log_id() -> impl Strategy<Value = Option<LogId>> {
    proptest::option::of(
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(term, leader, index)| LogId {
            term,
            leader: ReplicaId(leader),
            index,
        }),
    )
}

prop_compose! {
    fn run_entry()(
        len: u64, footer_crc: u32, entries: u64, part in 0_u64..=100,
        mut keys in vec(vec(any::<u8>(), 0..40), 2), mut versions in [any::<u64>(), any::<u64>()],
        segments in proptest::collection::btree_map(any::<u32>(), any::<u64>(), 0..5),
    ) -> RunEntry {
        keys.sort_unstable();
        versions.sort_unstable();
        RunEntry {
            number: 0, len, footer_crc, entries, tombstones: entries / 100 * part,
            min_key: keys[0].clone().into(), max_key: keys[1].clone().into(),
            min_version: Version(versions[0]), max_version: Version(versions[1]),
            journal_bytes: segments.into_iter().collect(),
        }
    }
}

prop_compose! {
    fn manifest()(
        number: u64, applied in log_id(), before in proptest::option::of(any::<(u64, u64)>()), membership in vec(any::<u8>(), 0..100), membership_id in log_id(),
        versions: (u64, u64), mut runs in vec(run_entry(), 0..5), values in vec(any::<(u64, u64, u64)>(), 0..5),
    ) -> Manifest {
        let count = runs.len() as u64;
        for (at, run) in runs.iter_mut().enumerate() {
            run.number = (at as u64 * 3 + number) % count.max(1) ;
        }
        // Whatever order, each once.
        let mut taken = std::collections::BTreeSet::new();
        runs.retain(|run| taken.insert(run.number));
        let value_files: Vec<_> = values.into_iter().zip(1..).map(|((len, live_bytes, dead_bytes), at)| ValueFileEntry {
            number: at * 3, len, live_bytes, dead_bytes,
        }).collect();
        let installed = applied.zip(before).map(|(applied, (term, by))| LogId {
            term, index: applied.index.saturating_sub(by), ..applied
        });
        Manifest {
            number, next_run: count, next_value_file: 20, applied, membership: membership.into(), membership_id, installed,
            last_version: Version(versions.0), horizon: Version(versions.1), runs, value_files,
        }
    }
}

/// Puts the sum right, so that what stands behind it is reached.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = bytes.len().checked_sub(4) {
        let sum = crc32fast::hash(&bytes[..at]);
        bytes[at..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn example() -> Manifest {
    Manifest {
        number: 9,
        next_run: 5,
        next_value_file: 4,
        applied: Some(id(77)),
        membership: Bytes::from_static(b"three of them"),
        membership_id: Some(id(1)),
        installed: Some(id(70)),
        last_version: Version(1 << 40),
        horizon: Version(3),
        runs: [4, 2]
            .map(|number| RunEntry {
                number,
                len: 4096,
                footer_crc: 0xDEAD_BEEF,
                entries: 10,
                tombstones: 2,
                min_key: Bytes::from_static(b"\0a"),
                max_key: Bytes::from_static(b"\0z"),
                min_version: Version(4),
                max_version: Version(1 << 40),
                journal_bytes: vec![(1, 100), (7, 1 << 33)],
            })
            .to_vec(),
        value_files: vec![ValueFileEntry {
            number: 3,
            len: 9000,
            live_bytes: 800,
            dead_bytes: 50,
        }],
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(manifest in manifest()) {
        let bytes = encode(&manifest, &OWNER).unwrap();
        prop_assert_eq!(decode(&bytes), Ok((manifest, OWNER)));
    }

    /// With right sums, bytes of any kind are an error or exactly what would be written for what they say.
    #[test]
    fn decoding_is_total_and_there_is_one_way_to_write_it(
        manifest in manifest(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode(&manifest, &OWNER).unwrap();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let bytes = repaired(bytes);
        let before_installed = bytes.get(8) == Some(&1);
        if let Ok((manifest, owner)) = decode(&bytes) && !before_installed {
            prop_assert_eq!(encode(&manifest, &owner).unwrap(), bytes);
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let bytes = encode(&example(), &OWNER).unwrap();
    assert_eq!(decode(&bytes), Ok((example(), OWNER)));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(decode(&damaged), Err(DecodeError::Damaged(_))),
            "bit {bit}"
        );
    }
    for len in 0..bytes.len() {
        let damaged = decode(&bytes[..len]);
        assert!(matches!(damaged, Err(DecodeError::Damaged(_))), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(decode(&longer), Err(DecodeError::Damaged(_))));
    let longer = repaired([&bytes[..], &[0]].concat());
    assert_eq!(
        decode(&longer),
        Err(DecodeError::Damaged("it goes on behind its end"))
    );
}

#[test]
fn a_later_format_is_refused_by_name() {
    for (at, text) in [
        (8, "format version 6, this program knows 2"),
        (12, "features 0x4"),
    ] {
        let mut bytes = encode(&example(), &OWNER).unwrap();
        bytes[at] ^= 4;
        let Err(DecodeError::Unsupported(what)) = decode(&repaired(bytes)) else {
            panic!("read a later format")
        };
        assert!(what.contains(text), "{what}");
    }
}

/// Bytes that the program wrote when there were no installed snapshots.
const VERSION_1: &[u8] = include_bytes!("version-1.manifest");

#[test]
fn the_version_before_installed_snapshots_is_read() {
    let expected = Manifest {
        installed: None,
        ..example()
    };
    assert_eq!(decode(VERSION_1), Ok((expected, OWNER)));
    let mut features = VERSION_1.to_vec();
    features[12] = 1;
    assert!(matches!(
        decode(&repaired(features)),
        Err(DecodeError::Unsupported(_))
    ));
    let mut other = VERSION_1.to_vec();
    other[8] = 2;
    assert!(matches!(decode(&repaired(other)), Err(DecodeError::Damaged(_))));
}

#[test]
fn counts_beyond_their_bounds_are_refused_before_room_is_made() {
    // Behind the fixed part and two absent log ids: the count of bytes of the membership, of runs, of value files.
    let empty = encode(&Manifest::default(), &OWNER).unwrap();
    let end = empty.len();
    for at in [end - 16, end - 12, end - 8] {
        for count in [u32::MAX, 1 << 20, 1] {
            let mut bytes = empty.clone();
            bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
            assert!(
                matches!(decode(&repaired(bytes)), Err(DecodeError::Damaged(_))),
                "{count} at {at}"
            );
        }
    }
}

type Change = Box<dyn Fn(&mut Manifest)>;

#[test]
fn what_could_not_be_read_is_not_written() {
    let run = |change: fn(&mut RunEntry)| move |manifest: &mut Manifest| change(&mut manifest.runs[0]);
    let changes: Vec<Change> = vec![
        Box::new(|manifest| manifest.membership = vec![0; (1 << 20) + 1].into()),
        Box::new(|manifest| manifest.runs = vec![RunEntry::default(); RUNS_MAX + 1]),
        Box::new(|manifest| manifest.value_files = vec![ValueFileEntry::default(); VALUE_FILES_MAX + 1]),
        Box::new(|manifest| manifest.installed = Some(id(78))),
        Box::new(|manifest| manifest.applied = None),
        Box::new(|manifest| manifest.runs[1].number = 4),
        Box::new(|manifest| manifest.next_run = 4),
        Box::new(|manifest| manifest.next_value_file = 3),
        Box::new(|manifest| manifest.value_files.push(manifest.value_files[0])),
        Box::new(run(|run| run.max_key = vec![1; 4098].into())),
        Box::new(run(|run| run.min_key = Bytes::from_static(b"\0zz"))),
        Box::new(run(|run| run.min_version = Version(u64::MAX))),
        Box::new(run(|run| run.tombstones = 11)),
        Box::new(run(|run| run.journal_bytes.reverse())),
        Box::new(run(|run| {
            run.journal_bytes = (0..=RUN_SEGMENTS_MAX as u32).map(|at| (at, 1)).collect();
        })),
        // Each within its bounds, all of them together not.
        Box::new(|manifest| {
            let full = RunEntry {
                journal_bytes: (0..RUN_SEGMENTS_MAX as u32).map(|at| (at, 1)).collect(),
                ..RunEntry::default()
            };
            manifest.next_run = 100;
            manifest.runs = (0..100)
                .map(|number| RunEntry {
                    number,
                    ..full.clone()
                })
                .collect();
        }),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut manifest = example();
        change(&mut manifest);
        let kind = encode(&manifest, &OWNER).map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::InvalidInput), "{at}");
    }
}
