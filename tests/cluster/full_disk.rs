//! Disks that are full, for real: each node's folder is a file system of its own, and a small one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use atoll_client::{Client, ErrorKind};

use crate::support::{Cluster, eventually, text};

/// A little more than the least that a node starts on with these settings.
const DISK_MIB: u32 = 192;
const TOO_SMALL_MIB: u32 = 180;
/// Packed, the values would never fill it.
const SETTINGS: [(&str, &str); 2] = [("ATOLL_DISK_KEEP_FREE_MIB", "80"), ("ATOLL_COMPRESSION", "off")];
const VALUE_BYTES: usize = 1_000_000;

/// A file system in memory, until dropped.
struct Disk(PathBuf);

impl Disk {
    /// The error is for people: nobody may mount anything here.
    fn mount(at: &Path, mib: u32) -> Result<Self, String> {
        std::fs::create_dir(at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(at.to_owned())),
            Ok(output) => Err(text(&output.stderr)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn resize(&self, mib: u32) {
        let size = format!("remount,size={mib}m");
        let mounted = Command::new("mount").args(["-o", &size]).arg(&self.0).status();
        assert!(mounted.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while a process still has files there; then they go with it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn key(number: usize) -> String {
    format!("key{number}")
}

/// Each its own, so that no value passes for another.
fn value(number: usize) -> Vec<u8> {
    let mut value = vec![7; VALUE_BYTES];
    value.splice(..8, (number as u64).to_le_bytes());
    value
}

/// Writes until it is refused; returns how many were acknowledged.
async fn fill(client: &Client) -> usize {
    let mut stored = 0;
    loop {
        match client.put(key(stored), value(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
                assert!(error.message().contains("almost full"), "{error}");
                return stored;
            }
        }
        assert!(stored * VALUE_BYTES < 4 << 30, "the disk is never full");
    }
}

#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests is to know what was not tested"
)]
fn say_left_out(reason: &str) {
    eprintln!("left out: small file systems cannot be mounted here: {reason}");
}

fn assert_running(cluster: &mut Cluster) {
    for node in 0..cluster.nodes.len() {
        let log = cluster.data_dir(node).with_extension("log");
        let Some(process) = cluster.nodes[node].as_mut() else {
            continue;
        };
        if let Some(ended) = process.child.try_wait().unwrap() {
            let said = std::fs::read_to_string(log).unwrap();
            panic!("node {node} ended, {ended}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn full_disks_refuse_writes_serve_reads_and_take_writes_again_after_removals() {
    let mut cluster = Cluster::stopped(3);
    let mut disks = Vec::new();
    for node in 0..3 {
        match Disk::mount(&cluster.data_dir(node), DISK_MIB) {
            Ok(disk) => disks.push(disk),
            Err(reason) => return say_left_out(&reason),
        }
        cluster.start_with(node, &SETTINGS);
    }
    cluster.init(2).await;
    let client = cluster.client(Duration::from_secs(5)).await;
    let stored = fill(&client).await;
    assert!(stored > 20, "{stored} values of {VALUE_BYTES} bytes");
    assert_running(&mut cluster);

    for number in 0..stored {
        let found = client.get(key(number)).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{} is lost", key(number)));
        assert_eq!(found.bytes, value(number));
    }
    let kept = 5;
    for number in kept..stored {
        // What moves values to free others takes room itself for a while.
        eventually("removals are taken", async || {
            client.delete(key(number)).await.is_ok()
        })
        .await;
    }
    eventually("writes are taken again", async || {
        client.put("again", vec![1; VALUE_BYTES]).await.is_ok()
    })
    .await;
    for number in 0..kept {
        let found = client.get(key(number)).await.unwrap().unwrap();
        assert_eq!(found.bytes, value(number));
    }
    assert_eq!(client.get(key(kept)).await.unwrap(), None);
    assert_running(&mut cluster);
    drop((cluster, disks));
}

/// Its leaders cannot know: the small disk is that of another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_with_a_smaller_disk_than_the_others_stays_and_is_brought_up_when_it_has_room() {
    let mut cluster = Cluster::stopped(3);
    let small = 2;
    let disk = match Disk::mount(&cluster.data_dir(small), DISK_MIB) {
        Ok(disk) => disk,
        Err(reason) => return say_left_out(&reason),
    };
    for node in 0..3 {
        cluster.start_with(node, &SETTINGS);
    }
    cluster.init(2).await;
    // What the small node leads, it hands over after a while.
    let client = cluster.client(Duration::from_secs(60)).await;
    let more_than_fits = 2 * DISK_MIB as usize * 1024 * 1024 / VALUE_BYTES;
    for number in 0..more_than_fits {
        client.put(key(number), value(number)).await.unwrap();
    }
    assert_running(&mut cluster);
    disk.resize(8 * DISK_MIB);
    // From here on nothing is stored without it.
    cluster.kill(0);
    client.put("again", vec![1; VALUE_BYTES]).await.unwrap();
    assert_running(&mut cluster);
    for number in [0, more_than_fits - 1] {
        let found = client.get(key(number)).await.unwrap().unwrap();
        assert_eq!(found.bytes, value(number));
    }
    drop((cluster, disk));
}

#[test]
fn a_node_does_not_start_on_a_disk_that_would_never_take_writes_again() {
    let mut cluster = Cluster::stopped(1);
    let dir = cluster.data_dir(0);
    let _disk = match Disk::mount(&dir, TOO_SMALL_MIB) {
        Ok(disk) => disk,
        Err(reason) => return say_left_out(&reason),
    };
    cluster.start_with(0, &SETTINGS);
    let process = cluster.nodes[0].as_mut().unwrap();
    let ended = process.child.wait().unwrap();
    assert_eq!(ended.code(), Some(2), "wrong usage");
    let said = std::fs::read_to_string(dir.with_extension("log")).unwrap();
    let (has, needs) = (180 << 20, 184 << 20);
    let expected = format!("has {has} bytes, and a node with these settings needs {needs}");
    assert!(said.contains(&expected), "{said}");
}
