//! Transactions and scans: what is wrong is found, what is right is not, and files bring all of it back.

use std::collections::BTreeMap;

use atoll_history::check::{Bank, append, bank, causality, counter, linearizable, scans, versions};
use atoll_history::{Call, Event, Found, History, Level, Origin, Outcome, Parts, Phase, Seen, Step, Verdict};

const LEVEL: Level = Level::Linearizable;

/// One operation after another, or beside another if its end is given later.
#[derive(Default)]
struct Script {
    history: History,
    index: u64,
}

impl Script {
    fn event(&mut self, process: u32, key: &str, call: &Call, phase: Phase) {
        self.index += 1;
        let event = Event {
            index: 10 * self.index,
            time_ns: self.index,
            process,
            key: key.to_owned(),
            call: call.clone(),
            phase,
            origin: Origin::default(),
            error: None,
        };
        self.history.push(event).unwrap();
    }

    fn begin(&mut self, process: u32, key: &str, call: &Call) {
        self.event(process, key, call, Phase::Invoke);
    }

    fn end(&mut self, process: u32, key: &str, call: &Call, outcome: Outcome) {
        self.event(process, key, call, Phase::Complete(outcome));
    }

    fn one(&mut self, process: u32, key: &str, call: &Call, outcome: Outcome) {
        self.begin(process, key, call);
        self.end(process, key, call, outcome);
    }
}

fn found(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Ok { judged } => {
            assert!(*judged > 0, "nothing was judged");
            Vec::new()
        }
        Verdict::Violation(found) => found.iter().map(|one| one.message.clone()).collect(),
        Verdict::Unknown(open) => panic!("{open:?}"),
    }
}

fn txn(steps: Vec<Step>) -> Call {
    Call::Txn { steps, level: LEVEL }
}

fn appends(pairs: &[(&str, &str)]) -> Call {
    let step = |(key, element): &(&str, &str)| Step::Append {
        key: (*key).to_owned(),
        element: (*element).to_owned(),
    };
    txn(pairs.iter().map(step).collect())
}

fn lists(keys: &[&str]) -> Call {
    let step = |key: &&str| Step::List {
        key: (*key).to_owned(),
    };
    txn(keys.iter().map(step).collect())
}

fn done(steps: usize) -> Outcome {
    Outcome::Done {
        version: None,
        found: vec![Found::Nothing; steps],
    }
}

fn listed(lists: &[&[&str]]) -> Outcome {
    let elements =
        |list: &&[&str]| Found::Elements(list.iter().map(|element| (*element).to_owned()).collect());
    Outcome::Done {
        version: None,
        found: lists.iter().map(elements).collect(),
    }
}

/// Two lists, two appends to both, and what a read of both then found.
fn two_appends_and(reads: &[Outcome]) -> Vec<String> {
    let mut script = Script::default();
    for element in ["1", "2"] {
        let call = appends(&[("x", element), ("y", element)]);
        script.one(1, "g", &call, done(2));
    }
    for read in reads {
        script.one(2, "g", &lists(&["x", "y"]), read.clone());
    }
    found(&append(&script.history))
}

#[test]
fn lists_that_agree_pass() {
    let all: &[&str] = &["1", "2"];
    assert!(two_appends_and(&[listed(&[all, all]), listed(&[all, all])]).is_empty());
}

#[test]
fn appends_lost_doubled_swapped_halved_or_from_nowhere_are_found() {
    let all: &[&str] = &["1", "2"];
    for (read, what) in [
        (listed(&[&["1"], &["1"]]), "no order"),
        (listed(&[all, &["1"]]), "no order"),
        (listed(&[&[], &[]]), "no order"),
        (listed(&[&["2", "1"], &["2", "1"]]), "no order"),
        (listed(&[all, &["1", "2", "2"]]), "twice"),
        (listed(&[all, &["1", "2", "3"]]), "nobody appended"),
    ] {
        let found = two_appends_and(std::slice::from_ref(&read));
        assert_eq!(found.len(), 1, "{read:?}");
        assert!(found[0].contains(what), "{read:?}: {found:?}");
    }
    let both = two_appends_and(&[listed(&[all, all]), listed(&[&["2"], &["2"]])]);
    assert!(both[0].contains("cannot have been"), "{both:?}");
}

