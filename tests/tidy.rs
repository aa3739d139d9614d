//! The style that the compiler and clippy cannot see, as a test.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests: they look at the real source tree, and a failure ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests: what should hold, and what must.
const FILE_LINES_MAX: usize = 400;
const FOLDER_ENTRIES_MAX: usize = 18;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("cli has a parent")
        .to_owned()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                walk(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn files(extension: &str) -> Vec<(String, String)> {
    let root = root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn is_test_file(name: &str) -> bool {
    name.contains("/tests/") || name.starts_with("tests/") || name.ends_with("tests.rs")
}

/// The part of a source file before its inline tests.
fn product_code(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

fn fail_if_any(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for (name, text) in files("rs") {
        let lines = product_code(&text).lines().count();
        if !is_test_file(&name) && lines > FILE_LINES_MAX {
            problems.push(format!(
                "{name}: {lines} lines without tests, at most {FILE_LINES_MAX}: which second type hides here?"
            ));
        }
    }
    fail_if_any(&problems);
}

#[test]
fn folders_are_small() {
    let mut entries: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in files("rs") {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        entries
            .entry(folder.to_owned())
            .or_default()
            .insert(file.to_owned());
    }
    let problems: Vec<String> = entries
        .iter()
        .filter(|(_, files)| files.len() > FOLDER_ENTRIES_MAX)
        .map(|(folder, files)| format!("{folder}: {} files, at most {FOLDER_ENTRIES_MAX}", files.len()))
        .collect();
    fail_if_any(&problems);
}

#[test]
fn modules_open_with_an_essay() {
    let problems: Vec<String> = files("rs")
        .iter()
        .filter(|(name, text)| !is_test_file(name) && !text.starts_with("//!"))
        .map(|(name, _)| format!("{name}: says nothing about itself"))
        .collect();
    fail_if_any(&problems);
}

/// Which crates of the workspace a crate may depend on. Nothing points upwards.
fn allowed(package: &str) -> &'static [&'static str] {
    match package {
        "env" | "kv" | "placement" => &["types"],
        "storage" => &["types", "env"],
        "proto" => &["types", "placement"],
        // The benchmarks are a workspace of their own, beside the engines of others that they compare.
        "raft" | "benches" => &["types", "env", "storage"],
        "client" => &["types", "env", "proto", "placement"],
        "state" => &["types", "env", "storage", "kv"],
        "backend-sled" => &["types", "env", "storage", "kv", "state"],
        "server" => &[
            "types",
            "env",
            "storage",
            "raft",
            "kv",
            "state",
            "backend-sled",
            "placement",
            "proto",
        ],
        "sim" => &[
            "types",
            "env",
            "storage",
            "raft",
            "kv",
            "placement",
            "proto",
            "client",
            "server",
            "history",
        ],
        // Drives whole processes from outside: it knows the client and the wire, never a server's inside.
        "jepsen" => &["types", "env", "proto", "client", "history"],
        "cli" => &["types", "env", "placement", "proto", "client", "server", "jepsen"],
        // A workspace of its own, beside the checkers that it compares.
        "cross-check" => &["history"],
        // A workspace of its own, above everything whose decoders it feeds.
        "fuzz" => &["types", "env", "storage", "raft", "kv", "proto"],
        _ => &[],
    }
}

#[test]
fn crates_depend_downwards() {
    let mut problems = Vec::new();
    for (name, text) in files("toml") {
        let Some(folder) = name.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let package = folder.rsplit('/').next().unwrap();
        let normal = text.split("[dev-dependencies]").next().unwrap();
        for line in normal.lines() {
            let Some(dependency) = line.strip_prefix("atoll-") else {
                continue;
            };
            let dependency = dependency.split(['.', ' ', '=']).next().unwrap();
            if !allowed(package).contains(&dependency) {
                problems.push(format!("{name}: {package} must not depend on {dependency}"));
            }
        }
    }
    fail_if_any(&problems);
}

fn uses(text: &str, package: &str) -> bool {
    let prefix = format!("{package}::");
    product_code(text).lines().any(|line| {
        let code = line.split("//").next().unwrap();
        // Directly behind a comma there is no path but a list in a text, a log filter say: rustfmt sees to that.
        code.match_indices(&prefix).any(|(at, _)| {
            !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ','))
        })
    })
}

#[test]
fn foreign_types_stay_where_they_belong() {
    let homes: [(&str, &[&str]); 3] = [
        ("openraft", &["crates/raft/"]),
        ("tonic", &["crates/env/src/net/"]),
        (
            "atoll_proto",
            &[
                "crates/proto/",
                "crates/server/src/rpc/",
                "crates/client/",
                "cli/",
                "tests/",
                "crates/sim/",
                "jepsen/",
                "fuzz/",
            ],
        ),
    ];
    let mut problems = Vec::new();
    for (name, text) in files("rs").iter().filter(|(name, _)| !is_test_file(name)) {
        for (package, folders) in homes {
            if !folders.iter().any(|folder| name.starts_with(folder)) && uses(text, package) {
                problems.push(format!("{name}: {package} shows outside {folders:?}"));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn nothing_is_left_undone_silently() {
    let marks = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "XX".to_owned() + "X",
        "#[ign".to_owned() + "ore",
    ];
    let mut problems = Vec::new();
    for (name, text) in files("rs") {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn links_between_documents_resolve() {
    let mut problems = Vec::new();
    for (name, text) in files("md") {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap();
            let elsewhere = target.is_empty() || target.contains("://");
            if !elsewhere && !folder.join(target).exists() {
                problems.push(format!("{name}: link to {target} leads nowhere"));
            }
        }
    }
    fail_if_any(&problems);
}
