use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, Fault, File, MemVfs, MemVfsOptions, OpenMode};
use atoll_env::{BoxFuture, Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_types::{ClusterId, Codec, GroupGen, GroupId, GroupKey, NodeId, Version};
use proptest::prelude::*;

use super::format::{FOOTER_LEN, HEADER_LEN, RECORD_HEADER_LEN};
use super::*;
use crate::codec::{Packer, UNPACKED_AT_ONCE_MAX};
use crate::journal::{Identity, ReadError, ReadValue};

const PATH: &str = "/v";
const ID: ValueFileId = ValueFileId {
    identity: Identity {
        cluster: ClusterId(0xC1),
        node: NodeId(3),
    },
    group: GroupKey::new(GroupId(5), GroupGen(1)),
    number: 9,
};

type Row = (Vec<u8>, Version, Vec<u8>);

fn env(vfs: &MemVfs) -> Env {
    Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        rng: Rng::seeded(vfs.operations() + 1),
        spawn: Spawn::simulated(Scope::new(Rng::seeded(1))),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|_| {}),
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(test)
}

fn writer(vfs: &MemVfs, id: ValueFileId) -> ValueWriter {
    packing_writer(vfs, id, Codec::None)
}

fn packing_writer(vfs: &MemVfs, id: ValueFileId, codec: Codec) -> ValueWriter {
    let file = vfs.open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    ValueWriter::create(&env(vfs), file, id, Packer::new(codec).into()).unwrap()
}

/// Writes rows; what is not durable then is lost.
fn write(rows: &[Row]) -> (MemVfs, Vec<Filed>) {
    write_packed(rows, Codec::None)
}

fn write_packed(rows: &[Row], codec: Codec) -> (MemVfs, Vec<Filed>) {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = packing_writer(&vfs, ID, codec);
        vfs.sync_dir(Path::new("/")).unwrap();
        let mut places = Vec::new();
        for (key, version, value) in rows {
            assert!(writer.fits(key.len(), value.len()));
            places.push(writer.add(key, *version, value).await.unwrap());
        }
        let len = writer.len() + FOOTER_LEN as u64;
        let finished = writer.finish().await.unwrap();
        let value_bytes = places.iter().map(|place| u64::from(place.stored_len)).sum();
        let records = rows.len() as u64;
        assert_eq!(
            finished,
            FinishedValues {
                len,
                records,
                value_bytes
            }
        );
        let vfs = vfs.crash(Crash::LoseAll);
        assert_eq!(vfs.durable_bytes(Path::new(PATH)).unwrap().len() as u64, len);
        (vfs, places)
    })
}

fn file(vfs: &MemVfs) -> Arc<dyn File> {
    vfs.open(Path::new(PATH), OpenMode::Read).unwrap()
}

fn read_all(file: &ValueFile) -> Result<Vec<FiledRecord>, ValueFileError> {
    let records: Result<Vec<_>, _> = file.records().collect();
    records
}

fn ready(value: &[u8]) -> ReadValue {
    ReadValue::Ready(value.to_vec().into())
}