#[test]
fn two_reads_beside_each_other_must_agree_on_the_order_of_two_appends() {
    // Nothing of it is ordered by time: one saw only x, the other only y.
    let long_fork = |second: Outcome| {
        let mut script = Script::default();
        let calls = [appends(&[("x", "1")]), appends(&[("y", "2")]), lists(&["x", "y"])];
        for (process, call) in (1..).zip([&calls[0], &calls[1], &calls[2], &calls[2]]) {
            script.begin(process, "g", call);
        }
        let answers = [done(1), done(1), listed(&[&["1"], &[]]), second];
        for ((process, call), answer) in (1..)
            .zip([&calls[0], &calls[1], &calls[2], &calls[2]])
            .zip(answers)
        {
            script.end(process, "g", call, answer);
        }
        found(&append(&script.history))
    };
    assert!(long_fork(listed(&[&["1"], &["2"]])).is_empty());
    let wrong = long_fork(listed(&[&[], &["2"]]));
    assert!(wrong[0].contains("did not see"), "{wrong:?}");
}

#[test]
fn what_failed_is_in_no_list_and_what_is_unknown_may_be() {
    let after = |outcome: Outcome, read: &[&str]| {
        let mut script = Script::default();
        script.one(1, "g", &appends(&[("x", "1")]), outcome);
        script.one(2, "g", &lists(&["x"]), listed(&[read]));
        found(&append(&script.history))
    };
    assert!(after(Outcome::Unknown, &["1"]).is_empty());
    assert!(after(Outcome::Unknown, &[]).is_empty());
    assert!(after(Outcome::Failed, &[]).is_empty());
    assert!(after(Outcome::Failed, &["1"])[0].contains("did not happen"));
}

#[test]
fn a_transaction_sees_its_own_appends() {
    let own = |elements: &[&str]| {
        let mut script = Script::default();
        let (key, element) = ("x".to_owned(), "1".to_owned());
        let call = txn(vec![
            Step::Append {
                key: key.clone(),
                element,
            },
            Step::List { key },
        ]);
        let elements = elements.iter().map(|element| (*element).to_owned()).collect();
        let found = vec![Found::Nothing, Found::Elements(elements)];
        script.one(
            1,
            "g",
            &call,
            Outcome::Done {
                version: Some(1),
                found,
            },
        );
        script.history
    };
    assert!(found(&append(&own(&["1"]))).is_empty());
    assert!(found(&append(&own(&[])))[0].contains("its own"));
}

fn seen(value: &str, version: u64) -> Seen {
    Seen {
        value: value.to_owned(),
        version: Some(version),
    }
}

fn read_accounts(count: usize) -> Call {
    let step = |number| Step::Read {
        key: format!("b/{number}"),
    };
    txn((0..count).map(step).collect())
}

fn transfer(expected: [u64; 2], values: [&str; 2]) -> Call {
    let step = |(number, (expected, value)): (usize, (u64, &str))| Step::Write {
        key: format!("b/{number}"),
        expected: Some(expected),
        value: Some(value.to_owned()),
    };
    txn(expected.into_iter().zip(values).enumerate().map(step).collect())
}

fn balances(values: &[Option<Seen>]) -> Outcome {
    Outcome::Done {
        version: None,
        found: values.iter().cloned().map(Found::Value).collect(),
    }
}

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

