//! `atoll verify` on real processes: a short run with kills and pauses, what it leaves behind, and its exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests: the outside world is what they are about, and a failure ends the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn verify(store: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atoll"))
        .arg("verify")
        .args(arguments.split_ascii_whitespace())
        .arg("--store")
        .arg(store)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn all_text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn files(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_short_run_with_kills_and_pauses_passes() {
    let store = tempfile::tempdir().unwrap();
    let line = "--workload register,counter --nemesis kill/one,pause/one --time 8 --seed 1 --nodes 3 \
                --groups 2 --rate 40 --concurrency 4 --output json";
    let output = verify(store.path(), line);
    let text = all_text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["conclusion"], "pass", "{text}");
    for family in ["kill", "pause"] {
        assert!(summary["faults"][family].as_u64() >= Some(1), "{family}: {text}");
    }
    assert!(summary["operations"]["ok"].as_u64() >= Some(50), "{text}");
    let dir = PathBuf::from(summary["folder"].as_str().unwrap());
    let found = files(&dir);
    for file in [
        "report.html",
        "results.json",
        "faults.json",
        "schedule.json",
        "history.jsonl",
        "history.edn",
        "node-1.log",
        "node-2.log",
        "node-3.log",
    ] {
        assert!(found.contains(file), "{file} is missing: {found:?}");
    }
    assert!(
        !found.contains("data"),
        "after a pass nobody needs the nodes' data"
    );
    let command = summary["command"].as_str().unwrap();
    assert!(
        command.starts_with("atoll verify --workload register,counter"),
        "{command}"
    );
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_starts() {
    let store = tempfile::tempdir().unwrap();
    // Of one node there is neither a minority nor a majority to kill.
    let line = "--workload register --nemesis kill/minority --time 1 --seed 1 --nodes 1 --groups 1 --rate 20";
    let output = verify(store.path(), line);
    let text = all_text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("kill/minority: needs at least 3 nodes"), "{text}");
    assert!(
        text.contains("atoll verify --workload register --nemesis kill/minority"),
        "{text}"
    );
    assert!(text.contains("--nodes 3"), "{text}");
    assert_eq!(files(store.path()), BTreeSet::new(), "{text}");
}

#[test]
fn wrong_usage_is_told_apart_from_what_is_unknown() {
    let store = tempfile::tempdir().unwrap();
    for (line, told) in [
        ("--workload regster", "regster"),
        ("--nemesis kill/some", "kill/some"),
        ("--nodes 0", "--nodes"),
        ("--such-an-option", "--such-an-option"),
    ] {
        let output = verify(store.path(), line);
        let text = all_text(&output);
        assert_eq!(output.status.code(), Some(64), "{line}: {text}");
        assert!(text.contains(told), "{line}: {text}");
    }
    let output = verify(store.path(), "--binary /no/such/atoll --nodes 1");
    assert_eq!(output.status.code(), Some(2), "{}", all_text(&output));
}

#[test]
fn everything_there_is_can_be_listed() {
    let store = tempfile::tempdir().unwrap();
    let output = verify(store.path(), "--list");
    let text = all_text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for name in [
        "register",
        "counter",
        "partition",
        "kill",
        "pause",
        "restart",
        "cluster",
    ] {
        assert!(text.contains(name), "{name} is missing: {text}");
    }
}
