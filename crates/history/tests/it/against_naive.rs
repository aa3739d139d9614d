//! Random small histories: every checker must say what its naive definition says.

use atoll_history::check::{self, Budget};
use atoll_history::{History, Operation, Verdict};
use fastrand::Rng;

use crate::generate::{Generator, Shape, percent, small};
use crate::naive::{Kind, linearizable, reads, versions};
use crate::script::history;

const HISTORIES: u64 = 100_000;

/// How often each verdict was right.
#[derive(Debug, Default)]
struct Shares {
    ok: u64,
    violation: u64,
    unknown: u64,
}

impl Shares {
    fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Ok => self.ok += 1,
            Kind::Violation => self.violation += 1,
            Kind::Unknown => self.unknown += 1,
        }
    }

    /// A comparison where one verdict hardly occurs shows little.
    fn assert_mixed(&self) {
        let all = self.ok + self.violation + self.unknown;
        assert!(self.ok * 10 >= all && self.violation * 10 >= all, "{self:?}");
    }
}

fn shape(rng: &mut Rng) -> Shape {
    Shape {
        operations: rng.usize(3..=6),
        processes: rng.usize(1..=4),
        weak_reads: 0,
        unknown: rng.u32(0..50),
        repeat_values: percent(rng, 15),
        hide_versions: percent(rng, 15),
    }
}

fn compare(
    seed: u64,
    shape: fn(&mut Rng) -> Shape,
    check: fn(&History) -> Verdict,
    naive: fn(&[Operation]) -> Kind,
) {
    let mut shares = Shares::default();
    for number in 0..HISTORIES {
        let mut rng = Rng::with_seed(seed << 32 | number);
        let shape = shape(&mut rng);
        let history = history(&small(&mut rng, shape));
        let verdict = check(&history);
        let expected = naive(history.operations());
        assert_eq!(
            Kind::from(&verdict),
            expected,
            "history {number}: {verdict}\n{:#?}",
            history.operations()
        );
        shares.note(expected);
    }
    shares.assert_mixed();
}

#[test]
fn linearizability_is_what_brute_force_says() {
    compare(
        1,
        shape,
        |history| check::linearizable(history, Budget::default()),
        |all| {
            if linearizable::is_linearizable(all) {
                Kind::Ok
            } else {
                Kind::Violation
            }
        },
    );
}

#[test]
fn pruning_misses_nothing_where_most_answers_are_lost() {
    let shape = |rng: &mut Rng| Shape {
        operations: rng.usize(4..=7),
        processes: rng.usize(3..=5),
        unknown: 70,
        ..shape(rng)
    };
    compare(
        2,
        shape,
        |history| check::linearizable(history, Budget::default()),
        |all| {
            if linearizable::is_linearizable(all) {
                Kind::Ok
            } else {
                Kind::Violation
            }
        },
    );
}

/// Histories whose answers have their versions, mostly, and reads of all levels.
fn versioned(rng: &mut Rng) -> Shape {
    Shape {
        operations: rng.usize(3..=8),
        weak_reads: 30,
        unknown: rng.u32(0..40),
        repeat_values: percent(rng, 2),
        hide_versions: percent(rng, 2),
        ..shape(rng)
    }
}

#[test]
fn version_order_is_what_all_pairs_say() {
    compare(3, versioned, check::versions, versions::judge);
}

#[test]
fn session_guarantees_are_what_all_pairs_say() {
    let shape = |rng: &mut Rng| Shape {
        processes: rng.usize(1..=2),
        weak_reads: 60,
        ..versioned(rng)
    };
    compare(4, shape, check::sessions, reads::judge_sessions);
}

#[test]
fn staleness_is_what_all_pairs_say() {
    let shape = |rng: &mut Rng| Shape {
        operations: rng.usize(6..=9),
        processes: rng.usize(1..=2),
        weak_reads: 90,
        unknown: rng.u32(0..20),
        ..versioned(rng)
    };
    compare(5, shape, check::staleness, reads::judge_staleness);
}

#[test]
fn what_a_correct_database_does_is_never_a_violation() {
    for number in 0..20_000 {
        let mut rng = Rng::with_seed(6 << 32 | number);
        let shape = Shape {
            operations: 40,
            processes: 6,
            repeat_values: false,
            hide_versions: false,
            ..shape(&mut rng)
        };
        let history = history(&Generator::new(&mut rng, shape).correct());
        let verdicts = [
            check::linearizable(&history, Budget::default()),
            check::versions(&history),
            check::sessions(&history),
        ];
        assert!(
            verdicts.iter().all(Verdict::is_ok),
            "history {number}: {verdicts:?}\n{:#?}",
            history.operations()
        );
    }
}
