//! One planted violation of each kind on registers, and histories in order that look suspicious.

use atoll_history::check::{self, Budget};
use atoll_history::{Call, Expected, Outcome, Verdict};

use crate::naive::Kind;
use crate::script::{ABSENT, Op, cas, conflict, history, op, put, saw, written};

const GET: Call = Call::GET;

fn first() -> Op {
    op(1, 2, put("1"), written(10))
}

/// What the checkers with and without a search say.
fn judge(operations: &[Op]) -> (Kind, Kind) {
    let history = history(operations);
    let searched = check::linearizable(&history, Budget::default());
    (Kind::from(&searched), Kind::from(&check::versions(&history)))
}

#[track_caller]
fn both_see(operations: &[Op]) {
    assert_eq!(
        judge(operations),
        (Kind::Violation, Kind::Violation),
        "{operations:?}"
    );
}

#[track_caller]
fn both_pass(operations: &[Op]) {
    assert_eq!(judge(operations), (Kind::Ok, Kind::Ok), "{operations:?}");
}

/// Values alone are in order; only who believes in versions objects.
#[track_caller]
fn only_versions_see(operations: &[Op]) {
    assert_eq!(judge(operations), (Kind::Ok, Kind::Violation), "{operations:?}");
}

#[test]
fn lost_write() {
    both_see(&[first(), op(3, 4, GET, ABSENT)]);
}

#[test]
fn stale_read() {
    both_see(&[
        first(),
        op(3, 4, put("2"), written(11)),
        op(5, 6, GET, saw(10, "1")),
    ]);
}

#[test]
fn back_in_time() {
    both_see(&[
        first(),
        op(3, 20, put("2"), written(11)),
        op(4, 5, GET, saw(11, "2")),
        op(6, 7, GET, saw(10, "1")),
    ]);
}

#[test]
fn version_too_low() {
    only_versions_see(&[first(), op(3, 4, put("2"), written(9))]);
}

#[test]
fn version_order_against_the_order_of_values() {
    only_versions_see(&[
        op(1, 9, put("1"), written(11)),
        op(2, 8, put("2"), written(10)),
        op(3, 4, GET, saw(11, "1")),
        op(10, 11, GET, saw(10, "2")),
    ]);
}

#[test]
fn applied_twice() {
    both_see(&[first(), op(3, 4, GET, saw(10, "1")), op(5, 6, GET, saw(12, "1"))]);
}

#[test]
fn applied_again_later() {
    both_see(&[
        op(1, 2, put("1"), Outcome::Unknown),
        op(3, 4, GET, saw(10, "1")),
        op(5, 6, put("2"), written(11)),
        op(7, 8, GET, saw(12, "1")),
    ]);
}

#[test]
fn one_version_for_two() {
    both_see(&[first(), op(3, 4, put("2"), written(10))]);
}

#[test]
fn value_from_nowhere() {
    both_see(&[first(), op(3, 4, GET, saw(11, "7"))]);
}

#[test]
fn from_the_future() {
    both_see(&[op(1, 2, GET, saw(10, "1")), op(3, 4, put("1"), written(10))]);
}

#[test]
fn promised_not_to_happen() {
    both_see(&[op(1, 2, put("1"), Outcome::Failed), op(3, 4, GET, saw(10, "1"))]);
}

#[test]
fn conflict_that_wrote() {
    both_see(&[
        first(),
        op(3, 4, cas(9, "2"), conflict(10)),
        op(5, 6, GET, saw(11, "2")),
    ]);
}

#[test]
fn lost_update() {
    both_see(&[
        first(),
        op(3, 4, put("3"), written(11)),
        op(5, 6, cas(10, "2"), written(12)),
    ]);
}

#[test]
fn overlooked_write_by_version() {
    only_versions_see(&[
        first(),
        op(3, 9, cas(10, "2"), written(12)),
        op(4, 8, put("3"), written(11)),
    ]);
}

#[test]
fn two_from_one_version() {
    both_see(&[
        first(),
        op(3, 8, cas(10, "2"), written(11)),
        op(4, 9, cas(10, "3"), written(12)),
    ]);
}

#[test]
fn unknown_but_overlooked_a_write() {
    both_see(&[
        first(),
        op(3, 4, put("2"), written(11)),
        op(5, 6, cas(10, "3"), Outcome::Unknown),
        op(7, 8, GET, saw(12, "3")),
    ]);
}

