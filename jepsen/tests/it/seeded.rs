//! Histories that are right, and the same with a lie in them.

use std::collections::BTreeMap;

use atoll_history::{Call, Event, Found, History, Level, Outcome, Phase, Verdict};
use atoll_jepsen::judge::{Rules, judge};
use atoll_jepsen::workload::{Notes, workloads};

use super::cluster::run;

/// The names of the checkers that say each thing: judged so many, wrong, unknown.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    judged: BTreeMap<String, usize>,
    wrong: Vec<String>,
    unknown: Vec<String>,
}

fn said(history: &History, notes: &Notes) -> Said {
    let mut said = Said::default();
    for check in judge(history, notes, &Rules::default()) {
        match check.verdict {
            Verdict::Ok { judged } => {
                said.judged.insert(check.name, judged);
            }
            Verdict::Violation(_) => said.wrong.push(check.name),
            Verdict::Unknown(_) => said.unknown.push(check.name),
        }
    }
    said
}

/// The history with one completion changed: the first that `lie` changes.
fn with_a_lie(history: &History, mut lie: impl FnMut(&mut Event, &History) -> bool) -> History {
    let mut lied = History::default();
    let mut done = false;
    for event in history.events() {
        let mut event = event.clone();
        if !done && event.phase != Phase::Invoke {
            done = lie(&mut event, history);
        }
        lied.push(event).unwrap();
    }
    assert!(done, "there was nothing to lie about");
    lied
}

fn outcome(event: &mut Event) -> &mut Outcome {
    match &mut event.phase {
        Phase::Complete(outcome) => outcome,
        Phase::Invoke => unreachable!("only completions are changed"),
    }
}

