//! Rows whose values are packed.

use super::super::layout::FOOTER_LEN;
use super::super::value::RunValue;
use super::*;

const JOURNAL: JournalPointer = JournalPointer {
    segment: 5,
    offset: 200,
    stored_len: 90,
    len: 300,
    codec: Codec::Lz4,
    vcrc: 0x0403_0201,
};
const FILED: FilePointer = FilePointer {
    file: 6,
    offset: 7,
    stored_len: 80,
    len: 128,
    codec: Codec::Zstd,
    vcrc: 0x0403_0201,
};

fn encoded(value: &RunValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    RowValue::from(value).encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Option<RunValue> {
    RunValue::decode(&Bytes::copy_from_slice(bytes), 0..bytes.len())
}

/// Pins the bytes; those of other values are as they were before there were packed ones.
#[test]
fn the_bytes_of_pointers() {
    let plain = JournalPointer {
        stored_len: 300,
        codec: Codec::None,
        ..JOURNAL
    };
    let plain_file = FilePointer {
        stored_len: 128,
        codec: Codec::None,
        ..FILED
    };
    let cases: [(RunValue, &[u8]); 4] = [
        (RunValue::Journal(plain), &[2, 5, 200, 1, 172, 2, 1, 2, 3, 4]),
        (
            RunValue::Filed(plain_file),
            &[3, 6, 7, 128, 1, 128, 1, 1, 2, 3, 4],
        ),
        (
            RunValue::Journal(JOURNAL),
            &[5, 1, 5, 200, 1, 90, 172, 2, 1, 2, 3, 4],
        ),
        (RunValue::Filed(FILED), &[6, 2, 6, 7, 80, 128, 1, 1, 2, 3, 4]),
    ];
    for (value, bytes) in cases {
        assert_eq!(encoded(&value), bytes);
        assert_eq!(decoded(bytes), Some(value));
    }
}

#[test]
fn codecs_and_lengths_that_cannot_be_are_no_values() {
    for value in [RunValue::Journal(JOURNAL), RunValue::Filed(FILED)] {
        let bytes = encoded(&value);
        for codec in [0, 3, 255] {
            let mut bent = bytes.clone();
            bent[1] = codec;
            assert_eq!(decoded(&bent), None, "codec {codec}");
        }
    }
    let bends: [fn(&mut FilePointer); 4] = [
        |pointer| pointer.stored_len = 128,
        |pointer| pointer.stored_len = 0,
        |pointer| pointer.len = 64,
        |pointer| pointer.len = 1024 * 1024 + 1,
    ];
    for bend in bends {
        let mut pointer = FILED;
        pointer.stored_len = pointer.stored_len.min(60);
        bend(&mut pointer);
        assert_eq!(decoded(&encoded(&RunValue::Filed(pointer))), None, "{pointer:?}");
        let joined = Joined::from_pieces(vec![Piece::Filed(pointer)], 1).unwrap();
        assert_eq!(decoded(&encoded(&RunValue::Joined(joined.into()))), None);
    }
}

/// An older program refuses a run with such rows by the footer's features, and reads all others.
#[test]
fn only_a_run_with_packed_values_says_so() {
    let features = |value: RunValue| {
        let (bytes, summary) = bytes_of(&[((b"\0key".to_vec(), Reverse(Version(1))), value)].into());
        let features = (bytes[12], bytes[bytes.len() - FOOTER_LEN + 12]);
        assert_eq!(open(bytes).unwrap().summary(), &summary);
        features
    };
    let joined = |piece| {
        let pieces = vec![Piece::Memory(Bytes::from_static(b"more")), piece];
        RunValue::Joined(Joined::from_pieces(pieces, 1).unwrap().into())
    };
    assert_eq!(features(inline(b"plain".to_vec())), (0, 0));
    for packed in [
        RunValue::Journal(JOURNAL),
        RunValue::Filed(FILED),
        joined(Piece::Journal(JOURNAL)),
        joined(Piece::Filed(FILED)),
    ] {
        assert_eq!(features(packed), (0, 4));
    }
}

/// The same of history: only of users' rows, and with packed values beside.
#[test]
fn only_a_run_with_history_says_so() {
    let features = |key: &[u8], versions: &[u64], value: RunValue| {
        let rows = versions
            .iter()
            .map(|version| ((key.to_vec(), Reverse(Version(*version))), value.clone()));
        let (bytes, summary) = bytes_of(&rows.collect());
        let features = (bytes[12], bytes[bytes.len() - FOOTER_LEN + 12]);
        let opened = open(bytes).unwrap();
        assert_eq!(opened.summary(), &summary);
        (features, summary.replaced, summary.replaced_until)
    };
    let plain = || inline(b"plain".to_vec());
    assert_eq!(features(b"\0key", &[7], plain()), ((0, 0), 0, Version(0)));
    assert_eq!(features(b"\0key", &[9, 7, 3], plain()), ((0, 8), 2, Version(9)));
    assert_eq!(
        features(b"\0key", &[9, 7], RunValue::Filed(FILED)),
        ((0, 12), 1, Version(9))
    );
    assert_eq!(features(b"\x01key", &[9, 7], plain()), ((0, 0), 0, Version(0)));
}

#[test]
fn what_is_pointed_at_counts_as_it_is_stored() {
    let mut rows = Rows::new();
    rows.insert((b"\0a".to_vec(), Reverse(Version(1))), RunValue::Journal(JOURNAL));
    rows.insert((b"\0b".to_vec(), Reverse(Version(1))), RunValue::Filed(FILED));
    let (_, summary) = bytes_of(&rows);
    assert_eq!(
        (summary.journal_bytes, summary.file_bytes),
        (vec![(5, 90)], vec![(6, 80)])
    );
}
