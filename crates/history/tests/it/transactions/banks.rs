//! Transfers between accounts of one bank.

use super::*;

const BANK: Bank<'_> = Bank {
    prefix: "bank",
    accounts: 2,
    total: 100,
};

/// A bank is opened and 10 are moved; then somebody reads.
fn bank_with(read: Outcome) -> History {
    let mut script = Script::default();
    let opened = Outcome::Done {
        version: Some(5),
        found: vec![Found::Nothing; 2],
    };
    script.one(1, "bank 1", &transfer([0, 0], ["50/a", "50/b"]), opened);
    let moved = Outcome::Done {
        version: Some(6),
        found: vec![Found::Nothing; 2],
    };
    script.one(1, "bank 1", &transfer([5, 5], ["40/c", "60/d"]), moved);
    script.one(2, "bank 1", &read_accounts(2), read);
    script.history
}

#[test]
fn half_a_transfer_is_found() {
    let half = bank_with(balances(&[Some(seen("40/c", 6)), Some(seen("50/b", 5))]));
    assert!(found(&bank(&half, BANK))[0].contains("90 together"));
    let missing = bank_with(balances(&[None, Some(seen("60/d", 6))]));
    assert!(found(&bank(&missing, BANK))[0].contains("1 of 2"));
    let whole = bank_with(balances(&[Some(seen("40/c", 6)), Some(seen("60/d", 6))]));
    assert!(found(&bank(&whole, BANK)).is_empty());
}

#[test]
fn a_transfer_that_was_lost_whole_is_found_in_its_parts() {
    let lost = bank_with(balances(&[Some(seen("50/a", 5)), Some(seen("50/b", 5))]));
    assert!(found(&bank(&lost, BANK)).is_empty(), "the sum is right");
    let parts = Parts::new(&lost).unwrap();
    for verdict in [
        linearizable(parts.history(), check_budget()),
        versions(parts.history()),
    ] {
        let Verdict::Violation(found) = parts.of_whole(verdict) else {
            panic!("a stale read of two accounts");
        };
        // The read, in the whole's own numbers.
        assert!(found.iter().any(|one| one.operation == Some(50)), "{found:?}");
    }
}

#[test]
fn a_refused_transaction_did_nothing_and_says_why() {
    let mut script = Script::default();
    let opened = Outcome::Done {
        version: Some(5),
        found: vec![Found::Nothing; 2],
    };
    script.one(1, "bank 1", &transfer([0, 0], ["50/a", "50/b"]), opened);
    script.one(
        2,
        "bank 1",
        &transfer([5, 4], ["40/c", "60/d"]),
        Outcome::Refused { step: 1, actual: 5 },
    );
    script.one(
        2,
        "bank 1",
        &read_accounts(2),
        balances(&[Some(seen("50/a", 5)), Some(seen("50/b", 5))]),
    );
    let parts = Parts::new(&script.history).unwrap();
    let operations: Vec<&Outcome> = parts
        .history()
        .operations()
        .iter()
        .map(|one| &one.outcome)
        .collect();
    assert_eq!(
        operations[2..4],
        [&Outcome::Failed, &Outcome::Conflict { actual: 5 }]
    );
    assert!(found(&linearizable(parts.history(), check_budget())).is_empty());
    assert!(found(&versions(parts.history())).is_empty());
}
