//! Scans, counters, and versions over several keys.

use super::*;

fn scanned(reverse: bool, outcome: Outcome) -> History {
    let mut script = Script::default();
    for (key, version) in [("a", 1), ("b", 2)] {
        let call = Call::Put {
            value: key.to_uppercase(),
        };
        script.one(
            1,
            key,
            &call,
            Outcome::Written {
                version: Some(version),
            },
        );
    }
    script.one(2, "range", &scan(reverse), outcome);
    script.history
}

#[test]
fn scans_are_in_order_without_doubles_and_strangers() {
    let (a, b) = (("a", "A", 1), ("b", "B", 2));
    assert!(found(&scans(&scanned(false, rows(&[a, b])))).is_empty());
    assert!(found(&scans(&scanned(true, rows(&[b, a])))).is_empty());
    assert!(found(&scans(&scanned(true, rows(&[a, b]))))[0].contains("after"));
    assert!(found(&scans(&scanned(false, rows(&[a, a]))))[0].contains("twice"));
    assert!(found(&scans(&scanned(false, rows(&[a, ("d", "D", 1)]))))[0].contains("nobody wrote"));
}

#[test]
fn a_row_that_never_was_and_a_row_that_is_missing_are_found_in_the_parts() {
    let (a, b) = (("a", "A", 1), ("b", "B", 2));
    let judge = |outcome| {
        let history = scanned(false, outcome);
        let parts = Parts::new(&history).unwrap();
        found(&parts.of_whole(linearizable(parts.history(), check_budget())))
    };
    assert!(judge(rows(&[a, b])).is_empty());
    assert_eq!(judge(rows(&[a])).len(), 1, "b was acknowledged");
    assert_eq!(
        judge(rows(&[a, b, ("c", "C", 3)])).len(),
        1,
        "c was never written"
    );
}

#[test]
fn two_increments_with_one_number_are_found_and_so_is_a_number_out_of_bounds() {
    let counted = |numbers: &[i64]| {
        let mut script = Script::default();
        let call = Call::CounterAdd { amount: 1 };
        for process in 0..numbers.len() {
            script.begin(process as u32, "n", &call);
        }
        for (process, number) in (0..).zip(numbers) {
            script.end(process, "n", &call, Outcome::Added(*number));
        }
        found(&counter(&script.history))
    };
    assert!(counted(&[2, 1, 3]).is_empty());
    assert!(counted(&[2, 2, 3])[0].contains("one sum"));
    assert!(counted(&[1, 4])[0].contains("between 1 and 2"));
    // One after the other: the second has the first.
    let mut script = Script::default();
    for number in [1, 1] {
        script.one(1, "n", &Call::CounterAdd { amount: 1 }, Outcome::Added(number));
    }
    assert_eq!(found(&counter(&script.history)).len(), 2);
}

#[test]
fn versions_of_one_client_grow_over_all_keys() {
    let clients = BTreeMap::from([(1, 7), (2, 7), (3, 8)]);
    let judge = |second: u32, version| {
        let mut script = Script::default();
        script.one(
            1,
            "a",
            &Call::Put {
                value: "1".to_owned(),
            },
            Outcome::Written { version: Some(10) },
        );
        script.one(
            second,
            "b",
            &Call::Put {
                value: "2".to_owned(),
            },
            Outcome::Written {
                version: Some(version),
            },
        );
        found(&causality(&script.history, &clients)).len()
    };
    assert_eq!(judge(2, 11), 0);
    assert_eq!(judge(2, 9), 1, "the same client");
    assert_eq!(judge(3, 9), 0, "another client");
    assert_eq!(judge(4, 9), 0, "nobody's client");
}
