//! Files, answers that do not fit, and what other checkers are given.

use super::*;

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