fn check_budget() -> atoll_history::check::Budget {
    atoll_history::check::Budget::default()
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

fn scan(reverse: bool) -> Call {
    Call::Scan {
        keys: ["a", "b", "c"].map(ToOwned::to_owned).to_vec(),
        reverse,
        level: LEVEL,
    }
}

fn rows(rows: &[(&str, &str, u64)]) -> Outcome {
    Outcome::Rows(
        rows.iter()
            .map(|(key, value, version)| ((*key).to_owned(), seen(value, *version)))
            .collect(),
    )
}

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

#[test]
fn files_bring_transactions_and_scans_back() {
    let mut script = Script::default();
    let remove = txn(vec![Step::Write {
        key: "k".to_owned(),
        expected: None,
        value: None,
    }]);
    script.one(
        1,
        "g",
        &remove,
        Outcome::Done {
            version: Some(9),
            found: vec![Found::Nothing],
        },
    );
    script.one(
        1,
        "g",
        &transfer([0, 3], ["1/a", "2/b"]),
        Outcome::Refused { step: 1, actual: 0 },
    );
    script.one(1, "g", &read_accounts(2), balances(&[None, Some(seen("x", 3))]));
    script.one(1, "g", &appends(&[("x", "1")]), done(1));
    script.one(1, "g", &lists(&["x", "y"]), listed(&[&["1"], &[]]));
    script.one(1, "g", &scan(true), rows(&[("b", "B", 2)]));
    script.one(1, "g", &Call::CounterAdd { amount: 2 }, Outcome::Added(i64::MAX));
    let mut text = Vec::new();
    script.history.write(&mut text).unwrap();
    assert_eq!(History::read(text.as_slice()).unwrap(), script.history);
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(r#""steps":[{"do":"append","key":"x","value":"1"}]"#),
        "{text}"
    );
    for bad in [
        r#"{"index":"1","time":"1","process":1,"type":"invoke","operation":"txn","key":"g"}"#,
        r#"{"index":"1","time":"1","process":1,"type":"invoke","operation":"txn","key":"g","steps":[{"do":"append","key":"x"}]}"#,
        r#"{"index":"1","time":"1","process":1,"type":"invoke","operation":"txn","key":"g","steps":[{"do":"read","key":"x","expected":"1"}]}"#,
        r#"{"index":"1","time":"1","process":1,"type":"invoke","operation":"get","key":"g","steps":[]}"#,
    ] {
        assert!(History::read(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn answers_that_do_not_fit_a_transaction_are_refused() {
    let call = read_accounts(2);
    for outcome in [
        balances(&[None]),
        done(2),
        Outcome::Written { version: Some(1) },
        Outcome::Refused { step: 0, actual: 1 },
    ] {
        let mut script = Script::default();
        script.begin(1, "g", &call);
        let event = Event {
            index: 99,
            time_ns: 99,
            process: 1,
            key: "g".to_owned(),
            call: call.clone(),
            phase: Phase::Complete(outcome.clone()),
            origin: Origin::default(),
            error: None,
        };
        assert!(script.history.push(event).is_err(), "{outcome:?}");
    }
}

#[test]
fn elle_gets_lists_as_it_knows_them_and_nothing_else() {
    let mut script = Script::default();
    script.one(1, "k", &Call::GET, Outcome::Read(None));
    script.one(1, "g", &appends(&[("x", "1"), ("y", "a")]), done(2));
    script.one(1, "g", &appends(&[("x", "2")]), Outcome::Unknown);
    script.one(1, "g", &lists(&["x"]), listed(&[&["1"]]));
    let mut text = Vec::new();
    atoll_history::export::elle(&script.history, &mut text).unwrap();
    let expected = r#"{:index 0, :time 3, :process 1, :type :invoke, :f :txn, :value [[:append "x" 1] [:append "y" "a"]]}
{:index 1, :time 4, :process 1, :type :ok, :f :txn, :value [[:append "x" 1] [:append "y" "a"]]}
{:index 2, :time 5, :process 1, :type :invoke, :f :txn, :value [[:append "x" 2]]}
{:index 3, :time 6, :process 1, :type :info, :f :txn, :value [[:append "x" 2]]}
{:index 4, :time 7, :process 3, :type :invoke, :f :txn, :value [[:r "x" nil]]}
{:index 5, :time 8, :process 3, :type :ok, :f :txn, :value [[:r "x" [1]]]}
"#;
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}
