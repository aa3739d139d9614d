//! Nothing is kept that nobody can see, and what is kept takes as much memory as is said.

use super::*;

#[test]
fn without_views_an_entry_of_one_slice_keeps_nothing_even_for_a_moment() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    for round in 1..=3 {
        writer.begin(50);
        for key in 0..50 {
            let version = Version(round * 100 + u64::from(key));
            writer.put(&[key], version, value_of(&[key], version, 10));
        }
        writer.publish(Version(round * 100 + 60), round);
        assert_eq!(index.layers().active.tree.read().held(), [50, 0, 50, 0, 0]);
    }
}

#[test]
fn a_row_with_a_key_of_24_bytes_takes_about_a_hundred() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let rows: u64 = 100_000;
    let mut rng = fastrand::Rng::with_seed(1);
    for version in 1..=rows {
        let mut key = [0; 24];
        rng.fill(&mut key);
        let pointer = JournalPointer {
            segment: 1,
            offset: 2,
            stored_len: 256,
            len: 256,
            codec: Codec::None,
            vcrc: 3,
        };
        writer.put(&key, Version(version), ValueRef::Journal(pointer));
    }
    writer.publish(Version(rows), 1);
    let each = index.memory_bytes() as u64 / rows;
    assert!((60..=105).contains(&each), "{each}");
}

/// Puts or deletes the keys of a round.
fn commit_round(index: &GroupIndex, writer: &mut IndexWriter, (round, at): (u64, u64), deleting: bool) {
    // Of before the entry, and alive until it is published: what the entry replaces stays.
    let _reader = index.view();
    writer.begin(500);
    for key in (0..500).map(|key| format!("{round}/{key}").into_bytes()) {
        let value = InlineValue::new(b"x", value_crc(&key, b"x")).unwrap();
        if deleting {
            writer.delete(&key, Version(at));
        } else {
            writer.put(&key, Version(at), ValueRef::Inline(value));
        }
    }
    writer.publish(Version(at), at);
}

#[test]
fn deletions_beside_a_reader_do_not_gather_for_ever() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let mut most = 0;
    for round in 0..100 {
        commit_round(&index, &mut writer, (round, 2 * round + 1), false);
        commit_round(&index, &mut writer, (round, 2 * round + 2), true);
        most = most.max(index.layers().active.tree.read().held()[0]);
    }
    assert!(index.is_empty());
    assert!(most < 5_000, "{most} rows, of which none is alive");
}

#[test]
fn versions_that_no_view_can_see_are_not_kept() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let (key, long) = (b"k", vec![b'x'; 10_000]);
    let pointer = |version| ValueRef::Journal(pointer_to(key, version, long.len()));
    writer.begin(1);
    writer.put(key, Version(1), pointer(Version(1)));
    writer.publish(Version(1), 1);
    let view = index.view();
    writer.begin(1000);
    for version in (2..=1000).map(Version) {
        let old = writer.value_of(key).unwrap();
        let vcrc = version.0 as u32;
        writer.put(key, version, old.with_suffix(Suffix::Memory(b"y"), vcrc));
    }
    let [rows, older, _, joined, _] = index.layers().active.tree.read().held();
    assert_eq!((rows, older, joined), (1, 1, 1), "of the entry only the last one");
    writer.publish(Version(1000), 2);
    assert_eq!(
        view.get(key, true).unwrap(),
        Some((Version(1), pointer(Version(1))))
    );
    assert_eq!(index.view().get(key, true).unwrap().unwrap().0, Version(1000));
    drop(view);
    writer.begin(0);
    writer.publish(Version(1000), 3);
    assert_eq!(index.layers().active.tree.read().held()[1], 0);
}

#[test]
fn packed_values_of_the_journal_are_kept_as_they_are_and_their_places_are_given_back() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let pointer = |number: u64| {
        let plain = JournalPointer {
            segment: u32::MAX,
            offset: number as u32,
            ..pointer_to(b"k", Version(number), 300)
        };
        // Every third one is as it is.
        let packed = plain.packed(Codec::Lz4, VALUE_BYTES_MAX as u32);
        packed.filter(|_| !number.is_multiple_of(3)).unwrap_or(plain)
    };
    let key = |number: u64| number.to_be_bytes();
    for number in 1..=30_u64 {
        writer.put(&key(number), Version(number), ValueRef::Journal(pointer(number)));
    }
    writer.publish(Version(30), 1);
    let view = index.view();
    let kept = |view: &View| {
        for number in 1..=30_u64 {
            let (_, value) = view.get(&key(number), false).unwrap().unwrap();
            assert_eq!(value, ValueRef::Journal(pointer(number)));
            assert_eq!(
                value.len(),
                if number.is_multiple_of(3) {
                    300
                } else {
                    VALUE_BYTES_MAX
                }
            );
        }
    };
    kept(&view);
    let places = || index.layers().active.tree.read().held()[4];
    assert_eq!(places(), 20);
    for number in 1..=30_u64 {
        writer.put(&key(number), Version(30 + number), ValueRef::Journal(pointer(2)));
    }
    writer.publish(Version(60), 2);
    kept(&view);
    assert_eq!(places(), 50, "what the view sees is there");
    drop(view);
    for number in 1..=30_u64 {
        writer.delete(&key(number), Version(60 + number));
    }
    writer.publish(Version(90), 3);
    for entry in 4..10 {
        writer.begin(0);
        writer.publish(Version(90), entry);
    }
    assert_eq!(places(), 0);
}
