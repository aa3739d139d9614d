//! Flipped bits, cuts, records that are gone or of another file: an error, and never a wrong value.

use std::collections::BTreeMap;

use super::*;

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

#[test]
fn every_flipped_bit_is_seen_and_never_gives_a_wrong_value() {
    every_flipped_bit_is_seen(&rows(), Codec::None);
}

#[test]
fn every_flipped_bit_of_packed_values_is_seen_and_never_gives_a_wrong_value() {
    every_flipped_bit_is_seen(&longer_rows(), Codec::Lz4);
    every_flipped_bit_is_seen(&longer_rows(), Codec::Zstd);
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