fn rows() -> Vec<Row> {
    let row = |key: &str, version, len| {
        (
            key.as_bytes().to_vec(),
            Version(version),
            vec![version as u8; len],
        )
    };
    vec![
        row("", 4, 10),
        row("a", 9, 100),
        row("a", 7, 0),
        row("ab", 8, 33),
        row("b", 1, 70),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(
        rows in proptest::collection::btree_map(
            (proptest::collection::vec(0_u8..4, 0..6), any::<u64>()), (any::<u8>(), 0_usize..3_000), 0..60,
        ),
        large in proptest::option::of(0_usize..1 << 20),
        codec in 0_u8..3,
    ) {
        let codec = Codec::from_number(codec).unwrap();
        // Ascending keys, descending versions.
        let mut rows: Vec<Row> = rows.into_iter()
            .map(|((key, version), (byte, len))| (key, Version(u64::MAX - version), vec![byte; len])).collect();
        if let Some(len) = large {
            rows.push((vec![9; 4096], Version(3), vec![1; len]));
        }
        let (vfs, places) = write_packed(&rows, codec);
        let file = ValueFile::open(file(&vfs), ID).unwrap();
        let mut expected = Vec::new();
        for ((key, version, value), place) in rows.iter().zip(&places) {
            let read = |wait| file.read(place, key, wait).unwrap();
            // Long ones take long to unpack.
            let long = place.codec != Codec::None && value.len() > UNPACKED_AT_ONCE_MAX;
            prop_assert_eq!(read(false), if long { ReadValue::WouldBlock } else { ready(value) });
            prop_assert_eq!(read(true), ready(value));
            let other = [key, &b"x"[..]].concat();
            let refused = matches!(file.read(place, &other, true), Err(ReadError::Filed { file: 9, .. }));
            prop_assert!(refused);
            expected.push(FiledRecord {
                key: key.clone().into(), version: *version, value: value.clone().into(), place: *place,
            });
        }
        prop_assert_eq!(read_all(&file).unwrap(), expected);
    }
}

/// Reads every value of damaged bytes: each is right or an error. Returns whether scrub sees the damage.
fn damage_is_seen(vfs: &MemVfs, rows: &[Row], places: &[Filed]) -> bool {
    let Ok(file) = ValueFile::open(file(vfs), ID) else {
        return true;
    };
    for ((key, _, value), place) in rows.iter().zip(places) {
        match file.read(place, key, true) {
            Ok(found) => assert_eq!(found, ready(value)),
            Err(error) => assert!(matches!(error, ReadError::Filed { .. })),
        }
    }
    let mut records = file.records();
    let read: Vec<_> = records.by_ref().collect();
    assert!(records.next().is_none());
    for (found, (key, version, value)) in read.iter().flatten().zip(rows) {
        assert_eq!(
            (&found.key[..], found.version, &found.value[..]),
            (&key[..], *version, &value[..])
        );
    }
    read.iter().any(Result::is_err)
}

/// With values that are packed, by the codec and by the one that is for shorter ones.
fn longer_rows() -> Vec<Row> {
    let mut rows = rows();
    rows.extend([300, 1_500].map(|len| (b"c".to_vec(), Version(2_000 - len), vec![7; len as usize])));
    rows
}

#[test]
fn every_flipped_bit_is_seen_and_never_gives_a_wrong_value() {
    every_flipped_bit_is_seen(&rows(), Codec::None);
}

#[test]
fn every_flipped_bit_of_packed_values_is_seen_and_never_gives_a_wrong_value() {
    every_flipped_bit_is_seen(&longer_rows(), Codec::Lz4);
    every_flipped_bit_is_seen(&longer_rows(), Codec::Zstd);
}

#[test]
fn values_are_packed_where_that_gains_and_the_file_says_so() {
    let plain = |codec| {
        let (vfs, places) = write_packed(&longer_rows(), codec);
        let features = vfs.durable_bytes(Path::new(PATH)).unwrap()[12];
        let codecs: Vec<_> = places.iter().map(|place| place.codec).collect();
        for place in &places {
            assert_eq!(place.stored_len < place.len, place.codec != Codec::None);
        }
        (features, codecs[5], codecs[6], codecs[..5] == [Codec::None; 5])
    };
    assert_eq!(plain(Codec::None), (0, Codec::None, Codec::None, true));
    assert_eq!(plain(Codec::Lz4), (2, Codec::Lz4, Codec::Lz4, true));
    assert_eq!(plain(Codec::Zstd), (2, Codec::Lz4, Codec::Zstd, true));
}

fn every_flipped_bit_is_seen(rows: &[Row], codec: Codec) {
    let (vfs, places) = write_packed(rows, codec);
    assert!(!damage_is_seen(&vfs, rows, &places));
    let len = vfs.durable_bytes(Path::new(PATH)).unwrap().len() as u64;
    for at in 0..len {
        for bit in 0..8 {
            vfs.flip_bit(Path::new(PATH), at, bit);
            assert!(damage_is_seen(&vfs, rows, &places), "byte {at} bit {bit}");
            vfs.flip_bit(Path::new(PATH), at, bit);
        }
    }
}

#[test]
fn every_cut_is_seen_and_never_gives_a_wrong_value() {
    let rows = rows();
    let (vfs, places) = write(&rows);
    let len = vfs.durable_bytes(Path::new(PATH)).unwrap().len() as u64;
    for cut in (0..len).chain([len + 1, len + 4096]) {
        let vfs = vfs.fork(0).crash(Crash::Process);
        vfs.truncate(Path::new(PATH), cut);
        assert!(damage_is_seen(&vfs, &rows, &places), "{cut} bytes");
    }
}

#[test]
fn a_record_left_out_is_seen_by_the_footer() {
    let (vfs, places) = write(&rows());
    let bytes = vfs.durable_bytes(Path::new(PATH)).unwrap();
    let last = places[4].offset as usize - RECORD_HEADER_LEN - 1;
    let without = [&bytes[..last], &bytes[bytes.len() - FOOTER_LEN..]].concat();
    vfs.truncate(Path::new(PATH), without.len() as u64);
    let open = vfs.open(Path::new(PATH), OpenMode::Write).unwrap();
    run(open.write_at(&without, 0)).unwrap();
    let error = read_all(&ValueFile::open(file(&vfs), ID).unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("value file 9 is damaged at offset") && error.contains("footer"),
        "{error}"
    );
}

#[test]
fn records_of_another_file_are_none() {
    let (vfs, _) = write(&rows());
    let other = run(async {
        // The same rows, another salt.
        let vfs = MemVfs::default();
        vfs.open(Path::new("/other"), OpenMode::CreateNew).unwrap();
        let mut writer = writer(&vfs, ID);
        for (key, version, value) in rows() {
            writer.add(&key, version, &value).await.unwrap();
        }
        writer.finish().await.unwrap();
        vfs
    });
    let mixed = file(&other);
    let mut records = vec![0; mixed.len().unwrap() as usize - HEADER_LEN];
    mixed.read_exact_at(&mut records, HEADER_LEN as u64).unwrap();
    let open = vfs.open(Path::new(PATH), OpenMode::Write).unwrap();
    run(open.write_at(&records, HEADER_LEN as u64)).unwrap();
    assert!(read_all(&ValueFile::open(file(&vfs), ID).unwrap()).is_err());
}

#[test]
fn another_file_and_a_later_format_are_refused() {
    let (vfs, _) = write(&rows());
    let mut others = [ID; 4];
    others[0].identity.cluster.0 += 1;
    others[1].identity.node.0 += 1;
    others[2].group.generation.0 += 1;
    others[3].number += 1;
    for other in others {
        let opened = ValueFile::open(file(&vfs), other);
        assert!(matches!(opened, Err(ValueFileError::Foreign { .. })));
    }
    let header = vfs.durable_bytes(Path::new(PATH)).unwrap()[..HEADER_LEN].to_vec();
    for (at, bit, text) in [
        (8, 2, "format version 3, this program knows 1"),
        (12, 1, "features 0x1"),
        (12, 4, "features 0x4"),
    ] {
        let mut header = header.clone();
        header[at] ^= bit;
        let crc = crc32fast::hash(&header[..HEADER_LEN - 4]);
        header[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        let open = vfs.open(Path::new(PATH), OpenMode::Write).unwrap();
        run(open.write_at(&header, 0)).unwrap();
        let Err(error) = ValueFile::open(file(&vfs), ID) else {
            panic!("opened a later format")
        };
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_codec_of_a_later_version_is_refused_by_name() {
    let (vfs, places) = write(&rows());
    let bytes = vfs.durable_bytes(Path::new(PATH)).unwrap();
    let from = HEADER_LEN;
    let mut record = bytes[from..places[0].offset as usize + 10].to_vec();
    record[6] = 3;
    // The sum by hand: salt, offset, the record behind its sum.
    let salted = [&bytes[56..64], &(from as u32).to_le_bytes(), &record[4..]].concat();
    record[..4].copy_from_slice(&crc32fast::hash(&salted).to_le_bytes());
    let open = vfs.open(Path::new(PATH), OpenMode::Write).unwrap();
    run(open.write_at(&record, from as u64)).unwrap();
    let first = ValueFile::open(file(&vfs), ID).unwrap().records().next();
    assert!(
        matches!(first, Some(Err(ValueFileError::Unsupported { .. }))),
        "{first:?}"
    );
}

#[test]
fn reads_that_may_not_wait_say_so() {
    let (vfs, places) = write(&rows());
    let bytes = vfs.durable_bytes(Path::new(PATH)).unwrap();
    let cold = MemVfs::new(MemVfsOptions {
        cold_reads_permille: 1000,
        ..MemVfsOptions::default()
    });
    let open = cold.open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    run(open.write_at(&bytes, 0)).unwrap();
    let file = ValueFile::open(file(&cold), ID).unwrap();
    for ((key, _, value), place) in rows().iter().zip(&places) {
        assert_eq!(file.read(place, key, false).unwrap(), ReadValue::WouldBlock);
        assert_eq!(file.read(place, key, true).unwrap(), ready(value));
    }
}

#[test]
fn pointers_that_cannot_be_are_errors_without_room_for_them() {
    let (vfs, places) = write(&rows());
    let file = ValueFile::open(file(&vfs), ID).unwrap();
    let place = places[1];
    let wrong = [
        Filed {
            offset: u32::MAX,
            ..place
        },
        Filed {
            stored_len: u32::MAX,
            len: u32::MAX,
            ..place
        },
        Filed {
            stored_len: 99,
            ..place
        },
        Filed {
            vcrc: !place.vcrc,
            ..place
        },
    ];
    for place in wrong {
        assert!(
            matches!(file.read(&place, b"a", true), Err(ReadError::Filed { .. })),
            "{place:?}"
        );
    }
}

/// Gives other bytes so many times.
struct Slips(Arc<dyn File>, AtomicUsize);

impl File for Slips {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buffer, offset)?;
        let slip = |left: usize| left.checked_sub(1);
        if self
            .1
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, slip)
            .is_ok()
        {
            buffer[0] ^= 1;
        }
        Ok(read)
    }
    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }
    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        self.0.sync()
    }
    fn forget_cached(&self) -> io::Result<()> {
        self.0.forget_cached()
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[test]
fn a_disk_may_slip_once() {
    let (vfs, places) = write(&rows());
    let slips = Arc::new(Slips(file(&vfs), AtomicUsize::new(0)));
    let file = ValueFile::open(slips.clone(), ID).unwrap();
    slips.1.store(1, Ordering::Relaxed);
    assert_eq!(file.read(&places[1], b"a", false).unwrap(), ready(&[9; 100]));
    slips.1.store(2, Ordering::Relaxed);
    assert!(file.read(&places[1], b"a", false).is_err());
}

#[test]
fn rows_out_of_order_or_too_long_are_refused_and_nothing_is_lost_by_it() {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = writer(&vfs, ID);
        let place = writer.add(b"b", Version(5), b"five").await.unwrap();
        let refused: [(&[u8], u64, usize); 5] = [
            (b"b", 5, 1),
            (b"b", 6, 1),
            (b"a", 1, 1),
            (&[9; 4097], 1, 1),
            (b"c", 1, (16 << 20) + 1),
        ];
        for (key, version, len) in refused {
            let refused = writer.add(key, Version(version), &vec![0; len]).await;
            assert_eq!(
                refused.map_err(|error| error.kind()),
                Err(io::ErrorKind::InvalidInput)
            );
        }
        let next = writer.add(b"b", Version(4), b"four").await.unwrap();
        assert_eq!(writer.finish().await.unwrap().records, 2);
        let file = ValueFile::open(file(&vfs), ID).unwrap();
        assert_eq!(file.read(&place, b"b", true).unwrap(), ready(b"five"));
        assert_eq!(file.read(&next, b"b", true).unwrap(), ready(b"four"));
        let used = ValueWriter::create(
            &env(&vfs),
            vfs.open(Path::new(PATH), OpenMode::Write).unwrap(),
            ID,
            Packer::plain(),
        );
        assert!(used.is_err(), "a file is written once");
    });
}

