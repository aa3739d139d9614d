//! Damage: an error, or the same rows; never others.

use super::*;

/// Rows of every kind in a few blocks, and few bits.
fn small_rows() -> Rows {
    let rng = &mut fastrand::Rng::with_seed(4);
    let mut rows = Rows::new();
    for number in 0..24 {
        let key = format!("\0key/{:02}", number / 2).into_bytes();
        let value = match number % 6 {
            0 => RunValue::Tombstone,
            1 => RunValue::Journal(journal(rng)),
            2 => RunValue::Filed(filed(rng)),
            3 => {
                let pieces = vec![
                    Piece::Memory(Bytes::from_static(b"piece")),
                    Piece::Journal(journal(rng)),
                ];
                RunValue::Joined(Joined::from_pieces(pieces, 1).unwrap().into())
            }
            _ => inline("inline"),
        };
        rows.insert((key, Reverse(Version(number))), value);
    }
    // Too long for a block with others.
    rows.insert(
        (b"\x01system".to_vec(), Reverse(Version(1))),
        inline(vec![3; 8 * 1024]),
    );
    rows
}

/// Everything a run answers: whole or an error.
fn answers(run: Run, rows: &Rows) -> Result<(), ReadError> {
    let run = Arc::new(run);
    let mut first_error = None;
    for (key, Reverse(version)) in rows.keys() {
        match run.get(key, *version, true) {
            Ok(looked) => assert_eq!(looked, expected(rows, key, *version)),
            Err(error) => first_error = Some(error),
        }
    }
    assert_eq!(run.get(b"\0absent", Version(9), true).ok(), Some(Looked::Absent));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut wanted = listed(rows);
        if direction == Direction::Backward {
            wanted.reverse();
        }
        match walk(&mut RunCursor::new(run.clone(), (b"", b""), direction)) {
            Ok(found) => assert!(found == wanted, "a walk without error gives every row"),
            Err(error) => first_error = Some(error),
        }
    }
    first_error.map_or(Ok(()), Err)
}

#[test]
fn every_flipped_bit_is_seen() {
    let rows = small_rows();
    let (bytes, _) = bytes_of(&rows);
    answers(open(bytes.clone()).unwrap(), &rows).unwrap();
    let (mut at_open, mut at_read) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        // Of the header's zeros and the long value's, every bit is like the next: some are enough.
        let byte = bit / 8;
        let dull = byte > 0 && bytes[byte - 1] == bytes[byte] && bytes.get(byte + 1) == Some(&bytes[byte]);
        if dull && bit % 97 != 0 {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[byte] ^= 1 << (bit % 8);
        match open(damaged) {
            Err(RunError::Damaged { .. }) => at_open += 1,
            Err(error) => panic!("bit {bit}: {error}"),
            Ok(run) => match answers(run, &rows) {
                Err(ReadError::Run { run: 5, .. }) => at_read += 1,
                outcome => panic!("bit {bit}: {outcome:?}"),
            },
        }
    }
    assert!(at_open > 1_000 && at_read > 1_000, "{at_open} {at_read}");
}

#[test]
fn a_run_cut_at_any_length_does_not_open() {
    let (bytes, _) = bytes_of(&small_rows());
    for len in 0..bytes.len() {
        assert!(
            matches!(open(bytes[..len].to_vec()), Err(RunError::Damaged { .. })),
            "{len}"
        );
    }
    for more in [1, 4096] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        assert!(open(longer).is_err());
    }
    let twice = [bytes.clone(), bytes].concat();
    assert!(open(twice).is_err(), "the footer is that of another length");
}

#[test]
fn another_run_is_refused_by_name() {
    let (bytes, _) = bytes_of(&small_rows());
    let other_number = RunIdentity {
        number: 6,
        ..IDENTITY
    };
    let mut other_node = IDENTITY;
    other_node.identity.node = NodeId(4);
    let mut other_group = IDENTITY;
    other_group.group.generation = GroupGen(2);
    for expected in [other_number, other_node, other_group] {
        let file = Arc::new(BytesFile(bytes.clone()));
        let error = Run::open(file, expected, BlockCache::new(0).into()).unwrap_err();
        assert!(
            matches!(&error, RunError::Foreign { found } if **found == IDENTITY),
            "{error}"
        );
    }
}

/// Two runs of the same rows: the salt alone tells their blocks apart.
#[test]
fn a_block_of_another_file_is_none() {
    let rows = small_rows();
    let (bytes, _) = bytes_of(&rows);
    let vfs = MemVfs::default();
    let file = vfs.open(Path::new("/other"), OpenMode::CreateNew).unwrap();
    block_on(async {
        let mut writer = RunWriter::create(file, IDENTITY, SALT + 1, 0);
        for ((key, Reverse(version)), value) in &rows {
            writer.add(key, *version, value.into()).await.unwrap();
        }
        writer.finish(COVERS).await.unwrap();
    });
    let other = vfs.read_small(Path::new("/other"), u64::MAX).unwrap();
    let end = open(bytes.clone()).unwrap().index().place(0).unwrap();
    let end = end.offset as usize + end.len as usize;
    let mixed = [&bytes[..4096], &other[4096..end], &bytes[end..]].concat();
    let run = open(mixed).unwrap();
    assert!(matches!(
        run.get(b"\0key/00", Version(9), true),
        Err(ReadError::Run { .. })
    ));
}

/// Blocks of the same length, each sound by itself.
#[test]
fn two_blocks_that_changed_places_are_none() {
    let key = |number: u8| (vec![1, b'0' + number], Reverse(Version(1)));
    let row = |number: u8| (key(number), inline(vec![number; 9_000]));
    let rows: Rows = (0..3).map(row).collect();
    let (bytes, _) = bytes_of(&rows);
    let sound = open(bytes.clone()).unwrap();
    let places = [0, 1].map(|block| sound.index().place(block).unwrap());
    let [first, second] = places.map(|place| {
        let start = place.offset as usize;
        start..start + place.len as usize
    });
    assert_eq!(first.len(), second.len());
    let mut changed = bytes.clone();
    changed[first.clone()].copy_from_slice(&bytes[second.clone()]);
    changed[second].copy_from_slice(&bytes[first]);
    let run = open(changed).unwrap();
    assert!(matches!(
        run.get(b"\x010", Version(1), true),
        Err(ReadError::Run { .. })
    ));
}
