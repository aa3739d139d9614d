//! Every command of the binary against a cluster of three real processes: golden scripts, files of
//! records between two clusters, and the shell.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests: the outside world is what they are about, and a failure ends the test"
)]

#[path = "../cluster/support.rs"]
#[expect(dead_code, reason = "shared with the tests of clusters, which use the rest")]
mod support;

mod history;
mod pictures;
mod records;
mod script;
mod storage;
mod terminal;

use std::path::Path;

use crate::support::Cluster;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/scripts");

/// Scripts run one after the other on one cluster, each in a folder and with a key prefix of its own.
#[tokio::test]
async fn golden_scripts() {
    let cluster = Cluster::serving(3).await;
    let mut names: Vec<_> = std::fs::read_dir(SCRIPTS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut stale = String::new();
    for name in names {
        let path = Path::new(SCRIPTS).join(&name);
        let stored = std::fs::read_to_string(&path).unwrap();
        let current = script::run(&stored, &cluster.addresses);
        if stored == current {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, current).unwrap();
            continue;
        }
        stale.push_str(&script::difference(&name, &stored, &current));
    }
    assert!(stale.is_empty(), "{stale}\nUPDATE=1 rewrites the scripts");
}