#[test]
fn a_file_is_filled_to_its_last_byte_and_no_further() {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = writer(&vfs, ID);
        assert_eq!(writer.len_max, (4 << 30) - 1);
        writer.len_max = 10_000;
        writer.add(b"a", Version(1), &[1; 3_000]).await.unwrap();
        let left = 10_000 - writer.len() as usize - RECORD_HEADER_LEN - FOOTER_LEN - 1;
        assert!(writer.fits(1, left) && !writer.fits(1, left + 1) && !writer.fits(usize::MAX, 1));
        let refused = writer.add(b"b", Version(1), &vec![2; left + 1]).await;
        assert_eq!(
            refused.map_err(|error| error.kind()),
            Err(io::ErrorKind::FileTooLarge)
        );
        writer.add(b"b", Version(1), &vec![2; left]).await.unwrap();
        assert_eq!(writer.finish().await.unwrap().len, 10_000);
        assert_eq!(
            read_all(&ValueFile::open(file(&vfs), ID).unwrap()).unwrap().len(),
            2
        );
    });
}

#[test]
fn writes_are_few_and_large() {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = writer(&vfs, ID);
        let before = vfs.operations();
        for number in 0..1_000_u32 {
            writer
                .add(&number.to_be_bytes(), Version(1), &[7; 2_000])
                .await
                .unwrap();
        }
        writer.finish().await.unwrap();
        // 2 MB in chunks of 256 KiB, and one sync.
        assert!((8..=10).contains(&(vfs.operations() - before)));
        assert_eq!(
            read_all(&ValueFile::open(file(&vfs), ID).unwrap()).unwrap().len(),
            1_000
        );
    });
}

