//! Data written by the first version of every format.

use std::path::Path;
use std::time::Duration;

use crate::support::{Cluster, eventually};

/// The folder of a node that was alone in its cluster: `tests/data/first-format.md` says how it was made.
const FOLDER: &[u8] = include_bytes!("../data/first-format.zst");
const KEYS: usize = 500;

fn value(number: usize) -> String {
    format!("value {number} {}", "abcdefghij".repeat(number % 40))
}

/// Puts back what was packed: for each file its path, its length with the zeros at its end, its length without, and its bytes.
fn unpack(into: &Path) {
    let bytes = zstd::decode_all(FOLDER).unwrap();
    let mut rest = bytes.as_slice();
    let mut number = || {
        let (head, tail) = rest.split_first_chunk::<8>().unwrap();
        rest = tail;
        u64::from_le_bytes(*head)
    };
    let mut files = Vec::new();
    for _ in 0..number() {
        files.push([number(), number(), number()]);
    }
    for [path_len, whole, len] in files {
        let (path, tail) = rest.split_at(path_len as usize);
        let (content, tail) = tail.split_at(len as usize);
        rest = tail;
        let path = into.join(std::str::from_utf8(path).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len(whole).unwrap();
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_the_first_version_wrote_is_all_there() {
    let mut cluster = Cluster::stopped(1);
    unpack(&cluster.data_dir(0));
    // The second time with what today's program made of it.
    for _ in 0..2 {
        cluster.start(0);
        cluster.wait_answering().await;
        cluster.wait_serving().await;
        let client = cluster.client(Duration::from_secs(30)).await;
        for number in 0..KEYS {
            let found = client.get(format!("key {number}")).await.unwrap();
            let found = found.map(|found| found.bytes);
            // Every tenth was removed.
            let expected = (number % 10 != 9).then(|| value(number).into());
            assert_eq!(found, expected, "key {number}");
        }
        eventually("it takes writes", async || {
            client.put("new", "value").await.is_ok()
        })
        .await;
        cluster.kill(0);
    }
}
