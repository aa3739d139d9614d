//! Values that were appended to.

use super::*;

/// A value appended to with these lengths, in turn, until it is as long as a value may be.
fn grown(key: &[u8], sizes: &[usize]) -> (Vec<u8>, ValueRef) {
    let mut whole = bytes_of(Version(1), 100);
    let mut value = value_of(key, Version(1), 100);
    for (version, len) in (2_u64..).zip(sizes.iter().cycle()) {
        if whole.len() + len > VALUE_BYTES_MAX {
            return (whole, value);
        }
        let bytes = bytes_of(Version(version), *len);
        whole.extend_from_slice(&bytes);
        let suffix = match *len {
            0..=APPEND_MEMORY_BYTES_MAX => Suffix::Memory(&bytes),
            _ => Suffix::Journal(pointer_to(key, Version(version), *len)),
        };
        let mut sum = crc32fast::Hasher::new_with_initial(value.vcrc());
        sum.update(&bytes);
        value = value.with_suffix(suffix, sum.finalize());
    }
    unreachable!()
}

#[test]
fn a_value_built_of_any_appends_has_few_pieces_and_reads_whole() {
    for sizes in [&[100][..], &[1, 4097], &[4096], &[2049], &[4095, 2, 5000]] {
        let (whole, value) = grown(b"k", sizes);
        assert_eq!(read(b"k", &value), whole);
        let ValueRef::Joined(joined) = &value else {
            panic!()
        };
        let (own, pieces) = (joined.memory_bytes(), joined.pieces().len());
        assert!(
            pieces <= 2 * VALUE_BYTES_MAX / APPEND_MEMORY_BYTES_MAX + 2,
            "{pieces}"
        );
        assert!(own <= VALUE_BYTES_MAX + pieces * 48, "{own}");
    }
}

#[test]
fn pieces_that_do_not_make_the_value_are_told() {
    let whole = [vec![1; 100], vec![2; 10]].concat();
    let value = value_of(b"k", Version(1), 100);
    let suffix = Suffix::Memory(&whole[100..]);
    let sound = value.with_suffix(suffix, value_crc(b"k", &whole));
    assert_eq!(read(b"k", &sound), whole);
    let ValueRef::Joined(unsound) = value.with_suffix(suffix, 5) else {
        panic!()
    };
    assert!(matches!(unsound.read(b"k", read_piece), Err(ReadError::Joined)));
    let cold = |_: &Piece| Ok(ReadValue::WouldBlock);
    let ValueRef::Joined(joined) = &sound else {
        panic!()
    };
    assert_eq!(joined.read(b"k", cold).unwrap(), ReadValue::WouldBlock);
    assert!(matches!(
        joined.read(b"other", read_piece),
        Err(ReadError::Joined)
    ));
    let lost = JournalPointer {
        segment: 8,
        ..pointer_to(b"k", Version(2), 5000)
    };
    let ValueRef::Joined(lost) = sound.with_suffix(Suffix::Journal(lost), 5) else {
        panic!()
    };
    assert!(matches!(lost.read(b"k", read_piece), Err(ReadError::Io(_))));
    let same = sound.with_suffix(Suffix::Memory(&[]), sound.vcrc());
    assert_eq!(same, sound, "nothing appended changes nothing");
}

#[test]
fn a_value_in_a_value_file_is_kept_as_it_is_and_can_be_appended_to() {
    let pointer = FilePointer {
        file: 3,
        offset: u32::MAX,
        stored_len: 50,
        len: 100,
        codec: Codec::Zstd,
        vcrc: 0xDEAD_BEEF,
    };
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let filed = ValueRef::Filed(pointer);
    let longer = filed.with_suffix(Suffix::Memory(b"more"), 5);
    assert_eq!((filed.len(), filed.vcrc()), (100, 0xDEAD_BEEF));
    assert_eq!((longer.len(), longer.vcrc()), (104, 5));
    writer.put(b"filed", Version(1), filed.clone());
    writer.put(b"longer", Version(1), longer.clone());
    writer.publish(Version(1), 1);
    let view = index.view();
    assert_eq!(view.get(b"filed", false).unwrap(), Some((Version(1), filed)));
    assert_eq!(
        view.get(b"longer", false).unwrap(),
        Some((Version(1), longer.clone()))
    );
    drop(view);
    let ValueRef::Joined(joined) = longer else {
        panic!()
    };
    assert!(matches!(
        joined.read(b"longer", read_piece),
        Err(ReadError::NoValueFile { file: 3 })
    ));
    writer.delete(b"filed", Version(2));
    writer.delete(b"longer", Version(2));
    writer.publish(Version(2), 2);
    assert_eq!(index.layers().active.tree.read().held(), [0, 0, 0, 0, 0]);
    assert_eq!(index.layers().active.tree.read().joined_bytes(), 0);
}

#[test]
fn short_values_stay_inside_the_index_when_appended_to() {
    let value = value_of(b"k", Version(1), 60);
    let whole = [vec![1; 60], vec![9; 4]].concat();
    let value = value.with_suffix(Suffix::Memory(&[9; 4]), value_crc(b"k", &whole));
    assert!(matches!(value, ValueRef::Inline(_)));
    assert_eq!(read(b"k", &value), whole);
    let whole = [whole, vec![8]].concat();
    let value = value.with_suffix(Suffix::Memory(&[8]), value_crc(b"k", &whole));
    assert!(matches!(value, ValueRef::Joined(_)));
    assert_eq!(read(b"k", &value), whole);
}
