//! `atoll storage` on the directory of a real node, while it runs and afterwards.

use std::path::Path;
use std::process::Command;

use crate::script;
use crate::support::{Cluster, atoll, eventually, text};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/storage.txt");

#[tokio::test]
async fn the_directory_of_a_stopped_node() {
    let mut cluster = Cluster::with_groups(1, 1).await;
    for key in ["a", "b", "c"] {
        let put = atoll(&["put", key, "value", "--endpoints", &cluster.addresses[0]]);
        assert!(put.status.success(), "{}", text(&put.stderr));
    }
    let dir = cluster.data_dir(0);
    let running = atoll(&["storage", "check", dir.to_str().unwrap()]);
    assert_eq!(running.status.code(), Some(3), "{}", text(&running.stdout));
    assert!(
        text(&running.stderr).contains("is in use"),
        "{}",
        text(&running.stderr)
    );
    // The segment that is made ahead would else be left half made, or not.
    eventually("the next segment is ready", async || {
        let names = std::fs::read_dir(dir.join("journal")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        !names.any(|name| name.contains(".new"))
    })
    .await;
    let mut process = cluster.nodes[0].take().unwrap();
    let id = process.child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    process.child.wait().unwrap();
    compare(cluster.dir.path());
}

fn compare(dir: &Path) {
    let stored = std::fs::read_to_string(SCRIPT).unwrap();
    let current = script::run_in(&stored, dir, &[], mask);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(SCRIPT, &current).unwrap();
        return;
    }
    let difference = script::difference("storage.txt", &stored, &current);
    assert!(stored == current, "{difference}\nUPDATE=1 rewrites the script");
}

/// Hides ids and numbers, and how wide a table is because of them.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        if line.starts_with("[exit") {
            masked.push_str(line);
            masked.push('\n');
            continue;
        }
        let mut words = String::new();
        for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let (letters, end) = match word.strip_suffix(|c: char| !c.is_ascii_alphanumeric()) {
                Some(letters) => (letters, &word[letters.len()..]),
                None => (word, ""),
            };
            let is_id = letters.len() == 32 && letters.bytes().all(|byte| byte.is_ascii_hexdigit());
            words.push_str(if is_id { "ID" } else { letters });
            words.push_str(end);
        }
        let mut before = ' ';
        for c in words.trim_end().chars() {
            let c = if c.is_ascii_digit() { 'N' } else { c };
            let again = c == before && (c == 'N' || c == ' ');
            if !again {
                masked.push(c);
            }
            before = c;
        }
        masked.push('\n');
    }
    masked
}

#[test]
fn masks_hide_what_differs_from_run_to_run() {
    assert_eq!(
        mask("UUID  0123456789abcdef0123456789abcdef   28 B\nend 17.5"),
        "UUID ID N B\nend N.N\n"
    );
}