#[test]
fn refused_without_a_reason() {
    both_see(&[first(), op(3, 4, cas(10, "2"), conflict(10))]);
    both_see(&[op(1, 2, cas(0, "2"), conflict(0))]);
}

#[test]
fn condition_on_no_version() {
    both_see(&[first(), op(3, 4, cas(11, "2"), written(12))]);
}

#[test]
fn conflict_with_no_version() {
    both_see(&[first(), op(3, 4, cas(9, "2"), conflict(11))]);
}

#[test]
fn conflict_with_a_version_before_its_write() {
    both_see(&[
        op(1, 2, cas(9, "2"), conflict(10)),
        op(3, 4, put("1"), written(10)),
    ]);
}

#[test]
fn two_versions_but_one_write_that_can_be_theirs() {
    both_see(&[
        op(1, 2, put("1"), Outcome::Unknown),
        op(3, 4, cas(9, "2"), conflict(10)),
        op(5, 6, cas(9, "3"), conflict(11)),
    ]);
}

#[test]
fn created_twice() {
    both_see(&[
        op(1, 2, cas(0, "1"), written(10)),
        op(3, 4, cas(0, "2"), written(11)),
    ]);
}

#[test]
fn undead() {
    both_see(&[
        first(),
        op(3, 4, Call::Delete, written(11)),
        op(5, 6, GET, saw(10, "1")),
    ]);
}

#[test]
fn version_of_a_removal_as_if_it_were_a_value() {
    both_see(&[
        first(),
        op(3, 4, Call::Delete, written(11)),
        op(5, 6, cas(11, "2"), written(12)),
    ]);
}

#[test]
fn absent_though_only_a_later_removal_could_explain_it() {
    both_see(&[
        first(),
        op(3, 4, GET, ABSENT),
        op(5, 6, Call::Delete, written(11)),
    ]);
}

#[test]
fn the_expected_value_was_another() {
    let call = Call::Cas {
        expected: Expected {
            version: 10,
            value: Some("7".to_owned()),
        },
        value: Some("2".to_owned()),
    };
    let history = history(&[first(), op(3, 4, call, written(11))]);
    let verdict = check::linearizable(&history, Budget::default());
    assert_eq!(verdict.exit_code(), 1, "{verdict}");
}

#[test]
fn suspicious_but_in_order() {
    // Reads beside a write see it or not, but not back and forth.
    both_pass(&[
        op(1, 9, put("1"), written(10)),
        op(2, 3, GET, ABSENT),
        op(4, 5, GET, saw(10, "1")),
    ]);
    // A write of unknown outcome happens late, or never.
    both_pass(&[
        op(1, 2, put("1"), Outcome::Unknown),
        op(3, 4, GET, ABSENT),
        op(5, 6, GET, saw(10, "1")),
    ]);
    both_pass(&[
        op(1, 2, put("1"), Outcome::Unknown),
        op(3, 4, put("2"), written(10)),
        op(5, 6, GET, saw(10, "2")),
    ]);
    both_pass(&[op(1, 2, put("1"), Outcome::Failed), op(3, 4, GET, ABSENT)]);
    // Nobody read the unknown write, but a conflict shows it.
    both_pass(&[
        op(1, 2, put("1"), Outcome::Unknown),
        op(3, 4, cas(0, "2"), conflict(10)),
        op(5, 6, cas(10, "3"), written(11)),
    ]);
    // Nobody was told of the removal, but the key is gone.
    both_pass(&[
        first(),
        op(3, 4, Call::Delete, Outcome::Unknown),
        op(5, 6, GET, ABSENT),
        op(7, 8, cas(0, "2"), written(12)),
    ]);
}

#[test]
fn the_explanation_names_what_does_not_fit_and_what_was_before() {
    let history = history(&[
        first(),
        op(3, 4, put("2"), written(11)),
        op(5, 6, GET, saw(10, "1")),
    ]);
    let Verdict::Violation(found) = check::linearizable(&history, Budget::default()) else {
        panic!("a stale read passed");
    };
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].key.as_str(), found[0].operation), ("k", Some(5)));
    assert_eq!(found[0].prefix, [1, 3]);
    assert!(
        found[0].message.contains("of 3 operations 2 can be placed"),
        "{}",
        found[0].message
    );
}
