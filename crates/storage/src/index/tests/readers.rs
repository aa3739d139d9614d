//! What readers are given: whole entries, their own values, and nothing of ranges that are none.

use std::collections::BTreeMap;

use super::*;

const KEYS: u64 = 300;

/// Every key is of the same entry; returns which.
fn check_whole_entry(index: &GroupIndex, reverse: bool) -> u64 {
    let view = index.view();
    let entry = view.applied_index();
    let rows = view.scan(&[], &[], reverse, usize::MAX).unwrap();
    assert_eq!(rows.len() as u64, KEYS);
    for (key, version, value) in rows {
        assert_eq!(version.0 / 1000, entry);
        let bytes = value.inline_checked(key.as_bytes()).unwrap().unwrap();
        assert_eq!(bytes[..], entry.to_le_bytes());
    }
    entry
}

#[test]
fn readers_on_other_threads_never_see_half_an_entry() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let key = |number: u64| number.to_be_bytes();
    let mut apply = |entry: u64| {
        writer.begin(KEYS as usize);
        for number in 0..KEYS {
            let version = Version(entry * 1000 + number);
            let bytes = entry.to_le_bytes();
            let value = InlineValue::new(&bytes, value_crc(&key(number), &bytes)).unwrap();
            writer.put(&key(number), version, ValueRef::Inline(value));
        }
        writer.publish(Version(entry * 1000 + KEYS), entry);
    };
    apply(1);
    std::thread::scope(|threads| {
        for reverse in [false, true] {
            let index = index.clone();
            threads.spawn(move || while check_whole_entry(&index, reverse) < 200 {});
        }
        (2..=200).for_each(&mut apply);
    });
}

#[test]
fn an_inline_value_of_another_key_is_not_taken_for_this_ones() {
    let value = ValueRef::Inline(InlineValue::new(b"v", value_crc(b"a", b"v")).unwrap());
    assert_eq!(
        value.inline_checked(b"a"),
        Some(Ok(bytes::Bytes::from_static(b"v")))
    );
    assert_eq!(value.inline_checked(b"b"), Some(Err(Mismatch)));
    assert_eq!(value_of(b"k", Version(1), 65).inline_checked(b"k"), None);
    assert_eq!(InlineValue::new(&[0; 65], 0), None);
}

#[test]
fn a_range_turned_around_is_empty() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    writer.put(b"m", Version(1), value_of(b"m", Version(1), 3));
    writer.publish(Version(1), 1);
    for (start, end) in [(&b"z"[..], &b"a"[..]), (b"m", b"m"), (b"n", b"m")] {
        assert!(index.view().scan(start, end, false, 10).unwrap().is_empty());
        assert!(index.view().scan(start, end, true, 10).unwrap().is_empty());
        assert_eq!(writer.newest_in(start, end), None);
    }
    assert_eq!(index.view().scan(b"m", b"", false, 0).unwrap(), []);
}

/// After a restart or an installed snapshot the rows of old versions may be there, and nobody has said yet up to where all are.
#[test]
fn whether_an_earlier_version_is_kept_is_not_known_before_it_was_said() {
    let (last, earlier, gone) = (Version(9), Version(5), Version(2));
    let below = Below::new(vec![], BTreeMap::new(), Version(3));
    let index = GroupIndex::restored(last, 7, below, &NodeRows::default());
    let at = |version| index.view().at_version(version).map(|view| view.version());
    assert_eq!(at(last), Ok(last));
    assert_eq!(at(earlier), Err(NotKept::Unsaid));
    let oldest = Version(3);
    assert_eq!(at(gone), Err(NotKept::Compacted { oldest }), "that is certain");
    let newest = last;
    assert_eq!(at(Version(10)), Err(NotKept::Ahead { newest }));
    index.writer().keep_history(Some(Version(4)));
    assert_eq!(at(earlier), Ok(last));
    index.writer().keep_history(None);
    let oldest = last;
    assert_eq!(at(earlier), Err(NotKept::Compacted { oldest }));
}
