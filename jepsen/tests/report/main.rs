//! Reports of made-up runs: what is in the files, and that nothing in the page comes from outside of it.
//! The pages stay in the folder of temporary files of the build, to be looked at in a browser.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests of real files; a failure ends the test"
)]

mod fake;

use std::fs;
use std::path::{Path, PathBuf};

use atoll_history::{History, Unknown, Verdict, Violation};
use atoll_jepsen::record::{Check, Conclusion, Demand, LogFinding, Record};
use atoll_jepsen::report;
use serde_json::Value;

fn written(name: &str, record: &Record) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
    fs::create_dir_all(&dir).unwrap();
    report::write(record, &dir).unwrap();
    dir
}

fn page(dir: &Path) -> String {
    fs::read_to_string(dir.join("report.html")).unwrap()
}

fn results(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("results.json")).unwrap()).unwrap()
}

/// The contents of an element whose end is not repeated inside.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let from = page.find(begin).unwrap() + begin.len();
    let length = page[from..].find(end).unwrap();
    &page[from..from + length]
}

fn dots(page: &str) -> Value {
    serde_json::from_str(between(page, "id=dots>", "</script>")).unwrap()
}

#[test]
fn a_pass_is_complete() {
    let record = fake::pass();
    assert_eq!(record.conclusion(), Conclusion::Pass, "{:?}", record.checks);
    let dir = written("pass", &record);

    let results = results(&dir);
    assert_eq!(results["conclusion"], "pass");
    assert_eq!(results["exit_code"], 0);
    assert_eq!(results["seed"], "7");
    assert_eq!(results["command"], record.command);
    assert_eq!(results["checks"][0]["verdict"], "ok");
    assert_eq!(results["gate"][1]["was"], 61.75);
    assert_eq!(results["gate"].as_array().unwrap().len(), 5);
    let operations = &results["operations"];
    assert_eq!(operations["all"], 8_000);
    let endings = ["ok", "conflict", "fail", "unknown"];
    let sum = |tally: &Value| {
        endings
            .iter()
            .map(|name| tally[name].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(sum(operations), 8_000);
    assert!(endings.iter().all(|name| operations[name].as_u64().unwrap() > 0));
    let calls = results["calls"].as_object().unwrap();
    assert_eq!(calls.values().map(sum).sum::<u64>(), 8_000);
    assert!(calls.contains_key("get") && calls.contains_key("get session"));
    let latency = &operations["latency_ns"];
    let order = ["p50", "p95", "p99", "max"].map(|name| latency[name].as_u64().unwrap());
    assert!(order.is_sorted() && order[0] > 0, "{order:?}");
    let faults = results["faults"].as_object().unwrap();
    let count = |fault: &Value| fault["count"].as_u64().unwrap();
    assert_eq!(
        faults.values().map(count).sum::<u64>(),
        record.faults.len() as u64
    );

    let history = fs::read(dir.join("history.jsonl")).unwrap();
    assert_eq!(History::read(history.as_slice()).unwrap(), record.history);
    let edn = fs::read_to_string(dir.join("history.edn")).unwrap();
    assert_eq!(edn.lines().count(), record.history.events().len());
    let faults: Value = serde_json::from_slice(&fs::read(dir.join("faults.json")).unwrap()).unwrap();
    assert_eq!(faults.as_array().unwrap().len(), record.faults.len());
    assert_eq!(faults[0]["begin_ns"].as_u64(), Some(record.faults[0].begin_ns));

    let page = page(&dir);
    assert!(page.contains("No promise was broken: every checker could explain 8,000 operations"));
    assert_eq!(dots(&page)["dots"].as_array().unwrap().len(), 8_000);
    assert!(!page.contains("class=thinned>"));
    for text in [
        "id=command>atoll verify",
        "partition/leader",
        "term 3",
        "feature `faults`",
        "61.75",
        "faults that could not be mended<td class=number>≤ 0<",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn the_operation_of_a_violation_is_in_the_page() {
    let record = fake::violation();
    assert_eq!(record.conclusion(), Conclusion::Violation);
    let Verdict::Violation(found) = &record.checks[0].verdict else {
        panic!("{:?}", record.checks[0]);
    };
    assert_eq!(found[0].key, "register-3");
    let wanted = found[0].operation.unwrap();
    let operations = record.history.operations();
    let operation = operations.iter().find(|one| one.invoked.index == wanted).unwrap();

    let dir = written("violation", &record);
    let page = page(&dir);
    let drawn = between(&page, "<g class=\"operation blocked", "</g>");
    assert!(
        drawn.contains(&format!("process {}", operation.process)),
        "{drawn}"
    );
    assert!(drawn.contains("fits nowhere"), "{drawn}");
    assert!(page.contains("class=place>") && page.contains("class=\"order"));
    assert!(page.contains(&format!(
        "<b>Process {} asked <code>get</code>",
        operation.process
    )));
    let results = results(&dir);
    assert_eq!(results["exit_code"], 1);
    let finding = &results["checks"][0]["findings"][0];
    assert_eq!(finding["operation"], wanted.to_string());
    assert_eq!(finding["key"], "register-3");
}

#[test]
fn an_undecided_run_says_why() {
    let mut record = fake::pass();
    let what = "successful operations per second while faults were on";
    record.gate[1] = Demand::at_least(what, 50.0, 3.2);
    record.gate[1].span_ns = Some((10 * fake::S, 20 * fake::S));
    record.gate[2] = Demand::at_most("faults that could not be mended", 0.0, 30.0);
    record.gate[2].details = vec!["kill/one: node 2 cannot be started".to_owned(); 30];
    record.checks.push(Check {
        name: "bank".to_owned(),
        about: "Transfers keep the total.",
        verdict: Verdict::Unknown(vec![Unknown {
            checker: "bank",
            key: "accounts".to_owned(),
            reason: "undecided after 5000000 steps".to_owned(),
        }]),
    });
    let dir = written("unknown", &record);
    let page = page(&dir);
    assert!(page.contains(
        "Nobody knows: bank could not decide 1 key; 2 demands of the gate not met, so it was no test."
    ));
    assert!(page.contains("undecided after 5000000 steps") && page.contains("✗ not met"));
    assert!(page.contains("<td class=number>≤ 0<td class=number>30<td class=unmet>"));
    assert!(page.contains(&format!(
        "<h3>Not met: {what}</h3><p class=note>It was between 10.000 s and 20.000 s"
    )));
    assert_eq!(page.matches("node 2 cannot be started").count(), 20);
    assert!(page.contains("and 10 more") && page.contains("href=\"#gate\""));
    let results = results(&dir);
    assert_eq!(results["conclusion"], "unknown");
    assert_eq!(results["exit_code"], 2);
    assert_eq!(results["gate"][1]["met"], false);
}

#[test]
fn what_has_no_operation_has_a_moment_and_what_was_said() {
    let mut record = fake::pass();
    let first = record.faults[0].clone();
    let moment = first.begin_ns + 1;
    let finding = |time_ns, line: &str| LogFinding {
        node: 2,
        time_ns,
        line: line.to_owned(),
        before: vec!["the line before".to_owned()],
        after: vec!["the line after".to_owned()],
    };
    record.log_findings = vec![
        finding(Some(moment), "panicked at"),
        finding(None, "ERROR who knows when"),
    ];
    record.last_words = vec![(3, vec!["the last of node 3".to_owned()])];
    record.spared = vec!["node 1 (its disk was damaged) is behind: by far".to_owned()];
    record.checks.push(Check {
        name: "recovery".to_owned(),
        about: "Everything is whole.",
        verdict: Verdict::Violation(vec![Violation {
            checker: "recovery",
            key: String::new(),
            message: "node 3 does not answer".to_owned(),
            operation: None,
            prefix: Vec::new(),
        }]),
    });
    let dir = written("moments", &record);
    let page = page(&dir);
    let logs = between(&page, "id=logs>", "</section>");
    assert!(
        logs.contains(&format!(
            "In place then: <a href=\"#fault-1\">1</a> {}",
            first.name
        )),
        "{logs}"
    );
    assert!(logs.contains("Nothing in the log tells when."));
    assert!(logs.contains("the line before\n<b>panicked at</b>\nthe line after\n"));
    let found = between(&page, "id=violations>", "</section>");
    assert!(
        found.contains("<h3>recovery</h3>") && found.contains("the last of node 3"),
        "{found}"
    );
    assert!(found.contains("(phase: recovery)"), "{found}");
    // Two of the three have a moment; both are on the axis.
    assert_eq!(page.matches("class=\"bar wrong\"").count(), 2);
    assert!(page.contains("by far"));
    let results = results(&dir);
    assert_eq!(results["conclusion"], "violation");
    assert_eq!(results["log_findings"][0]["time_ns"], moment);
    assert_eq!(results["not_judged"][0], record.spared[0]);
}

#[test]
fn a_run_without_anything_has_a_page() {
    let dir = written("empty", &fake::empty());
    let page = page(&dir);
    assert!(page.contains("Nobody knows: no checker looked at it."));
    assert_eq!(dots(&page)["dots"].as_array().unwrap().len(), 0);
    let results = results(&dir);
    assert_eq!(results["operations"]["all"], 0);
    assert_eq!(results["operations"]["latency_ns"]["p99"], Value::Null);
}

#[test]
fn a_large_run_has_a_small_page_that_says_so() {
    let record = fake::large();
    let dir = written("large", &record);
    let page = page(&dir);
    assert!(page.len() < 5_000_000, "{}", page.len());
    let dots = dots(&page);
    let drawn = dots["dots"].as_array().unwrap();
    assert!(drawn.len() <= report::POINTS_MAX && drawn.len() > report::POINTS_MAX * 9 / 10);
    assert!(page.contains("of 200,000 operations are drawn"));
    let results = results(&dir);
    for (number, ending) in [(2, "fail"), (3, "unknown")] {
        let kept = drawn.iter().filter(|dot| dot[3] == number).count() as u64;
        assert_eq!(Some(kept), results["operations"][ending].as_u64(), "{ending}");
        assert!(kept > 1_000, "{ending}");
    }
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let files = [
        "report.html",
        "results.json",
        "faults.json",
        "history.jsonl",
        "history.edn",
    ];
    let read = |name: &str| {
        let dir = written(name, &fake::violation());
        files.map(|file| fs::read(dir.join(file)).unwrap())
    };
    assert!(read("same-1") == read("same-2"));
}

#[test]
fn nothing_in_the_page_comes_from_outside() {
    for record in [fake::pass(), fake::violation(), fake::empty()] {
        let page = page(&written("outside", &record));
        for foreign in ["http:", "https:", "//cdn", "@import", "src=", "<link", "<iframe"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        for link in page.split("href=\"").skip(1) {
            let target = link.split('"').next().unwrap();
            let known = ["#", "history.", "results.json", "faults.json", "node-"];
            assert!(known.iter().any(|start| target.starts_with(start)), "{target}");
        }
        assert!(!page.contains("url(h") && page.contains("url(#") == page.contains("class=saw"));
    }
}

#[test]
fn texts_of_others_stay_texts() {
    const EVIL: &str = "</script><img onerror=\"alert(1)\" x='&'>";
    let mut record = fake::violation();
    let mut history = History::default();
    for event in record.history.events() {
        let mut event = event.clone();
        event.key = format!("{EVIL}{}", event.key);
        event.error = event.error.map(|_| EVIL.to_owned());
        history.push(event).unwrap();
    }
    record.history = history;
    record.seed = u64::MAX;
    record.command = EVIL.to_owned();
    record.program = EVIL.to_owned();
    record.workloads = vec![EVIL.to_owned()];
    record.log_findings = vec![LogFinding {
        node: 1,
        time_ns: Some(12 * fake::S),
        line: EVIL.to_owned(),
        before: vec![EVIL.to_owned()],
        after: vec![EVIL.to_owned()],
    }];
    record.last_words = vec![(1, vec![EVIL.to_owned()])];
    record.spared = vec![EVIL.to_owned()];
    record.not_injected = vec![EVIL.to_owned()];
    record.gate[0] = Demand::at_least(EVIL, 1.0, 0.0);
    record.gate[0].span_ns = Some((0, fake::S));
    record.gate[0].details = vec![EVIL.to_owned()];
    for fault in &mut record.faults {
        fault.name = format!("{EVIL}/x");
        fault.what = EVIL.to_owned();
    }
    for check in &mut record.checks {
        check.name = EVIL.to_owned();
        if let Verdict::Violation(found) = &mut check.verdict {
            found[0].key = format!("{EVIL}register-3");
            found[0].message = EVIL.to_owned();
            let mut without = found[0].clone();
            without.operation = None;
            found.push(without);
        }
    }
    let dir = written("evil", &record);
    let page = page(&dir);
    assert!(!page.contains("<img") && !page.contains("onerror=\""));
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(page.contains("&lt;/script&gt;&lt;img onerror=&quot;alert(1)&quot; x=&#39;&amp;&#39;&gt;"));
    assert!(dots(&page)["keys"][0].as_str().unwrap().starts_with(EVIL));
    assert_eq!(results(&dir)["seed"], u64::MAX.to_string());
}
