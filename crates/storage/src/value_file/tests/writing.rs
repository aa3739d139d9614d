//! What a writer packs, what it refuses, how full it makes a file, and how it writes.

use super::*;

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
