//! Operations whose result depends on what is stored.

use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Misfit, Version};
use bytes::Bytes;

use super::support::*;
use crate::{EntryHeader, Op, encode_entry};

#[test]
fn numbers_are_counted_from_nothing_and_stored_as_text() {
    let mut rig = Rig::new();
    let mut one = |op| number(rig.one(write([op])));
    assert_eq!([5, -7, 0].map(|by| one(increment("n", by))), [5, -2, -2]);
    assert_eq!([3, 9, -4].map(|n| one(min("least", n))), [3, 3, -4]);
    assert_eq!([3, 9, -4].map(|n| one(max("most", n))), [3, 9, 9]);
    assert_eq!(
        ["n", "least", "most"].map(|key| rig.value(key).unwrap()),
        [&b"-2"[..], b"-4", b"9"]
    );
    assert_eq!(rig.state.wrong_sums, 0);
}

#[test]
fn what_is_no_number_stays_what_it_is() {
    let mut rig = Rig::new();
    for text in ["", "007", "+1", " 1", "1.5", "nine", "9223372036854775808"] {
        rig.one(write([put("n", text)]));
        let before = (rig.machine.last_version(), rig.state.clone());
        for op in [increment("n", 0), min("n", 1), max("n", 1)] {
            assert_eq!(rig.one(write([op])), misfit(0, Misfit::NotANumber), "{text:?}");
        }
        assert_eq!((rig.machine.last_version(), rig.state.clone()), before);
    }
}

#[test]
fn sums_that_do_not_fit_are_not_made() {
    let mut rig = Rig::new();
    for (edge, by) in [(i64::MAX, 1), (i64::MIN, -1)] {
        assert_eq!(
            number(rig.one(write([put("x", "x"), increment("n", edge)]))),
            edge
        );
        assert_eq!(rig.one(write([increment("n", by)])), misfit(0, Misfit::Overflow));
        assert_eq!(number(rig.one(write([increment("n", -by)]))), edge - by);
        rig.one(write([delete("n")]));
    }
}

#[test]
fn appended_bytes_come_behind_and_may_make_a_number() {
    let mut rig = Rig::new();
    let lengths = ["4", "", "2"].map(|suffix| number(rig.one(write([append("n", suffix)]))));
    assert_eq!((lengths, rig.value("n")), ([1, 1, 2], Some(&b"42"[..])));
    assert_eq!(number(rig.one(write([increment("n", 1)]))), 43);
    assert_eq!(number(rig.one(write([append("n", "!")]))), 3);
    assert_eq!(rig.one(write([increment("n", 1)])), misfit(0, Misfit::NotANumber));
    assert_eq!(number(rig.one(write([append("none", "")]))), 0);
    assert_eq!(
        rig.value("none"),
        Some(&b""[..]),
        "a key that was appended to exists"
    );
    assert_eq!(rig.state.wrong_sums, 0);
}

#[test]
fn a_value_grows_to_its_bound_and_not_beyond() {
    let longest = i64::try_from(VALUE_BYTES_MAX).unwrap();
    let mut rig = Rig::new();
    let value = Bytes::from(vec![b'x'; VALUE_BYTES_MAX - 2]);
    rig.one(write([Op::Put {
        key: bytes("k"),
        value,
    }]));
    assert_eq!(rig.one(write([append("k", "abc")])), misfit(0, Misfit::TooLong));
    assert_eq!(number(rig.one(write([append("k", "ab")]))), longest);
    assert_eq!(rig.one(write([append("k", "c")])), misfit(0, Misfit::TooLong));
    assert_eq!(number(rig.one(write([append("k", "")]))), longest);
}

#[test]
fn a_range_is_removed_from_its_start_up_to_its_limit() {
    let mut rig = Rig::new();
    let keys: Vec<Op> = (0..6).map(|n| put(&format!("a{n}"), "v")).collect();
    rig.one(write(keys));
    let left = |rig: &Rig| rig.state.rows.keys().map(|key| key[1]).collect::<Vec<_>>();
    assert_eq!(number(rig.one(write([delete_range("a1", "a5", 2)]))), 2);
    assert_eq!(left(&rig), b"0345");
    // An earlier command of the entry put one in, another took one out.
    let outcomes = rig.entry(
        0,
        0,
        &[
            write([put("a1", "v"), delete("a3")]),
            write([delete_range("a1", "a5", 9)]),
        ],
    );
    assert_eq!(number(outcomes[1]), 2);
    assert_eq!(left(&rig), b"05");
    assert_eq!(number(rig.one(write([delete_range("a1", "a5", 9)]))), 0);
}