/// Runs one workload, expects it to be judged right by these checkers, and wrong by this one after the lie.
async fn finds(
    workload: &str,
    judged_by: &[&str],
    by: &str,
    mut lie: impl FnMut(&mut Event, &History) -> bool,
) {
    let (history, notes) = run(&[workload], 9, 7).await;
    let right = said(&history, &notes);
    assert_eq!(
        (right.wrong, right.unknown),
        (vec![], vec![]),
        "{:?}",
        judge(&history, &notes, &Rules::default())
    );
    for name in judged_by {
        let judged = right.judged.get(*name).copied().unwrap_or(0);
        assert!(
            judged > 20,
            "{name} judged {judged} operations of {:?}",
            right.judged
        );
    }
    let lied = with_a_lie(&history, &mut lie);
    let wrong = said(&lied, &notes).wrong;
    assert!(wrong.iter().any(|name| name == by), "{by} is not among {wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn register_a_stale_linearizable_read() {
    let mut older = BTreeMap::new();
    let judged = ["linearizable", "versions", "causality"];
    finds("register", &judged, "linearizable", |event, _| {
        let key = event.key.clone();
        let linearizable = event.call.level() == Some(Level::Linearizable);
        let Outcome::Read(Some(seen)) = outcome(event) else {
            return false;
        };
        // What the first read of the key found, once another has found something newer.
        let first = older.entry(key).or_insert_with(|| seen.clone());
        let newer = seen.version > first.version;
        seen.clone_from(first);
        linearizable && newer
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn set_a_lost_element() {
    finds("set", &["set"], "set", |event, _| match outcome(event) {
        Outcome::Elements(elements) if elements.len() > 3 => {
            elements.remove(0);
            true
        }
        _ => false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn counter_two_increments_with_one_number() {
    finds("counter", &["counter"], "counter", |event, _| {
        match outcome(event) {
            Outcome::Added(sum) if *sum > 3 => {
                *sum -= 1;
                true
            }
            _ => false,
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn levels_an_eventual_read_older_than_its_age() {
    let mut first = BTreeMap::new();
    let judged = ["linearizable", "versions", "sessions", "staleness"];
    finds("levels", &judged, "staleness", |event, _| {
        let (key, now) = (event.key.clone(), event.time_ns);
        let eventual = event.call.level() == Some(Level::Eventual);
        let Outcome::Read(Some(seen)) = outcome(event) else {
            return false;
        };
        let (value, at) = first.entry(key).or_insert_with(|| (seen.clone(), now));
        let lie = eventual && seen.version > value.version && now > *at + 2_000_000_000;
        if lie {
            seen.clone_from(value);
            event.origin.age_ns = Some(1_000_000);
        }
        lie
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn scan_a_row_that_never_was_and_rows_out_of_order() {
    let judged = ["linearizable", "versions", "scans"];
    finds("scan", &judged, "linearizable", |event, _| match outcome(event) {
        Outcome::Rows(rows) if !rows.is_empty() => {
            rows[0].1.value = "12345678".to_owned();
            true
        }
        _ => false,
    })
    .await;
    finds("scan", &judged, "scans", |event, _| match outcome(event) {
        Outcome::Rows(rows) if rows.len() > 1 => {
            rows.swap(0, 1);
            true
        }
        _ => false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bank_half_a_transfer() {
    let judged = ["linearizable", "versions", "bank", "causality"];
    finds("bank", &judged, "bank", |event, _| match outcome(event) {
        Outcome::Done { found, .. } => match found.first_mut() {
            Some(Found::Value(Some(seen))) => {
                seen.value = format!("7{}", seen.value);
                true
            }
            _ => false,
        },
        _ => false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn append_a_lost_append() {
    finds("append", &["append"], "append", |event, _| {
        let Outcome::Done { found, .. } = outcome(event) else {
            return false;
        };
        let mut lists = found.iter_mut().filter_map(|found| match found {
            Found::Elements(elements) => Some(elements),
            _ => None,
        });
        let long = lists.find(|elements| elements.len() > 3);
        long.map(|elements| elements.remove(1)).is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn raw_a_write_that_was_said_not_to_happen() {
    let judged = ["linearizable", "versions"];
    finds("raw", &judged, "linearizable", |event, history| {
        let Call::Put { value } = &event.call else {
            return false;
        };
        let was_read = history
            .operations()
            .iter()
            .any(|operation| match &operation.outcome {
                Outcome::Read(Some(seen)) => seen.value == *value && operation.call == Call::GET,
                _ => false,
            });
        let outcome = outcome(event);
        let lie = was_read && matches!(outcome, Outcome::Written { .. });
        if lie {
            *outcome = Outcome::Failed;
        }
        lie
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_workloads_side_by_side_are_judged_by_all_checkers() {
    let all = workloads(&["all".to_owned()]).unwrap();
    let names: Vec<&str> = all.iter().map(|workload| workload.name()).collect();
    let (history, notes) = run(&names, 6, 3).await;
    let said = said(&history, &notes);
    assert_eq!((said.wrong, said.unknown), (vec![], vec![]));
    let expected = [
        "answers",
        "append",
        "bank",
        "causality",
        "counter",
        "final reads",
        "intact",
        "linearizable",
        "scans",
        "sessions",
        "set",
        "staleness",
        "versions",
    ];
    let judged: Vec<&str> = said.judged.keys().map(String::as_str).collect();
    assert_eq!(judged, expected);
}

#[test]
fn workloads_are_found_by_name_and_others_are_refused() {
    let names = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        workloads(&names).map(|found| found.iter().map(|one| one.name()).collect::<Vec<_>>())
    };
    assert_eq!(names(&["bank", "raw", "bank"]), Ok(vec!["bank", "raw"]));
    assert_eq!(names(&["all"]).unwrap().len(), 8);
    assert!(names(&["bnak"]).unwrap_err().contains("register, set"));
    assert!(names(&[]).is_err());
}

#[test]
fn what_is_noted_beside_the_history_counts() {
    let notes = Notes {
        wrong: vec!["a conflict without a condition".to_owned()],
        corrupt: vec!["bytes".to_owned()],
        unread_at_end: vec!["a".to_owned()],
        ..Notes::default()
    };
    let none = History::default();
    assert_eq!(said(&none, &notes).wrong, ["answers", "intact"]);
    assert_eq!(said(&none, &notes).unknown, ["final reads"]);
    let rules = Rules {
        spoiled: vec![2],
        ..Rules::default()
    };
    let intact = judge(&none, &notes, &rules)
        .into_iter()
        .find(|check| check.name == "intact");
    assert!(intact.unwrap().verdict.is_ok());
}
