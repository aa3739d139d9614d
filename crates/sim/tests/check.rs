//! Proof that the judge of histories sees what it looks for.

use atoll_sim::check::check;
use atoll_sim::history::{Call, Operation, Outcome};

/// A history of operations on one key; each takes from its first to its second time.
fn history(operations: &[(u64, u64, Call, Outcome)]) -> Vec<Operation> {
    let operation = |&(invoked, completed, call, outcome)| {
        let (who, key) = ("somebody".to_owned(), "k".to_owned());
        Operation {
            who,
            key,
            call,
            invoked,
            completed,
            outcome,
        }
    };
    operations.iter().map(operation).collect()
}

const fn put(value: u64) -> Call {
    Call::Put { value }
}

const fn cas(expected: u64, value: u64) -> Call {
    Call::Cas { expected, value }
}

const fn saw(version: u64, value: u64) -> Outcome {
    Outcome::Read { version, value }
}

#[test]
fn histories_in_order_pass() {
    use Call::Get;
    use Outcome::{Conflict, Nothing, Unknown, Written};
    let good = [
        history(&[
            (1, 2, Get, saw(0, 0)),
            (3, 4, put(1), Written(10)),
            (5, 6, Get, saw(10, 1)),
        ]),
        // Reads beside a write see it or not, but not back and forth.
        history(&[
            (1, 9, put(1), Written(10)),
            (2, 3, Get, saw(0, 0)),
            (4, 5, Get, saw(10, 1)),
        ]),
        // A write of unknown outcome happens late, or never.
        history(&[
            (1, 2, put(1), Unknown),
            (3, 4, Get, saw(0, 0)),
            (5, 6, Get, saw(10, 1)),
        ]),
        history(&[
            (1, 2, put(1), Unknown),
            (3, 4, put(2), Written(10)),
            (5, 6, Get, saw(10, 2)),
        ]),
        history(&[(1, 2, put(1), Nothing), (3, 4, Get, saw(0, 0))]),
        history(&[
            (1, 2, cas(0, 1), Written(10)),
            (3, 4, cas(0, 2), Conflict(10)),
            (5, 6, cas(10, 3), Written(11)),
        ]),
        // Nobody read the unknown write, but a conflict shows it.
        history(&[
            (1, 2, put(1), Unknown),
            (3, 4, cas(0, 2), Conflict(10)),
            (5, 6, cas(10, 3), Written(11)),
        ]),
    ];
    for history in good {
        assert_eq!(check(&history), Vec::<String>::new());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of histories")]
fn planted_errors_are_found() {
    use Call::Get;
    use Outcome::{Conflict, Nothing, Unknown, Written};
    let write = (1, 2, put(1), Written(10));
    let bad = [
        ("lost write", history(&[write, (3, 4, Get, saw(0, 0))])),
        (
            "stale read",
            history(&[write, (3, 4, put(2), Written(11)), (5, 6, Get, saw(10, 1))]),
        ),
        (
            "back in time",
            history(&[
                write,
                (3, 20, put(2), Written(11)),
                (4, 5, Get, saw(11, 2)),
                (6, 7, Get, saw(10, 1)),
            ]),
        ),
        ("version too low", history(&[write, (3, 4, put(2), Written(9))])),
        (
            "applied twice",
            history(&[write, (3, 4, Get, saw(10, 1)), (5, 6, Get, saw(12, 1))]),
        ),
        (
            "one version for two",
            history(&[write, (1, 3, put(2), Written(10))]),
        ),
        ("value from nowhere", history(&[write, (3, 4, Get, saw(11, 7))])),
        (
            "from the future",
            history(&[(3, 4, put(1), Written(10)), (1, 2, Get, saw(10, 1))]),
        ),
        (
            "promised not to happen",
            history(&[(1, 2, put(1), Nothing), (3, 4, Get, saw(10, 1))]),
        ),
        (
            "conflict that wrote",
            history(&[write, (3, 4, cas(9, 2), Conflict(10)), (5, 6, Get, saw(11, 2))]),
        ),
        (
            "lost update",
            history(&[
                write,
                (3, 9, cas(10, 2), Written(12)),
                (4, 8, put(3), Written(11)),
            ]),
        ),
        (
            "two from one version",
            history(&[
                write,
                (3, 8, cas(10, 2), Written(11)),
                (4, 9, cas(10, 3), Written(12)),
            ]),
        ),
        (
            "unknown, but overlooked a write",
            history(&[
                write,
                (3, 4, put(2), Written(11)),
                (5, 6, cas(10, 3), Unknown),
                (7, 8, Get, saw(12, 3)),
            ]),
        ),
        (
            "refused without a reason",
            history(&[write, (3, 4, cas(10, 2), Conflict(10))]),
        ),
        (
            "guard of no version",
            history(&[write, (3, 4, cas(11, 2), Written(12))]),
        ),
        (
            "conflict with no version",
            history(&[write, (3, 4, cas(9, 2), Conflict(11))]),
        ),
    ];
    for (what, history) in bad {
        assert!(!check(&history).is_empty(), "{what}: {history:?}");
    }
}
