//! Files and records that are not this one's, or of a later version.

use super::*;

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
