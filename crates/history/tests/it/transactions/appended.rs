//! Lists that several transactions append to.

use super::*;

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