#[test]
fn after_an_error_a_writer_does_not_go_on() {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = writer(&vfs, ID);
        vfs.fail_next(Fault::Write, PATH);
        assert!(writer.add(b"a", Version(1), &vec![1; 300_000]).await.is_err());
        assert!(writer.add(b"b", Version(1), b"").await.is_err());
        assert!(writer.finish().await.is_err());
        let vfs = MemVfs::default();
        let mut writer = self::writer(&vfs, ID);
        writer.add(b"a", Version(1), b"1").await.unwrap();
        vfs.fail_next(Fault::Sync, PATH);
        assert!(writer.finish().await.is_err());
    });
}

#[test]
fn bytes_of_any_kind_are_records_or_an_error() {
    let (vfs, places) = write(&rows());
    let sound: BTreeMap<_, _> = rows()
        .into_iter()
        .map(|(key, version, value)| ((key, version), value))
        .collect();
    let len = vfs.durable_bytes(Path::new(PATH)).unwrap().len() as u64;
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..2_000 {
        let vfs = vfs.fork(0).crash(Crash::Process);
        let open = vfs.open(Path::new(PATH), OpenMode::Write).unwrap();
        let mut junk = vec![0; rng.usize(1..40)];
        rng.fill(&mut junk);
        run(open.write_at(&junk, rng.u64(HEADER_LEN as u64..len))).unwrap();
        let file = ValueFile::open(file(&vfs), ID).unwrap();
        for record in file.records().flatten() {
            assert_eq!(
                sound.get(&(record.key.to_vec(), record.version)),
                Some(&record.value.to_vec())
            );
        }
        // A single byte may have been the one that stood there.
        assert!(damage_is_seen(&vfs, &rows(), &places) || junk.len() == 1);
    }
}