#[test]
fn one_misfit_leaves_everything_of_its_command_undone() {
    let mut rig = Rig::new();
    rig.one(write([put("n", "5"), put("word", "five"), put("r1", "v")]));
    let before = (rig.machine.last_version(), rig.state.clone());
    let ops = [
        put("p", "v"),
        increment("n", 1),
        append("a", "x"),
        delete_range("r", "s", 9),
        increment("word", 1),
        delete("n2"),
    ];
    let outcomes = rig.entry(0, 0, &[write(ops.clone()), write([increment("n", 10)])]);
    assert_eq!(outcomes[0], misfit(4, Misfit::NotANumber));
    assert_eq!(
        number(outcomes[1]),
        15,
        "the next command of the entry is on its own"
    );
    assert_eq!(
        outcomes[1].version(),
        Some(before.0.next()),
        "a misfit takes no version"
    );
    rig.one(write([put("n", "5")]));
    let values = |state: &crate::testing::MapState| -> Vec<_> {
        let rows = state.rows.iter();
        rows.map(|(key, (_, value))| (key.clone(), value.clone()))
            .collect()
    };
    assert_eq!(values(&rig.state), values(&before.1));

    rig.one(write([put("word", "-1")]));
    let done = version(rig.one(write(ops)));
    assert!(rig.state.rows.values().any(|(version, _)| *version == done));
    let after: Vec<_> = values(&rig.state);
    let expected = [("a", "x"), ("n", "6"), ("p", "v"), ("word", "0")];
    assert_eq!(after, expected.map(|(key, value)| (key.into(), value.into())));
}

#[test]
fn a_number_is_told_if_one_operation_computes() {
    let mut rig = Rig::new();
    assert_eq!(
        number(rig.one(write([put("a", "1"), increment("n", 2), delete("b")]))),
        2
    );
    version(rig.one(write([increment("n", 2), increment("m", 2)])));
    version(rig.one(write([increment("n", 2), delete_range("x", "y", 1)])));
    version(rig.one(write([put("a", "1")])));
    let failed = rig.one(guarded([on_key("a", Version(1))], write([increment("n", 2)])));
    assert_eq!(failed.version(), None);
    assert_eq!(rig.value("n"), Some(&b"6"[..]));
}

#[test]
fn a_repeat_counts_once_and_is_told_the_same() {
    let mut rig = Rig::new();
    rig.open(1);
    let count = || in_session(1, 1, 0, write([increment("n", 5)]));
    let first = rig.one(count());
    assert_eq!(number(first), 5);
    assert_eq!(rig.entry(0, 0, &[count(), count()]), [first, first]);
    assert_eq!(rig.value("n"), Some(&b"5"[..]));

    rig.one(write([put("word", "five")]));
    let wrong = || in_session(1, 2, 0, write([append("n", "0"), increment("word", 1)]));
    let first = rig.one(wrong());
    assert_eq!(first, misfit(1, Misfit::NotANumber));
    // It would fit now, but the client may have acted on what it was told.
    rig.one(write([put("word", "5")]));
    assert_eq!(rig.one(wrong()), first);
    assert_eq!(rig.value("n"), Some(&b"5"[..]));
}

#[test]
fn a_number_that_is_good_enough_keeps_its_version() {
    let mut rig = Rig::new();
    let first = rig.one(write([min("n", 3)])).version();
    let kept = rig.one(write([min("n", 3)]));
    assert_eq!(number(kept), 3);
    assert_eq!(Some(rig.state.rows[&b"n"[..]].0), first);
    let lower = rig.one(write([min("n", 2)])).version();
    assert_eq!(Some(rig.state.rows[&b"n"[..]].0), lower);
}

#[test]
fn the_fingerprint_tells_what_was_computed() {
    let hash = |before: &str, op: Op| {
        let mut rig = Rig::new();
        // Not by the machine, whose fingerprint would tell already.
        let row = (Version(1), before.as_bytes().to_vec());
        rig.state.rows.insert(b"k".to_vec(), row);
        let payload = encode_entry(EntryHeader::default(), &[write([op, increment("other", 1)])]);
        rig.machine.apply(&payload, &mut rig.state, None).unwrap();
        rig.machine.state_hash()
    };
    for op in [
        increment("k", 1),
        append("k", "1"),
        min("k", 1),
        max("k", 3),
        delete_range("k", "l", 1),
    ] {
        let same = hash("2", op.clone());
        assert_eq!(hash("2", op.clone()), same);
        if let Op::DeleteRange { .. } = op {
            assert_ne!(hash("2", delete_range("l", "m", 1)), same);
        } else {
            assert_ne!(hash("nine", op.clone()), same, "{op:?}");
        }
    }
    assert_ne!(hash("2", append("k", "1")), hash("3", append("k", "1")));
    assert_ne!(hash("2", increment("k", 1)), hash("3", increment("k", 1)));
}
